/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seccomp's NOTIFY: another program decides about system calls. It listens
 * on a socket and gets, for every process that enters the container, the
 * descriptor to do so with the process's state.
 */
#pragma once

#include "lib/err.h"
#include "runtime/filter.h"
#include "runtime/hooks.h"

/*
 * filter_install() in a process about to run its program; where the filter
 * has notifications their descriptor goes out over sync. From then on any
 * system call may have to wait for a decision.
 */
int notify_install(const struct filter *f, int sync, struct err *e);

/* The engine's side: fd of the process pid (as we see it) goes to the listener. */
int notify_send(const struct filter *f, const struct hooks_state *container, pid_t pid, int fd,
		struct err *e);
