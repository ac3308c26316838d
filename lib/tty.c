/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/tty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "lib/fd.h"

static void tty_sane(int fd)
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

int tty_take(const char *path, struct err *e)
{
	/* without O_NONBLOCK the open waits for a carrier */
	auto_fd int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TIOCSCTTY, 1) < 0)
		return err_set(e, errno, "take terminal %s", path);
	if (fd_set_nonblock(fd, false, e) < 0)
		return -e->code;
	tty_sane(fd);
	tcsetpgrp(fd, getpid());
	for (int i = 0; i < 3; i++) {
		if (dup2(fd, i) < 0)
			return err_set(e, errno, "take terminal %s", path);
	}
	if (fd < 3)
		fd_take(&fd);
	return 0;
}
