/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/fd.h"
#include "lib/json_out.h"

static const char *const failure_names[] = {
	[PULL_OK] = "ok",
	[PULL_BAD_NAME] = "bad name",
	[PULL_UNAVAILABLE] = "unavailable",
	[PULL_DENIED] = "denied",
	[PULL_NOT_FOUND] = "not found",
	[PULL_CORRUPT] = "corrupt",
	[PULL_UNSUPPORTED] = "unsupported",
	[PULL_STALLED] = "stalled",
	[PULL_NO_SPACE] = "no space",
	[PULL_FAILED] = "failed",
};

const char *failure_name(enum pull_failure failure)
{
	return failure_names[failure];
}

enum pull_failure failure_from(const char *name)
{
	for (size_t i = 0; i < sizeof(failure_names) / sizeof(failure_names[0]); i++) {
		if (str_eq(name, failure_names[i]))
			return (enum pull_failure)i;
	}
	return PULL_FAILED;
}

/* crid reads these; when it is gone, so is the reason to report */
static void report_line(struct json_out *o)
{
	struct err e = { 0 };

	str_add_char(&o->s, '\n');
	(void)fd_write_all(REPORT_FD, o->s.text, o->s.len, &e);
}

void report_progress(struct report *r, uint64_t bytes)
{
	auto_json_out o = { 0 };
	struct timespec now;
	uint64_t ms;

	if (bytes == r->bytes)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (ms - r->last_ms < 1000)
		return;
	r->last_ms = ms;
	r->bytes = bytes;
	json_out_object(&o, NULL);
	json_out_uint(&o, "bytes", bytes);
	json_out_end(&o);
	report_line(&o);
}

void report_ok(const char *json)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_raw(&o, "ok", json ?: "{}");
	json_out_end(&o);
	report_line(&o);
}

void report_failure(enum pull_failure failure, const struct err *e)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "failure", failure_name(failure));
	json_out_int(&o, "errno", e->code);
	json_out_text(&o, "message", e->msg);
	json_out_end(&o);
	report_line(&o);
}
