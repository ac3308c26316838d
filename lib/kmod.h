/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel modules by a list that the image's maker put in order: no dependency is computed here. */
#pragma once

#include "lib/err.h"

/*
 * Loads what the list /lib/modules/RELEASE/NAME names, a file a line. One that
 * fails is logged and the next one is loaded; the last error is returned.
 */
int kmod_load_list(const char *name, struct err *e);
