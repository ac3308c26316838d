/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where and how eagerly a process runs: CPUs, memory nodes, scheduler, I/O priority. */
#pragma once

#include <sys/types.h>

#include "lib/err.h"
#include "runtime/spec.h"

/* CPUs of the caller: those of a list ("0-3,7"), NULL: all that its cpuset allows. */
int place_cpus(const char *list, struct err *e);

/* pid 0: the caller. Needs the host's CAP_SYS_NICE for most of it. */
int place_scheduler(const struct spec_process *p, pid_t pid, struct err *e);
int place_io_priority(const struct spec_process *p, struct err *e);

/* Personality and memory policy of the caller. */
int place_common(const struct spec_common *c, struct err *e);
