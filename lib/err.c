/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	assert(code > 0);
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char front[sizeof(e->msg)];
	size_t old = strlen(e->msg);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(front, sizeof(front), fmt, ap);
	va_end(ap);
	if (n < 0)
		return -e->code;
	if ((size_t)n >= sizeof(front))
		n = sizeof(front) - 1;
	/* the cause is worth more than the path to it */
	if (old + 3 > sizeof(e->msg))
		return -e->code;
	if ((size_t)n + 2 + old + 1 > sizeof(e->msg))
		n = (int)(sizeof(e->msg) - old - 3);
	memmove(e->msg + n + 2, e->msg, old + 1);
	memcpy(e->msg, front, (size_t)n);
	memcpy(e->msg + n, ": ", 2);
	return -e->code;
}

const char *err_text(const struct err *e)
{
	static __thread char text[sizeof(e->msg) + 64];

	if (e->code == 0)
		return "no error";
	snprintf(text, sizeof(text), "%s: %s", e->msg, strerrordesc_np(e->code) ?: "unknown error");
	return text;
}
