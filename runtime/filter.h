/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A seccomp filter from rules: one balanced tree over the runs of system
 * call numbers with the same fate, an architecture at a time. Short paths
 * matter: at load the kernel walks the program once per number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct sock_filter;

/* A compiled filter; one allocation. */
struct filter {
	struct sock_filter *insns; /* owned */
	size_t count;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
	char *listener; /* owned; who decides about notified calls, NULL: there are none */
	char *metadata; /* owned; what he is told beside, NULL: nothing */
};

enum filter_op {
	FILTER_EQ,
	FILTER_NE,
	FILTER_GT,
	FILTER_GE,
	FILTER_LT,
	FILTER_LE,
	FILTER_MASKED_EQ, /* (argument & value) == value2 */
};

struct filter_cond {
	unsigned int arg; /* 0 to 5 */
	enum filter_op op;
	uint64_t value, value2;
};

#define FILTER_CONDS 6

struct filter_conds {
	size_t count;
	struct filter_cond rows[];
};

#define FILTER_X32 0x40000000u /* first number of x32 under AUDIT_ARCH_X86_64 */

/* All conditions hold: the action. Without conditions it decides its number alone. */
struct filter_rule {
	uint32_t number;
	uint32_t action; /* SECCOMP_RET_* with its data */
	struct filter_conds *conds; /* owned; NULL: none */
};

struct filter_arch {
	uint32_t audit; /* AUDIT_ARCH_* */
	bool x32; /* numbers of x32 are rules too */
	uint32_t x32_action; /* else this is their fate */
	struct filter_rule *rules; /* owned; of equals the first one counts */
	uint32_t *order; /* owned: their indices by number */
	size_t count;
	size_t room;
};

#define FILTER_ARCHS 4

struct filter_rules {
	struct filter_arch archs[FILTER_ARCHS];
	size_t arch_count;
	uint32_t action; /* of numbers without a rule */
	uint32_t bad_arch;
	bool enosys; /* numbers above the highest with a rule: ENOSYS, for newer kernels */
};

void filter_rules_done(struct filter_rules *r);
/* Room for so many at once: memory that grows is touched twice. */
void filter_rules_expect(struct filter_arch *arch, size_t count);
/* The conditions are copied. */
void filter_rules_add(struct filter_arch *arch, uint32_t number, uint32_t action,
		      const struct filter_cond *conds, size_t count);

/* Sorts the rules on the way. -E2BIG when the kernel would not take the program. */
int filter_compile(struct filter_rules *r, unsigned int flags, struct filter **ret, struct err *e);
void filter_free(struct filter *f);

/* For this process and what it execs. Needs no_new_privs or CAP_SYS_ADMIN. With a listener
 * *ret_listener is what it gets. */
int filter_install(const struct filter *f, int *ret_listener, struct err *e);

/* To and from a file of our own, for later processes of a container. */
int filter_save(const struct filter *f, int dirfd, const char *name, struct err *e);
int filter_load(int dirfd, const char *name, struct filter **ret, struct err *e);
