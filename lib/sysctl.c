/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/sysctl.h"

#include <fcntl.h>
#include <string.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"

#define SYSCTL_FILE_MAX (64u << 10) /* bytes */

int sysctl_load(const char *path, struct err *e)
{
	auto_fd int dir = open("/proc/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *text = NULL;
	char *rest, *line;
	int r = 0;

	if (dir < 0)
		return err_set(e, errno, "open /proc/sys");
	if (path_read(AT_FDCWD, path, SYSCTL_FILE_MAX, &text, NULL, e) < 0)
		return -e->code;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		char *name = strsep(&line, " ");

		/* absent: built without it, or its module is not loaded */
		if (line && *name != '#' && path_write(dir, name, line, e) < 0 &&
		    e->code != ENOENT) {
			log_error("sysctl %s", err_text(e));
			r = -e->code;
		}
	}
	return r;
}
