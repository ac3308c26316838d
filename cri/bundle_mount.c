/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mounts of a container: the standard set, the pod's files, then what the
 * request asks for, outer folders first. A mount of the request replaces a
 * standard one at the same place.
 */
#include "cri/bundle_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define OPTIONS_MAX 12

struct mount {
	char *to; /* owned; cleaned path in the container */
	const char *type;
	char *from; /* owned */
	const char *options[OPTIONS_MAX];
	size_t noptions;
};

struct mounts {
	struct mount *list;
	size_t count;
	size_t room;
};

static void mounts_done(struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->list[i].to);
		free(m->list[i].from);
	}
	free(m->list);
}

/* "/a//b/./c/../d/" -> "/a/b/d"; the caller frees it. */
static char *clean(const char *path)
{
	char *out = mem_alloc(strlen(path) + 2);
	size_t len = 0;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			while (len > 0 && out[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = 0;
	return out;
}

/* Takes to. */
static struct mount *add(struct mounts *m, char *to, const char *type, const char *from)
{
	struct mount *new;

	mem_grow(&m->list, &m->room, m->count + 1, sizeof(*m->list));
	new = &m->list[m->count++];
	*new = (struct mount){ .to = to, .type = type, .from = mem_strdup(from) };
	return new;
}

static void option(struct mount *m, const char *text)
{
	if (m->noptions < OPTIONS_MAX)
		m->options[m->noptions++] = text;
}

static bool has(const struct mounts *m, const char *to)
{
	for (size_t i = 0; i < m->count; i++)
		if (str_eq(m->list[i].to, to))
			return true;
	return false;
}

static const struct standard {
	const char *to;
	const char *type;
	const char *from;
	const char *options[7];
	const char *last; /* another one for unprivileged containers */
} standard[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" }, NULL },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" }, NULL },
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" },
	  NULL },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" }, NULL },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev" }, "ro" },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime" }, "ro" },
};

/* asked: the request's mounts, which win; a /dev of its own takes everything below too. */
static void add_standard(struct mounts *m, const struct mounts *asked, bool privileged)
{
	bool dev = has(asked, "/dev");

	for (size_t i = 0; i < sizeof(standard) / sizeof(*standard); i++) {
		const struct standard *s = &standard[i];
		struct mount *new;

		if (has(asked, s->to) || (dev && str_starts(s->to, "/dev/")))
			continue;
		new = add(m, mem_strdup(s->to), s->type, s->from);
		for (size_t n = 0; n < 7 && s->options[n]; n++)
			option(new, s->options[n]);
		if (s->last)
			option(new, privileged ? "rw" : s->last);
	}
}

static void add_pod_file(struct mounts *m, const struct mounts *asked, const struct bundle *b,
			 const char *to, const char *name)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	struct mount *new;

	if (has(asked, to))
		return;
	new = add(m, mem_strdup(to), "bind", "");
	free(new->from);
	new->from = mem_printf("%s/%s", b->pod_dir, name);
	option(new, "rbind");
	option(new, "rprivate");
	option(new, sc && sc->readonly_rootfs ? "ro" : "rw");
}

static void add_shm(struct mounts *m, const struct mounts *asked, const struct bundle *b)
{
	const Cri__NamespaceOption *ns = bundle_pod_ns(b);
	const char *source = ns && ns->ipc == CRI__NAMESPACE_MODE__NODE ? "/dev/shm" : b->shm;
	struct mount *new;

	if (has(asked, "/dev/shm"))
		return;
	new = add(m, mem_strdup("/dev/shm"), source ? "bind" : "tmpfs", source ? source : "shm");
	if (source) {
		option(new, "rbind");
		option(new, "rprivate");
	}
	option(new, "nosuid");
	option(new, "nodev");
	option(new, "noexec");
	if (!source) {
		option(new, "mode=1777");
		option(new, "size=65536k");
	}
}

static int add_options(struct mount *new, const Cri__Mount *c, struct err *e)
{
	static const char *const allowed[] = { "noexec", "nodev", "nosuid" };

	for (size_t i = 0; i < c->n_mount_options; i++) {
		size_t n = 0;

		while (n < 3 && !str_eq(c->mount_options[i], allowed[n]))
			n++;
		if (n == 3)
			return err_set(e, EINVAL, "mount option %.32s is not allowed",
				       c->mount_options[i]);
		option(new, allowed[n]);
	}
	return 0;
}

