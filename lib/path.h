/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files by path. What comes from outside (spec, request, image) goes through
 * openat2(RESOLVE_IN_ROOT); after that the descriptor is used, not the string.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/* O_PATH descriptor of path inside root: links cannot leave it, magic links are refused. */
int path_open(int root, const char *path, int *ret_fd, struct err *e);

/* openat2 with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS and flags (O_CLOEXEC is added). */
int path_open_in(int root, const char *path, int flags, mode_t mode, int *ret_fd, struct err *e);

/* As path_open_in(), and no part of path may be a link. */
int path_open_strict(int root, const char *path, int flags, int *ret_fd, struct err *e);

/* openat2 with RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS | NO_XDEV: for our own trees and
 * trusted procfs. */
int path_open_beneath(int root, const char *path, int flags, int *ret_fd, struct err *e);

/*
 * Makes path and its missing parents inside root, following links as seen
 * from root, never leaving it. ret_fd (may be NULL): O_PATH of the last one.
 */
int path_mkdir_in(int root, const char *path, mode_t mode, int *ret_fd, struct err *e);

/* mkdir -p of a path of our own; a missing parent gets the same mode. */
int path_mkdirs(const char *path, mode_t mode, struct err *e);

/* Reads a whole file with a NUL behind it; EFBIG above max bytes. dirfd may be AT_FDCWD. Caller
 * frees. */
int path_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len,
	      struct err *e);

/* Copies a whole file of at most max bytes into memory that has a descriptor. */
int path_snapshot(const char *path, size_t max, int *ret_fd, struct err *e);

/* Reads a small file into a caller's buffer, NUL-terminated, one trailing newline dropped. */
int path_read_line(int dirfd, const char *path, char *buf, size_t size, struct err *e);

/* The path as seen from folder, itself when it is absolute; the caller frees. */
char *path_join(const char *folder, const char *path);

/* One write(2) of text to an existing file: cgroup, proc and sysfs files. */
int path_write(int dirfd, const char *path, const char *text, struct err *e);

enum path_sync {
	PATH_FAST, /* rename only: what a reboot may forget */
	PATH_DURABLE, /* fsync of the file and of its folder */
};

/* Replaces a file whole: writes beside it, then renames. */
int path_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 enum path_sync sync, struct err *e);

/* Writes a file that nobody reads before its writer has said so elsewhere: without a renaming. */
int path_create(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		struct err *e);

/* Removes a file or a whole tree without following links or crossing mounts; absent is fine. */
int path_remove_tree(int dirfd, const char *name, struct err *e);

bool path_exists(int dirfd, const char *path);
