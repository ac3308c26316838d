/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Terminals, for who gives one to a shell. */
#pragma once

#include "lib/err.h"

/*
 * Makes the terminal at path the controlling one of the calling session
 * leader, in a sane state whatever was left there, and its descriptors 0 to 2.
 */
int tty_take(const char *path, struct err *e);
