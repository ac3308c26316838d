/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"

#define NOTIFY_TEXT_MAX 4096 /* bytes of a datagram */

void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0'; /* an abstract name */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* nobody listening is no reason to fail */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&addr,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

int notify_listen(const char *path, int *ret_fd, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int on = 1;

	if (!str_copy(un.sun_path, sizeof(un.sun_path), path))
		return err_set(e, ENAMETOOLONG, "listen on %s", path);
	/* the mode must hold from the first moment: it is taken from the socket's own inode */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return err_set(e, errno, "make socket %s", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return err_set(e, errno, "listen on %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

static void notify_copy_status(struct notify *n, const char *text)
{
	size_t i = 0;

	for (; text[i] && i < sizeof(n->status) - 1; i++) {
		bool safe = text[i] >= ' ' && text[i] <= '~' && text[i] != '"' && text[i] != '\\';

		n->status[i] = safe ? text[i] : '?';
	}
	n->status[i] = '\0';
	n->has_status = true;
}

void notify_parse(char *text, struct notify *ret)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (str_eq(line, "READY=1"))
			ret->ready = true;
		else if (str_eq(line, "STOPPING=1"))
			ret->stopping = true;
		else if (str_eq(line, "WATCHDOG=1"))
			ret->alive = true;
		else if (str_starts(line, "STATUS="))
			notify_copy_status(ret, line + strlen("STATUS="));
	}
}

int notify_receive(int fd, struct notify *ret, struct err *e)
{
	char text[NOTIFY_TEXT_MAX + 1];
	struct iovec iov = { .iov_base = text, .iov_len = NOTIFY_TEXT_MAX };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf), /* no room for descriptors: none arrive */
	};
	struct cmsghdr *c;
	struct ucred cred;
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_set(e, errno, "receive notification");
	*ret = (struct notify){ 0 };
	c = CMSG_FIRSTHDR(&m);
	if ((m.msg_flags & MSG_TRUNC) || !c || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_CREDENTIALS)
		return 1;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	ret->pid = cred.pid;
	ret->uid = cred.uid;
	text[n] = '\0';
	notify_parse(text, ret);
	return 1;
}
