/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCI linux.resources turned into rows of cgroup v2 files, and the writing of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"

struct limit {
	char *controller; /* owned; what must be there: "memory" */
	char *file; /* owned */
	char *value; /* owned; "= TEXT": TEXT behind the first word that is there now */
	const char *other_file; /* where file is missing; NULL: none */
	char *other_value; /* owned */
	bool optional; /* a missing file is no error: the value is what it is without */
};

struct limits {
	struct limit *rows; /* owned; in the order to be written */
	size_t count;
	size_t room;
	int64_t check_memory; /* checkBeforeUpdate: refuse when more is in use; 0: no check */
};

/* resources may be NULL. Everything but "devices" is read; v1-only members are refused by name. */
int limits_parse(const struct json *resources, struct limits *ret, struct err *e);
void limits_done(struct limits *l);
#define auto_limits __attribute__((cleanup(limits_done))) struct limits

/* The controllers of the rows: enum cgroup_controller, or-ed. */
unsigned int limits_need(const struct limits *l);

/*
 * Writes the rows below dir. A file that is missing is an error naming its
 * controller, or with warn a line in the log.
 */
int limits_apply(int dir, const struct limits *l, bool warn, struct err *e);
