/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.sysctl: only what belongs to a namespace of the container's own. */
#pragma once

#include "lib/err.h"
#include "runtime/spec.h"

/* Each name is that of a namespace which the spec makes or joins. */
int sysctl_check(const struct spec *s, struct err *e);

/*
 * Writes them, by the caller inside the namespaces, below proc: a procfs
 * known to be one. A name cannot leave its sys/.
 */
int sysctl_apply(const struct spec *s, int proc, struct err *e);
