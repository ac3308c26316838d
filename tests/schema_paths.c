/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what the tables of config.json read, a line a member: its path, and
 * the words that it may be. "[]" stands for an element, "*" for any key.
 */
#include <stdio.h>

#include "cgroups/devices.h"
#include "cgroups/resources.h"
#include "lib/mem.h"
#include "runtime/seccomp_profile.h"
#include "runtime/spec.h"

static void print_rows(const struct schema *s, const char *path);

static void print_row(const struct schema_row *row, const char *path)
{
	auto_free char *inner = NULL;

	switch (row->kind) {
	case SCHEMA_OBJECT:
		if (row->sub->rows[0].key[0])
			print_rows(row->sub, path);
		else
			puts(path);
		break;
	case SCHEMA_LIST:
	case SCHEMA_MAP:
		inner = mem_printf("%s%s", path, row->kind == SCHEMA_LIST ? "[]" : ".*");
		print_rows(row->sub, inner);
		break;
	case SCHEMA_WORD:
	case SCHEMA_WORDS:
		printf("%s", path);
		for (const struct schema_word *word = row->words; word->name; word++)
			printf(" %s", word->name);
		puts("");
		break;
	default:
		puts(path);
	}
}

static void print_rows(const struct schema *s, const char *path)
{
	for (const struct schema_row *row = s->rows; row->key[0]; row++) {
		auto_free char *member = mem_printf("%s%s%s", path, path[0] ? "." : "", row->key);

		print_row(row, member);
	}
}

int main(void)
{
	print_rows(&spec_schema, "");
	print_rows(&resources_schema, "linux.resources");
	print_rows(&devices_schema, "linux.resources");
	print_rows(&seccomp_schema, "linux.seccomp");
	return 0;
}
