/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program run beside a container's own: by ExecSync and by the streaming
 * server. The object lives until it failed to start or ended, whatever became
 * of its owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cri/ctr.h"
#include "lib/err.h"

struct exec;

struct exec_owner {
	/* e NULL: it runs. Else it is over. */
	void (*started)(void *arg, const struct err *e);
	/* It is over; e is set when the pod's shim went away, else NULL. */
	void (*ended)(void *arg, int code, bool timed_out, const struct err *e);
};

/*
 * fds: stdin's read end, stdout's and stderr's write ends, or -1; they stay
 * the caller's. At timeout_ms (0: never) every process of the session is
 * killed. Never calls back from inside this call.
 */
int exec_begin(struct ctr *ctr, char *const *args, size_t nargs, bool terminal, const int fds[3],
	       uint64_t timeout_ms, const struct exec_owner *owner, void *arg, struct exec **ret,
	       struct err *e);
void exec_resize(struct exec *x, unsigned int width, unsigned int height);
/* The owner goes: no callback any more; the session is hung up, and killed after grace_ms. */
void exec_drop(struct exec *x, uint64_t grace_ms);

/*
 * Whether the error of a start means that there is no such program, as
 * opposed to trouble of ours: then the exit code that a shell would give, else -1.
 */
int exec_shell_code(const struct err *e);
