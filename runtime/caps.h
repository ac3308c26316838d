/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities by name, and what a process does with its five sets before execve. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "runtime/spec.h"

/* "CAP_CHOWN" to its number; -1 when unknown. */
int caps_number(const char *name);
/* NULL above the last one known. */
const char *caps_name(unsigned int number);

/* Drops from the bounding set what is not in it, as the kernel knows it. */
int caps_bound(const struct spec_caps *caps, struct err *e);
/* Whether we have it ourselves. */
bool caps_has(int number);
/*
 * Raises all of the permitted set again, after a change of user under
 * PR_SET_KEEPCAPS: for what still needs a capability.
 */
int caps_raise(struct err *e);
/* The final sets. What we do not have ourselves is left out with a warning. */
int caps_apply(const struct spec_caps *caps, struct err *e);
