/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/notify.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/spec.h"
#include "runtime/sync.h"

#define NOTIFY_STACK 65536
#define NOTIFY_PATIENCE_S 10 /* for a listener that takes nothing */
#define NOTIFY_LOOK_NS 50000

/* Between the process and its thread, which the filter does not hold. */
struct notify {
	int sync;
	atomic_int fd; /* -1: not yet; -2: there will be none */
	atomic_bool sent;
};

/*
 * The filter may stop even the call that hands the descriptor out, so a
 * thread made before does it. Both only look at memory to hear of each other.
 */
static int notify_thread(void *arg)
{
	struct notify *n = arg;
	struct err e = { 0 };

	while (atomic_load(&n->fd) == -1)
		nanosleep(&(struct timespec){ .tv_nsec = NOTIFY_LOOK_NS }, NULL);
	/* there is no other way to end a process that can call nothing */
	if (atomic_load(&n->fd) >= 0 &&
	    sync_send(n->sync, SYNC_NOTIFY, NULL, atomic_load(&n->fd), &e) < 0)
		syscall(SYS_exit_group, 1);
	atomic_store(&n->sent, true);
	syscall(SYS_exit, 0);
	return 0;
}

int notify_install(const struct filter *f, int sync, struct err *e)
{
	struct notify n = { .sync = sync, .fd = -1 };
	char *stack;
	int fd = -1;
	int r;

	if (!f->listener)
		return filter_install(f, NULL, e);
	stack = mem_alloc(NOTIFY_STACK); /* execve frees it */
	if (clone(notify_thread, stack + NOTIFY_STACK,
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		  &n) < 0)
		return err_set(e, errno, "make a thread");
	r = filter_install(f, &fd, e);
	atomic_store(&n.fd, r < 0 ? -2 : fd);
	while (!atomic_load(&n.sent))
		continue;
	return r;
}

static char *notify_text(const struct filter *f, const struct hooks_state *container, pid_t pid)
{
	auto_free char *state = hooks_state_text(container);
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ociVersion", SPEC_VERSION);
	json_out_array(&o, "fds");
	json_out_text(&o, NULL, "seccompFd");
	json_out_end(&o);
	json_out_int(&o, "pid", pid);
	if (f->metadata)
		json_out_text(&o, "metadata", f->metadata);
	json_out_raw(&o, "state", state);
	json_out_end(&o);
	return json_out_take(&o);
}

static int notify_connect(const char *path, struct err *e)
{
	const struct timeval patience = { .tv_sec = NOTIFY_PATIENCE_S };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	auto_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!str_copy(un.sun_path, sizeof(un.sun_path), path))
		return err_set(e, ENAMETOOLONG, "linux.seccomp.listenerPath %s", path);
	if (sock < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(sock, (struct sockaddr *)&un, sizeof(un)) < 0)
		return err_set(e, errno, "connect to linux.seccomp.listenerPath %s", path);
	return fd_take(&sock);
}

int notify_send(const struct filter *f, const struct hooks_state *container, pid_t pid, int fd,
		struct err *e)
{
	auto_free char *text = notify_text(f, container, pid);
	auto_fd int sock = notify_connect(f->listener, e);
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { text, strlen(text) };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	ssize_t n;

	if (sock < 0)
		return -e->code;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	n = sendmsg(sock, &h, MSG_NOSIGNAL);
	if (n < 0)
		return err_set(e, errno, "send to linux.seccomp.listenerPath %s", f->listener);
	/* the descriptor went with the first byte */
	if ((size_t)n < iov.iov_len && fd_write_all(sock, text + n, iov.iov_len - (size_t)n, e) < 0)
		return err_wrap(e, "linux.seccomp.listenerPath %s", f->listener);
	return 0;
}
