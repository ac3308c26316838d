/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helpers give up before they touch a foreign byte. Each call makes
 * the process smaller and none can be taken back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Only these system calls from here on; any other one kills the process. Needs no_new_privs. */
int sandbox_seccomp(const int *calls, size_t count, struct err *e);

/* no_new_privs, and the capabilities of mask (1 << CAP_...) alone, in every set. */
int sandbox_caps(uint64_t mask, struct err *e);

/* No core dump, at most nofile descriptors, data of at most memory_bytes, undumpable. */
int sandbox_limits(uint64_t nofile, uint64_t memory_bytes, struct err *e);

/*
 * Landlock, where the kernel has it: no file is written, made or removed any
 * more (open descriptors stay usable). 0 also without Landlock.
 */
int sandbox_no_writes(struct err *e);

/* Landlock, where the kernel has it: below / everything but executing and making sockets. */
int sandbox_no_exec(struct err *e);

/* The folder of dirfd becomes the root of a new mount namespace: nosuid, nodev, noexec. */
int sandbox_pivot(int dirfd, struct err *e);
