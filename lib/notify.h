/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readiness as sd_notify(3) has it: datagrams of KEY=VALUE lines to the socket at $NOTIFY_SOCKET.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

#define NOTIFY_STATUS_MAX 96

struct notify {
	pid_t pid; /* who sent it, as the kernel says */
	uid_t uid;
	bool ready, stopping, alive; /* READY=1, STOPPING=1, WATCHDOG=1 */
	bool has_status;
	char status[NOTIFY_STATUS_MAX]; /* STATUS=; what is not safe in a JSON text is '?' */
};

/* Word to the supervisor by its $NOTIFY_SOCKET: lines as above; without one, nothing. */
void notify(const char *text);

/* A socket at path (mode 0600, non-blocking). */
int notify_listen(const char *path, int *ret_fd, struct err *e);

/* The next datagram: 1, or 0 when none waits. What is over-long or malformed has no effect. */
int notify_receive(int fd, struct notify *ret, struct err *e);

/* Reads lines, text is changed. */
void notify_parse(char *text, struct notify *ret);
