/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The orderly end of whole subtrees. Blocks: for a child with a limit. */
#pragma once

#include "lib/err.h"

/*
 * Each process in the folders below dir, but for those named in skip (NULL-terminated), gets
 * SIGTERM, and SIGKILL when it is still there after term_ms. -EBUSY when one survives kill_ms.
 */
int cgroup_stop_below(int dir, const char *const *skip, int term_ms, int kill_ms, struct err *e);
