/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *mem_check(void *p)
{
	static const char text[] = "berth: out of memory\n";

	if (p)
		return p;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

void *mem_alloc(size_t size)
{
	return mem_check(calloc(1, size ?: 1));
}

void *mem_array(size_t count, size_t size)
{
	return mem_check(calloc(count ?: 1, size ?: 1));
}

void *mem_realloc(void *old, size_t size)
{
	return mem_check(realloc(old, size ?: 1));
}

char *mem_strdup(const char *text)
{
	return mem_check(strdup(text));
}

char *mem_strndup(const char *text, size_t len)
{
	return mem_check(strndup(text, len));
}

void *mem_memdup(const void *data, size_t len)
{
	void *copy = mem_realloc(NULL, len);

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return mem_check(n < 0 ? NULL : text);
}

void mem_grow(void *array, size_t *room, size_t need, size_t size)
{
	void **p = array;
	size_t want = *room ?: 8;

	if (need <= *room)
		return;
	while (want < need)
		want *= 2;
	*p = mem_check(reallocarray(*p, want, size));
	memset((char *)*p + *room * size, 0, (want - *room) * size);
	*room = want;
}

void mem_replace(char **p, const char *text)
{
	char *copy = text ? mem_strdup(text) : NULL;

	free(*p);
	*p = copy;
}
