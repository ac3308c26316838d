/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A container's root; see rootfs.h. */
#include "cri/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
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

#define OPTIONS_MAX 4095 /* of mount(2): a page */

static int make_dir(const char *folder, const char *name, mode_t mode, struct err *e)
{
	auto_free char *path = mem_printf("%s/%s", folder, name);

	if (mkdir(path, mode) < 0)
		return err_set(e, errno, "make folder %s", path);
	return 0;
}

/* The root folder itself is the upper one: it gets what the top layer's root has. */
static int copy_root(const struct rootfs *r, struct err *e)
{
	auto_free char *upper = mem_printf("%s/upper", r->active);
	auto_free char *top = NULL;
	struct stat st;

	if (!r->count)
		return 0;
	top = mem_printf("%s/%s/fs", r->layers, r->chain[r->count - 1]);
	if (stat(top, &st) < 0)
		return err_set(e, errno, "layer %s", r->chain[r->count - 1]);
	if (chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
		return err_set(e, errno, "copy the root folder's rights");
	return 0;
}

static int make_folders(const struct rootfs *r, struct err *e)
{
	static const char *const names[] = { "upper", "work", "lower" };

	if (mkdir(r->active, 0700) < 0)
		return err_set(e, errno, "make folder %s", r->active);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (make_dir(r->active, names[i], 0755, e) < 0)
			return -e->code;
	return copy_root(r, e);
}

/* Top first. An image without layers stands on an empty folder: overlay wants one. */
static char *lower(const struct rootfs *r, size_t i)
{
	if (!r->count)
		return mem_printf("%s/lower", r->active);
	return mem_printf("%s/%s/fs", r->layers, r->chain[r->count - 1 - i]);
}

static size_t lowers(const struct rootfs *r)
{
	return r->count ? r->count : 1;
}

/* Kernels from 6.8 on take one layer a call. */
static int mount_new(const struct rootfs *r, int *ret_fd, struct err *e)
{
	size_t n = lowers(r);
	auto_free struct mnt_option *options = mem_array(n + 3, sizeof(*options));
	auto_free char *upper = mem_printf("%s/upper", r->active);
	auto_free char *work = mem_printf("%s/work", r->active);
	int result;

	for (size_t i = 0; i < n; i++)
		options[i] = (struct mnt_option){ "lowerdir+", lower(r, i) };
	options[n] = (struct mnt_option){ "upperdir", upper };
	options[n + 1] = (struct mnt_option){ "workdir", work };
	/* what a container wrote does not outlive the boot: no need to sync it */
	options[n + 2] = (struct mnt_option){ "volatile", NULL };
	result = mnt_new("overlay", "berth", options, n + 3, 0, ret_fd, e);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)options[i].value);
	return result;
}

/* Short names for the layers, so that many fit into the page of options. */
static int link_lowers(const struct rootfs *r, struct str *options, struct err *e)
{
	str_add(options, "volatile,upperdir=upper,workdir=work,lowerdir=");
	for (size_t i = 0; i < lowers(r); i++) {
		auto_free char *target = lower(r, i);
		char name[24];

		snprintf(name, sizeof(name), "l/%zx", i);
		if (symlink(target, name) < 0)
			return err_set(e, errno, "link layer %zu", i);
		str_printf(options, "%s%s", i ? ":" : "", name);
	}
	if (options->len > OPTIONS_MAX)
		return err_set(e, E2BIG, "an image of %zu layers on this kernel", lowers(r));
	return 0;
}

/* Older kernels: mount(2) in a mount namespace of the child's own, and a copy of it to keep. */
static int mount_old(const struct rootfs *r, int *ret_fd, struct err *e)
{
	auto_str options = { 0 };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make a mount namespace");
	if (chdir(r->active) < 0 || mkdir("l", 0700) < 0 || mkdir("merged", 0700) < 0)
		return err_set(e, errno, "make folders in %s", r->active);
	if (link_lowers(r, &options, e) < 0)
		return -e->code;
	if (mount("berth", "merged", "overlay", 0, options.text) < 0)
		return err_set(e, errno, "mount overlay");
	return mnt_clone(AT_FDCWD, "merged", 0, ret_fd, e);
}

static int mount_tree(const struct rootfs *r, int *ret_fd, struct err *e)
{
	auto_free struct mnt_option *options = mem_array(r->count, sizeof(*options));
	int result;

	for (size_t i = 0; i < r->count; i++)
		options[i] = (struct mnt_option){ "lowerdir+", lower(r, i) };
	result = mnt_new("overlay", "berth", options, r->count, MOUNT_ATTR_RDONLY, ret_fd, e);
	for (size_t i = 0; i < r->count; i++)
		free((void *)(uintptr_t)options[i].value);
	return result;
}

static int mount_tree_old(const struct rootfs *r, const char *target, struct err *e)
{
	auto_str options = { 0 };

	if (chdir(r->layers) < 0)
		return err_set(e, errno, "change to %s", r->layers);
	str_add(&options, "lowerdir=");
	for (size_t i = 0; i < r->count; i++)
		str_printf(&options, "%s%s/fs", i ? ":" : "", r->chain[r->count - 1 - i]);
	if (options.len > OPTIONS_MAX)
		return err_set(e, E2BIG, "an image of %zu layers on this kernel", r->count);
	if (mount("berth", target, "overlay", MS_RDONLY, options.text) < 0)
		return err_set(e, errno, "mount overlay");
	return 0;
}

int rootfs_tree(const struct rootfs *r, const char *target, char **ret_path, struct err *e)
{
	auto_fd int tree = -1;
	auto_fd int at = -1;

	if (r->count == 1) {
		*ret_path = mem_printf("%s/%s/fs", r->layers, r->chain[0]);
		return 0;
	}
	if (mkdir(target, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder %s", target);
	if (r->count && mount_tree(r, &tree, e) < 0) {
		if (e->code != EINVAL || !strstr(e->msg, "lowerdir+"))
			return -e->code;
		*e = (struct err){ 0 };
		if (mount_tree_old(r, target, e) < 0)
			return -e->code;
	} else if (r->count) {
		at = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			return err_set(e, errno, "open %s", target);
		if (mnt_attach(tree, at, e) < 0)
			return -e->code;
	}
	*ret_path = mem_strdup(target);
	return 0;
}

int rootfs_make(const struct rootfs *r, int *ret_fd, struct err *e)
{
	umask(0);
	if (make_folders(r, e) < 0)
		return -e->code;
	if (mount_new(r, ret_fd, e) == 0)
		return 0;
	if (e->code != EINVAL || !strstr(e->msg, "lowerdir+"))
		return -e->code;
	*e = (struct err){ 0 };
	return mount_old(r, ret_fd, e);
}
