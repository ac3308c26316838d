/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's links, addresses and routes by libnl: a cache that follows the kernel's news. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "net/cidr.h"

struct hostlink; /* the connection */

struct hostlink_info {
	int index;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	bool ethernet; /* with a hardware address */
	bool physical; /* Ethernet, and not made by software */
	bool up, carrier;
	uint32_t mtu;
	char driver[32]; /* "": unknown */
};

int hostlink_open(struct hostlink **ret, struct err *e);
void hostlink_free(struct hostlink *h);
/* Readable when there is news; then hostlink_update(). */
int hostlink_fd(const struct hostlink *h);
/* 1 when it is about links other than those of pods (which are never shown), else 0. */
int hostlink_update(struct hostlink *h, struct err *e);

/* In order of index, until each returns false. */
void hostlink_each(struct hostlink *h, bool (*each)(void *arg, const struct hostlink_info *info),
		   void *arg);
bool hostlink_find(struct hostlink *h, int index, struct hostlink_info *ret);
/* An address of family on the link that can be used: of global scope, and not tentative. */
bool hostlink_has_address(struct hostlink *h, int index, int family);

/* This very one, with this prefix. */
bool hostlink_is_set(struct hostlink *h, int index, const struct cidr *address);

/* mtu 0 and mac NULL: as they are. */
int hostlink_set(struct hostlink *h, int index, uint32_t mtu, const uint8_t *mac, bool up,
		 struct err *e);

/* lifetime_s UINT32_MAX: for ever. An address that is there gets the new lifetime. */
int hostlink_add_address(struct hostlink *h, int index, const struct cidr *address,
			 uint32_t lifetime_s, struct err *e);
/* Absent is fine. */
int hostlink_remove_address(struct hostlink *h, int index, const struct cidr *address,
			    struct err *e);

struct hostlink_route {
	int index;
	struct cidr to;
	struct ip gateway; /* family 0: on the link itself */
	uint8_t protocol; /* RTPROT_* */
	uint32_t metric;
};

int hostlink_add_route(struct hostlink *h, const struct hostlink_route *r, struct err *e);
/* Absent is fine. */
int hostlink_remove_route(struct hostlink *h, const struct hostlink_route *r, struct err *e);
