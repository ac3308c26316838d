/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/events.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "lib/str.h"

#define STATS_TEXT 16384

/* 1: read, 0: the file is not there (controller not enabled), else an error */
static int stats_text(int dir, const char *name, char *buf, size_t size, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == ENOENT && path_exists(dir, "cgroup.procs"))
		return 0;
	if (fd < 0)
		return err_set(e, errno == ENODEV ? ENOENT : errno, "open %s", name);
	n = read(fd, buf, size - 1);
	if (n < 0 && errno == EOPNOTSUPP)
		return 0; /* PSI compiled in but off */
	if (n < 0)
		return err_set(e, errno == ENODEV ? ENOENT : errno, "read %s", name);
	buf[n] = '\0';
	return 1;
}

struct stats_key {
	const char *key;
	size_t offset;
};

#define STATS_KEY(type, name, member)               \
	{                                           \
		name, offsetof(struct type, member) \
	}

static void stats_values(const char *text, const struct stats_key *keys, size_t count, void *into)
{
	for (size_t i = 0; i < count; i++)
		(void)events_value(text, keys[i].key, (uint64_t *)((char *)into + keys[i].offset));
}

static int stats_number(int dir, const char *name, uint64_t *ret, struct err *e)
{
	char text[32];
	int r = stats_text(dir, name, text, sizeof(text), e);

	if (r <= 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (str_eq(text, "max"))
		*ret = STATS_UNLIMITED;
	else if (str_to_u64(text, ret) < 0)
		return err_set(e, EBADMSG, "%s is no number", name);
	return 1;
}

static const char *stats_word(const char *line, const char *key)
{
	const char *end = strchrnul(line, '\n');
	const char *at = strstr(line, key);

	return at && at < end ? at + strlen(key) : NULL;
}

/* "12.34"; nothing else that strtod() would take: no nan, inf, exponent. */
static double stats_share(const char *word)
{
	uint64_t number = 0;
	uint64_t unit = 0; /* behind the point: how many of number make one */

	for (; *word == '.' || (*word >= '0' && *word <= '9'); word++) {
		if (*word == '.' && !unit) {
			unit = 1;
			continue;
		}
		if (*word == '.' || number > UINT64_MAX / 100)
			return 0;
		number = number * 10 + (uint64_t)(*word - '0');
		unit *= 10;
	}
	return (double)number / (double)(unit ? unit : 1);
}

int stats_psi_parse(const char *text, struct stats_psi *ret, struct err *e)
{
	struct stats_psi p = { .given = true };

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		bool some = str_starts(line, "some ");
		const char *word;

		if (!some && !str_starts(line, "full "))
			return err_set(e, EBADMSG, "pressure file has an unknown line");
		if ((word = stats_word(line, " avg10=")))
			*(some ? &p.some_avg10 : &p.full_avg10) = stats_share(word);
		if ((word = stats_word(line, " avg60=")))
			*(some ? &p.some_avg60 : &p.full_avg60) = stats_share(word);
		if ((word = stats_word(line, " avg300=")))
			*(some ? &p.some_avg300 : &p.full_avg300) = stats_share(word);
		if ((word = stats_word(line, " total=")))
			*(some ? &p.some_total_us : &p.full_total_us) = strtoull(word, NULL, 10);
	}
	*ret = p;
	return 0;
}

static int stats_psi(int dir, const char *name, struct stats_psi *ret, struct err *e)
{
	char text[512];
	int r = stats_text(dir, name, text, sizeof(text), e);

	return r <= 0 ? r : stats_psi_parse(text, ret, e);
}

int stats_cpu(int dir, struct stats_cpu *ret, struct err *e)
{
	static const struct stats_key keys[] = {
		STATS_KEY(stats_cpu, "usage_usec", usage_us),
		STATS_KEY(stats_cpu, "user_usec", user_us),
		STATS_KEY(stats_cpu, "system_usec", system_us),
		STATS_KEY(stats_cpu, "nr_periods", periods),
		STATS_KEY(stats_cpu, "nr_throttled", throttled),
		STATS_KEY(stats_cpu, "throttled_usec", throttled_us),
	};
	char text[2048];
	struct stats_cpu s = { 0 };
	int r = stats_text(dir, "cpu.stat", text, sizeof(text), e);

	if (r < 0)
		return r;
	if (r > 0) {
		s.given = true;
		stats_values(text, keys, sizeof(keys) / sizeof(keys[0]), &s);
	}
	if (stats_psi(dir, "cpu.pressure", &s.psi, e) < 0)
		return -e->code;
	*ret = s;
	return 0;
}

