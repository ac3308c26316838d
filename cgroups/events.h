/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel tells about a cgroup: descriptors that poll with POLLPRI
 * (EPOLLPRI) when a value changed, and the values. Open one, read it (which
 * arms it), add it to a loop, read it again at each event.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/* cgroup.events */
int events_open(int dir, int *ret_fd, struct err *e);

struct events {
	bool populated;
	bool frozen;
};

int events_read(int fd, struct events *ret, struct err *e);

/* memory.events; -ENOENT where the memory controller is not enabled */
int events_open_memory(int dir, int *ret_fd, struct err *e);

struct events_memory {
	uint64_t high, max, oom, oom_kill, oom_group_kill;
};

int events_read_memory(int fd, struct events_memory *ret, struct err *e);

/* The value of "key N" in a flat keyed file's text; 0 when there, -ENOENT when not. */
int events_value(const char *text, const char *key, uint64_t *ret);
