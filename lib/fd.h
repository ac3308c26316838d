/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owned file descriptors: closed by scope, handed on by taking, born close-on-exec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/err.h"

static inline void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* A descriptor closed at the end of its scope; initialize it with -1 or an open call. */
#define auto_fd __attribute__((cleanup(fd_closep)))

/* Returns *fd and leaves -1 in it. */
int fd_take(int *fd);

/* Closes *fd when open and leaves -1. */
void fd_close(int *fd);

/* Duplicate at 3 or above, close-on-exec. */
int fd_dup(int fd, int *ret_fd, struct err *e);

/* A pipe, close-on-exec; flags such as O_NONBLOCK are added. */
int fd_pipe(int ret_fds[2], int flags, struct err *e);

int fd_set_nonblock(int fd, bool on, struct err *e);

/* Writes all bytes of a blocking descriptor, through EINTR and short writes. */
int fd_write_all(int fd, const void *data, size_t len, struct err *e);

/* Reads until end of file into a new buffer with a NUL behind it; EFBIG above max bytes. Caller
 * frees. */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_len, struct err *e);

/* Opens a pidfd of a process (close-on-exec). */
int fd_pidfd(pid_t pid, int *ret_fd, struct err *e);

/* A kernel without a console starts PID 1 with 0 to 2 closed: those become /dev/null, or a file
 * would land there. */
void fd_fill_standard(void);

/* Writes to a pipe without waiting, by another open file: fd itself stays blocking. */
void fd_write_apart(int fd, const char *text);

/* The limit of open files, for this process and its children; a container may be given less. */
int fd_raise_limit(unsigned int want, struct err *e);

/* Closes every descriptor from first up; only between fork and exec. */
void fd_close_from(int first);