int stats_memory(int dir, struct stats_memory *ret, struct err *e)
{
	static const struct stats_key keys[] = {
		STATS_KEY(stats_memory, "anon", anon),
		STATS_KEY(stats_memory, "file", file),
		STATS_KEY(stats_memory, "inactive_file", inactive_file),
		STATS_KEY(stats_memory, "active_file", active_file),
		STATS_KEY(stats_memory, "kernel", kernel),
		STATS_KEY(stats_memory, "slab", slab),
		STATS_KEY(stats_memory, "file_mapped", file_mapped),
		STATS_KEY(stats_memory, "file_dirty", file_dirty),
		STATS_KEY(stats_memory, "pgfault", page_faults),
		STATS_KEY(stats_memory, "pgmajfault", major_page_faults),
	};
	static const struct stats_key events[] = {
		STATS_KEY(stats_memory, "oom", oom),
		STATS_KEY(stats_memory, "oom_kill", oom_kill),
	};
	char text[STATS_TEXT];
	struct stats_memory s = { .limit = STATS_UNLIMITED, .swap_limit = STATS_UNLIMITED };
	int r = stats_number(dir, "memory.current", &s.usage, e);

	if (r < 0)
		return r;
	s.given = r > 0;
	if (s.given) {
		if (stats_number(dir, "memory.max", &s.limit, e) < 0 ||
		    stats_number(dir, "memory.swap.current", &s.swap_usage, e) < 0 ||
		    stats_number(dir, "memory.swap.max", &s.swap_limit, e) < 0)
			return -e->code;
		r = stats_text(dir, "memory.stat", text, sizeof(text), e);
		if (r > 0)
			stats_values(text, keys, sizeof(keys) / sizeof(keys[0]), &s);
		if (r >= 0)
			r = stats_text(dir, "memory.events", text, sizeof(text), e);
		if (r > 0)
			stats_values(text, events, sizeof(events) / sizeof(events[0]), &s);
		if (r < 0)
			return r;
		s.working_set = s.usage > s.inactive_file ? s.usage - s.inactive_file : 0;
	}
	if (stats_psi(dir, "memory.pressure", &s.psi, e) < 0)
		return -e->code;
	*ret = s;
	return 0;
}

static void stats_io_line(char *line, struct stats_io *s)
{
	struct stats_device *d = &s->devices[s->count];
	const struct {
		const char *key;
		uint64_t *value;
	} words[] = {
		{ "rbytes=", &d->read_bytes },	  { "wbytes=", &d->write_bytes },
		{ "dbytes=", &d->discard_bytes }, { "rios=", &d->reads },
		{ "wios=", &d->writes },	  { "dios=", &d->discards },
	};
	char *rest = line;
	char *word = str_field(&rest, " ");
	const char *major = str_field(&word, ":");

	if (!word || str_to_u32(major, &d->major) < 0 || str_to_u32(word, &d->minor) < 0)
		return;
	while ((word = str_field(&rest, " "))) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (str_starts(word, words[i].key))
				(void)str_to_u64(word + strlen(words[i].key), words[i].value);
		}
	}
	s->count++;
}

int stats_io(int dir, struct stats_io *ret, struct err *e)
{
	char text[STATS_TEXT];
	char *rest = text;
	char *line;
	int r;

	*ret = (struct stats_io){ 0 };
	r = stats_text(dir, "io.stat", text, sizeof(text), e);
	if (r < 0)
		return r;
	ret->given = r > 0;
	while (r > 0 && ret->count < STATS_DEVICES_MAX && (line = str_field(&rest, "\n")))
		stats_io_line(line, ret);
	return stats_psi(dir, "io.pressure", &ret->psi, e) < 0 ? -e->code : 0;
}

int stats_pids(int dir, struct stats_pids *ret, struct err *e)
{
	struct stats_pids s = { .limit = STATS_UNLIMITED };
	int r = stats_number(dir, "pids.current", &s.current, e);

	if (r < 0)
		return r;
	s.given = r > 0;
	if (s.given && stats_number(dir, "pids.max", &s.limit, e) < 0)
		return -e->code;
	*ret = s;
	return 0;
}

int stats_read(int dir, struct stats *ret, struct err *e)
{
	if (stats_cpu(dir, &ret->cpu, e) < 0 || stats_memory(dir, &ret->memory, e) < 0 ||
	    stats_io(dir, &ret->io, e) < 0 || stats_pids(dir, &ret->pids, e) < 0)
		return err_wrap(e, "cgroup");
	return 0;
}
