/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Supervision of what /etc/berth/services.json names. Row 0 is always the log role. "after" names
 * rows above only, so the table's order is the order of start, and its reverse that of the end.
 * What a row is (spec) is read at boot; where it stands (state) has no pointers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/json.h"
#include "lib/notify.h"
#include "lib/service_spec.h"

#define SERVICES_PATH "/etc/berth/services.json"
#define SERVICES_MAX 17 /* the log role and 16 others */

struct init;

enum service_phase {
	SERVICE_STOPPED, /* not wanted, or ended for good */
	SERVICE_WAITING, /* for the rows it is after, or for its back-off */
	SERVICE_STARTING, /* runs, not ready yet */
	SERVICE_READY,
	SERVICE_STOPPING, /* got TERM */
	SERVICE_ENDED, /* the rest of its cgroup is being killed */
};

struct service_state {
	enum service_phase phase;
	bool want;
	bool was_ready; /* since boot */
	pid_t pid; /* 0: none */
	int status; /* of the last end: exit code, or 128 + signal */
	uint32_t starts, fails; /* fails: in a row, for the back-off */
	uint64_t since_ms; /* of the phase */
	char text[NOTIFY_STATUS_MAX]; /* the service's own words */
	char name[SERVICE_NAME_MAX + 1];
	int pipe[2]; /* its output; both ends stay here, so that neither side sees an end */
	uint64_t due_ms; /* of the phase's timer; 0: at rest. Only kept, the timer counts */
};

struct service {
	struct service_spec spec;
	struct service_state state;
	struct init *in;
	struct ev_source timer; /* of the phase */
	int cgroup; /* /berth/NAME; its process is born in main below */
};

struct services {
	struct service row[SERVICES_MAX];
	size_t count;
	struct ev_source work, notify;
	size_t floor; /* when ending: rows from here on are to stop */
	void (*stopped)(struct init *in); /* when ending: they have; NULL else */
};

/* Reads one row; all has the rows above. Names the key that is wrong. */
int service_parse(const struct services *all, const struct json *object, struct service_spec *ret,
		  struct err *e);

/* Boot row: makes the log role's row and those of the file; a bad row is left out by name. */
int services_load(void *ctx, struct err *e);
/* Boot row: from here on the loop supervises. */
int services_start(void *ctx, struct err *e);

/* Tells the row of a reaped child; false when it is none. */
bool services_reaped(struct init *in, pid_t pid, int status);
struct service *services_find(struct init *in, const char *name);
/* Up or down from now on; up and again: a new process without a back-off. */
void service_set(struct service *s, bool want, bool again);

/* Stops the rows from floor on, each after those that are after it; then calls stopped. */
void services_end(struct init *in, size_t floor, void (*stopped)(struct init *in));
bool service_may_stop(const struct services *all, size_t row);

const char *service_phase_name(enum service_phase phase);
