/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chart of timed steps in a fixed table, without pointers: it may go to another process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define CHART_MAX 64

struct chart {
	uint64_t begin_us; /* of step_now_us(): what it counts from */
	size_t count;
	struct chart_note {
		char name[32];
		uint64_t at_us; /* when it began */
		uint64_t us;
		int error; /* errno, 0: done */
	} note[CHART_MAX];
};

/* One step more, from begin_us until now; more than fit are dropped. */
void chart_note(struct chart *c, const char *name, uint64_t begin_us, int error);

/* The notes to a file, and from there: both ends are one program of one image. The file is removed;
 * none is no error. */
int chart_save(const struct chart *c, const char *path, struct err *e);
int chart_take(struct chart *c, const char *path, struct err *e);
