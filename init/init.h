/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1: everything it knows, in one struct made by main. It allocates at boot only; what changes
 * later lives in the fixed tables below.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cgroups/child.h"
#include "init/kept.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ev.h"
#include "lib/keep.h"
#include "lib/serve.h"

#define INIT_CGROUP "/sys/fs/cgroup"
#define INIT_SOCKET_PATH "/run/berth/init.sock"
#define INIT_NOTIFY_PATH "/run/berth/notify"
#define INIT_LOG_FOLDER "/var/log/berth"

struct init {
	enum init_mode mode;
	bool rescue; /* a needed boot step failed: no services run */
	struct ev ev;
	struct ev_source signals, reap;
	struct ev_source rescue_end, shutdown_next, shutdown_limit;
	char **words; /* of our command line */
	char *boot_line; /* NULL before the step of that name */
	struct conf conf; /* merged */
	int cgroup; /* folder of the node's cgroup root; -1 before the step "cgroups" */
	struct children jobs;
	struct services services;
	int log_before; /* where our lines went before the log role */
	struct serve ctl;
	struct keep keep;
	struct kept kept;
	struct keep_fault fault; /* that of the life before */
};
