/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/spec.h"

#include <string.h>
#include <sys/mount.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/spec_int.h"

#define SPEC_HOOKS_MAX 64

bool spec_word_find(const struct spec_word *words, const char *name, unsigned long *ret)
{
	for (; words->name; words++) {
		if (str_eq(words->name, name)) {
			*ret = words->value;
			return true;
		}
	}
	return false;
}

bool spec_propagation(const char *word, unsigned long *ret)
{
	static const struct spec_word words[] = {
		{ "shared", MS_SHARED },
		{ "rshared", MS_SHARED | MS_REC },
		{ "slave", MS_SLAVE },
		{ "rslave", MS_SLAVE | MS_REC },
		{ "private", MS_PRIVATE },
		{ "rprivate", MS_PRIVATE | MS_REC },
		{ "unbindable", MS_UNBINDABLE },
		{ "runbindable", MS_UNBINDABLE | MS_REC },
		{ NULL, 0 },
	};

	return spec_word_find(words, word, ret);
}

static int spec_version_read(const struct json *root, struct spec *s, struct err *e)
{
	if (json_need_text(root, "ociVersion", &s->version, e) < 0)
		return -e->code;
	if (!str_starts(s->version, "1.") || s->version[2] < '0' || s->version[2] > '9')
		return err_set(e, EINVAL, "ociVersion: %.32s is not 1.x", s->version);
	return 0;
}

static int spec_root_read(const struct json *root, struct spec *s, struct err *e)
{
	const struct json *node = NULL;

	if (json_get_object(root, "root", &node, e) < 0)
		return -e->code;
	if (!node)
		return err_set(e, EINVAL, "root: missing");
	if (json_need_text(node, "path", &s->root_path, e) < 0 ||
	    json_get_bool(node, "readonly", &s->root_readonly, e) < 0)
		return err_wrap(e, "root");
	if (s->root_path[0] == '\0')
		return err_set(e, EINVAL, "root.path: empty");
	return 0;
}

static int spec_hook_read(const struct json *node, struct spec_hook *h, struct err *e)
{
	size_t count;

	if (json_need_text(node, "path", &h->path, e) < 0 ||
	    json_get_texts(node, "args", &h->args, &count, e) < 0 ||
	    json_get_texts(node, "env", &h->env, &count, e) < 0 ||
	    json_get_int(node, "timeout", &h->timeout_s, e) < 0)
		return -e->code;
	if (h->path[0] != '/')
		return err_set(e, EINVAL, "path: not absolute");
	if (json_get(node, "timeout") && h->timeout_s <= 0)
		return err_set(e, EINVAL, "timeout: not above 0");
	return 0;
}

int spec_hooks_read(const struct json *node, struct spec_hooks hooks[SPEC_HOOK_KINDS],
		    struct err *e)
{
	static const char *const names[SPEC_HOOK_KINDS] = {
		"prestart",	  "createRuntime", "createContainer",
		"startContainer", "poststart",	   "poststop",
	};

	for (size_t kind = 0; kind < SPEC_HOOK_KINDS; kind++) {
		struct spec_hooks *h = &hooks[kind];
		const struct json *list = NULL;

		if (json_get_array(node, names[kind], &list, e) < 0)
			return err_wrap(e, "hooks");
		if (!list || list->count == 0)
			continue;
		if (list->count > SPEC_HOOKS_MAX)
			return err_set(e, E2BIG, "hooks.%s: more than %d", names[kind],
				       SPEC_HOOKS_MAX);
		h->rows = mem_array(list->count, sizeof(*h->rows));
		json_each(row, list) {
			if (spec_hook_read(row, &h->rows[h->count++], e) < 0)
				return err_wrap(e, "hooks.%s[%zu]", names[kind], h->count - 1);
		}
	}
	return 0;
}

void spec_hooks_done(struct spec_hooks hooks[SPEC_HOOK_KINDS])
{
	for (size_t kind = 0; kind < SPEC_HOOK_KINDS; kind++) {
		for (size_t i = 0; i < hooks[kind].count; i++) {
			free(hooks[kind].rows[i].args);
			free(hooks[kind].rows[i].env);
		}
		free(hooks[kind].rows);
		hooks[kind] = (struct spec_hooks){ 0 };
	}
}

