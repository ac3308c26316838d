/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/kmod.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"

#define MODPROBE "/proc/sys/kernel/modprobe"
#define KMOD_LIST_MAX (64u << 10) /* bytes */

static int kmod_load(int dir, const char *name, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open module %s", name);
	/* a module without its hardware says ENODEV: nothing is wrong */
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV)
		return err_set(e, errno, "load module %s", name);
	return 0;
}

int kmod_load_list(const char *name, struct err *e)
{
	auto_free char *list = NULL;
	auto_fd int dir = -1;
	struct utsname uts;
	char path[256], helper[256] = "";
	struct err ignored;
	char *rest;
	int r = 0;

	uname(&uts);
	snprintf(path, sizeof(path), "/lib/modules/%s", uts.release);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "open %s", path);
	if (path_read(dir, name, KMOD_LIST_MAX, &list, NULL, e) < 0)
		return -e->code;
	/* the kernel would run modprobe for each signature's algorithm, in vain */
	path_read_line(AT_FDCWD, MODPROBE, helper, sizeof(helper), &ignored);
	path_write(AT_FDCWD, MODPROBE, "\n", &ignored);
	rest = list;
	for (char *module; (module = strsep(&rest, "\n"));) {
		if (*module && kmod_load(dir, module, e) < 0) {
			log_error("boot: %s", err_text(e));
			r = -e->code;
		}
	}
	path_write(AT_FDCWD, MODPROBE, helper, &ignored);
	return r;
}
