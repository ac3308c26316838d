/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Throwaway children for what may block: host paths, mounts, deletions. The
 * child has a deadline; past it the child is killed and nobody waits for it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/msg.h"

#define JOB_FD 4 /* number in the child of the first descriptor given */

struct crid;

/*
 * Runs in the child, which sees the parent's memory as it was and only the
 * descriptors it was given. Answers with JSON text (may be left NULL) and up
 * to MSG_FDS_MAX descriptors, or an error.
 */
struct job_answer {
	char *body;
	int fds[MSG_FDS_MAX];
	size_t nfds;
};
typedef int job_run(void *arg, struct job_answer *ret, struct err *e);

/* The child's answer, exactly once; as shimlink_answer(). */
typedef void job_end(void *arg, struct msg *m, const struct json *body, const struct err *e);

struct job {
	const char *name; /* "prepare container ...": in front of errors */
	job_run *run;
	void *run_arg;
	int fds[MSG_FDS_MAX]; /* stay the caller's */
	size_t nfds;
	uint64_t deadline_ms;
	job_end *on_end; /* NULL: nobody asks, failures are logged */
	void *arg;
};

/* Never calls back from inside this call. */
void job_start(struct crid *crid, const struct job *job);

/* Kills the children that were started for arg; each is told -ECANCELED, soon. */
void job_cancel(struct crid *crid, void *arg);
