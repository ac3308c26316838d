/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mount option tmpcopyup: a new file system begins with what it hides. */
#pragma once

#include "lib/err.h"

/*
 * Copies what is in the folder from (not what is mounted below) into the
 * folder to: kinds, owners, modes, times, extended attributes, contents.
 */
int copyup(int from, int to, struct err *e);
