/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host needs once for all pods: the gateway addresses, on loopback
 * (the same address on every link would make each add slower than the one
 * before), and forwarding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "net/cidr.h"
#include "net/netlink.h"

/* Puts exactly these addresses of ours on loopback, and brings it up. */
int podhost_set_gateways(struct netlink *host, const struct ip *wanted, size_t count,
			 struct err *e);

/* The kernel has IPv6 and the host did not switch it off. */
bool podhost_has_ipv6(void);

/* Lets the host forward; what cannot be set is logged, unless it is so already. */
int podhost_set_forwarding(bool ipv6, struct err *e);

/* The smallest MTU of the links with the default routes; 1500 without one. */
uint32_t podhost_uplink_mtu(struct netlink *host);
