/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.netDevices: links of the host that a container gets, with their addresses. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"
#include "runtime/spec.h"

/* A lasting address that is valid everywhere, as the kernel told it: it loses them on the way. */
struct netdev_address {
	size_t device; /* index in the spec */
	size_t len;
	unsigned char message[128]; /* struct ifaddrmsg and attributes */
};

struct netdevs {
	struct netdev_address *rows; /* owned */
	size_t count, room;
};

/* What the devices have where they are, by name; before anything is changed. */
int netdevs_read(const struct spec *s, struct netdevs *ret, struct err *e);
void netdevs_done(struct netdevs *n);

/* From here to a process's network namespace, by the names they get. */
int netdevs_move(const struct spec *s, int proc, pid_t pid, struct err *e);

/* There: up, and the addresses as before. */
int netdevs_restore(const struct spec *s, const struct netdevs *n, struct err *e);
