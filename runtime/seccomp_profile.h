/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.seccomp of config.json in C types; texts are the JSON tree's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/schema.h"
#include "runtime/filter.h"

/* One entry of "syscalls". */
struct seccomp_entry {
	uint32_t action; /* SECCOMP_RET_*, with its data when it has been checked */
	bool has_data;
	uint32_t data;
	const char **names; /* owned vector */
	size_t name_count;
	struct filter_cond *conds; /* owned */
	size_t cond_count;
	bool repeated; /* an argument with two conditions: each is a rule of its own */
};

struct seccomp_profile {
	uint32_t action;
	bool has_data;
	uint32_t data;
	const char **archs; /* owned vector: "SCMP_ARCH_..."; NULL: none */
	bool has_flags;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	const char *listener, *metadata; /* NULL: none */
	struct seccomp_entry *entries; /* owned */
	size_t entry_count;
};

extern const struct schema seccomp_schema; /* struct seccomp_profile */

/* Words of the tables, for the features document too. */
extern const struct schema_word seccomp_actions[], seccomp_operators[], seccomp_flags[];
