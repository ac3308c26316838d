/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/copyup.h"
#include "runtime/lsm.h"
#include "runtime/rootfs.h"

/* what lxcfs and the like may put over procfs; nothing else goes there */
static const char *const mounts_over_proc[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/net/dev",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

/* Without doubled and ending slashes and "."; ".." stays and never equals a name of a table. */
static void mounts_clean(const char *path, char dst[PATH_MAX])
{
	size_t len = 0;

	while (*path) {
		size_t part;

		path += strspn(path, "/");
		part = strcspn(path, "/");
		if (part > 0 && !(part == 1 && path[0] == '.') && len + part + 2 < PATH_MAX) {
			dst[len++] = '/';
			memcpy(dst + len, path, part);
			len += part;
		}
		path += part;
	}
	dst[len] = '\0';
}

bool mounts_dev_is_bound(const struct spec *s)
{
	for (size_t i = 0; i < s->mount_count; i++) {
		char path[PATH_MAX];

		mounts_clean(s->mounts[i].destination, path);
		if (s->mounts[i].bind && str_eq(path, "/dev"))
			return true;
	}
	return false;
}

int mounts_open_source(const struct birth *b, const struct spec_mount *m, int *ret_fd,
		       struct err *e)
{
	return mnt_clone(b->bundle, m->source, m->recursive_bind, ret_fd, e);
}

void mounts_no_sources(struct birth *b)
{
	b->sources = mem_array(b->spec->mount_count, sizeof(*b->sources));
	for (size_t i = 0; i < b->spec->mount_count; i++)
		b->sources[i] = -1;
}

int mounts_open_shared(struct birth *b, struct err *e)
{
	const struct spec *s = b->spec;

	if (b->sources)
		return 0;
	mounts_no_sources(b);
	for (size_t i = 0; i < s->mount_count; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (m->bind && m->propagation == MS_SHARED && !(m->flags & MS_REMOUNT) &&
		    mounts_open_source(b, m, &b->sources[i], e) < 0)
			return err_wrap(e, "mounts[%zu]", i);
	}
	return 0;
}

static bool mounts_is_proc(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

/*
 * A file of procfs replaced by something else would fool whoever writes
 * labels or settings through it, inside or outside.
 */
static int mounts_check_target(const struct spec_mount *m, const char *path, int target, int source,
			       struct err *e)
{
	if (str_eq(path, "/proc")) {
		if (m->bind ? mounts_is_proc(source) : str_eq(m->type, "proc"))
			return 0;
		return err_set(e, EPERM, "/proc takes nothing but procfs");
	}
	if (!mounts_is_proc(target))
		return 0;
	for (size_t i = 0; i < sizeof(mounts_over_proc) / sizeof(mounts_over_proc[0]); i++) {
		if (str_eq(path, mounts_over_proc[i]))
			return 0;
	}
	return err_set(e, EPERM, "nothing may be mounted inside of /proc there");
}

/* 1: it was made; 0: it was there */
static int mounts_open_target(const struct birth *b, const char *path, bool folder, int *ret_fd,
			      struct err *e)
{
	static const char *const real[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++) {
		int r, made = 0;

		if (!str_eq(path, real[i]))
			continue;
		r = path_open_strict(b->root, path, O_PATH | O_DIRECTORY, ret_fd, e);
		if (r == -ENOENT) {
			made = mkdirat(b->root, path + 1, 0755) == 0;
			if (!made && errno != EEXIST)
				return err_set(e, errno, "make %s", path);
			r = path_open_strict(b->root, path, O_PATH | O_DIRECTORY, ret_fd, e);
		}
		if (r == -ELOOP || r == -ENOTDIR)
			return err_set(e, -r, "%s of the rootfs is no folder", path);
		return r < 0 ? r : made;
	}
	return rootfs_target(b->root, path, folder, ret_fd, e);
}

static int mounts_propagate(const struct spec_mount *m, int fd, struct err *e)
{
	if (!m->propagation)
		return 0;
	return mnt_set(fd, 0, 0, m->propagation, m->propagation_recursive, e);
}

static int mounts_bind(struct birth *b, const struct spec_mount *m, const char *path, int *source,
		       struct err *e)
{
	auto_fd int target = -1;
	struct stat st;

	if (*source < 0 && mounts_open_source(b, m, source, e) < 0)
		return -e->code;
	if (fstat(*source, &st) < 0)
		return err_set(e, errno, "stat %s", m->source);
	if (mounts_open_target(b, path, S_ISDIR(st.st_mode), &target, e) < 0 ||
	    mounts_check_target(m, path, target, *source, e) < 0)
		return -e->code;
	if ((m->attr_set || m->attr_clear) &&
	    mnt_set(*source, m->attr_set, m->attr_clear, 0, false, e) < 0)
		return -e->code;
	if ((m->rec_set || m->rec_clear) &&
	    mnt_set(*source, m->rec_set, m->rec_clear, 0, true, e) < 0)
		return -e->code;
	if (mounts_propagate(m, *source, e) < 0)
		return -e->code;
	return mnt_attach(*source, target, e);
}

/* mount(2) onto ".": the folder that was resolved, whatever its name means by now. */
static int mounts_on(int target, const char *source, const char *type, unsigned long flags,
		     const char *data, struct err *e)
{
	if (fchdir(target) < 0)
		return err_set(e, errno, "enter the mount point");
	if (mount(source, ".", type, flags, data) < 0)
		return err_set(e, errno, "mount %s%s%s", type, data ? " with " : "", data ?: "");
	return 0;
}

static int mounts_remount(struct birth *b, const struct spec_mount *m, const char *path,
			  struct err *e)
{
	auto_fd int target = -1;

	if (path_open(b->root, path, &target, e) < 0 ||
	    mounts_check_target(m, path, target, target, e) < 0)
		return -e->code;
	if (m->bind)
		return mnt_set(target, m->attr_set, m->attr_clear, 0, false, e);
	return mounts_on(target, NULL, m->type, m->flags, m->data, e);
}

/* A tmpfs over a folder keeps the folder's mode, unless told otherwise. */
static char *mounts_data(const struct spec *s, const struct spec_mount *m, bool existed, int target)
{
	const char *context = lsm_mount_context(s, m->type);
	struct str data = { 0 };
	struct stat st;

	if (str_eq(m->type, "cgroup"))
		return NULL;
	if (m->data)
		str_add(&data, m->data);
	if (str_eq(m->type, "tmpfs") && existed && !(m->data && strstr(m->data, "mode=")) &&
	    fstat(target, &st) == 0)
		str_printf(&data, "%smode=0%o", data.len ? "," : "", st.st_mode & 07777);
	if (context && !(m->data && strstr(m->data, "context=")))
		str_printf(&data, "%scontext=\"%s\"", data.len ? "," : "", context);
	return data.text;
}

/* A tmpfs is sealed when all is made in it: mounts_seal(). */
static bool mounts_is_sealed(const struct spec_mount *m)
{
	return str_eq(m->type, "tmpfs") && m->flags & MS_RDONLY;
}

/* The new mount's own folder: what its path leads to by now. */
static int mounts_finish(struct birth *b, const struct spec_mount *m, const char *path, int hidden,
			 int *seal, struct err *e)
{
	auto_fd int made = -1;
	auto_fd int to = -1;

	if (!m->propagation && hidden < 0 && !b->spec->mount_label && !m->rec_set &&
	    !m->rec_clear && !mounts_is_sealed(m))
		return 0;
	if (path_open(b->root, path, &made, e) < 0 ||
	    lsm_label_mount(b->spec, m->type, made, e) < 0)
		return -e->code;
	if (hidden >= 0) {
		to = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (to < 0)
			return err_set(e, errno, "open the new mount");
		if (copyup(hidden, to, e) < 0)
			return -e->code;
	}
	if ((m->rec_set || m->rec_clear) && mnt_set(made, m->rec_set, m->rec_clear, 0, true, e) < 0)
		return -e->code;
	if (mounts_propagate(m, made, e) < 0)
		return -e->code;
	if (mounts_is_sealed(m))
		*seal = fd_take(&made);
	return 0;
}

/*
 * Without a cgroup namespace the kernel does not let a user namespace mount it, and nobody
 * over another mount of it: the container's own folder in its place.
 */
static int mounts_own_cgroup(struct birth *b, const struct spec_mount *m, int target, struct err *e)
{
	auto_free char *path = mem_printf("%s%s", b->engine->cgroup_mount, b->cgroup_path ?: "");
	auto_fd int copy = -1;

	if (mnt_clone(AT_FDCWD, path, true, &copy, e) < 0 ||
	    mnt_set(copy, m->attr_set, 0, MS_PRIVATE, true, e) < 0)
		return -e->code;
	return mnt_attach(copy, target, e);
}

static int mounts_new(struct birth *b, const struct spec_mount *m, const char *path, int *seal,
		      struct err *e)
{
	const char *type = str_eq(m->type, "cgroup") ? "cgroup2" : m->type;
	unsigned long flags = m->flags;
	auto_fd int target = -1;
	auto_fd int hidden = -1;
	auto_free char *data = NULL;
	int made = mounts_open_target(b, path, true, &target, e);

	if (made < 0 || mounts_check_target(m, path, target, -1, e) < 0)
		return -e->code;
	if (m->copy_up && !made) {
		hidden = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (hidden < 0)
			return err_set(e, errno, "open what is hidden");
	}
	if (mounts_is_sealed(m))
		flags &= ~(unsigned long)MS_RDONLY;
	data = mounts_data(b->spec, m, made == 0, target);
	made = mounts_on(target, m->source ?: type, type, flags, data, e);
	if ((made == -EPERM || made == -EBUSY) && str_eq(type, "cgroup2")) {
		*e = (struct err){ 0 };
		made = mounts_own_cgroup(b, m, target, e);
	}
	return made < 0 ? made : mounts_finish(b, m, path, hidden, seal, e);
}

static int mounts_apply_one(struct birth *b, size_t i, const char *path, struct err *e)
{
	const struct spec_mount *m = &b->spec->mounts[i];

	if (m->flags & MS_REMOUNT)
		return mounts_remount(b, m, path, e);
	if (m->bind)
		return mounts_bind(b, m, path, &b->sources[i], e);
	return mounts_new(b, m, path, &b->sources[i], e);
}

/* What lies over the root is the root from now on. */
static int mounts_enter_root(struct birth *b, struct err *e)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = b->rootfs < 0 ? openat(b->bundle, b->spec->root_path, flags)
			       : open(b->bundle_path, flags);

	if (fd < 0)
		return err_set(e, errno, "open the new root");
	if (b->root != b->rootfs)
		close(b->root);
	b->root = fd;
	return 0;
}

int mounts_apply(struct birth *b, struct err *e)
{
	for (size_t i = 0; i < b->spec->mount_count; i++) {
		char path[PATH_MAX];
		bool over;
		int r;

		mounts_clean(b->spec->mounts[i].destination, path);
		over = !path[0];
		r = mounts_apply_one(b, i, over ? "/" : path, e);
		if (r == 0 && over && !(b->spec->mounts[i].flags & MS_REMOUNT))
			r = mounts_enter_root(b, e);
		if (b->spec->mounts[i].bind)
			fd_close(&b->sources[i]);
		if (r < 0)
			return err_wrap(e, "mounts[%zu] %s", i, path);
	}
	return 0;
}

int mounts_seal(struct birth *b, struct err *e)
{
	for (size_t i = 0; i < b->spec->mount_count; i++) {
		if (b->sources[i] >= 0 &&
		    mnt_set(b->sources[i], MOUNT_ATTR_RDONLY, 0, 0, false, e) < 0)
			return err_wrap(e, "mounts[%zu]", i);
		fd_close(&b->sources[i]);
	}
	return 0;
}
