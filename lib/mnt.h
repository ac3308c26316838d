/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts by descriptor: fsopen, fsmount, open_tree, move_mount, mount_setattr (mount(2) API of
 * Linux 5.2 to 5.12). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* key and value; value NULL is a flag option. */
struct mnt_option {
	const char *key;
	const char *value;
};

/* A new detached mount of a file system; attr: MOUNT_ATTR_*. */
int mnt_new(const char *fstype, const char *source, const struct mnt_option *options, size_t count,
	    uint64_t attr, int *ret_fd, struct err *e);

/* A detached copy of the mount at path below dirfd ("" and AT_EMPTY_PATH semantics: dirfd itself);
 * recursive on demand. */
int mnt_clone(int dirfd, const char *path, int recursive, int *ret_fd, struct err *e);

/* Puts a detached mount onto the O_PATH descriptor target. */
int mnt_attach(int mount, int target, struct err *e);

/* Changes attributes (MOUNT_ATTR_*) and propagation (MS_SHARED etc., 0 to keep) of the mount at fd.
 */
int mnt_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, int recursive,
	    struct err *e);

/* True for the root of a mount. */
bool mnt_is_mount(const char *path);

/*
 * Unmounts, newest first, every mount whose path does not begin with one of keep (NULL-terminated;
 * "/" itself always stays), in rounds as long as one goes. What stays busy is made read-only, and
 * is an -EBUSY by name.
 */
int mnt_unmount_all(const char *const *keep, struct err *e);

/* Takes away every mount of these types (NULL-terminated) that is not below keep; where the kernel
 * does not allow that, an empty file system covers it. */
int mnt_drop(const char *const *types, const char *keep, struct err *e);

/*
 * Moves the mounts named (NULL-terminated) below path, makes path the root, and empties the old one
 * when it was a ramfs. Cut off anywhere, a second call in the same working directory finishes it.
 */
int mnt_switch_root(const char *path, const char *const *moved, struct err *e);

struct mnt_row {
	const char *path, *type;
	unsigned long flags;
	const char *data;
};

/* Mounts row by row, with their folders; one that is there already stays, and so is left out what
 * the kernel does not know. */
int mnt_rows(const struct mnt_row *rows, size_t count, struct err *e);
