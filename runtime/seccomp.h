/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.seccomp of config.json turned into a filter. */
#pragma once

#include "lib/err.h"
#include "lib/json.h"
#include "runtime/filter.h"

/* *ret stays NULL when profile is NULL. A system call that no architecture knows is left out. */
int seccomp_compile(const struct json *profile, struct filter **ret, struct err *e);

/* Names for the features document; each list ends with NULL. */
extern const char *const seccomp_actions[];
extern const char *const seccomp_operators[];
extern const char *const seccomp_archs[];
extern const char *const seccomp_flags[];