static int check_rro(const Cri__Mount *c, const struct bundle_host *host, struct err *e)
{
	if (!c->readonly)
		return err_set(e, EINVAL, "recursive_read_only without readonly");
	if (c->propagation != CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
		return err_set(e, EINVAL, "recursive_read_only needs private propagation");
	if (!host->rro)
		return err_set(e, ENOTSUP, BUNDLE_RRO_UNSUPPORTED ": the kernel cannot do it");
	return 0;
}

static const char *propagation(const Cri__Mount *c)
{
	switch (c->propagation) {
	case CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE:
		return "rprivate";
	case CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER:
		return "rslave";
	case CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL:
		return "rshared";
	case _CRI__MOUNT_PROPAGATION_IS_INT_SIZE:
		break;
	}
	return NULL;
}

static bool is_image(const Cri__Mount *c)
{
	return c->image && c->image->image[0];
}

/* The path on the host that is bound: the request's, or the tree of an image. */
static int source_of(const struct bundle *b, size_t i, const char **ret, struct err *e)
{
	const Cri__Mount *c = b->config->mounts[i];
	const char *tree = b->image_paths ? b->image_paths[i] : NULL;

	if (!is_image(c)) {
		*ret = c->host_path;
		if (c->host_path[0] != '/')
			return err_set(e, EINVAL, "host path %.128s is not absolute", c->host_path);
		return 0;
	}
	*ret = tree;
	if (!tree)
		return err_set(e, ENOTSUP, BUNDLE_IMAGE_MOUNT_FAILED ": image %.128s is not there",
			       c->image->image);
	if (c->host_path[0])
		return err_set(e, EINVAL, "both an image and host path %.128s", c->host_path);
	if (!c->readonly)
		return err_set(e, EINVAL, "an image is mounted read-only or not at all");
	return 0;
}

static int add_asked(struct mounts *m, const struct bundle *b, size_t i, struct err *e)
{
	const Cri__Mount *c = b->config->mounts[i];
	const char *source = NULL, *how = propagation(c);
	struct mount *new;

	if (c->container_path[0] != '/')
		return err_set(e, EINVAL, "container path %.128s is not absolute",
			       c->container_path);
	if (!how)
		return err_set(e, EINVAL, "propagation %d is unknown", (int)c->propagation);
	if (c->n_uidmappings || c->n_gidmappings)
		return err_set(e, ENOTSUP, "id-mapped mounts are not implemented");
	if (source_of(b, i, &source, e) < 0)
		return -e->code;
	if (c->recursive_read_only && check_rro(c, b->host, e) < 0)
		return -e->code;
	new = add(m, clean(c->container_path), "bind", source);
	if (str_eq(new->to, "/"))
		return err_set(e, EINVAL, "a mount cannot cover the root folder");
	option(new, "rbind");
	option(new, how);
	option(new, c->recursive_read_only ? "rro" : c->readonly ? "ro" : "rw");
	return add_options(new, c, e);
}

static size_t depth(const struct mount *m)
{
	size_t n = 0;

	for (const char *p = m->to; *p; p++)
		n += *p == '/' && p[1];
	return n;
}

/* Stable, so that of two at the same place the later one is on top. */
static void sort(struct mounts *m)
{
	for (size_t i = 1; i < m->count; i++) {
		struct mount moving = m->list[i];
		size_t at = i;

		while (at > 0 && depth(&m->list[at - 1]) > depth(&moving)) {
			m->list[at] = m->list[at - 1];
			at--;
		}
		m->list[at] = moving;
	}
}

static void put(struct json_out *o, const struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct mount *one = &m->list[i];

		json_out_object(o, NULL);
		json_out_text(o, "destination", one->to);
		json_out_text(o, "type", one->type);
		json_out_text(o, "source", one->from);
		json_out_array(o, "options");
		for (size_t n = 0; n < one->noptions; n++)
			json_out_text(o, NULL, one->options[n]);
		json_out_end(o);
		json_out_end(o);
	}
}

#define ASKED_MAX 4096 /* mounts of one request */

int bundle_mounts(struct json_out *o, const struct bundle *b, struct err *e)
{
	struct mounts asked = { 0 }, first = { 0 };
	int r = 0;

	if (b->config->n_mounts > ASKED_MAX)
		return err_set(e, EINVAL, "more than %d mounts", ASKED_MAX);
	for (size_t i = 0; r == 0 && i < b->config->n_mounts; i++) {
		r = add_asked(&asked, b, i, e);
		if (r < 0 && !is_image(b->config->mounts[i]) &&
		    !str_starts(e->msg, BUNDLE_RRO_UNSUPPORTED))
			err_wrap(e, "mount %.64s", b->config->mounts[i]->container_path);
	}
	if (r == 0) {
		add_standard(&first, &asked, bundle_privileged(b));
		add_shm(&asked, &asked, b);
		add_pod_file(&asked, &asked, b, "/etc/hostname", "hostname");
		add_pod_file(&asked, &asked, b, "/etc/hosts", "hosts");
		add_pod_file(&asked, &asked, b, "/etc/resolv.conf", "resolv.conf");
		sort(&asked);
		json_out_array(o, "mounts");
		put(o, &first);
		put(o, &asked);
		json_out_end(o);
	}
	mounts_done(&asked);
	mounts_done(&first);
	return r;
}

const char *bundle_root_propagation(const struct bundle *b)
{
	const char *found = "rprivate";

	for (size_t i = 0; i < b->config->n_mounts; i++) {
		const char *how = propagation(b->config->mounts[i]);

		if (!how || str_eq(how, "rprivate"))
			continue;
		found = how;
		if (str_eq(how, "rshared"))
			break;
	}
	return found;
}
