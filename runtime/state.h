/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-oci's memory: a folder a container below --root, with state.json,
 * config.json as it was at create, the compiled filter and the socket that
 * starts it. Written before the first cgroup or process is made, so that
 * whatever a killed create leaves can be deleted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "runtime/engine.h"

#define STATE_START_SOCKET "start.sock"

struct state {
	int dir; /* of the container */
	char *name;
	char *bundle;
	char *rootfs;
	char *created; /* RFC 3339 */
	uint32_t owner;
	pid_t pid; /* 0: none yet */
	uint64_t pid_start; /* tells the process from a later one of the same number */
	char *cgroup_path;
	bool userns, timens, shared_mounts, shared_pids;
	uint64_t under; /* of struct container */
	struct rdt rdt;
	bool common; /* config.json has more that holds for execs too */
	char *annotations; /* JSON object or NULL */
	char *hooks; /* JSON or NULL */
};

void state_init(struct state *s);
void state_done(struct state *s);
#define auto_state __attribute__((cleanup(state_done))) struct state

/* A new folder, locked by this process for as long as it lives. -EEXIST when the id is taken. */
int state_create(int root, const char *id, struct state *ret, struct err *e);
int state_write(const struct state *s, struct err *e);
/* -ENOENT: 'container "ID" does not exist' */
int state_load(int root, const char *id, struct state *ret, struct err *e);
/* Removes the folder. */
int state_remove(int root, const char *id, struct err *e);

/* "creating", "created", "running", "paused", "stopped"; ret_pidfd (may be NULL) is open when
 * alive.
 */
const char *state_status(const struct engine *en, const struct state *s, int *ret_pidfd);

/* The engine's view of it, with the pidfd (-1 when it is dead) and the filter. */
int state_container(const struct engine *en, const struct state *s, struct container *ret,
		    struct err *e);

/* Start time of a live process in clock ticks since boot; -ESRCH for zombies too. */
int state_pid_start(pid_t pid, uint64_t *ret);
