/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/logfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"

static int logfile_open(struct logfile *f, struct err *e)
{
	struct stat st;

	f->fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_set(e, errno, "open %s", f->path);
	f->size = (uint64_t)st.st_size;
	return 0;
}

static int logfile_rotate(struct logfile *f, struct err *e)
{
	char old[sizeof(f->path) + 2];

	snprintf(old, sizeof(old), "%s.1", f->path);
	fd_close(&f->fd);
	if (rename(f->path, old) < 0)
		return err_set(e, errno, "rename %s", f->path);
	return logfile_open(f, e);
}

int logfile_write(struct logfile *f, const char *data, size_t len, struct err *e)
{
	int r = f->fd < 0 ? logfile_open(f, e) : 0;

	if (r == 0 && f->size > 0 && f->size + len > f->max_bytes)
		r = logfile_rotate(f, e);
	if (r == 0 && fd_write_all(f->fd, data, len, e) < 0)
		r = err_wrap(e, "write %s", f->path);
	f->size += len;
	if (r < 0)
		fd_close(&f->fd);
	return r;
}
