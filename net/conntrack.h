/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Known connections of datagram host ports. They outlive their rules: a
 * client that keeps sending would go on to where it went before.
 */
#pragma once

#include "lib/err.h"
#include "net/lease.h"
#include "net/netlink.h"

/* Forgets those that were not sent to a pod, so that l's ports take them. */
int conntrack_claim(struct netlink *nl, const struct lease *l, struct err *e);
/* Forgets those that go to l's pod. */
int conntrack_release(struct netlink *nl, const struct lease *l, struct err *e);
