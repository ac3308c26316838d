/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCPv4 messages (RFC 2131, 2132, 3396, 3397, 3442) to and from bytes. Pure:
 * no clock, no socket; foreign bytes in, checked values out.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define DHCP4_MESSAGE_MAX 1472 /* bytes; what an Ethernet frame carries */
#define DHCP4_OPTION_MAX 1024 /* bytes of one option, its parts joined */
#define DHCP4_ROUTES_MAX 64
#define DHCP4_SERVERS_MAX 4 /* of one kind */
#define DHCP4_FOREVER UINT32_MAX /* seconds */

enum dhcp4_type {
	DHCP4_DISCOVER = 1,
	DHCP4_OFFER = 2,
	DHCP4_REQUEST = 3,
	DHCP4_DECLINE = 4,
	DHCP4_ACK = 5,
	DHCP4_NAK = 6,
	DHCP4_RELEASE = 7,
};

struct dhcp4_route {
	struct in_addr to;
	unsigned int prefix;
	struct in_addr gateway; /* 0: on the link itself */
};

struct dhcp4_lease {
	struct in_addr address;
	unsigned int prefix;
	struct in_addr server;
	uint32_t lease_s, t1_s, t2_s; /* from the request on; t1 <= t2 <= lease */
	struct dhcp4_route routes[DHCP4_ROUTES_MAX];
	size_t nroutes;
	struct in_addr dns[DHCP4_SERVERS_MAX];
	size_t ndns;
	struct in_addr ntp[DHCP4_SERVERS_MAX];
	size_t nntp;
	char hostname[65]; /* "": none; only letters, digits, '-', '.' */
	char search[256]; /* domains, a blank between them */
	uint16_t mtu; /* 0: none */
};

/* What a message to a server says. */
struct dhcp4_request {
	enum dhcp4_type type;
	uint32_t xid;
	uint16_t secs;
	bool broadcast; /* the answer must not be unicast to an address we do not have yet */
	struct in_addr ciaddr;
	uint8_t mac[6];
	struct in_addr address; /* option 50; 0: none */
	struct in_addr server; /* option 54; 0: none */
	uint16_t max_size; /* option 57 */
	const char *hostname; /* option 12; NULL: none, and it is asked for */
	bool skip_mtu; /* Azure answers nobody who asks for option 26 */
};

/* A received message, checked as far as its frame goes; points into the buffer. */
struct dhcp4_message {
	const uint8_t *data;
	size_t len;
	enum dhcp4_type type;
	uint32_t xid;
	uint8_t mac[6];
	struct in_addr yiaddr;
	struct in_addr server; /* option 54; 0: none */
};

/* Returns the length, at least 300 bytes. */
size_t dhcp4_build(const struct dhcp4_request *r, uint8_t ret[static DHCP4_MESSAGE_MAX]);

/* -EBADMSG when it is no answer of a server. */
int dhcp4_parse(const uint8_t *data, size_t len, struct dhcp4_message *ret, struct err *e);

/* The bytes of an option, all its parts joined; -1 when absent, cut at size. */
int dhcp4_option(const struct dhcp4_message *m, uint8_t code, uint8_t *ret, size_t size);

/* The lease of an OFFER or ACK; what is nonsense in an option is left out. */
int dhcp4_lease(const struct dhcp4_message *m, struct dhcp4_lease *ret, struct err *e);
