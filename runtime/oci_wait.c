/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci in the foreground: signals, terminal and exit code of a process; small helpers. */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/spawn.h"
#include "lib/str.h"
#include "runtime/oci.h"

#define WAIT_BUFFER 8192

/* "RTMIN", "RTMIN+3", "RTMAX-3"; -1: another name */
static int oci_realtime(const char *name)
{
	bool up = str_starts(name, "RTMIN");
	const char *rest = name + 5;
	int away = 0;

	if (!up && !str_starts(name, "RTMAX"))
		return -1;
	if (*rest && (*rest != (up ? '+' : '-') || str_to_int(rest + 1, &away) < 0 || away < 0 ||
		      away > SIGRTMAX - SIGRTMIN))
		return -1;
	return up ? SIGRTMIN + away : SIGRTMAX - away;
}

int oci_signal(const char *text, struct err *e)
{
	auto_free char *upper = mem_strdup(text);
	const char *name = upper;
	int number;

	if (str_to_int(text, &number) == 0) {
		if (number < 0 || number >= NSIG)
			return err_set(e, EINVAL, "signal %s is unknown", text);
		return number;
	}
	for (char *p = upper; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (str_starts(name, "SIG"))
		name += strlen("SIG");
	for (number = 1; number < NSIG; number++) {
		const char *known = sigabbrev_np(number);

		if (known && str_eq(known, name))
			return number;
	}
	number = oci_realtime(name);
	return number < 0 ? err_set(e, EINVAL, "signal %s is unknown", text) : number;
}

int oci_write_pid(const char *path, pid_t pid, struct err *e)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", pid);

	if (path_replace(AT_FDCWD, path, text, (size_t)len, 0644, PATH_FAST, e) < 0)
		return err_wrap(e, "pid file");
	return 0;
}

int oci_send_fd(const char *what, const char *path, int fd, struct err *e)
{
	/* receivers want some bytes beside the descriptor */
	auto_free char *name = mem_strdup(str_eq(what, "console") ? "/dev/ptmx" : what);
	auto_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { name, strlen(name) };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (!str_copy(un.sun_path, sizeof(un.sun_path), path))
		return err_set(e, ENAMETOOLONG, "%s socket %s", what, path);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sock < 0 || connect(sock, (struct sockaddr *)&un, sizeof(un)) < 0)
		return err_set(e, errno, "connect to %s socket %s", what, path);
	if (sendmsg(sock, &h, MSG_NOSIGNAL) < 0)
		return err_set(e, errno, "send to %s socket %s", what, path);
	return 0;
}

/* What a foreground process needs at hand. */
struct wait {
	int pidfd;
	int console;
	int signals;
	bool raw; /* our terminal's settings were changed */
	struct termios saved;
	bool stdin_done;
	sigset_t mask; /* as it was */
};

static void wait_resize(struct wait *w)
{
	struct winsize size;

	if (w->console >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(w->console, TIOCSWINSZ, &size);
}

/* Our terminal passes everything through; the container's does the editing. */
static void wait_raw(struct wait *w)
{
	struct termios t;

	if (w->console < 0 || tcgetattr(STDIN_FILENO, &w->saved) < 0)
		return;
	t = w->saved;
	cfmakeraw(&t);
	t.c_oflag |= OPOST | ONLCR;
	w->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
	wait_resize(w);
}

static int wait_init(struct wait *w, struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, &w->mask);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals < 0)
		return err_set(e, errno, "take signals");
	wait_raw(w);
	return 0;
}

static void wait_done(struct wait *w)
{
	if (w->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &w->saved);
	fd_close(&w->signals);
	sigprocmask(SIG_SETMASK, &w->mask, NULL);
}

static void wait_signals(struct wait *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
		case SIGURG:
			break;
		case SIGWINCH:
			wait_resize(w);
			break;
		default:
			(void)pidfd_send_signal(w->pidfd, (int)info.ssi_signo, NULL, 0);
		}
	}
}

/* 1: something was moved; 0: the source is at its end */
static int wait_copy(int from, int to)
{
	char buf[WAIT_BUFFER];
	ssize_t n = read(from, buf, sizeof(buf));
	struct err ignored = { 0 };

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0)
		return 0;
	return fd_write_all(to, buf, (size_t)n, &ignored) == 0;
}

/* The process has ended; what it wrote to the terminal is still to be read. */
static void wait_drain(struct wait *w)
{
	struct pollfd p = { .fd = w->console, .events = POLLIN };

	while (w->console >= 0 && poll(&p, 1, 0) > 0 && p.revents & POLLIN &&
	       wait_copy(w->console, STDOUT_FILENO) > 0)
		continue;
}

static void wait_rounds(struct wait *w)
{
	struct pollfd p[4] = {
		{ .fd = w->pidfd, .events = POLLIN },
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = w->console, .events = POLLIN },
		{ .fd = w->console >= 0 ? STDIN_FILENO : -1, .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 4, -1) < 0)
			continue; /* all signals are blocked: nothing but EINTR by a tracer */
		if (p[1].revents)
			wait_signals(w);
		if (p[2].revents && wait_copy(w->console, STDOUT_FILENO) == 0)
			p[2].fd = -1;
		if (p[3].revents && wait_copy(STDIN_FILENO, w->console) == 0) {
			/* end of file: what the terminal's line discipline takes for it */
			(void)!write(w->console, "\004", 1);
			p[3].fd = -1;
		}
		if (p[0].revents)
			return;
	}
}

int oci_foreground(pid_t pid, int pidfd, int console, struct err *e)
{
	struct wait w = { .pidfd = pidfd, .console = console, .signals = -1 };
	int status = 0;

	(void)pid;
	if (wait_init(&w, e) < 0)
		return -e->code;
	wait_rounds(&w);
	wait_drain(&w);
	wait_done(&w);
	if (spawn_wait(pidfd, &status, e) < 0)
		return -e->code;
	return status;
}