static int spec_annotations_read(const struct json *root, struct spec *s, struct err *e)
{
	if (json_get_object(root, "annotations", &s->annotations, e) < 0)
		return -e->code;
	json_each(node, s->annotations) {
		if (node->key[0] == '\0')
			return err_set(e, EINVAL, "annotations: an empty key");
		if (node->type != JSON_STRING)
			return err_set(e, EINVAL, "annotations.%.64s: not a text", node->key);
	}
	return 0;
}

static int spec_names_read(const struct json *root, struct spec *s, struct err *e)
{
	if (json_get_text(root, "hostname", &s->hostname, e) < 0 ||
	    json_get_text(root, "domainname", &s->domainname, e) < 0)
		return -e->code;
	if (s->hostname && !s->hostname[0])
		s->hostname = NULL;
	if (s->domainname && !s->domainname[0])
		s->domainname = NULL;
	if ((s->hostname && strlen(s->hostname) > 64) ||
	    (s->domainname && strlen(s->domainname) > 64))
		return err_set(e, EINVAL, "hostname or domainname: longer than 64");
	if ((s->hostname || s->domainname) && !s->ns[SPEC_NS_UTS].given)
		return err_set(e, EINVAL, "hostname: needs a uts namespace in linux.namespaces");
	return 0;
}

bool spec_has_idmaps(const struct spec *s)
{
	for (size_t i = 0; i < s->mount_count; i++) {
		if (s->mounts[i].idmap)
			return true;
	}
	return false;
}

/* What a mount takes from the container's user namespace has to be there. */
static int spec_idmaps_check(const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->mount_count; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (m->idmap && !m->uid_maps.count && !s->ns[SPEC_NS_USER].given)
			return err_set(e, EINVAL,
				       "mounts[%zu]: idmap: neither uidMappings nor a user "
				       "namespace",
				       i);
	}
	return 0;
}

static int spec_read(const struct json *root, struct spec *s, struct err *e)
{
	const struct json *process = NULL;
	const struct json *hooks = NULL;

	if (root->type != JSON_OBJECT)
		return err_set(e, EINVAL, "not an object");
	if (spec_version_read(root, s, e) < 0 || spec_root_read(root, s, e) < 0 ||
	    spec_mounts_read(root, s, e) < 0 || spec_linux_read(root, s, e) < 0 ||
	    spec_idmaps_check(s, e) < 0 || spec_names_read(root, s, e) < 0 ||
	    json_get_object(root, "hooks", &hooks, e) < 0 ||
	    spec_hooks_read(hooks, s->hooks, e) < 0 || spec_annotations_read(root, s, e) < 0 ||
	    json_get_object(root, "process", &process, e) < 0)
		return -e->code;
	if (process) {
		s->has_process = true;
		if (spec_process_read(process, &s->process, e) < 0)
			return err_wrap(e, "process");
	}
	return 0;
}

int spec_parse(const char *text, size_t len, struct spec *ret, struct err *e)
{
	struct spec s = { 0 };

	if (len > SPEC_TEXT_MAX)
		return err_set(e, EFBIG, "config.json: more than %u bytes", SPEC_TEXT_MAX);
	if (json_parse(text, len, &s.json, e) < 0 || spec_read(s.json, &s, e) < 0) {
		spec_done(&s);
		return err_wrap(e, "config.json");
	}
	*ret = s;
	return 0;
}

int spec_load(int bundle, struct spec *ret, struct err *e)
{
	auto_free char *text = NULL;
	size_t len;

	if (path_read(bundle, "config.json", SPEC_TEXT_MAX, &text, &len, e) < 0)
		return -e->code;
	return spec_parse(text, len, ret, e);
}

void spec_done(struct spec *s)
{
	spec_process_done(&s->process);
	for (size_t i = 0; i < s->mount_count; i++) {
		free(s->mounts[i].data);
		free(s->mounts[i].uid_maps.rows);
		free(s->mounts[i].gid_maps.rows);
	}
	free(s->mounts);
	spec_hooks_done(s->hooks);
	free(s->uid_maps.rows);
	free(s->gid_maps.rows);
	free(s->devices);
	free(s->netdevs);
	free(s->masked);
	free(s->readonly);
	json_free(s->json);
	*s = (struct spec){ 0 };
}
