/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child with a list of descriptors, born into its cgroup, known by pidfd. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

#define SPAWN_FDS 24

struct spawn {
	const char *path; /* program; NULL: run() in the child instead */
	const char *const *argv; /* argv[0] included, NULL at the end */
	const char *const *envp; /* NULL: an empty environment */
	int (*run)(void *arg); /* without exec: the child's work; its result is the exit code */
	void *arg;
	int fds[SPAWN_FDS]; /* becomes 0, 1, 2, ... in the child; -1: /dev/null */
	size_t nfds; /* at least 3 are set up */
	int cgroup; /* descriptor of the cgroup to be born into; -1: the parent's */
	const char *cwd; /* NULL: "/" */
	int stay; /* non-zero: no cwd, but where the parent is, whether or not it may enter it */
	uid_t uid; /* 0: stay; else all ids and groups are this and gid, no capability */
	gid_t gid;
	int session; /* non-zero: in a session of its own */
	const char *tty; /* that session's terminal, and 0 to 2; NULL: none */
	int parent_death; /* signal when the parent dies; 0: none */
	int early; /* non-zero: never wait; an error is a line on the child's stderr, exit code 127
		    */
	unsigned long flags; /* further clone3 flags (namespaces) */
};

#define SPAWN_INIT                                             \
	{                                                      \
		.cgroup = -1, .fds = { -1, -1, -1 }, .nfds = 3 \
	}

/*
 * Starts the child; signals are reset, all other descriptors closed. Returns
 * when the program runs (exec succeeded) or with the child's error, with early at once. ret_pidfd
 * is close-on-exec and owned by the caller, who also reaps the child.
 */
int spawn(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e);

/* Waits for the child and reaps it; ret_status as waitid: exit code, or 128 + signal. */
int spawn_wait(int pidfd, int *ret_status, struct err *e);

/* Reaps a child that ends by itself, or is killed already. */
void spawn_reap(int pidfd);

/* Kills the child and reaps it: of who has just started it and cannot watch it. */
void spawn_end(int pidfd);
