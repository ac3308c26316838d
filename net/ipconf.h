/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The boot line's ip= in dracut's dialect: one word a link, IPv6 addresses in
 * brackets.
 *
 *	METHOD
 *	LINK:METHOD[:[MTU][:MAC]]
 *	ADDRESS:[PEER]:[GATEWAY]:NETMASK:[HOSTNAME]:[LINK]:METHOD[:[MTU][:MAC]]
 *	ADDRESS:[PEER]:[GATEWAY]:NETMASK:[HOSTNAME]:[LINK]:METHOD[:[DNS1][:DNS2[:NTP]]]
 *
 * METHOD: dhcp, on, any, single-dhcp: DHCPv4 and router advertisements; auto6,
 * link6: router advertisements; off, none: the address given, or nothing.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "net/cidr.h"

struct ipconf {
	char link[IFNAMSIZ]; /* "": the first one with a carrier */
	bool dhcp4;
	bool ra;
	bool has_address;
	struct cidr address;
	struct ip gateway; /* family 0: none */
	char hostname[65]; /* "": none */
	uint32_t mtu; /* 0: as it is */
	bool has_mac;
	uint8_t mac[6];
	struct ip dns[2];
	size_t ndns;
};

int ipconf_parse(const char *text, struct ipconf *ret, struct err *e);
