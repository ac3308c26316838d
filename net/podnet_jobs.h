/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker's jobs. A pod's lease is in memory and in its record; the record
 * is written before the first step and removed after the last one, so whatever
 * a kill leaves behind is found by its name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/list.h"
#include "lib/map.h"
#include "lib/msg.h"
#include "net/cidr.h"
#include "net/ipam.h"
#include "net/lease.h"
#include "net/netlink.h"

#define PODNET_DIRECT_MAX 64 /* ranges of no_masquerade */

struct podnet {
	struct ev ev;
	struct ev_source on_message, on_nft, purge;
	int sock;
	int home; /* our own network namespace */
	int pods; /* the folder of pods */
	int watch; /* news of nftables; -1: none */
	struct netlink host, nft;
	bool configured;
	struct cidr ranges[2];
	size_t nranges;
	struct cidr direct[PODNET_DIRECT_MAX];
	size_t ndirect;
	bool masquerade;
	struct ipam ipam;
	struct map leases; /* id -> struct lease, owned */
	struct list leaving; /* detached pods whose links are still there */
	struct msg in;
};

/* Adds a timer to n->ev; the other members are the caller's. */
void podnet_jobs_init(struct podnet *n);
void podnet_jobs_done(struct podnet *n);

/* Reads the records of all pods; what is damaged is logged and dropped. */
int podnet_load(struct podnet *n, struct err *e);
/* Takes n->ranges, n->direct and n->masquerade into use. */
int podnet_apply(struct podnet *n, struct err *e);

/* want: pod, ports and prefer6; it is emptied. ret: owned by n. */
int podnet_attach(struct podnet *n, struct lease *want, int netns, struct lease **ret,
		  struct err *e);
int podnet_detach(struct podnet *n, const char *pod, struct err *e);
/* Detaches every pod that is no key of live. */
int podnet_sync(struct podnet *n, const struct map *live, size_t *ret_removed, struct err *e);

/* After news of nftables: makes the table again when it is gone. */
int podnet_check_table(struct podnet *n, struct err *e);
