/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one life of PID 1 leaves to the next when it falls (lib/keep.h): no pointers. It is saved
 * before each row of the boot table, at the end of a round of the loop, and where something happens
 * that cannot happen again: a birth, the reaping of a child, an answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroups/child.h"
#include "init/boot.h"
#include "init/machine.h"
#include "init/service.h"
#include "init/shutdown.h"
#include "lib/chart.h"

#define FAULTS_A_MINUTE 5 /* init.faults */

struct kept {
	enum init_mode mode;
	size_t step; /* rows of the boot table before it are done */
	struct chart chart;
	struct machine machine;
	struct shutdown shutdown;
	pid_t jobs[CHILDREN_MAX];
	uint64_t services_us; /* when they began to start */
	int kmsg, rings, notify, ctl; /* -1: not yet, as in files */
	int files[SERVICES_MAX]; /* services.json and those of extensions, as they were at boot */
	size_t count;
	struct service_state rows[SERVICES_MAX];
};

void kept_begin(struct init *in, char **argv);
void kept_save(struct init *in);
/* When the cgroups are there: kills the jobs of the life before. */
void kept_end_jobs(struct init *in);
/* After the boot table: goes on where the life before fell. */
void kept_resume(struct init *in);
