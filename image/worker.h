/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child of the loop that reports by lines (image/report.h). It is over when
 * it was reaped and its report is read to the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/pull.h"
#include "lib/err.h"
#include "lib/ev.h"
#include "lib/json.h"
#include "lib/spawn.h"
#include "lib/str.h"

struct worker {
	const char *name; /* for errors */
	struct ev *ev;
	struct ev_source child;
	struct ev_source report;
	struct ev_source deadline;
	int report_fd;
	struct str lines; /* of the report, not yet complete */
	bool running; /* started and on_end not yet called */
	bool exited;
	bool killed; /* by us: what it says does not count */
	int status;
	uint64_t bytes; /* progress */
	uint32_t idle_ms; /* killed after so long without a line; 0: never */
	bool timed_out;
	/* the outcome, in on_end */
	enum pull_failure failure;
	struct err err;
	struct json *last; /* owned: the line with the result */
	const struct json *result; /* its "ok" object; NULL when it failed */
	void (*on_end)(void *arg);
	void *arg;
};

/*
 * s->fds[REPORT_FD] is filled in here. on_end is called from the loop, once.
 * The worker must stay until then.
 */
int worker_start(struct worker *w, struct ev *ev, struct spawn *s, void (*on_end)(void *arg),
		 void *arg, struct err *e);
/* Kills it; on_end still comes when it is reaped. Harmless when it does not run. */
void worker_kill(struct worker *w);
/* Frees what a worker holds that does not run. */
void worker_done(struct worker *w);

/* For a child's work without a program: reports e when r < 0; the exit code. */
int worker_exit(int r, const struct err *e);
