/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci events: what a container uses, once or again and again, and when it lacked memory. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/events.h"
#include "cgroups/stats.h"
#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/oci.h"
#include "runtime/options.h"

#define EVENTS_INTERVAL_MAX_S 86400

struct events_verb {
	const char *id;
	int cgroup;
	int pidfd; /* -1: the first process is dead */
	int memory; /* of memory.events; -1: no memory controller */
	uint64_t oom; /* as often as told */
};

static void events_psi(struct json_out *o, const struct stats_psi *psi)
{
	auto_free char *full = NULL;
	char text[160];

	if (!psi->given)
		return;
	snprintf(text, sizeof(text),
		 "{\"some\":{\"avg10\":%.2f,\"avg60\":%.2f,\"avg300\":%.2f,\"total\":%llu},",
		 psi->some_avg10, psi->some_avg60, psi->some_avg300,
		 (unsigned long long)psi->some_total_us);
	full = mem_printf("%s\"full\":{\"avg10\":%.2f,\"avg60\":%.2f,\"avg300\":%.2f,\"total\":%"
			  "llu}}",
			  text, psi->full_avg10, psi->full_avg60, psi->full_avg300,
			  (unsigned long long)psi->full_total_us);
	json_out_raw(o, "psi", full);
}

static void events_cpu(struct json_out *o, const struct stats_cpu *cpu)
{
	json_out_object(o, "cpu");
	json_out_object(o, "usage");
	json_out_uint(o, "total", cpu->usage_us * 1000);
	json_out_uint(o, "kernel", cpu->system_us * 1000);
	json_out_uint(o, "user", cpu->user_us * 1000);
	json_out_end(o);
	json_out_object(o, "throttling");
	json_out_uint(o, "periods", cpu->periods);
	json_out_uint(o, "throttledPeriods", cpu->throttled);
	json_out_uint(o, "throttledTime", cpu->throttled_us * 1000);
	json_out_end(o);
	events_psi(o, &cpu->psi);
	json_out_end(o);
}

static void events_pair(struct json_out *o, const char *key, uint64_t usage, uint64_t limit)
{
	json_out_object(o, key);
	json_out_uint(o, "usage", usage);
	json_out_uint(o, "limit", limit);
	json_out_end(o);
}

static void events_memory(struct json_out *o, const struct stats_memory *m)
{
	json_out_object(o, "memory");
	events_pair(o, "usage", m->usage, m->limit);
	events_pair(o, "swap", m->swap_usage, m->swap_limit);
	json_out_uint(o, "cache", m->file);
	json_out_object(o, "raw");
	json_out_uint(o, "anon", m->anon);
	json_out_uint(o, "file", m->file);
	json_out_uint(o, "inactive_file", m->inactive_file);
	json_out_uint(o, "active_file", m->active_file);
	json_out_uint(o, "file_mapped", m->file_mapped);
	json_out_uint(o, "file_dirty", m->file_dirty);
	json_out_uint(o, "kernel", m->kernel);
	json_out_uint(o, "slab", m->slab);
	json_out_uint(o, "pgfault", m->page_faults);
	json_out_uint(o, "pgmajfault", m->major_page_faults);
	json_out_uint(o, "oom", m->oom);
	json_out_uint(o, "oom_kill", m->oom_kill);
	json_out_end(o);
	events_psi(o, &m->psi);
	json_out_end(o);
}

static void events_io_row(struct json_out *o, const struct stats_device *d, const char *op,
			  uint64_t value)
{
	json_out_object(o, NULL);
	json_out_uint(o, "major", d->major);
	json_out_uint(o, "minor", d->minor);
	json_out_text(o, "op", op);
	json_out_uint(o, "value", value);
	json_out_end(o);
}

static void events_io(struct json_out *o, const struct stats_io *io)
{
	json_out_object(o, "blkio");
	json_out_array(o, "ioServiceBytesRecursive");
	for (size_t i = 0; i < io->count; i++) {
		events_io_row(o, &io->devices[i], "Read", io->devices[i].read_bytes);
		events_io_row(o, &io->devices[i], "Write", io->devices[i].write_bytes);
		events_io_row(o, &io->devices[i], "Discard", io->devices[i].discard_bytes);
	}
	json_out_end(o);
	json_out_array(o, "ioServicedRecursive");
	for (size_t i = 0; i < io->count; i++) {
		events_io_row(o, &io->devices[i], "Read", io->devices[i].reads);
		events_io_row(o, &io->devices[i], "Write", io->devices[i].writes);
		events_io_row(o, &io->devices[i], "Discard", io->devices[i].discards);
	}
	json_out_end(o);
	events_psi(o, &io->psi);
	json_out_end(o);
}

static void events_print(struct json_out *o)
{
	auto_free char *text = NULL;

	json_out_end(o);
	text = json_out_take(o);
	printf("%s\n", text);
	fflush(stdout);
}

