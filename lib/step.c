/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/step.h"

#include <time.h>

uint64_t step_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void step_undo(const struct step *steps, size_t count, void *ctx)
{
	while (count-- > 0) {
		if (steps[count].undo)
			steps[count].undo(ctx);
	}
}

int step_run_noted(const struct step *steps, size_t count, void *ctx, step_note *note, void *arg,
		   struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = note ? step_now_us() : 0;
		int r = steps[i].run(ctx, e);

		if (note)
			note(arg, &steps[i], step_now_us() - begin, r);
		if (r < 0) {
			step_undo(steps, i, ctx);
			return err_wrap(e, "%s", steps[i].name);
		}
	}
	return 0;
}

int step_run(const struct step *steps, size_t count, void *ctx, struct err *e)
{
	return step_run_noted(steps, count, ctx, NULL, NULL, e);
}
