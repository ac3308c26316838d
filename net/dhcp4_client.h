/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DHCPv4 client as a state machine (RFC 2131 section 4.4). Pure: the
 * caller gives it the time, messages and due timers, and does what ops say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/dhcp4.h"

enum dhcp4_state {
	DHCP4_STOPPED,
	DHCP4_INIT, /* waits before it asks anew */
	DHCP4_SELECTING,
	DHCP4_REQUESTING,
	DHCP4_REBOOTING,
	DHCP4_BOUND,
	DHCP4_RENEWING,
	DHCP4_REBINDING,
};

enum dhcp4_way {
	DHCP4_RAW, /* broadcast from 0.0.0.0, by a packet socket */
	DHCP4_UNICAST, /* to the server, from our address */
	DHCP4_BROADCAST, /* from our address */
};

struct dhcp4_ops {
	void (*send)(void *arg, const uint8_t *data, size_t len, enum dhcp4_way way,
		     struct in_addr server);
	/* A lease began, or began anew; its options may have changed. */
	void (*bound)(void *arg, const struct dhcp4_lease *lease);
	/* The address must not be used any more. */
	void (*lost)(void *arg, const char *why);
};

struct dhcp4_client {
	const struct dhcp4_ops *ops;
	void *arg;
	uint8_t mac[6];
	uint16_t mtu;
	const char *hostname; /* to send; NULL: none */
	bool broadcast;
	bool skip_mtu;
	uint64_t random; /* state of the generator; not zero */

	enum dhcp4_state state;
	uint32_t xid;
	uint64_t due_ms; /* next timer; UINT64_MAX: none */
	uint64_t began_ms; /* of this acquisition, for secs */
	uint64_t asked_ms; /* of the first request the lease counts from */
	unsigned int tries;
	unsigned int naks; /* in a row */
	struct dhcp4_lease lease; /* of BOUND and later, of the offer or of the last boot */
	uint64_t t1_ms, t2_ms, end_ms; /* UINT64_MAX: never */
	bool held; /* bound() was told and lost() was not */
};

/* Sets the state; the settings above it are the caller's. */
void dhcp4_client_init(struct dhcp4_client *c);

/*
 * Begins. last: a lease of an earlier run, whose address is asked for again;
 * it ends at last_end_ms (in the past or UINT64_MAX are fine). NULL: none.
 * held: its address is still set, lost() is told when it must go.
 */
void dhcp4_client_start(struct dhcp4_client *c, uint64_t now_ms, const struct dhcp4_lease *last,
			uint64_t last_end_ms, bool held);
/* Nothing more is sent; the lease is kept by the caller or not. */
void dhcp4_client_stop(struct dhcp4_client *c);

/* A message's bytes (behind UDP's header). */
void dhcp4_client_receive(struct dhcp4_client *c, uint64_t now_ms, const uint8_t *data, size_t len);
/* To be called at due_ms; earlier is harmless. */
void dhcp4_client_timer(struct dhcp4_client *c, uint64_t now_ms);
/* The link came back: the lease is checked with its server (INIT-REBOOT). */
void dhcp4_client_link_up(struct dhcp4_client *c, uint64_t now_ms);

const char *dhcp4_state_name(enum dhcp4_state state);
