/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may block runs in a child, in a cgroup of its own, and has a limit: then the cgroup is
 * killed and the parent goes on, even when the child hangs in the kernel. The table is fixed and
 * nothing is allocated; the parent reaps and tells.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/spawn.h"

#define CHILDREN_MAX 8

/* status: exit code, 128 + signal, or -ETIMEDOUT at the limit */
typedef void child_done(void *arg, int status);

struct children {
	struct ev *ev;
	int dir; /* cgroup above theirs, the caller's; -1: theirs is the parent's */
	struct child {
		struct children *all;
		pid_t pid; /* 0: the place is free; a child that hangs keeps it */
		const char *name;
		struct ev_source limit;
		child_done *done; /* NULL: nobody waits */
		void *arg;
	} child[CHILDREN_MAX];
};

/* Starts s (its cgroup is set here); done is called once, from the loop. */
int child_start(struct children *all, const char *name, struct spawn *s, uint64_t limit_ms,
		child_done *done, void *arg, struct err *e);

/* Starts s and runs the loop until it ended; not 0 is an error. Not from inside the loop. */
int child_run(struct children *all, const char *name, struct spawn *s, uint64_t limit_ms,
	      struct err *e);

/* Tells of a reaped process; false when it is none of these. */
bool children_reaped(struct children *all, pid_t pid, int status);
