/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces: opened by path before anything else, joined, made. */
#pragma once

#include <stdbool.h>

#include "lib/err.h"
#include "runtime/spec.h"

/* Descriptors of those with a path, -1 for the others; a path of another type is an error. */
int ns_open(const struct spec *s, int ret_fds[SPEC_NS_COUNT], struct err *e);
void ns_close(int fds[SPEC_NS_COUNT]);

/* clone3 flags of the new ones (not cgroup: it is made when its cgroup was entered; not time:
 * its offsets are written before anybody is in it). */
unsigned long ns_clone_flags(const struct spec *s);

/* In the child: joins all but the pid namespace, which its parent entered for it, and user. */
int ns_join(const int fds[SPEC_NS_COUNT], struct err *e);
/* What is joined later is to be owned by it, so it comes when the host's rights have been used. */
int ns_join_user(int ns, struct err *e);

/* The ids of a new user namespace, by somebody outside of it. */
int ns_write_maps(int proc, pid_t pid, const struct spec_maps *uids, const struct spec_maps *gids,
		  struct err *e);

/* The only row of our uid_map or gid_map, file; false: there are more. proc: procfs. */
bool ns_only_map(int proc, const char *file, struct spec_map *ret);

/* Whether we are root of a user namespace only; proc: the host's procfs. */
bool ns_in_user(int proc);

/* Of these clone flags those whose namespace is another one than ours. */
unsigned long ns_of_others(int proc, pid_t pid, unsigned long flags);

/* Makes a time namespace with its offsets; execve enters it. self: /proc/self. */
int ns_time_offsets(const struct spec *s, int self, struct err *e);

/* Where the next child is born: into ns, or back home. */
int ns_pid_for_children(int ns, struct err *e);

/* Sets the loopback link of the caller's network namespace up. */
int ns_loopback_up(struct err *e);
