/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/sync.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ev.h"

int sync_pair(int ret_fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_set(e, errno, "make a socket pair");
	return 0;
}

static int sync_send_message(int sock, const struct sync *m, int pass, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (pass >= 0) {
		struct cmsghdr *c;

		h.msg_control = control.buf;
		h.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	if (sendmsg(sock, &h, MSG_NOSIGNAL) != (ssize_t)sizeof(*m))
		return err_set(e, errno ?: EIO, "send to the other side of a birth");
	return 0;
}

int sync_send(int sock, enum sync_type type, const struct err *cause, int pass, struct err *e)
{
	struct sync m = { .type = type };

	if (cause)
		m.e = *cause;
	return sync_send_message(sock, &m, pass, e);
}

int sync_send_born(int sock, pid_t pid, int pidfd, struct err *e)
{
	const struct sync m = { .type = SYNC_BORN, .pid = pid };

	return sync_send_message(sock, &m, pidfd, e);
}

static int sync_wait(int sock, int timeout_ms, struct err *e)
{
	uint64_t end = ev_now_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		uint64_t now = ev_now_ms();
		int left = timeout_ms < 0 ? -1 : now >= end ? 0 : (int)(end - now);
		int n = poll(&p, 1, left);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_set(e, errno, "wait for the other side of a birth");
		if (n == 0)
			return err_set(e, ETIMEDOUT, "no answer in %d ms", timeout_ms);
	}
}

int sync_recv(int sock, int timeout_ms, struct sync *ret, int *ret_fd, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct sync m = { 0 };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n;

	if (sync_wait(sock, timeout_ms, e) < 0)
		return -e->code;
	do {
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return err_set(e, errno, "receive from the other side of a birth");
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	if (n != sizeof(m) || (fd >= 0 && !ret_fd)) {
		if (fd >= 0)
			close(fd);
		return err_set(e, EPROTO, "a broken message of a birth");
	}
	m.e.msg[sizeof(m.e.msg) - 1] = '\0';
	*ret = m;
	if (ret_fd)
		*ret_fd = fd;
	return 1;
}
