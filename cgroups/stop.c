/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/stop.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/str.h"

static bool stop_skips(const char *const *skip, const struct dirent *d)
{
	for (; *skip; skip++) {
		if (str_eq(*skip, d->d_name))
			return true;
	}
	return d->d_type != DT_DIR || d->d_name[0] == '.';
}

/* The next folder that counts; -1 at the end. */
static int stop_next(int dir, DIR *list, const char *const *skip)
{
	struct dirent *d;
	int fd;

	while ((d = readdir(list))) {
		if (!stop_skips(skip, d) &&
		    cgroup_open(dir, d->d_name, &fd, &(struct err){ 0 }) == 0)
			return fd;
	}
	rewinddir(list);
	return -1;
}

static int stop_round(int dir, DIR *list, const char *const *skip, int signal, int limit_ms,
		      struct err *e)
{
	uint64_t end = ev_now_ms() + (uint64_t)limit_ms;
	uint64_t now;
	int r = 0;
	int fd;

	while ((fd = stop_next(dir, list, skip)) >= 0) {
		cgroup_signal(fd, signal, &(struct err){ 0 });
		close(fd);
	}
	while ((fd = stop_next(dir, list, skip)) >= 0) {
		now = ev_now_ms();
		if (cgroup_wait_empty(fd, now < end ? (int)(end - now) : 0, e) < 0)
			r = -EBUSY;
		close(fd);
	}
	return r;
}

int cgroup_stop_below(int dir, const char *const *skip, int term_ms, int kill_ms, struct err *e)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
	int r;

	if (!list) {
		r = err_set(e, errno, "list cgroups");
		fd_close(&copy);
		return r;
	}
	r = stop_round(dir, list, skip, SIGTERM, term_ms, &(struct err){ 0 });
	if (r < 0)
		r = stop_round(dir, list, skip, SIGKILL, kill_ms, e);
	closedir(list);
	return r < 0 ? err_set(e, EBUSY, "a process survives SIGKILL") : 0;
}
