/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work as a table: each row can be named in an error, timed and undone. The
 * walker runs rows in order and, when one fails, undoes those done in reverse.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct step {
	const char *name;
	int (*run)(void *ctx, struct err *e);
	void (*undo)(void *ctx); /* NULL when there is nothing to undo */
};

/* Called after each row when not NULL, with the row's time in microseconds. */
typedef void step_note(void *arg, const struct step *step, uint64_t us, int result);

/* Wraps the error with the failing row's name. */
int step_run(const struct step *steps, size_t count, void *ctx, struct err *e);
int step_run_noted(const struct step *steps, size_t count, void *ctx, step_note *note, void *arg,
		   struct err *e);
/* Undoes the first count rows in reverse. */
void step_undo(const struct step *steps, size_t count, void *ctx);

/* Microseconds of the monotonic clock. */
uint64_t step_now_us(void);
