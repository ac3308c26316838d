/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may block runs in a child of PID 1, in a cgroup of its own below /berth/jobs, and has a
 * limit: then the cgroup is killed and PID 1 goes on, even when the child hangs in the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/spawn.h"

#define JOBS_MAX 8

struct init;

/* status: exit code, 128 + signal, or -ETIMEDOUT at the limit */
typedef void job_done(struct init *in, void *arg, int status);

struct job {
	pid_t pid; /* 0: the slot is free; a child that hangs keeps its slot */
	const char *name;
	struct init *in;
	struct ev_source limit;
	job_done *done; /* NULL: nobody waits */
	void *arg;
};

/* Starts s (its cgroup is set here); done is called once, from the loop. */
int job_start(struct init *in, const char *name, struct spawn *s, uint64_t limit_ms, job_done *done,
	      void *arg, struct err *e);

/* Starts s and runs the loop until it ended; non-zero is an error. For boot steps alone. */
int job_run(struct init *in, const char *name, struct spawn *s, uint64_t limit_ms, struct err *e);

/* Tells the job of a reaped child; false when it is none. */
bool job_reaped(struct init *in, pid_t pid, int status);
