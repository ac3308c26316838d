/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events only say "look again": what counts is read from sysfs, so that a lost event (ENOBUFS)
 * or one that came before we listened changes nothing.
 */
#include "lib/uevent.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/str.h"

#define BLOCK_DEVICES "/sys/class/block"
#define UEVENT_MAX 4096 /* bytes of one device's uevent file */

/* The value of KEY= in the lines of a uevent file; NULL when it has none. */
static char *uevent_value(char *text, const char *key)
{
	size_t len = strlen(key);

	for (char *line; (line = strsep(&text, "\n"));) {
		if (str_starts(line, key) && line[len] == '=')
			return line + len + 1;
	}
	return NULL;
}

static bool uevent_has_label(int dir, const char *device, const char *label)
{
	char path[300];
	char text[UEVENT_MAX];
	auto_fd int fd = -1;
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/uevent", device);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	name = uevent_value(text, "PARTNAME");
	return name && str_eq(name, label);
}

/* The node exists a moment after the sysfs entry: without it the partition is not there yet. */
static bool uevent_find(const char *label, char ret_dev[static UEVENT_DEV_MAX])
{
	DIR *dir = opendir(BLOCK_DEVICES);
	bool found = false;

	for (struct dirent *d; dir && !found && (d = readdir(dir));) {
		if (d->d_name[0] == '.' || !uevent_has_label(dirfd(dir), d->d_name, label))
			continue;
		found = snprintf(ret_dev, UEVENT_DEV_MAX, "/dev/%s", d->d_name) < UEVENT_DEV_MAX &&
			path_exists(AT_FDCWD, ret_dev);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int uevent_open(int *ret_fd, struct err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	auto_fd int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return err_set(e, errno, "listen to device events");
	*ret_fd = fd_take(&fd);
	return 0;
}

struct uevent_wait {
	struct ev_source source;
	bool seen;
};

static void uevent_on_event(void *arg, uint32_t events)
{
	struct uevent_wait *w = arg;
	char message[UEVENT_MAX];

	(void)events;
	/* an error is a lost event: as good as any */
	while (recv(w->source.fd, message, sizeof(message), 0) > 0)
		;
	w->seen = true;
}

int uevent_partition(struct ev *ev, const char *label, uint64_t limit_ms,
		     char ret_dev[static UEVENT_DEV_MAX], struct err *e)
{
	uint64_t end = ev_now_ms() + limit_ms;
	struct uevent_wait w = { .seen = true };
	auto_fd int fd = -1;
	int r = 0;

	if (uevent_open(&fd, e) < 0 ||
	    ev_add_fd(ev, &w.source, fd, EPOLLIN, uevent_on_event, &w, e) < 0)
		return -e->code;
	for (uint64_t now; r == 0;) {
		if (w.seen && uevent_find(label, ret_dev))
			break;
		w.seen = false;
		now = ev_now_ms();
		if (now >= end)
			r = err_set(e, ETIMEDOUT, "no partition %s after %llu s", label,
				    (unsigned long long)limit_ms / 1000);
		else
			r = ev_round(ev, (int)(end - now), e);
		r = r < 0 ? r : 0;
	}
	ev_remove(&w.source);
	return r;
}
