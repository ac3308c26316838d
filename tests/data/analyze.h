/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests/analyze: a file that is looked at alone cannot see that these fail. */
#pragma once

#include "lib/err.h"

void analyze_text(const char *fmt, ...);

static inline int analyze_fail(struct err *e)
{
	e->code = 1;
	return -1;
}

#define err_set(e, code, ...) (analyze_text(__VA_ARGS__, code), analyze_fail(e))
#define err_wrap(e, ...) (analyze_text(__VA_ARGS__), analyze_fail(e))
