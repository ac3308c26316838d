/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/mnt.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define MNT_INFO_MAX (16u << 20) /* bytes of mountinfo */

/* the kernel explains a failed fsconfig in the context's message queue ("e text") */
static int mnt_fail(int ctx, struct err *e, const char *what, const char *fstype)
{
	int code = errno;
	char text[160];
	ssize_t n = ctx >= 0 ? read(ctx, text, sizeof(text) - 1) : -1;

	if (n <= 2)
		return err_set(e, code, "%s %s", what, fstype);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, code, "%s %s: %s", what, fstype, text + 2);
}

int mnt_new(const char *fstype, const char *source, const struct mnt_option *options, size_t count,
	    uint64_t attr, int *ret_fd, struct err *e)
{
	auto_fd int ctx = fsopen(fstype, FSOPEN_CLOEXEC);
	int fd;

	if (ctx < 0)
		return err_set(e, errno, "open file system %s", fstype);
	if (source && fsconfig(ctx, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return mnt_fail(ctx, e, "set source of", fstype);
	for (size_t i = 0; i < count; i++) {
		unsigned int cmd = options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(ctx, cmd, options[i].key, options[i].value, 0) < 0) {
			mnt_fail(ctx, e, "set an option of", fstype);
			return err_wrap(e, "option %s", options[i].key);
		}
	}
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mnt_fail(ctx, e, "create", fstype);
	fd = fsmount(ctx, FSMOUNT_CLOEXEC, (unsigned int)attr);
	if (fd < 0)
		return mnt_fail(ctx, e, "mount", fstype);
	*ret_fd = fd;
	return 0;
}

int mnt_clone(int dirfd, const char *path, int recursive, int *ret_fd, struct err *e)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	int fd = open_tree(dirfd, path, recursive ? flags | AT_RECURSIVE : flags);

	if (fd < 0)
		return err_set(e, errno, "copy mount %s", path);
	*ret_fd = fd;
	return 0;
}

int mnt_attach(int mount, int target, struct err *e)
{
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return err_set(e, errno, "attach mount");
	return 0;
}

int mnt_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, int recursive,
	    struct err *e)
{
	struct mount_attr attr = {
		.attr_set = set,
		.attr_clr = clear,
		.propagation = propagation,
	};
	unsigned int flags = recursive ? AT_EMPTY_PATH | AT_RECURSIVE : AT_EMPTY_PATH;

	if (mount_setattr(fd, "", flags, &attr, sizeof(attr)) < 0)
		return err_set(e, errno, "set mount attributes");
	return 0;
}

/* The kernel writes blanks, newlines and backslashes of a path as three octal digits. */
static void mnt_unescape(char *path)
{
	char *out = path;

	for (; *path; path++) {
		if (path[0] == '\\' && path[1] >= '0' && path[1] <= '3' && path[2] && path[3]) {
			*out++ = (char)((path[1] - '0') << 6 | (path[2] - '0') << 3 |
					(path[3] - '0'));
			path += 3;
		} else {
			*out++ = *path;
		}
	}
	*out = '\0';
}

