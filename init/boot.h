/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot as a table: rows run in order, each timed for "berthctl boot". A row that fails is a log
 * line and the next row; a needed one that fails ends in rescue. Rows are idempotent, and what may
 * block (mkfs, fsck, mount of a disk) is a job with a limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/step.h"

struct init;

/* Where this process runs; bits, because a row names all the modes it is for. */
enum init_mode {
	INIT_INITRAMFS = 1, /* PID 1 of a machine, on the kernel's ramfs */
	INIT_MACHINE = 2, /* PID 1 of a machine, on its root */
	INIT_CONTAINER = 4, /* PID 1 of a pid namespace */
};
#define INIT_NODE (INIT_MACHINE | INIT_CONTAINER)

struct boot_step {
	struct step step;
	unsigned int modes;
	bool needed;
	/* after a fault, when it was done by the life before: brings back what was in memory */
	int (*again)(void *ctx, struct err *e);
};

/* Runs the rows of in's mode; false when a needed one failed. */
bool boot_run(struct init *in);

/* Hands the chart so far to the PID 1 of the root; the row "chart" there takes it. */
void boot_chart_save(const struct init *in);

/* Tells the mode from the pid namespace and the root's file system. */
enum init_mode boot_probe(void);
