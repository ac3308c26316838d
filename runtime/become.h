/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child turns into the process it was asked to be; containers and execs alike. */
#pragma once

#include "lib/err.h"
#include "runtime/birth.h"

/* Drops what was inherited: signals, other descriptors, dumpability, umask, affinity. */
int become_clean(struct birth *b, struct err *e);
/* Of that, what a further fork of a cleaned process lost. */
int become_guarded(struct birth *b, struct err *e);
/* What is reachable only as long as the host's /proc and /dev are. */
int become_look_around(struct birth *b, struct err *e);
/* Personality, memory policy and priorities; the scheduler of a container comes later. */
int become_placed(struct birth *b, struct err *e);
/* In another user namespace no limit can be raised any more: done before. */
int become_raise_limits(struct birth *b, struct err *e);
/* Id 0 of the user namespace that was entered: files made from here on have an owner in it. */
int become_root(struct birth *b, struct err *e);
int become_keyring(struct birth *b, struct err *e);
int become_oom_score(struct birth *b, struct err *e);

/* The user may open his own /dev/stdout again; the null device is everybody's. */
int become_own(int fd, uid_t uid, struct err *e);
/* A session of its own with descriptors 0, 1 and 2 in place. No log lines from here on. */
int become_stdio(struct birth *b, struct err *e);
int become_cwd(struct birth *b, struct err *e);
/* HOME of the environment; the program's path. */
int become_program(struct birth *b, struct err *e);
/* Limits, ids, capabilities, no_new_privs, seccomp, label: the point of no return. */
int become_user(struct birth *b, struct err *e);
/* With no_new_privs the filter comes last. */
int become_filter(struct birth *b, struct err *e);
int become_exec(struct birth *b, struct err *e);
