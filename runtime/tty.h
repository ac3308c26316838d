/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pseudo terminals of containers. */
#pragma once

#include "lib/err.h"

/*
 * A terminal out of the container's own devpts (root: its root folder, any
 * descriptor of it), or out of the host's where the container has none. The
 * slave comes from the master, not from a path.
 */
int tty_open(int root, unsigned short rows, unsigned short columns, int *ret_master, int *ret_slave,
	     struct err *e);

/* No carriage return is added to a new line: for a master that is relayed to another terminal. */
int tty_set_plain(int master, struct err *e);

/* The slave becomes /dev/console of the container; dev: its /dev. */
int tty_bind_console(int dev, int slave, struct err *e);

/* Takes the slave as the controlling terminal of a new session's leader. */
int tty_take(int slave, struct err *e);

int tty_resize(int master, unsigned short rows, unsigned short columns, struct err *e);
