/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/mem.h"

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void fd_close(int *fd)
{
	fd_closep(fd);
	*fd = -1;
}

int fd_dup(int fd, int *ret_fd, struct err *e)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (new < 0)
		return err_set(e, errno, "duplicate descriptor %d", fd);
	*ret_fd = new;
	return 0;
}

int fd_pipe(int ret_fds[2], int flags, struct err *e)
{
	if (pipe2(ret_fds, flags | O_CLOEXEC) < 0)
		return err_set(e, errno, "make a pipe");
	return 0;
}

int fd_set_nonblock(int fd, bool on, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return err_set(e, errno, "set flags of descriptor %d", fd);
	return 0;
}

int fd_write_all(int fd, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "write %zu bytes", len);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_len, struct err *e)
{
	struct stat st = { .st_size = 0 };
	size_t room = 4096; /* the files of proc tell no size */
	auto_free char *buf = NULL;
	size_t len = 0;

	if (fstat(fd, &st) == 0 && st.st_size > 0)
		room = (size_t)st.st_size + 1;
	if (room > max)
		room = max + 1;
	buf = mem_realloc(NULL, room + 1);
	for (;;) {
		ssize_t n;

		if (len == room) {
			room = room * 2 > max + 1 ? max + 1 : room * 2;
			buf = mem_realloc(buf, room + 1);
		}
		n = read(fd, buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read");
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return err_set(e, EFBIG, "read more than %zu bytes", max);
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret_data = mem_take(&buf);
	return 0;
}

int fd_pidfd(pid_t pid, int *ret_fd, struct err *e)
{
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return err_set(e, errno, "open pidfd of process %d", pid);
	*ret_fd = fd;
	return 0;
}

void fd_fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			return; /* in an initramfs there is none */
	}
}

void fd_write_apart(int fd, const char *text)
{
	char path[40];
	auto_fd int other = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (other >= 0)
		(void)!write(other, text, strlen(text));
}

int fd_raise_limit(unsigned int want, struct err *e)
{
	struct rlimit files = { want, want }, have;

	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return 0;
	getrlimit(RLIMIT_NOFILE, &have);
	have.rlim_cur = have.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &have) < 0)
		return err_set(e, errno, "raise the limit of open files");
	return 0;
}

void fd_close_from(int first)
{
	close_range((unsigned int)first, UINT_MAX, 0);
}
