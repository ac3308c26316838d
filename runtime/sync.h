/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a container's first process and the engine say to each other while it is born. */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

enum sync_type {
	SYNC_FAILED = 1, /* the error in e; the sender gives up */
	SYNC_HOOKS, /* child: run the runtime's hooks, then go on; at a start: mine begin */
	SYNC_GO, /* engine: they ran */
	SYNC_CONSOLE, /* child: the pty master comes along */
	SYNC_BORN, /* child's go-between: pid and pidfd of whom all else will come from */
	SYNC_READY, /* child: all is set up, waiting for SYNC_START */
	SYNC_NOTIFY, /* child: what a seccomp listener gets comes along */
	SYNC_START, /* somebody: run the program. The end of the connection says that it runs */
	SYNC_FAILED_HOOK, /* SYNC_FAILED by a hook of the start */
};

struct sync {
	enum sync_type type;
	pid_t pid; /* of SYNC_BORN */
	struct err e;
};

int sync_pair(int ret_fds[2], struct err *e);
/* pass: a descriptor to go along, or -1. */
int sync_send(int sock, enum sync_type type, const struct err *cause, int pass, struct err *e);
int sync_send_born(int sock, pid_t pid, int pidfd, struct err *e);
/*
 * 1: a message in *ret and a descriptor or -1 in *ret_fd; 0: the other side
 * is gone; -ETIMEDOUT. timeout_ms -1 waits for ever.
 */
int sync_recv(int sock, int timeout_ms, struct sync *ret, int *ret_fd, struct err *e);
