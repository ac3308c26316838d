/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup v2 folders by descriptor. Paths are relative to a folder's
 * descriptor (a leading "/" is ignored); "..", links and other file systems
 * are refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

/* The cgroup v2 mount; NULL: /sys/fs/cgroup. -ENOTSUP when something else is there. */
int cgroup_open_root(const char *path, int *ret_fd, struct err *e);

int cgroup_open(int root, const char *path, int *ret_fd, struct err *e);

enum cgroup_controller {
	CGROUP_CPU = 1,
	CGROUP_CPUSET = 2,
	CGROUP_IO = 4,
	CGROUP_MEMORY = 8,
	CGROUP_PIDS = 16,
	CGROUP_HUGETLB = 32,
	CGROUP_RDMA = 64,
	CGROUP_MISC = 128,
};

/* what is enabled wherever it is offered: stats need it */
#define CGROUP_USUAL (CGROUP_CPU | CGROUP_CPUSET | CGROUP_IO | CGROUP_MEMORY | CGROUP_PIDS)

/* 0 for a name that is no controller's. */
unsigned int cgroup_controller(const char *name);

/*
 * Makes the folder and its missing parents. Down the path CGROUP_USUAL and
 * need are enabled where they are offered; one of need that is offered and
 * cannot be enabled is an error. ret_made (may be NULL): how many folders,
 * counted from the last one up, did not exist before. On failure none of
 * those is left.
 */
int cgroup_create(int root, const char *path, unsigned int need, int *ret_fd, int *ret_made,
		  struct err *e);

/* Enables in dir, for its children, CGROUP_USUAL and need as above. */
int cgroup_enable(int dir, unsigned int need, struct err *e);

/* SIGKILL for every process below dir, at once (5.14). */
int cgroup_kill(int dir, struct err *e);

/* Signals each process below dir; a process born meanwhile is signalled too. Returns 0 when none
 * was found. */
int cgroup_signal(int dir, int signal, struct err *e);

/* Freezes or thaws and waits until it is so. */
int cgroup_freeze(int dir, bool frozen, int timeout_ms, struct err *e);
/* The state asked for last, which may not be reached yet. */
int cgroup_is_frozen(int dir, bool *ret, struct err *e);

/* Whether a live process is in dir or below. */
int cgroup_populated(int dir, bool *ret, struct err *e);
/* -EBUSY when it is still populated at the deadline. */
int cgroup_wait_empty(int dir, int timeout_ms, struct err *e);

/* Moves a process (0: the caller). */
int cgroup_move(int dir, pid_t pid, struct err *e);

/* Pids of dir and everything below; the caller frees. */
int cgroup_procs(int dir, pid_t **ret, size_t *ret_count, struct err *e);

/* Removes the empty folder with what is below; absent is fine. Waits for processes that just end.
 */
int cgroup_remove(int root, const char *path, struct err *e);
/* The same, but -EBUSY at once. */
int cgroup_remove_now(int root, const char *path, struct err *e);
/* Removes up to count folders from path upwards; stops silently at the first that is in use. */
void cgroup_remove_made(int root, const char *path, int count);

/* Gives dir, and the files that the kernel says go with it, to a user: cgroup-v2.rst, Delegation.
 */
int cgroup_delegate(int dir, uid_t owner, struct err *e);

/* The path of a process in the cgroup v2 hierarchy, from /proc/PID/cgroup; the caller frees. */
int cgroup_of(pid_t pid, char **ret, struct err *e);
