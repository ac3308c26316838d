/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a helper says to crid, on its descriptor REPORT_FD: lines of JSON.
 * {"bytes": N} now and then, at the end {"ok": {...}} or {"failure": KIND,
 * "errno": N, "message": TEXT}. A helper that ends without either was killed.
 */
#pragma once

#include <stdint.h>

#include "image/pull.h"
#include "lib/err.h"

#define REPORT_FD 3
#define REPORT_LINE_MAX 16384 /* bytes */

const char *failure_name(enum pull_failure failure);
/* PULL_FAILED for an unknown name. */
enum pull_failure failure_from(const char *name);

/* At most one line a second, so it may be called for every block. */
struct report {
	uint64_t last_ms;
	uint64_t bytes;
};
void report_progress(struct report *r, uint64_t bytes);

/* json: an object, or NULL for an empty one. */
void report_ok(const char *json);
void report_failure(enum pull_failure failure, const struct err *e);
