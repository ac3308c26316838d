/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's network service: what main() owns, and a link that it manages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ev.h"
#include "lib/list.h"
#include "net/dhcp4_client.h"
#include "net/dhcp4_io.h"
#include "net/hostlink.h"
#include "net/ipconf.h"
#include "net/ndopt.h"
#include "net/resolv.h"

#define NETD_CONFS_MAX 16 /* words of net.ip */
#define NETD_RESERVED_MAX 16
#define NETD_RA_SERVERS_MAX 4
#define NETD_LINK_ROUTES_MAX (2 * DHCP4_ROUTES_MAX)

struct netd {
	struct ev ev;
	struct ev_source on_links, on_options, deadline, poll, signals, work;
	struct hostlink *links;
	int options; /* socket of router advertisements' options; -1: none */
	struct conf conf;
	struct ipconf confs[NETD_CONFS_MAX];
	size_t nconfs;
	bool implicit; /* net.ip is not set: DHCP on the first link with a carrier */
	bool container; /* not the machine's own network */
	struct cidr reserved[NETD_RESERVED_MAX]; /* no lease may route into these */
	size_t nreserved;
	const char *hostname; /* configured; NULL: a lease may name the node */
	struct resolv fixed; /* configured name servers */
	struct list managed; /* struct netd_link */
	bool no_link; /* none was there at the start, and none came since */
	bool told_ready;
};

/* A link of one or more words of net.ip. */
struct netd_link {
	struct list node;
	struct netd *netd;
	struct hostlink_info info; /* as last seen */
	bool dhcp4, ra;
	unsigned int order; /* among the managed ones: makes metrics differ */
	bool begun; /* addresses of the configuration are set */
	bool failed; /* one of them could not be */
	struct dhcp4_client client;
	struct dhcp4_io io;
	struct ev_source timer;
	uint8_t message[DHCP4_MESSAGE_MAX]; /* the last one received: an ACK when bound */
	size_t message_len;
	/* of router advertisements */
	struct {
		struct ip ip; /* family 0: free */
		uint64_t end_ms;
	} ra_servers[NETD_RA_SERVERS_MAX];
	char ra_search[256];
	uint64_t ra_search_end_ms;
	struct ev_source ra_timer; /* when the first of them ends */
	bool leased;
	struct cidr leased_address;
	struct dhcp4_lease lease;
	struct hostlink_route routes[NETD_LINK_ROUTES_MAX]; /* of the lease, set */
	size_t nroutes;
};

/* A link that the configuration names; it is set up at once. */
struct netd_link *netd_link_new(struct netd *netd, const struct hostlink_info *info);
/* The kernel's part stays as it is. */
void netd_link_free(struct netd_link *link);
/* info is news; removes nothing. */
void netd_link_update(struct netd_link *link, const struct hostlink_info *info);
/* Name servers and domains of a router advertisement. */
void netd_link_advertised(struct netd_link *link, const struct ndopt *o);
/* Everything that the configuration wants of it is there. */
bool netd_link_ready(struct netd_link *link);

/* Writes resolv.conf anew, and takes a name from a lease. */
void netd_names_changed(struct netd *netd);
/* Looks again at the end of the round whether the network is ready. */
void netd_check_later(struct netd *netd);

/* Words of the configuration for a link by its name. */
bool netd_conf_matches(const struct ipconf *conf, const struct hostlink_info *info);
