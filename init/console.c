/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/console.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "init/init.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/spawn.h"
#include "lib/str.h"

#define SHELL_FOLDER "/usr/libexec/berth/debug"
#define CONSOLE_DELAY_MS 250
#define CONSOLE_DELAY_MAX_MS 60000
#define CONSOLE_LIVED_MS 5000 /* who lived this long is no crash loop */

/* Whatever the last one left (raw mode, no echo), the next shell finds a sane line. */
static void console_sane(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return;
	t.c_iflag = ICRNL | IXON | BRKINT;
	t.c_oflag = OPOST | ONLCR;
	t.c_cflag = (t.c_cflag & (tcflag_t) ~(CSIZE | PARENB | HUPCL)) | CS8 | CREAD | CLOCAL;
	t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	t.c_cc[VINTR] = 3;
	t.c_cc[VQUIT] = 28;
	t.c_cc[VERASE] = 127;
	t.c_cc[VKILL] = 21;
	t.c_cc[VEOF] = 4;
	t.c_cc[VSUSP] = 26;
	tcsetattr(fd, TCSANOW, &t);
}

/* Job control needs a session of its own whose controlling terminal is the line. */
static int console_shell(void *arg)
{
	static const char *const argv[] = { "-sh", NULL };
	static const char *const envp[] = { "PATH=" SHELL_FOLDER ":/usr/sbin:/usr/bin",
					    "HOME=/root", "TERM=vt102", "PS1=berth:\\w# ", NULL };
	const char *tty = arg;
	int fd;

	setsid();
	/* without O_NONBLOCK the open waits for a carrier */
	fd = open(tty, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 1) < 0)
		return 1;
	fd_set_nonblock(fd, false, &(struct err){ 0 });
	console_sane(fd);
	tcsetpgrp(fd, getpid());
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	execve(SHELL_FOLDER "/sh", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
	return 127;
}

static void console_run(void *arg)
{
	struct init *in = arg;
	struct console *c = &in->console;
	struct spawn s = SPAWN_INIT;
	auto_fd int cgroup = -1;
	struct err e = { 0 };

	if (in->cgroup >= 0) {
		mkdirat(in->cgroup, "berth/shell", 0755);
		cgroup = openat(in->cgroup, "berth/shell", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	s.run = console_shell;
	s.arg = c->tty;
	s.cgroup = cgroup;
	c->started_ms = ev_now_ms();
	if (spawn(&s, &c->pid, NULL, &e) < 0) {
		log_error("debug shell: %s", err_text(&e));
		c->pid = 0;
		ev_timer_set(&c->again, CONSOLE_DELAY_MAX_MS);
	}
}

int console_start(void *ctx, struct err *e)
{
	struct init *in = ctx;
	struct console *c = &in->console;
	bool wanted;

	if (conf_bool(&in->conf, "boot.shell", false, &wanted, e) < 0)
		return -e->code;
	if (!wanted || c->pid)
		return 0;
	snprintf(c->tty, sizeof(c->tty), "/dev/%s",
		 conf_text(&in->conf, "boot.shell_tty", "ttyS0"));
	log_warn("debug shell on %s: the boot line asks for it", c->tty);
	ev_add_timer(&in->ev, &c->again, console_run, in);
	c->delay_ms = CONSOLE_DELAY_MS;
	console_run(in);
	return 0;
}

bool console_reaped(struct init *in, pid_t pid)
{
	struct console *c = &in->console;

	if (!c->pid || c->pid != pid)
		return false;
	c->pid = 0;
	if (ev_now_ms() - c->started_ms >= CONSOLE_LIVED_MS)
		c->delay_ms = CONSOLE_DELAY_MS;
	log_info("debug shell ended; the next one starts in %llu ms",
		 (unsigned long long)c->delay_ms);
	ev_timer_set(&c->again, c->delay_ms);
	c->delay_ms =
		c->delay_ms * 2 < CONSOLE_DELAY_MAX_MS ? c->delay_ms * 2 : CONSOLE_DELAY_MAX_MS;
	return true;
}

void console_stop(struct init *in)
{
	if (in->console.again.kind != EV_UNUSED)
		ev_timer_cancel(&in->console.again);
	ev_remove(&in->console.again);
}
