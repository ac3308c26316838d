/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A caller who is not root: berth-oci becomes root of the user namespace that
 * config.json asks for and goes on as for root of any; the namespace is the
 * container's then. Verbs that need its rights join it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"
#include "runtime/spec.h"

/* Whether we are not root, of whatever user namespace. */
bool rootless(void);

/* Where such a caller's containers are remembered, unless told: below XDG_RUNTIME_DIR; the caller
 * frees. NULL: he is root, or has none. */
char *rootless_root(void);

/*
 * Makes the user namespace, with the caller's own ids alone, and a mount
 * namespace; executes itself again in both. Returns with an error only.
 */
int rootless_enter(const struct spec *s, char **argv, struct err *e);

/* The same in the user namespace of a process. */
int rootless_join(pid_t pid, char **argv, struct err *e);

/* The user namespace that we have entered for a container is no further one of it. */
void rootless_settle(struct spec *s);
