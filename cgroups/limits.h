/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCI linux.resources turned into rows of cgroup v2 files, and the writing of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"

struct limit {
	const char *controller; /* what must be there: "memory" */
	char *file; /* owned */
	char *value; /* owned */
};

struct limits {
	struct limit *rows; /* owned; in the order to be written */
	size_t count;
	size_t room;
	uint64_t check_memory; /* checkBeforeUpdate: refuse a memory.max below what is in use; 0: no
				*/
};

/* resources may be NULL. Everything but "devices" is read; v1-only members are refused by name. */
int limits_parse(const struct json *resources, struct limits *ret, struct err *e);
void limits_done(struct limits *l);
#define auto_limits __attribute__((cleanup(limits_done))) struct limits

/*
 * Writes the rows below dir. A file that is missing is an error naming its
 * controller, or with warn a line in the log.
 */
int limits_apply(int dir, const struct limits *l, bool warn, struct err *e);
