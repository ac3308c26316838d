/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a cgroup. The first byte chooses the reader; behind it stand
 * the texts of its files, a zero byte between them. Numbers are those that a
 * reading line by line finds.
 */
#include "fuzz.h"

#include "cgroups/events.h"
#include "cgroups/stats.h"
#include "lib/fd.h"

#define FILES 8

static void file(const char *name, char **rest, const char **ret)
{
	char *text = *rest ?: (char *)"";
	size_t len = strlen(text);

	fuzz_file(name, text, len);
	*rest += *rest ? len + 1 : 0;
	if (ret)
		*ret = text;
}

/* "key N" alone on a line, the first one of that key; as a number when it is one. */
static bool find(const char *text, const char *key, uint64_t *ret)
{
	auto_free char *copy = mem_strdup(text);
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *blank = strchr(line, ' ');

		if (!blank || (size_t)(blank - line) != strlen(key) ||
		    strncmp(line, key, strlen(key)) != 0)
			continue;
		return strlen(blank + 1) < 24 && str_to_u64(blank + 1, ret) == 0;
	}
	return false;
}

static void same(const char *text, const char *key, uint64_t got)
{
	uint64_t wanted = 0;

	/* longer files than any kernel writes are cut */
	if (strlen(text) < 500 && find(text, key, &wanted))
		assert(got == wanted);
	else if (strlen(text) < 500)
		assert(got == 0);
}

static void psi(const struct stats_psi *p)
{
	assert(!p->given || (p->some_avg10 == p->some_avg10 && p->full_avg300 == p->full_avg300));
}

static void cpu(char *rest)
{
	struct stats_cpu s;
	struct err e = { 0 };
	const char *text;

	file("cpu.stat", &rest, &text);
	file("cpu.pressure", &rest, NULL);
	if (stats_cpu(fuzz_folder(), &s, &e) < 0) {
		assert(e.code == EBADMSG);
		return;
	}
	assert(s.given);
	same(text, "usage_usec", s.usage_us);
	same(text, "user_usec", s.user_us);
	same(text, "nr_throttled", s.throttled);
	psi(&s.psi);
	FUZZ_PLANT(s.usage_us == 1403 && s.psi.some_total_us && s.psi.some_total_us != 7);
}

static void memory(char *rest)
{
	struct stats_memory s;
	struct err e = { 0 };
	const char *stat, *events;

	file("memory.current", &rest, NULL);
	file("memory.max", &rest, NULL);
	file("memory.stat", &rest, &stat);
	file("memory.events", &rest, &events);
	file("memory.swap.current", &rest, NULL);
	file("memory.swap.max", &rest, NULL);
	file("memory.pressure", &rest, NULL);
	if (stats_memory(fuzz_folder(), &s, &e) < 0) {
		assert(e.code == EBADMSG && e.msg[0]);
		return;
	}
	assert(s.working_set <= s.usage);
	same(stat, "anon", s.anon);
	same(stat, "inactive_file", s.inactive_file);
	same(events, "oom_kill", s.oom_kill);
	psi(&s.psi);
}

static void io(char *rest)
{
	struct stats_io s;
	struct err e = { 0 };

	file("io.stat", &rest, NULL);
	file("io.pressure", &rest, NULL);
	if (stats_io(fuzz_folder(), &s, &e) < 0)
		assert(e.code == EBADMSG && e.msg[0]);
	assert(s.count <= STATS_DEVICES_MAX);
	psi(&s.psi);
}

static void pids(char *rest)
{
	struct stats_pids s;
	struct err e = { 0 };

	file("pids.current", &rest, NULL);
	file("pids.max", &rest, NULL);
	if (stats_pids(fuzz_folder(), &s, &e) < 0)
		assert(e.code == EBADMSG && e.msg[0]);
}

static void events(char *rest)
{
	struct events_memory m;
	struct events v;
	struct err e = { 0 };
	auto_fd int fd = -1;
	auto_fd int memory_fd = -1;
	const char *text, *memory_text;
	uint64_t n = 0;

	file("cgroup.events", &rest, &text);
	file("memory.events", &rest, &memory_text);
	if (events_open(fuzz_folder(), &fd, &e) < 0 ||
	    events_open_memory(fuzz_folder(), &memory_fd, &e) < 0 ||
	    events_read_memory(memory_fd, &m, &e) < 0)
		abort();
	same(memory_text, "oom_group_kill", m.oom_group_kill);
	if (events_read(fd, &v, &e) < 0)
		assert(e.code == EBADMSG);
	else if (strlen(text) < 500)
		assert(find(text, "populated", &n) && v.populated == (n != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(char *) = { cpu, memory, io, pids, events };
	auto_free char *texts = mem_alloc(size + FILES + 1);

	if (size < 1 || size > 4096)
		return 0;
	fuzz_file("cgroup.procs", "", 0);
	/* each text ends, those that are not given are empty */
	memcpy(texts, data + 1, size - 1);
	kinds[data[0] % 5](texts);
	return 0;
}
