/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of resolv.conf: what glibc and musl read of it, and no more. */
#pragma once

#include <net/if.h>
#include <stddef.h>

#include "net/cidr.h"

#define RESOLV_SERVERS_MAX 3 /* the C libraries ignore more */
#define RESOLV_SEARCH_MAX 512 /* bytes */

struct resolv {
	struct ip servers[RESOLV_SERVERS_MAX];
	char links[RESOLV_SERVERS_MAX][IFNAMSIZ]; /* of those with link-local addresses */
	size_t count;
	char search[RESOLV_SEARCH_MAX]; /* domains, a blank between them */
};

/* What is there already, any-addresses, and what does not fit is left out. */
void resolv_add_server(struct resolv *r, const struct ip *server);
/* The same for a server heard of on a link, whose address may mean nothing elsewhere. */
void resolv_add_link_server(struct resolv *r, const struct ip *server, const char *link);
/* domains: separated by blanks. */
void resolv_add_search(struct resolv *r, const char *domains);
/* The caller frees it. */
char *resolv_text(const struct resolv *r);
