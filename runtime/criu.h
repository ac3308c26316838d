/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program criu, which writes processes to files and makes them again: started and listened to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/spawn.h"
#include "runtime/spec.h"

struct criu {
	char **args; /* owned vector, NULL at the end; the first is its verb */
	size_t count;
	size_t room;
	int fds[SPAWN_FDS]; /* further descriptors it inherits; stay the caller's */
	size_t nfds;
	char *log; /* absolute path of the log it writes, owned */
	/* of a restore: in a mount namespace with the rootfs as a mount, below a cgroup */
	const char *rootfs; /* NULL: none of that */
	const char *bundle;
	const struct spec *spec;
	int cgroup;
};

#define CRIU_INIT                                              \
	{                                                      \
		.nfds = 3, .fds = { -1, -1, -1 }, .cgroup = -1 \
	}

/* Whether there is such a program here. */
bool criu_found(void);

void criu_add(struct criu *c, const char *fmt, ...) PRINTF(2, 3);
/* Its number in criu. */
int criu_add_fd(struct criu *c, int fd);
/* Runs it to its end. When it fails the error names its log, whose last lines are logged. */
int criu_run(struct criu *c, struct err *e);
void criu_done(struct criu *c);
#define auto_criu __attribute__((cleanup(criu_done))) struct criu
