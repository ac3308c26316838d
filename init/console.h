/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The debug shell on the serial line: only when the boot line says berth.shell (boot.shell=yes);
 * boot.shell_tty names another line than ttyS0. Started again when it ends, slower when it keeps
 * ending.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/ev.h"

struct init;

struct console {
	pid_t pid; /* 0: none runs */
	uint64_t started_ms;
	uint64_t delay_ms; /* before the next start */
	struct ev_source again;
	char tty[32];
};

/* A row of the boot table. */
int console_start(void *ctx, struct err *e);

/* Tells the shell of a reaped child; false when it was none. */
bool console_reaped(struct init *in, pid_t pid);

/* No further start: the node goes down. */
void console_stop(struct init *in);
