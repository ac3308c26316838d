/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables for people: a head, then rows, each column as wide as it must be. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table {
	const char *const *head; /* NULL-terminated */
	size_t columns;
	char **cells;
	size_t count, room;
};

/* head must outlive the table. */
void table_init(struct table *t, const char *const *head);
void table_done(struct table *t);
#define auto_table __attribute__((cleanup(table_done))) struct table

/* The next cell, copied; rows fill from the left. */
void table_add(struct table *t, const char *text);
void table_printf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, FILE *out);

/* "850 ms", "12 s", "3 min", "5 h", "2 d" */
void output_age(char ret[static 24], uint64_t ms);
