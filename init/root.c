/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the initramfs to the root: find the partition, mount it, start again as its PID 1. And what
 * comes beside the root, read-only too. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init/init.h"
#include "init/machine.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"
#include "lib/str.h"

#define ROOT_LIMIT_MS 30000
#define NEW_ROOT "/sysroot"
#define EXTENSION_NAME_MAX 36 /* of a GPT name */

int machine_find_root(void *ctx, struct err *e)
{
	struct init *in = ctx;

	return uevent_partition(in, conf_text(&in->conf, "boot.root", "berth-root"), ROOT_LIMIT_MS,
				in->machine.root_dev, e);
}

static int root_mount(const char *dev, const char *path, struct err *e)
{
	if (mount(dev, path, "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
		return err_set(e, errno, "mount %s on %s", dev, path);
	return 0;
}

int machine_mount_root(void *ctx, struct err *e)
{
	struct init *in = ctx;

	return root_mount(in->machine.root_dev, NEW_ROOT, e);
}

static int root_extend(struct init *in, const char *label, struct err *e)
{
	char dev[UEVENT_DEV_MAX], path[128];

	if (strchr(label, '/') || label[0] == '.' || strlen(label) > EXTENSION_NAME_MAX)
		return err_set(e, EINVAL, "no name for an extension");
	snprintf(path, sizeof(path), EXTENSIONS "/%s", label);
	if (machine_is_mount(path))
		return 0;
	if (uevent_partition(in, label, ROOT_LIMIT_MS, dev, e) < 0 ||
	    path_mkdirs(path, 0755, e) < 0)
		return -e->code;
	return root_mount(dev, path, e);
}

int machine_extensions(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *label;
	int r = 0;

	for (size_t n = 0; (label = conf_nth(&in->conf, "boot.extension", n)); n++) {
		if (root_extend(in, label, e) < 0) {
			err_wrap(e, "extension %.64s", label);
			log_error("boot: %s", err_text(e));
			r = -e->code;
		}
	}
	return r;
}

/* Gives the initramfs' memory back. Only a ramfs is emptied: never a disk. */
static void root_free_old(int old)
{
	struct err e = { 0 };
	struct statfs fs;
	DIR *dir;

	if (fstatfs(old, &fs) < 0 || (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC))
		return;
	dir = fdopendir(old);
	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		if (path_remove_tree(old, d->d_name, &e) < 0)
			log_warn("boot: free the initramfs: %s", err_text(&e));
	}
	if (dir)
		closedir(dir);
}

int machine_switch_root(void *ctx, struct err *e)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };
	static const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/",
					    "TERM=linux", NULL };
	static char path[] = "/sbin/init";
	struct init *in = ctx;
	uint64_t begin = step_now_us();
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		char to[32];

		snprintf(to, sizeof(to), "%s%s", NEW_ROOT, moved[i]);
		if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
			return err_set(e, errno, "move %s to the root", moved[i]);
	}
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_set(e, errno, "enter the root");
	if (old >= 0)
		root_free_old(old);
	boot_note(in, "switch root", begin, step_now_us() - begin, 0);
	boot_notes_save(in);
	/* words[-1] is our argv[0]; the kernel's words go on to the root's PID 1 */
	in->words[-1] = path;
	execve(path, in->words - 1, (char *const *)(uintptr_t)envp);
	return err_set(e, errno, "start %s", path);
}
