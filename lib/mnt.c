/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/mnt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"

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
