/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that survives its own crash: what it must not forget is always in a memfd, in one of
 * two checksummed slots, and a fatal signal is an execve() of the same program, which takes up the
 * newer whole slot and the descriptors that it lists. Children stay its children. The handler
 * touches nothing but that memory, which is read-only between two writes. Too many faults in a
 * minute end it, with the reason on disk and in the kernel's log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define KEEP_FD 3 /* where the next life finds the memfd */
#define KEEP_FDS_MAX 96
#define KEEP_FAULTS_MAX 16 /* a minute: the highest limit */

struct keep_fault {
	int signo; /* 0: none */
	uint64_t pc, address;
	uint64_t count; /* since the first life */
};

struct keep {
	struct keep_area *area;
	size_t size; /* of the state */
	const char *reason_path; /* a line is written there at the end of a loop of faults */
	bool reboot; /* then: the machine, or exit with 128 + signal */
};

/*
 * First thing in main. 1: state has been filled by the life before, whose last fault is in fault;
 * 0: this is the first life, and every descriptor from KEEP_FD up was closed. argv and the
 * environment must stay.
 */
int keep_begin(struct keep *k, char **argv, void *state, size_t size, struct keep_fault *fault,
	       struct err *e);

/* From here on a fault goes on with this state; it has no pointers. Unchanged: costs a comparison.
 */
void keep_save(struct keep *k, const void *state, const int *fds, size_t count);

/* This many faults within a minute are the end; 0: never. */
void keep_limit(struct keep *k, uint64_t faults);

/* At the next boot: the reason of the last end is an error of the log, and put aside. */
void keep_log_reason(const char *path);

/* "went on after a fault: illegal instruction at 5588..., fault 3"; without one nothing is said. */
void keep_log_fault(const struct keep_fault *fault);
