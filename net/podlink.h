/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod's link: a veth whose peer is born in the pod's namespace, routed and
 * not bridged,
 * because a bridge would hide pod-to-pod replies from NAT.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "net/cidr.h"
#include "net/lease.h"
#include "net/netlink.h"

#define PODLINK_ROUTE_PROTOCOL 190 /* of our routes and gateway addresses */
#define PODLINK_GROUP 0x62657274 /* of links in use ("bert") */
#define PODLINK_GROUP_GONE 0x62657275 /* of links that only wait for their namespace to go */

/* "p" and the first 12 digits of the pod's id. */
void podlink_name(const char *pod, char ret[static IFNAMSIZ]);

/* A namespace as seen from inside. */
struct podlink_ns {
	struct netlink nl; /* a socket of that namespace */
	bool ipv6; /* not disabled there */
};

/*
 * Looks into the namespace netns and comes back to home. A failed return ends
 * the process: it must not go on in a pod.
 */
int podlink_enter(int netns, int home, struct podlink_ns *ret, struct err *e);

/* The steps of an attach; each may be repeated. */
int podlink_create(struct netlink *host, const struct podlink_ns *ns, int netns,
		   const struct lease *l, struct err *e);
int podlink_set_pod(struct podlink_ns *ns, const struct lease *l, struct err *e);
int podlink_set_host(struct netlink *host, const struct lease *l, struct err *e);

/* Stops traffic and marks the link as gone. l may lack addresses; nothing there is fine. */
int podlink_unset(struct netlink *host, const struct lease *l, struct err *e);

/* Whether the host's end of a pod is there. */
bool podlink_exists(struct netlink *host, const char *pod);

/*
 * Removes every link marked as gone. One request: the kernel waits for its
 * readers once a request (30 ms), not once a link.
 */
int podlink_purge(struct netlink *host, struct err *e);

/* Calls each for every link of ours in use, by name. */
int podlink_list(struct netlink *host, void (*each)(void *arg, const char *name), void *arg,
		 struct err *e);
/* Marks a link as gone by its name. */
int podlink_discard(struct netlink *host, const char *name, struct err *e);
