/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"

#define ROOTFS_LINKS_MAX 32
#define ROOTFS_NESTED_MAX 8 /* folders behind links that lead nowhere, each 12 KiB of stack */

/*
 * Slaves get the host's later mounts and send none back. What a container
 * shares with the host on demand was copied before this (mounts_open_shared).
 */
static int rootfs_cut_off(const struct spec *s, struct err *e)
{
	unsigned long how = s->root_propagation & MS_PRIVATE ? MS_PRIVATE : MS_SLAVE;

	if (mount(NULL, "/", NULL, MS_REC | how, NULL) < 0)
		return err_set(e, errno, "cut the mounts off the host's");
	return 0;
}

/*
 * The rootfs goes over its own folder in the bundle, where hooks look for
 * it, or over the bundle itself when the caller brought a mount.
 */
int rootfs_attach(struct birth *b, struct err *e)
{
	auto_fd int place = -1;
	auto_fd int copy = -1;
	bool shared = spec_shares(b->spec, SPEC_NS_MOUNT);

	if (!shared && rootfs_cut_off(b->spec, e) < 0)
		return -e->code;
	if (b->rootfs < 0) {
		/* no link: mount points are made in there */
		place = openat(b->bundle, b->spec->root_path,
			       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (place < 0)
			return err_set(e, errno, "root.path %s", b->spec->root_path);
		if (mnt_clone(place, "", true, &copy, e) < 0)
			return err_wrap(e, "root.path %s", b->spec->root_path);
	}
	/* nothing mounted in the container is seen elsewhere, whatever the source was */
	if (mnt_set(b->rootfs < 0 ? copy : b->rootfs, 0, 0,
		    b->spec->root_propagation & MS_PRIVATE ? MS_PRIVATE : MS_SLAVE, b->rootfs < 0,
		    e) < 0 ||
	    mnt_attach(b->rootfs < 0 ? copy : b->rootfs, b->rootfs < 0 ? place : b->bundle, e) < 0)
		return err_wrap(e, "attach the rootfs");
	b->root = b->rootfs < 0 ? fd_take(&copy) : b->rootfs;
	/* the mount it lies on may have made it one that is seen elsewhere */
	return shared ? mnt_set(b->root, 0, 0, MS_PRIVATE, true, e) : 0;
}

/* Folder and name of the last part of a path. */
static bool rootfs_split(const char *path, char folder[PATH_MAX], char name[NAME_MAX + 1])
{
	size_t end = strlen(path);
	size_t begin;

	while (end > 0 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	if (end == begin || end - begin > NAME_MAX || begin >= PATH_MAX)
		return false;
	memcpy(name, path + begin, end - begin);
	name[end - begin] = '\0';
	memcpy(folder, path, begin);
	folder[begin] = '\0';
	return !str_eq(name, ".") && !str_eq(name, "..");
}

static int rootfs_make(int root, const char *path, bool folder, int depth, int *ret_fd,
		       struct err *e);

/* The folder that something is made in; links in the middle of its path may lead nowhere too. */
static int rootfs_make_parent(int root, const char *path, int depth, int *ret_fd, struct err *e)
{
	int r = path_mkdir_in(root, path, 0755, ret_fd, e);

	if ((r != -ENOENT && r != -ENOTDIR && r != -EEXIST) || depth == 0)
		return r;
	return rootfs_make(root, path, true, depth - 1, ret_fd, e);
}

/* 1: made; 0: *path is now where the link leads */
static int rootfs_make_last(int root, char path[PATH_MAX], bool folder, int depth, struct err *e)
{
	char parent[PATH_MAX];
	char name[NAME_MAX + 1];
	char link[PATH_MAX];
	auto_fd int at = -1;
	int fd;
	ssize_t n;

	if (!rootfs_split(path, parent, name))
		return err_set(e, EINVAL, "make %s", path);
	if (rootfs_make_parent(root, parent, depth, &at, e) < 0)
		return -e->code;
	if (folder) {
		if (mkdirat(at, name, 0755) == 0)
			return 1;
	} else {
		fd = openat(at, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
		if (fd >= 0) {
			close(fd);
			return 1;
		}
	}
	if (errno != EEXIST)
		return err_set(e, errno, "make %s", path);
	n = readlinkat(at, name, link, sizeof(link) - 1);
	if (n < 0)
		return err_set(e, errno == EINVAL ? EEXIST : errno, "make %s", path);
	link[n] = '\0';
	if (link[0] != '/' && strlen(parent) + (size_t)n >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "make %s", path);
	snprintf(path, PATH_MAX, "%s%s", link[0] == '/' ? "" : parent, link);
	return 0;
}

static int rootfs_make(int root, const char *path, bool folder, int depth, int *ret_fd,
		       struct err *e)
{
	char at[PATH_MAX];

	if (!str_copy(at, sizeof(at), path))
		return err_set(e, ENAMETOOLONG, "path in the rootfs");
	for (int i = 0; i < ROOTFS_LINKS_MAX; i++) {
		int r = path_open(root, at, ret_fd, e);

		if (r == 0)
			return i > 0;
		if (r != -ENOENT || rootfs_make_last(root, at, folder, depth, e) < 0)
			return -e->code;
	}
	return err_set(e, ELOOP, "make %s", path);
}

int rootfs_target(int root, const char *path, bool folder, int *ret_fd, struct err *e)
{
	return rootfs_make(root, path, folder, ROOTFS_NESTED_MAX, ret_fd, e);
}

/* What is hidden: a file under the null device, a folder under one empty read-only file system. */
static int rootfs_mask(struct birth *b, const char *path, int *empty, struct err *e)
{
	auto_fd int target = -1;
	auto_fd int cover = -1;
	struct stat st;
	int r = path_open(b->root, path, &target, e);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	if (fstat(target, &st) < 0)
		return err_set(e, errno, "stat %s", path);
	if (!S_ISDIR(st.st_mode)) {
		if (mnt_clone(b->null, "", false, &cover, e) < 0)
			return -e->code;
		return mnt_attach(cover, target, e);
	}
	if (*empty >= 0) {
		if (mnt_clone(*empty, "", false, &cover, e) < 0)
			return -e->code;
		return mnt_attach(cover, target, e);
	}
	/* a mount can be copied once it is attached, so the first one stays open */
	if (mnt_new("tmpfs", "tmpfs", (const struct mnt_option[]){ { "ro", NULL } }, 1,
		    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		    empty, e) < 0)
		return -e->code;
	return mnt_attach(*empty, target, e);
}

int rootfs_masked(struct birth *b, struct err *e)
{
	auto_fd int empty = -1;

	for (size_t i = 0; b->spec->masked && b->spec->masked[i]; i++) {
		if (rootfs_mask(b, b->spec->masked[i], &empty, e) < 0)
			return err_wrap(e, "mask %s", b->spec->masked[i]);
	}
	return 0;
}

static int rootfs_readonly_path(struct birth *b, const char *path, struct err *e)
{
	auto_fd int target = -1;
	auto_fd int copy = -1;
	int r = path_open(b->root, path, &target, e);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0 || mnt_clone(target, "", true, &copy, e) < 0 ||
	    mnt_set(copy, MOUNT_ATTR_RDONLY, 0, 0, true, e) < 0 || mnt_attach(copy, target, e) < 0)
		return -e->code;
	return 0;
}

int rootfs_readonly_paths(struct birth *b, struct err *e)
{
	for (size_t i = 0; b->spec->readonly && b->spec->readonly[i]; i++) {
		if (rootfs_readonly_path(b, b->spec->readonly[i], e) < 0)
			return err_wrap(e, "make %s read-only", b->spec->readonly[i]);
	}
	return 0;
}

/* In an initramfs the root cannot be pivoted away: the rootfs is moved over it. */
static int rootfs_move(struct err *e)
{
	/* left there, a full procfs would let a user namespace of the container mount its own */
	static const char *const full[] = { "proc", "sysfs", NULL };
	char where[PATH_MAX];

	if (!getcwd(where, sizeof(where)) || where[0] != '/')
		return err_set(e, EXDEV, "find the rootfs");
	if (mnt_drop(full, where, e) < 0)
		return -e->code;
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return err_set(e, errno, "move the rootfs to /");
	if (chroot(".") < 0)
		return err_set(e, errno, "change root to the rootfs");
	return 0;
}

int rootfs_pivot(struct birth *b, struct err *e)
{
	if (fchdir(b->root) < 0)
		return err_set(e, errno, "enter the rootfs");
	if (spec_shares(b->spec, SPEC_NS_MOUNT)) {
		/* the others that live there keep their root */
		if (chroot(".") < 0)
			return err_set(e, errno, "change root to the rootfs");
	} else if (b->no_pivot) {
		if (rootfs_move(e) < 0)
			return -e->code;
	} else {
		/* both on ".": the old root ends up over the new one and is peeled off */
		if (syscall(SYS_pivot_root, ".", ".") < 0)
			return err_set(e, errno, "pivot to the rootfs");
		if (umount2(".", MNT_DETACH) < 0)
			return err_set(e, errno, "drop the host's mounts");
	}
	if (chdir("/") < 0)
		return err_set(e, errno, "enter the root");
	return 0;
}

int rootfs_seal(struct birth *b, struct err *e)
{
	unsigned long propagation = b->spec->root_propagation;

	if (propagation & (MS_SHARED | MS_SLAVE | MS_UNBINDABLE)) {
		if (mount(NULL, "/", NULL, propagation, NULL) < 0)
			return err_set(e, errno, "linux.rootfsPropagation");
	}
	if (b->spec->root_readonly && mnt_set(b->root, MOUNT_ATTR_RDONLY, 0, 0, false, e) < 0)
		return err_wrap(e, "make the rootfs read-only");
	return 0;
}
