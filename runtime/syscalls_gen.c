/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints syscalls_table.h: what libseccomp and the list below know of system calls. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/syscalls_lib.h"

#define GEN_MAX (SYSCALLS_SLOTS / 4 * 3)
#define GEN_X32 0x40000000

/*
 * Where names are looked for: a number with two names gives one of them
 * only, but the other is the one of another architecture.
 */
static const uint32_t gen_sources[] = {
	SCMP_ARCH_X86_64, SCMP_ARCH_X86,   SCMP_ARCH_X32,  SCMP_ARCH_ARM,    SCMP_ARCH_AARCH64,
	SCMP_ARCH_PPC64,  SCMP_ARCH_S390X, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64, SCMP_ARCH_RISCV64,
};

/* where system calls have numbers: i386's multiplexed ones, the common ones, x32, ARM's own */
static const struct gen_range {
	int from, to;
} gen_ranges[] = {
	{ -299, -100 },
	{ 0, 1023 },
	{ 4000, 6999 }, /* MIPS */
	{ GEN_X32, GEN_X32 + 1023 },
	{ 0xf0000, 0xf00ff },
};

/* Call numbers that are the same everywhere, newer than the library's tables. */
static const struct gen_newer {
	const char *name;
	int number;
} gen_newer[] = {
	{ "cachestat", 451 },	      { "fchmodat2", 452 },	   { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },	      { "futex_wait", 455 },	   { "futex_requeue", 456 },
	{ "statmount", 457 },	      { "listmount", 458 },	   { "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 }, { "mseal", 462 },
	{ "setxattrat", 463 },	      { "getxattrat", 464 },	   { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },   { "file_getattr", 468 },
	{ "file_setattr", 469 },
};

static struct gen_name {
	char text[48];
	struct syscalls_row row;
} gen_names[GEN_MAX];
static size_t gen_count;

static int gen_number(enum syscalls_arch arch, const char *name, int newer)
{
	int number = seccomp_syscall_resolve_name_arch(syscalls_lib_archs[arch], name);

	if (number == __NR_SCMP_ERROR)
		return newer;
	/* other negative numbers: known elsewhere */
	return number >= 0 || (number <= -100 && number >= -299) ? number : SYSCALLS_NONE;
}

static void gen_add(const char *name, int newer)
{
	struct gen_name *n = &gen_names[gen_count];
	bool used = false;

	for (size_t i = 0; i < gen_count; i++) {
		if (strcmp(gen_names[i].text, name) == 0)
			return;
	}
	if (gen_count == GEN_MAX || strlen(name) >= sizeof(n->text)) {
		fprintf(stderr, "syscalls_gen: no room for %s\n", name);
		exit(1);
	}
	for (enum syscalls_arch a = 0; a < SYSCALLS_ARCHS; a++) {
		n->row.numbers[a] = gen_number(a, name, newer);
		used = used || n->row.numbers[a] != SYSCALLS_NONE;
	}
	if (!used)
		return;
	strcpy(n->text, name);
	gen_count++;
}

static void gen_collect(void)
{
	for (size_t i = 0; i < sizeof(gen_sources) / sizeof(gen_sources[0]); i++) {
		for (size_t k = 0; k < sizeof(gen_ranges) / sizeof(gen_ranges[0]); k++) {
			for (int n = gen_ranges[k].from; n <= gen_ranges[k].to; n++) {
				char *name = seccomp_syscall_resolve_num_arch(gen_sources[i], n);

				if (name)
					gen_add(name, SYSCALLS_NONE);
				free(name);
			}
		}
	}
	for (size_t i = 0; i < sizeof(gen_newer) / sizeof(gen_newer[0]); i++) {
		int known =
			seccomp_syscall_resolve_name_arch(syscalls_lib_archs[0], gen_newer[i].name);

		/* a library that knows the native number is believed */
		gen_add(gen_newer[i].name,
			known == __NR_SCMP_ERROR ? gen_newer[i].number : SYSCALLS_NONE);
	}
}

static int gen_order(const void *a, const void *b)
{
	return strcmp(((const struct gen_name *)a)->text, ((const struct gen_name *)b)->text);
}

int main(void)
{
	static unsigned int slots[SYSCALLS_SLOTS];
	const struct scmp_version *v = seccomp_version();
	unsigned int at = 0;

	gen_collect();
	qsort(gen_names, gen_count, sizeof(gen_names[0]), gen_order);
	printf("/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
	       "/* made by syscalls_gen from libseccomp %u.%u.%u */\n"
	       "static const char syscalls_names[] =\n",
	       v->major, v->minor, v->micro);
	for (size_t i = 0; i < gen_count; i++)
		printf("\t\"%s\\0\"\n", gen_names[i].text);
	printf("\t;\n\nstatic const struct syscalls_row syscalls_rows[] = {\n");
	for (size_t i = 0; i < gen_count; i++) {
		const struct gen_name *n = &gen_names[i];
		uint32_t slot = syscalls_slot(n->text);

		printf("\t{ %u, {", at);
		for (size_t k = 0; k < SYSCALLS_ARCHS; k++)
			printf(" %d,", n->row.numbers[k]);
		printf(" } }, /* %s */\n", n->text);
		at += (unsigned int)strlen(n->text) + 1;
		while (slots[slot])
			slot = (slot + 1) % SYSCALLS_SLOTS;
		slots[slot] = (unsigned int)i + 1;
	}
	printf("};\n\nstatic const uint16_t syscalls_slots[SYSCALLS_SLOTS] = {\n");
	for (size_t i = 0; i < SYSCALLS_SLOTS; i++)
		printf("%s%u,%s", i % 16 ? "" : "\t", slots[i], i % 16 == 15 ? "\n" : " ");
	printf("};\n");
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
