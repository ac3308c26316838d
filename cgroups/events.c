/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"

static int events_open_file(int dir, const char *name, int *ret_fd, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s", name);
	*ret_fd = fd;
	return 0;
}

int events_open(int dir, int *ret_fd, struct err *e)
{
	return events_open_file(dir, "cgroup.events", ret_fd, e);
}

int events_open_memory(int dir, int *ret_fd, struct err *e)
{
	return events_open_file(dir, "memory.events", ret_fd, e);
}

int events_value(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char number[24];
		size_t digits;

		if (strncmp(line, key, len) != 0 || line[len] != ' ')
			continue;
		digits = strcspn(line + len + 1, "\n");
		if (digits == 0 || digits >= sizeof(number))
			return -ERANGE;
		memcpy(number, line + len + 1, digits);
		number[digits] = '\0';
		return str_to_u64(number, ret);
	}
	return -ENOENT;
}

static int events_text(int fd, char *buf, size_t size, struct err *e)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	if (n < 0)
		return err_set(e, errno, "read events of the cgroup");
	buf[n] = '\0';
	return 0;
}

int events_read(int fd, struct events *ret, struct err *e)
{
	char text[512];
	uint64_t populated = 0;
	uint64_t frozen = 0;

	if (events_text(fd, text, sizeof(text), e) < 0)
		return -e->code;
	if (events_value(text, "populated", &populated) < 0)
		return err_set(e, EBADMSG, "cgroup.events has no populated");
	(void)events_value(text, "frozen", &frozen);
	*ret = (struct events){ .populated = populated != 0, .frozen = frozen != 0 };
	return 0;
}

int events_read_memory(int fd, struct events_memory *ret, struct err *e)
{
	char text[1024];
	struct events_memory m = { 0 };

	if (events_text(fd, text, sizeof(text), e) < 0)
		return -e->code;
	(void)events_value(text, "high", &m.high);
	(void)events_value(text, "max", &m.max);
	(void)events_value(text, "oom", &m.oom);
	(void)events_value(text, "oom_kill", &m.oom_kill);
	(void)events_value(text, "oom_group_kill", &m.oom_group_kill);
	*ret = m;
	return 0;
}
