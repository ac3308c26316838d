/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/passwd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define PASSWD_MAX (1u << 20) /* bytes */

/* name:password:uid:gid:comment:home:shell */
static char *passwd_line_home(char *line, uid_t uid)
{
	char *fields[7] = { NULL };
	uint32_t number;

	for (int i = 0; i < 7 && line; i++)
		fields[i] = str_field(&line, ":");
	if (!fields[5] || str_to_u32(fields[2], &number) < 0 || number != uid ||
	    fields[5][0] != '/')
		return NULL;
	for (const char *p = fields[5]; *p; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
	}
	return mem_strdup(fields[5]);
}

char *passwd_home(int root, uid_t uid)
{
	auto_fd int fd = -1;
	auto_free char *text = NULL;
	struct err ignored = { 0 };
	struct stat st;
	char *rest;
	char *line;

	/* it may be a fifo, or a device that the cgroup allows to be opened */
	if (path_open_in(root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &ignored) <
		    0 ||
	    fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PASSWD_MAX ||
	    fd_read_all(fd, PASSWD_MAX, &text, NULL, &ignored) < 0)
		return NULL;
	rest = text;
	while ((line = str_field(&rest, "\n"))) {
		char *home = passwd_line_home(line, uid);

		if (home)
			return home;
	}
	return NULL;
}
