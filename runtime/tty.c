/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/tty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mnt.h"
#include "lib/path.h"

static bool tty_is_ptmx(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2);
}

int tty_open(int root, unsigned short rows, unsigned short columns, int *ret_master, int *ret_slave,
	     struct err *e)
{
	auto_fd int master = -1;
	auto_fd int slave = -1;
	auto_fd int node = -1;
	struct err ignored = { 0 };
	int unlock = 0;

	/* looked at before it is opened: whatever lies there is not to be woken up */
	if (path_open_strict(root, "dev/pts/ptmx", O_PATH, &node, &ignored) == 0 &&
	    tty_is_ptmx(node) &&
	    path_open_strict(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, &master, e) < 0)
		return -e->code;
	if (master >= 0 && !tty_is_ptmx(master))
		return err_set(e, EXDEV, "dev/pts/ptmx changed");
	if (master < 0)
		master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return err_set(e, errno, "open a terminal");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_set(e, errno, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_set(e, errno, "open the terminal's other side");
	if ((rows || columns) && tty_resize(master, rows, columns, e) < 0)
		return -e->code;
	*ret_master = fd_take(&master);
	*ret_slave = fd_take(&slave);
	return 0;
}

int tty_set_plain(int master, struct err *e)
{
	struct termios t;

	if (tcgetattr(master, &t) < 0)
		return err_set(e, errno, "read the terminal's settings");
	t.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(master, TCSANOW, &t) < 0)
		return err_set(e, errno, "change the terminal's settings");
	return 0;
}

int tty_bind_console(int dev, int slave, struct err *e)
{
	auto_fd int target = -1;
	auto_fd int copy = -1;
	struct stat st;
	int fd = openat(dev, "console", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	else if (errno != EEXIST)
		return err_set(e, errno, "make /dev/console");
	target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &st) < 0)
		return err_set(e, errno, "open /dev/console");
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, EEXIST, "/dev/console is no device");
	if (mnt_clone(slave, "", false, &copy, e) < 0 || mnt_attach(copy, target, e) < 0)
		return err_wrap(e, "bind /dev/console");
	return 0;
}

int tty_take(int slave, struct err *e)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_set(e, errno, "take the terminal");
	return 0;
}

int tty_resize(int master, unsigned short rows, unsigned short columns, struct err *e)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_set(e, errno, "resize the terminal");
	return 0;
}
