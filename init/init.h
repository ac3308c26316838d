/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1: everything it knows, in one struct made by main. It allocates at boot only; what changes
 * later lives in the fixed tables below.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "init/boot.h"
#include "init/console.h"
#include "init/job.h"
#include "init/machine.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ev.h"

#define INIT_CGROUP "/sys/fs/cgroup"

struct init {
	enum init_mode mode;
	bool rescue; /* a needed boot step failed: no services run */
	struct ev ev;
	struct ev_source signals, reap;
	char **words; /* of our command line */
	char *boot_line; /* NULL before the step of that name */
	uint64_t begin_us; /* what the boot chart counts from */
	struct conf conf; /* merged */
	int cgroup; /* folder of the node's cgroup root; -1 before the step "cgroups" */
	struct boot_note notes[BOOT_NOTES_MAX];
	size_t nnotes;
	struct job jobs[JOBS_MAX];
	struct machine machine;
	struct console console;
};
