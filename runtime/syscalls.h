/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of system calls by name, for what this processor can run. The
 * table is made by syscalls_gen from libseccomp's when Berth is built: the
 * library is ten times as big, and three look-ups a name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The native architecture first. */
enum syscalls_arch {
#if defined(__x86_64__)
	SYSCALLS_X86_64,
	SYSCALLS_X86,
	SYSCALLS_X32, /* numbers with the bit of x32 */
#elif defined(__aarch64__)
	SYSCALLS_AARCH64,
	SYSCALLS_ARM,
#else
#error "this architecture has no system call table here yet"
#endif
	SYSCALLS_ARCHS,
};

/* Below -100: a call that i386 reaches through a multiplexing one, by libseccomp's count. */
#define SYSCALLS_NONE (-1)

struct syscalls_row {
	uint32_t name; /* where it begins in the text of all names */
	int32_t numbers[SYSCALLS_ARCHS];
};

#define SYSCALLS_SLOTS 1024u /* a power of two, well above the number of names */

/* FNV-1a: the generator and the look-up have to agree. */
static inline uint32_t syscalls_slot(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return (hash ^ hash >> 16) % SYSCALLS_SLOTS;
}

/* The numbers by enum syscalls_arch; NULL: no architecture has such a call. */
const int32_t *syscalls_find(const char *name);
