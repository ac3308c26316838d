/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way down, a table of stages with limits: services above the pods, pods, the other services,
 * strays, the log role, mounts, sync, reboot(2). In a pid namespace PID 1 ends at last.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct init;

enum shutdown_kind {
	SHUTDOWN_POWEROFF,
	SHUTDOWN_REBOOT,
};

struct shutdown {
	bool begun;
	enum shutdown_kind kind;
	size_t stage; /* the one under way */
	uint64_t limit_due_ms;
};

/* Begins the stage under way, for the first time or again. */
void shutdown_resume(struct init *in);
/* A second call changes nothing. */
void shutdown_begin(struct init *in, enum shutdown_kind kind, const char *why);
