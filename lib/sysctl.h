/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel settings from a file. */
#pragma once

#include "lib/err.h"

/*
 * Writes the lines of a file: a path below /proc/sys, a blank and the value; # begins a comment.
 * What this kernel does not have is passed over; one that fails is logged and the next one is
 * written; the last error is returned.
 */
int sysctl_load(const char *path, struct err *e);
