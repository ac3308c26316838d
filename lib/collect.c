/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/collect.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/logfile.h"
#include "lib/mem.h"
#include "lib/ring.h"
#include "lib/stamp.h"

#define SINK_LINE_MAX 8192 /* bytes; a longer line is cut into pieces */
#define SINK_READ_MAX 65536
#define SINK_FILE_MAX (4u << 20) /* bytes of NAME.log, and of NAME.log.1 */

struct sink {
	struct collector *all;
	struct ev_source source;
	const char *name;
	struct ring *ring;
	struct logfile file;
	int failed; /* errno of the file's last write */
};

struct collector {
	struct ev ev;
	struct ev_source signals;
	struct sink sinks[COLLECT_MAX];
	int count;
	struct ring *rings;
	int copy[2]; /* a pipe for tee(2) */
	int kmsg; /* -1: quiet */
	char in[SINK_READ_MAX];
	char out[SINK_READ_MAX];
	size_t len; /* of out */
};

static void sink_flush(struct sink *k)
{
	struct collector *all = k->all;
	struct err e = { 0 };

	logfile_write(&k->file, all->out, all->len, &e);
	/* the rings have the line all the same; said once, to where PID 1 began */
	if (e.code && e.code != k->failed)
		log_error("%s", err_text(&e));
	k->failed = e.code;
	ring_add(k->ring, all->out, all->len);
	ring_add(all->rings, all->out, all->len);
	all->len = 0;
}

/* "<N>text" has a level; the rest is a line of information. */
static void sink_line(struct sink *k, const char *text, size_t len, const char *stamp)
{
	struct collector *all = k->all;
	int level = LOG_INFO;
	char *out;

	if (len >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
		level = text[1] - '0';
		text += 3;
		len -= 3;
	}
	if (len == 0)
		return;
	if (all->len + len + 96 > sizeof(all->out))
		sink_flush(k);
	out = all->out + all->len;
	out += snprintf(out, 96, "%s %s: ", stamp, k->name);
	for (size_t i = 0; i < len; i++)
		*out++ = (text[i] >= ' ' && text[i] != 127) || text[i] == '\t' || text[i] < 0
				 ? text[i]
				 : '?';
	*out++ = '\n';
	all->len = (size_t)(out - all->out);
	if (all->kmsg >= 0 && level <= LOG_WARN)
		dprintf(all->kmsg, "<%d>%s: %.*s", 3 << 3 | level, k->name,
			len < 900 ? (int)len : 900, text);
}

/* Whole lines of in; the bytes they took. last: nothing follows, so a half line is one too. */
static size_t sink_lines(struct sink *k, size_t len, bool last)
{
	const char *in = k->all->in;
	struct timespec now;
	char stamp[STAMP_MAX];
	size_t used = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	stamp_utc(stamp, &now);
	while (used < len) {
		size_t room = len - used < SINK_LINE_MAX ? len - used : SINK_LINE_MAX;
		const char *end = memchr(in + used, '\n', room);

		if (!end && room < SINK_LINE_MAX && !last)
			break;
		sink_line(k, in + used, end ? (size_t)(end - in) - used : room, stamp);
		used = end ? (size_t)(end + 1 - in) : used + room;
	}
	if (k->all->len)
		sink_flush(k);
	return used;
}

/* tee(2) looks without taking: what is in the pipe is taken after it is written. */
static void sink_pump(struct sink *k, bool last)
{
	struct collector *all = k->all;
	size_t used;

	do {
		ssize_t n = tee(k->source.fd, all->copy[1], sizeof(all->in), SPLICE_F_NONBLOCK);
		ssize_t have = 0;

		if (n <= 0)
			return;
		while (have < n)
			have += read(all->copy[0], all->in + have, (size_t)(n - have));
		used = sink_lines(k, (size_t)n, last);
		for (size_t left = used; left > 0;)
			left -= (size_t)read(k->source.fd, all->in, left);
	} while (used > 0);
}

static void sink_on_pipe(void *arg, uint32_t events)
{
	(void)events;
	sink_pump(arg, false);
}

static void collect_on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct collector *all = arg;

	(void)info;
	for (int i = 0; i < all->count; i++)
		sink_pump(&all->sinks[i], true);
	ev_stop(&all->ev, 0);
}

static int collect_begin(struct collector *all, const struct collect *what, struct err *e)
{
	struct ring *rings;
	size_t nrings;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (ring_map(what->rings, true, &rings, &nrings, e) < 0 || ev_init(&all->ev, e) < 0 ||
	    fd_pipe(all->copy, 0, e) < 0 ||
	    ev_add_signals(&all->ev, &all->signals, &set, collect_on_signal, all, e) < 0)
		return -e->code;
	if (what->count > COLLECT_MAX || (size_t)what->count >= nrings)
		return err_set(e, E2BIG, "collect %d pipes in %zu rings", what->count, nrings);
	all->kmsg = what->kmsg;
	all->rings = ring_at(rings, 0);
	for (int i = 0; i < what->count; i++) {
		struct sink *k = &all->sinks[all->count++];

		*k = (struct sink){ .all = all, .name = what->names[i] };
		k->ring = ring_at(rings, 1 + (size_t)i);
		ring_set_name(k->ring, k->name);
		k->file = (struct logfile){ .fd = -1, .max_bytes = SINK_FILE_MAX };
		snprintf(k->file.path, sizeof(k->file.path), "%s/%s.log", what->folder, k->name);
		/* by edges: a half line stays in the pipe and must not wake us again */
		if (ev_add_fd(&all->ev, &k->source, what->first + i, EPOLLIN | EPOLLET,
			      sink_on_pipe, k, e) < 0)
			return -e->code;
	}
	return 0;
}

int collect_run(const struct collect *what, struct err *e)
{
	auto_free struct collector *all = mem_alloc(sizeof(*all));

	if (collect_begin(all, what, e) < 0)
		return -e->code;
	return ev_run(&all->ev, e);
}
