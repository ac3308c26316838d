/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of a session: from one descriptor to another, with the
 * reader's pace as the writer's. For attached input and for terminals of
 * execs; output of containers goes another way (runtime/shim_io.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/ev.h"

#define SHIM_COPY_ROOM 16384 /* bytes */

struct shim_copy {
	struct ev *ev;
	int from, to; /* owned; -1: not running */
	char *buf;
	size_t begin, end; /* what is read and not yet written */
	uint64_t total; /* bytes written */
	struct ev_source in, out;
	void (*on_end)(void *arg); /* it is stopped by then */
	void *arg;
};

/* Takes both descriptors, also when it fails. Ends at end of file or when nobody reads. */
int shim_copy_start(struct shim_copy *c, struct ev *ev, int from, int to, void (*on_end)(void *arg),
		    void *arg, struct err *e);
/* Without on_end; harmless when it is not running. A zeroed one must be set up by
 * shim_copy_init(). */
void shim_copy_stop(struct shim_copy *c);
void shim_copy_init(struct shim_copy *c);

static inline bool shim_copy_runs(const struct shim_copy *c)
{
	return c->from >= 0;
}
