/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error value: what failed, carried up the stack by the caller. Filled
 * once, where the cause is known; wrapped where the object changes.
 */
#pragma once

#include <errno.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

struct err {
	int code; /* positive errno; 0 when nothing went wrong */
	char msg[256]; /* "outer: inner"; the errno text is added when shown */
};

/* Sets the error; returns -code. code must be positive. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);

/* Puts text in front ("text: old"); when it does not fit, the innermost text stays. Returns -code.
 */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* "msg: errno text" for a person; the result lives in a static buffer of this call's thread. */
const char *err_text(const struct err *e);
