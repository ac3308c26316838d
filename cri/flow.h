/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work of several steps that may wait for events: lib/step's table for a
 * loop. Steps run in order; when one fails, those done are undone in reverse,
 * and undoing may wait too. A failed step leaves nothing of its own behind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define FLOW_WAIT 1

struct flow;

struct flow_step {
	const char *name;
	/* 0: done. FLOW_WAIT: flow_continue() will be called, not from inside. Negative: failed. */
	/* NULL: only for its undo, as a guard of the next one, which may fail half the way */
	int (*run)(void *ctx, struct err *e);
	int (*undo)(void *ctx, struct err *e); /* the same; NULL: nothing to undo */
};

struct flow {
	const struct flow_step *steps; /* NULL: at rest */
	size_t count;
	size_t at;
	bool undoing;
	bool aborted; /* fail at the next step */
	bool dirty; /* an undo failed: something is left */
	struct err err; /* the first failure */
	void *ctx;
	void (*on_end)(void *ctx, const struct err *e); /* e->code 0: all done */
	uint64_t start_us; /* of the step at work */
	const char *label; /* whose work it is, set once by the owner: for the log */
};

void flow_start(struct flow *f, const struct flow_step *steps, size_t count, void *ctx,
		void (*on_end)(void *ctx, const struct err *e));

/* What was waited for came; e is NULL or why it failed. */
void flow_continue(struct flow *f, const struct err *e);

/* Lets it fail with ECANCELED when the step at work is done. */
void flow_abort(struct flow *f);

static inline bool flow_busy(const struct flow *f)
{
	return f->steps;
}

/* The name of the step at work: for people. */
const char *flow_stage(const struct flow *f);
