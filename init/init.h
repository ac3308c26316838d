/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1: everything it knows, in one struct made by main. It allocates at boot only; what changes
 * later lives in the fixed tables below.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cgroups/child.h"
#include "init/boot.h"
#include "init/machine.h"
#include "init/service.h"
#include "init/shutdown.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ev.h"
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
	char **words; /* of our command line */
	char *boot_line; /* NULL before the step of that name */
	uint64_t begin_us; /* what the boot chart counts from */
	struct conf conf; /* merged */
	int cgroup; /* folder of the node's cgroup root; -1 before the step "cgroups" */
	struct boot_note notes[BOOT_NOTES_MAX];
	size_t nnotes;
	struct children jobs;
	struct services services;
	uint64_t services_us; /* when they began to start */
	int log_before; /* where our lines went before the log role */
	struct serve ctl;
	struct shutdown shutdown;
	struct machine machine;
};
