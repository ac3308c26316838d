/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCI hooks: programs that get the container's state on stdin. */
#pragma once

#include <sys/types.h>

#include "lib/err.h"
#include "runtime/spec.h"

#define HOOKS_TIMEOUT_S 120 /* where the hook gives none */

/* What a hook is told. */
struct hooks_state {
	const char *id;
	const char *status; /* creating, created, running, stopped */
	pid_t pid; /* as the hook's pid namespace sees it; 0: none */
	const char *bundle;
	const char *annotations; /* JSON object, NULL: none */
};

/* Where and how they run. */
struct hooks_way {
	const char *cwd; /* NULL: where we are */
	const char *const *env; /* of a hook that gives none; NULL: ours */
};

/* The state document as JSON; the caller frees. */
char *hooks_state_text(const struct hooks_state *s);

/* Those of one kind in order; the first that fails, or takes longer than its time, ends it with an
 * error. */
int hooks_run(const struct spec_hooks hooks[SPEC_HOOK_KINDS], enum spec_hook_kind kind,
	      const struct hooks_state *s, const struct hooks_way *w, struct err *e);

/* {"poststart": [...], "poststop": [...]} of a spec, for later; NULL when there are none. */
char *hooks_save(const struct spec *s);
/*
 * Runs those of one kind out of what hooks_save() made (NULL: nothing to do), in
 * the bundle; poststop hooks in "/" when that is gone.
 */
int hooks_run_saved(const char *saved, enum spec_hook_kind kind, const struct hooks_state *s,
		    struct err *e);
