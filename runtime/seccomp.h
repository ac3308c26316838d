/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.seccomp of config.json turned into a filter. */
#pragma once

#include "lib/err.h"
#include "lib/json.h"
#include "runtime/filter.h"

/* Whether this kernel has x32 system calls. */
bool seccomp_has_x32(void);

/*
 * *ret stays NULL when profile is NULL. A system call that no architecture
 * knows is left out. x32 false: its calls get ENOSYS, as without a filter,
 * whatever the profile says about them.
 */
int seccomp_compile(const struct json *profile, bool x32, struct filter **ret, struct err *e);

/* Names for the features document; ends with NULL. */
extern const char *const seccomp_archs[];
