/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/spec.h"

#include <string.h>
#include <sys/mount.h>

#include "lib/path.h"
#include "lib/str.h"
#include "runtime/spec_int.h"

#define SPEC_HOOKS_MAX 64
#define SPEC_HOSTNAME_MAX 64 /* the kernel's */

const struct schema_word spec_propagations[] = {
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

#define AT(member) SCHEMA_AT(struct spec_hook, member)
static const struct schema_row spec_hook_rows[] = {
	{ "path", SCHEMA_TEXT, SCHEMA_NEED, AT(path), .check = schema_absolute },
	{ "args", SCHEMA_TEXTS, AT(args) },
	{ "env", SCHEMA_TEXTS, AT(env) },
	{ "timeout", SCHEMA_INT, AT(timeout_s), .min = 1, .max = INT32_MAX },
	{ "" },
};
static const struct schema spec_hook_schema = {
	.rows = spec_hook_rows,
	.size = sizeof(struct spec_hook),
};
#undef AT

#define HOOKS(kind)                                                                              \
	SCHEMA_LIST,                                                                             \
		.offset = (kind) * sizeof(struct spec_hooks),                                    \
		.mark = (kind) * sizeof(struct spec_hooks) + offsetof(struct spec_hooks, count), \
		.max = SPEC_HOOKS_MAX, .sub = &spec_hook_schema
static const struct schema_row spec_hooks_rows[] = {
	{ "prestart", HOOKS(SPEC_PRESTART) },
	{ "createRuntime", HOOKS(SPEC_CREATE_RUNTIME) },
	{ "createContainer", HOOKS(SPEC_CREATE_CONTAINER) },
	{ "startContainer", HOOKS(SPEC_START_CONTAINER) },
	{ "poststart", HOOKS(SPEC_POSTSTART) },
	{ "poststop", HOOKS(SPEC_POSTSTOP) },
	{ "" },
};
const struct schema spec_hooks_schema = { .rows = spec_hooks_rows };

int spec_hooks_read(const struct json *node, struct spec_hooks hooks[SPEC_HOOK_KINDS],
		    struct err *e)
{
	return schema_read(&spec_hooks_schema, node, "hooks", hooks, e);
}

void spec_hooks_done(struct spec_hooks hooks[SPEC_HOOK_KINDS])
{
	schema_done(&spec_hooks_schema, hooks);
}

static int spec_version_check(const char *version, struct err *e)
{
	if (!str_starts(version, "1.") || version[2] < '0' || version[2] > '9')
		return err_set(e, EINVAL, "%.32s is not 1.x", version);
	return 0;
}

bool spec_shares(const struct spec *s, enum spec_ns ns)
{
	return !s->ns[ns].given || s->ns[ns].path;
}

bool spec_has_idmaps(const struct spec *s)
{
	for (size_t i = 0; i < s->mount_count; i++) {
		if (s->mounts[i].idmap)
			return true;
	}
	return false;
}

static int spec_check(void *spec, struct err *e)
{
	const struct spec *s = spec;

	for (size_t i = 0; i < s->mount_count; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (m->idmap && !m->uid_maps.count && !s->ns[SPEC_NS_USER].given)
			return err_set(e, EINVAL,
				       "mounts[%zu].options: idmap: neither uidMappings nor a "
				       "user namespace",
				       i);
	}
	if ((s->hostname || s->domainname) && !s->ns[SPEC_NS_UTS].given)
		return err_set(e, EINVAL, "%s: needs a uts namespace in linux.namespaces",
			       s->hostname ? "hostname" : "domainname");
	return 0;
}

#define AT(member) SCHEMA_AT(struct spec, member)
#define IF(member) .mark = offsetof(struct spec, member)
static const struct schema_row spec_root_rows[] = {
	{ "path", SCHEMA_TEXT, SCHEMA_NEED, AT(root_path) },
	{ "readonly", SCHEMA_BOOL, AT(root_readonly) },
	{ "" },
};
static const struct schema spec_root_schema = { .rows = spec_root_rows };

static const struct schema_row spec_rows[] = {
	{ "ociVersion", SCHEMA_TEXT, SCHEMA_NEED, AT(version), .check = spec_version_check },
	{ "process", SCHEMA_OBJECT, AT(process), IF(has_process), .sub = &spec_process_schema },
	{ "root", SCHEMA_OBJECT, SCHEMA_NEED, .sub = &spec_root_schema },
	{ "hostname", SCHEMA_TEXT, AT(hostname), .max = SPEC_HOSTNAME_MAX },
	{ "domainname", SCHEMA_TEXT, AT(domainname), .max = SPEC_HOSTNAME_MAX },
	{ "mounts", SCHEMA_LIST, AT(mounts), IF(mount_count), .max = SPEC_MOUNTS_MAX,
	  .sub = &spec_mount_schema },
	{ "hooks", SCHEMA_OBJECT, AT(hooks), .sub = &spec_hooks_schema },
	{ "annotations", SCHEMA_TEXT_TREE, AT(annotations) },
	{ "linux", SCHEMA_OBJECT, SCHEMA_NEED, .sub = &spec_linux_schema },
	{ "" },
};
const struct schema spec_schema = {
	.rows = spec_rows,
	.check = spec_check,
};

int spec_parse(const char *text, size_t len, struct spec *ret, struct err *e)
{
	struct spec s = { .process.umask = SPEC_UMASK };

	if (len > SPEC_TEXT_MAX)
		return err_set(e, EFBIG, "config.json: more than %u bytes", SPEC_TEXT_MAX);
	if (json_parse(text, len, &s.json, e) < 0 ||
	    schema_read(&spec_schema, s.json, "", &s, e) < 0) {
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
	schema_done(&spec_schema, s);
	json_free(s->json);
	*s = (struct spec){ 0 };
}
