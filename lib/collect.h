/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines from pipes, gathered: into rings (0: all, then one a pipe), into FOLDER/NAME.log, and
 * warnings ("<0>" to "<4>" in front) into the kernel's log. A line leaves its pipe only after it
 * was written: who is killed at any instruction has a successor that goes on where it stood, and
 * at most writes a few lines twice.
 */
#pragma once

#include "lib/err.h"

#define COLLECT_MAX 32 /* pipes */

struct collect {
	int rings; /* lib/ring.h, one more than there are pipes */
	int first; /* descriptor of the first pipe; the others follow */
	int count;
	char **names;
	const char *folder;
	int kmsg; /* descriptor, or -1 */
};

/* Runs until SIGTERM, then takes what is still in the pipes and returns 0. */
int collect_run(const struct collect *what, struct err *e);