static void events_begin(struct json_out *o, const struct events_verb *v, const char *type)
{
	json_out_object(o, NULL);
	json_out_text(o, "type", type);
	json_out_text(o, "id", v->id);
}

static int events_stats(const struct events_verb *v, struct err *e)
{
	auto_json_out o = { 0 };
	struct stats s = { 0 };

	if (stats_read(v->cgroup, &s, e) < 0)
		return -e->code;
	events_begin(&o, v, "stats");
	json_out_object(&o, "data");
	if (s.cpu.given)
		events_cpu(&o, &s.cpu);
	if (s.memory.given)
		events_memory(&o, &s.memory);
	if (s.pids.given) {
		json_out_object(&o, "pids");
		json_out_uint(&o, "current", s.pids.current);
		json_out_uint(&o, "limit", s.pids.limit);
		json_out_end(&o);
	}
	if (s.io.given)
		events_io(&o, &s.io);
	json_out_end(&o);
	events_print(&o);
	return 0;
}

/* A line for each time the kernel killed for want of memory since the last look. */
static void events_oom(struct events_verb *v, bool quiet)
{
	struct events_memory now = { 0 };
	struct err ignored = { 0 };

	if (v->memory < 0 || events_read_memory(v->memory, &now, &ignored) < 0)
		return;
	while (!quiet && v->oom < now.oom_kill) {
		auto_json_out o = { 0 };

		events_begin(&o, v, "oom");
		events_print(&o);
		v->oom++;
	}
	v->oom = now.oom_kill;
}

static int events_follow(struct events_verb *v, int interval_ms, struct err *e)
{
	struct pollfd p[3] = {
		{ .fd = v->pidfd, .events = POLLIN },
		{ .fd = v->memory, .events = POLLPRI },
		{ .fd = STDOUT_FILENO }, /* the reader is gone */
	};
	uint64_t next = ev_now_ms();

	events_oom(v, true);
	for (;;) {
		uint64_t now = ev_now_ms();

		if (now >= next) {
			if (events_stats(v, e) < 0)
				return e->code == ENOENT || e->code == ENODEV ? 0 : -e->code;
			next = now + (uint64_t)interval_ms;
		}
		if (poll(p, 3, (int)(next - now)) < 0 && errno != EINTR)
			return err_set(e, errno, "wait for events");
		if (p[1].revents)
			events_oom(v, false);
		if (p[0].revents || p[2].revents)
			return 0;
	}
}

/* "5s", "500ms", "1m" as Go programs write them. */
static int events_interval(const char *text, int *ret_ms, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	auto_free char *number = mem_strdup(text);
	const char *unit = text + digits;
	int factor = str_eq(unit, "ms") ? 1 : str_eq(unit, "m") ? 60000 : 1000;
	int n;

	number[digits] = '\0';
	if (str_to_int(number, &n) < 0 || n <= 0 || n > EVENTS_INTERVAL_MAX_S ||
	    (!str_eq(unit, "ms") && !str_eq(unit, "s") && !str_eq(unit, "m")))
		return err_set(e, EINVAL, "--interval: %s is not like 5s", text);
	*ret_ms = n * factor;
	return 0;
}

int oci_verb_events(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	const char *interval = "5s";
	bool once = false;
	const struct option_row rows[] = {
		{ "stats", '\0', OPTION_FLAG, &once },
		{ "interval", '\0', OPTION_TEXT, &interval },
	};
	struct events_verb v = { .cgroup = -1, .pidfd = -1, .memory = -1 };
	auto_state s = { .dir = -1 };
	struct err ignored = { 0 };
	const char *status;
	int ms;
	int r;

	argc--;
	argv++;
	if (options_parse(rows, 2, &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "usage: events [--stats] [--interval TIME] ID");
	v.id = argv[0];
	if (events_interval(interval, &ms, e) < 0 || oci_open(oci, e) < 0 ||
	    state_load(oci->root, v.id, &s, e) < 0)
		return -e->code;
	status = state_status(&oci->engine, &s, &v.pidfd);
	if (str_eq(status, "stopped") || str_eq(status, "creating"))
		r = err_set(e, ESRCH, "container not running");
	else if (!s.cgroup_path)
		r = err_set(e, ENOTSUP, "container %s has no cgroup of its own", v.id);
	else
		r = cgroup_open(oci->engine.cgroup_root, s.cgroup_path, &v.cgroup, e);
	if (r == 0 && !once)
		(void)events_open_memory(v.cgroup, &v.memory, &ignored);
	if (r == 0)
		r = once ? events_stats(&v, e) : events_follow(&v, ms, e);
	fd_close(&v.cgroup);
	fd_close(&v.pidfd);
	fd_close(&v.memory);
	return r;
}
