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

struct crid;
struct job;

/*
 * Runs in the child, which sees the parent's memory as it was. Answers with
 * JSON text (may be left NULL) and up to MSG_FDS_MAX descriptors, or an error.
 */
typedef int job_run(void *arg, char **ret_body, int *fds, size_t *nfds, struct err *e);

/* The child's answer, exactly once; as shimlink_answer(). */
typedef void job_end(void *arg, struct msg *m, const struct json *body, const struct err *e);

/* Never calls back from inside this call. */
void job_start(struct crid *crid, const char *name, job_run *run, void *run_arg,
	       uint64_t deadline_ms, job_end *on_end, void *arg);
