/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/msg.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"

void msg_done(struct msg *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		fd_close(&m->fds[i]);
	m->nfds = 0;
}

int msg_send(int sock, uint32_t type, uint32_t id, const char *body, const int *fds, size_t nfds,
	     struct err *e)
{
	size_t len = body ? strlen(body) : 0;
	struct msg_header h = { .type = type, .length = (uint32_t)len, .id = id };
	struct iovec iov[2] = {
		{ .iov_base = &h, .iov_len = sizeof(h) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = len },
	};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (len > MSG_BODY_MAX || nfds > MSG_FDS_MAX)
		return err_set(e, EMSGSIZE, "send message %u", type);
	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "send message %u", type);
	return 0;
}

static void msg_take_fds(struct msg *ret, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (ret->nfds < MSG_FDS_MAX)
				ret->fds[ret->nfds++] = fd;
			else
				close(fd);
		}
	}
}

int msg_recv(int sock, struct msg *ret, struct err *e)
{
	struct iovec iov[2] = {
		{ .iov_base = &ret->h, .iov_len = sizeof(ret->h) },
		{ .iov_base = ret->body, .iov_len = MSG_BODY_MAX },
	};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	ret->nfds = 0;
	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "receive message");
	msg_take_fds(ret, &m);
	if (n == 0)
		return 0;
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)n < sizeof(ret->h) ||
	    ret->h.length != (size_t)n - sizeof(ret->h)) {
		msg_done(ret);
		return err_set(e, EPROTO, "receive message: wrong length");
	}
	ret->body[ret->h.length] = '\0';
	return 1;
}

static int msg_address(const char *path, struct sockaddr_un *ret, struct err *e)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!str_copy(ret->sun_path, sizeof(ret->sun_path), path))
		return err_set(e, ENAMETOOLONG, "socket %s", path);
	return 0;
}

int msg_listen(const char *path, int *ret_fd, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;

	if (msg_address(path, &un, e) < 0)
		return -e->code;
	/* the mode must hold from the first moment: it is taken from the socket's own inode */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_set(e, errno, "make socket %s", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 64) < 0)
		return err_set(e, errno, "listen on %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

int msg_accept(int listener, int *ret_fd, struct err *e)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return err_set(e, errno, "accept connection");
	*ret_fd = fd;
	return 0;
}

int msg_connect(const char *path, int *ret_fd, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;

	if (fd < 0)
		return err_set(e, errno, "make socket");
	if (msg_address(path, &un, e) < 0)
		return -e->code;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return err_set(e, errno, "connect to %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}
