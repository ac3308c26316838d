/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/output.h"

#include <stdarg.h>
#include <string.h>

#include "lib/mem.h"

void table_init(struct table *t, const char *const *head)
{
	*t = (struct table){ .head = head };
	while (head[t->columns])
		t->columns++;
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}

static void table_take(struct table *t, char *text)
{
	mem_grow(&t->cells, &t->room, t->count + 1, sizeof(*t->cells));
	t->cells[t->count++] = text;
}

void table_add(struct table *t, const char *text)
{
	table_take(t, mem_strdup(text));
}

void table_printf(struct table *t, const char *fmt, ...)
{
	va_list ap;
	char text[256];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_add(t, text);
}

/* Bytes of UTF-8 that begin a character. */
static size_t table_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void table_line(const struct table *t, const char *const *cells, const size_t *widths,
		       FILE *out)
{
	for (size_t i = 0; i < t->columns; i++) {
		fputs(cells[i], out);
		if (i + 1 < t->columns)
			fprintf(out, "%*s", (int)(widths[i] - table_width(cells[i]) + 2), "");
	}
	fputc('\n', out);
}

void table_print(const struct table *t, FILE *out)
{
	auto_free size_t *widths = mem_array(t->columns, sizeof(*widths));

	for (size_t i = 0; i < t->columns; i++)
		widths[i] = table_width(t->head[i]);
	for (size_t i = 0; i < t->count; i++) {
		size_t width = table_width(t->cells[i]);

		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
	table_line(t, t->head, widths, out);
	for (size_t i = 0; i + t->columns <= t->count; i += t->columns)
		table_line(t, (const char *const *)t->cells + i, widths, out);
}

void output_age(char ret[static 24], uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms < 2 * units[i].ms)
			continue;
		snprintf(ret, 24, "%llu %s", (unsigned long long)(ms / units[i].ms), units[i].unit);
		return;
	}
	snprintf(ret, 24, "%llu ms", (unsigned long long)ms);
}
