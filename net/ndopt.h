/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Name servers and search domains of IPv6 router advertisements (RFC 8106).
 * The kernel hears the advertisements and passes on these options by netlink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "net/cidr.h"

#define NDOPT_SERVERS_MAX 8
#define NDOPT_FOREVER UINT32_MAX /* seconds */

struct ndopt {
	int ifindex;
	struct ndopt_server {
		struct ip ip;
		uint32_t lifetime_s; /* 0: no longer */
	} servers[NDOPT_SERVERS_MAX];
	size_t nservers;
	bool has_search;
	char search[256]; /* domains, a blank between them */
	uint32_t search_lifetime_s;
};

/* One netlink message RTM_NEWNDUSEROPT; -ENOMSG for any other one. What is nonsense is left out. */
int ndopt_parse(const uint8_t *data, size_t len, struct ndopt *ret, struct err *e);

/* A socket of the kernel's news about them. */
int ndopt_open(int *ret_fd, struct err *e);

/* Asks the routers of a link to advertise now: the kernel asks only when a link comes up. */
int ndopt_solicit(int ifindex, struct err *e);