static bool mnt_is_kept(const char *path, const char *const *keep)
{
	for (; *keep; keep++) {
		size_t len = strlen(*keep);

		if (strncmp(path, *keep, len) == 0 && (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return str_eq(path, "/");
}

/* The list as it is now; the texts are inside of what ret_text is. */
struct mnt_seen {
	char *path, *type;
};

static int mnt_list(char **ret_text, struct mnt_seen **ret, size_t *ret_count, struct err *e)
{
	size_t room = 0;
	char *rest;
	char *line;

	*ret_count = 0;
	if (path_read(AT_FDCWD, "/proc/self/mountinfo", MNT_INFO_MAX, ret_text, NULL, e) < 0)
		return -e->code;
	rest = *ret_text;
	while ((line = str_field(&rest, "\n"))) {
		struct mnt_seen seen = { NULL, NULL };
		const char *field = line;

		for (int i = 0; line && i < 4; i++)
			str_field(&line, " ");
		seen.path = line ? str_field(&line, " ") : NULL;
		while (field && !str_eq(field, "-"))
			field = str_field(&line, " ");
		seen.type = line ? str_field(&line, " ") : NULL;
		if (!seen.type)
			continue;
		mnt_unescape(seen.path);
		mem_grow(ret, &room, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = seen;
	}
	return 0;
}

/* One round over the list as it is now; how many mounts went, or a negative errno. */
static int mnt_unmount_round(const char *const *keep, bool last, struct err *e)
{
	auto_free char *text = NULL;
	auto_free struct mnt_seen *mounts = NULL;
	size_t count = 0;
	int gone = 0;

	if (mnt_list(&text, &mounts, &count, e) < 0)
		return -e->code;
	while (count-- > 0) {
		const char *path = mounts[count].path;

		if (mnt_is_kept(path, keep))
			continue;
		if (umount2(path, UMOUNT_NOFOLLOW) == 0)
			gone++;
		else if (last && err_set(e, errno, "unmount %s", path))
			mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
	return gone;
}

int mnt_unmount_all(const char *const *keep, struct err *e)
{
	int gone;

	do {
		gone = mnt_unmount_round(keep, false, e);
	} while (gone > 0);
	if (gone == 0)
		gone = mnt_unmount_round(keep, true, e);
	return gone < 0 || e->code ? -e->code : 0;
}

int mnt_drop(const char *const *types, const char *keep, struct err *e)
{
	auto_free char *text = NULL;
	auto_free struct mnt_seen *mounts = NULL;
	const char *const kept[] = { keep, NULL };
	size_t count = 0;

	if (mnt_list(&text, &mounts, &count, e) < 0)
		return -e->code;
	while (count-- > 0) {
		const char *path = mounts[count].path;
		bool wanted = false;

		for (size_t i = 0; types[i]; i++)
			wanted = wanted || str_eq(mounts[count].type, types[i]);
		if (!wanted || mnt_is_kept(path, kept) ||
		    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == ENOENT)
			continue;
		if ((errno != EINVAL && errno != EPERM) ||
		    mount("tmpfs", path, "tmpfs", MS_RDONLY, NULL) < 0)
			return err_set(e, errno, "unmount %s", path);
	}
	return 0;
}

/* Gives an initramfs' memory back. Only a ramfs is emptied: never a disk. Closes old. */
static void mnt_free_old(int old)
{
	struct err e = { 0 };
	struct statfs fs;
	DIR *dir = fdopendir(old);
	bool ours =
		fstatfs(old, &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);

	for (struct dirent *d; ours && dir && (d = readdir(dir));) {
		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		if (path_remove_tree(old, d->d_name, &e) < 0)
			log_warn("free the old root: %s", err_text(&e));
	}
	if (dir)
		closedir(dir);
}

int mnt_switch_root(const char *path, const char *const *moved, struct err *e)
{
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* who goes on after a fault may be in it already, and it on / and no longer on path */
	if (mnt_is_mount(path) && chdir(path) < 0)
		return err_set(e, errno, "enter %s", path);
	for (; *moved; moved++) {
		const char *to = *moved + 1;

		if (mount(*moved, to, NULL, MS_MOVE, NULL) < 0 && !mnt_is_mount(to))
			return err_set(e, errno, "move %s to %s", *moved, path);
	}
	if ((mount(".", "/", NULL, MS_MOVE, NULL) < 0 && errno != ELOOP) || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_set(e, errno, "enter root %s", path);
	if (old >= 0)
		mnt_free_old(old);
	return 0;
}

bool mnt_is_mount(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, 0, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int mnt_rows(const struct mnt_row *rows, size_t count, struct err *e)
{
	for (const struct mnt_row *m = rows; m < rows + count; m++) {
		mkdir(m->path, 0755);
		if (!mnt_is_mount(m->path) &&
		    mount(m->type, m->path, m->type, m->flags, m->data) < 0 && errno != ENODEV)
			return err_set(e, errno, "mount %s on %s", m->type, m->path);
	}
	return 0;
}
