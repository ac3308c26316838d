/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work of several steps on a loop; see flow.h. */
#include "cri/flow.h"

#include "lib/log.h"
#include "lib/step.h"

static void finish(struct flow *f)
{
	struct err e = f->err; /* the next work may begin inside */

	f->steps = NULL;
	f->on_end(f->ctx, &e);
}

/* Undoes f->steps[at - 1] and what is before it. */
static void undo_on(struct flow *f)
{
	while (f->at > 0) {
		const struct flow_step *s = &f->steps[--f->at];
		struct err e = { 0 };
		int r = s->undo ? s->undo(f->ctx, &e) : 0;

		if (r == FLOW_WAIT)
			return;
		if (r < 0) {
			f->dirty = true;
			log_warn("undo %s: %s", s->name, err_text(&e));
		}
	}
	finish(f);
}

static void fail(struct flow *f)
{
	err_wrap(&f->err, "%s", f->steps[f->at].name);
	f->undoing = true;
	undo_on(f);
}

/* Says where the time goes, for whoever sets BERTH_LOG=debug. */
static void step_done(struct flow *f)
{
	uint64_t now = step_now_us();

	log_debug("%s: %s: %llu us", f->label ?: "flow", f->steps[f->at].name,
		  (unsigned long long)(now - f->start_us));
	f->start_us = now;
	f->err = (struct err){ 0 }; /* of something tried in a step that went well */
	f->at++;
}

static void run_on(struct flow *f)
{
	while (f->at < f->count) {
		int r;

		if (f->aborted)
			r = err_set(&f->err, ECANCELED, "given up on request");
		else
			r = f->steps[f->at].run ? f->steps[f->at].run(f->ctx, &f->err) : 0;
		if (r == FLOW_WAIT)
			return;
		if (r < 0) {
			fail(f);
			return;
		}
		step_done(f);
	}
	finish(f);
}

void flow_start(struct flow *f, const struct flow_step *steps, size_t count, void *ctx,
		void (*on_end)(void *ctx, const struct err *e))
{
	*f = (struct flow){ .label = f->label,
			    .steps = steps,
			    .count = count,
			    .ctx = ctx,
			    .on_end = on_end,
			    .start_us = step_now_us() };
	run_on(f);
}

void flow_continue(struct flow *f, const struct err *e)
{
	if (f->undoing) {
		if (e && e->code) {
			f->dirty = true;
			log_warn("undo %s: %s", f->steps[f->at].name, err_text(e));
		}
		undo_on(f);
	} else if (e && e->code) {
		f->err = *e;
		fail(f);
	} else {
		step_done(f);
		run_on(f);
	}
}

void flow_abort(struct flow *f)
{
	f->aborted = true;
}

const char *flow_stage(const struct flow *f)
{
	return f->steps && f->at < f->count ? f->steps[f->at].name : NULL;
}
