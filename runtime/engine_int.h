/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the engine's own files. */
#pragma once

#include <sys/types.h>

#include "runtime/engine.h"

/*
 * Where the cgroup of a container is; the caller frees. Without cgroupsPath
 * below the root, or beside our own where we are root of a user namespace only.
 */
char *engine_cgroup_path(const struct engine *en, const struct spec *s, const char *id);

/*
 * clone3 with a pidfd, into cgroup and below the pid namespace pidns (-1: as
 * we are). 0 in the child, 1 in the parent.
 */
int engine_clone(struct engine *en, unsigned long flags, int cgroup, int pidns, pid_t *ret_pid,
		 int *ret_pidfd, struct err *e);

/* The poststop hooks of what is gone, once; failures are logged. */
void engine_poststop(struct container *c);

/* Kills and reaps a child nobody else knows of. */
void engine_reap(pid_t pid, int *pidfd);

/* The same for one that ended without a word: the error says how. */
int engine_lost(pid_t pid, int *pidfd, struct err *e);
