/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and ranges of both families as numbers. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define CIDR_TEXT_MAX (INET6_ADDRSTRLEN + 4)

/* bytes: 4 or 16 of them, network order. */
struct ip {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
};

struct cidr {
	struct ip ip; /* as written: host bits are kept */
	unsigned int prefix; /* bits */
};

static inline size_t ip_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* No zone, no blanks, dotted quads of four decimal numbers only. */
int ip_parse(const char *text, struct ip *ret, struct err *e);
/* Returns dst. */
const char *ip_text(const struct ip *ip, char dst[static INET6_ADDRSTRLEN]);
bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_any(const struct ip *ip);
struct ip ip4_from(struct in_addr a);
struct ip ip6_from(struct in6_addr a);
struct in_addr ip_to4(const struct ip *ip);
struct in6_addr ip_to6(const struct ip *ip);

/* "10.0.0.0/8", or an address alone for a full prefix. */
int cidr_parse(const char *text, struct cidr *ret, struct err *e);
const char *cidr_text(const struct cidr *c, char dst[static CIDR_TEXT_MAX]);
bool cidr_contains(const struct cidr *c, const struct ip *ip);
bool cidr_overlap(const struct cidr *a, const struct cidr *b);
/* The range's first address plus n; n must be inside the range. */
struct ip cidr_nth(const struct cidr *c, uint32_t n);
/* The position of ip in its range; UINT32_MAX when outside or further away. */
uint32_t cidr_position(const struct cidr *c, const struct ip *ip);
/* How many addresses, at most UINT32_MAX. */
uint32_t cidr_size(const struct cidr *c);
/* First address of the range, and the first behind it; false when nothing is behind it. */
void cidr_first(const struct cidr *c, struct ip *ret);
bool cidr_behind(const struct cidr *c, struct ip *ret);

/* Addresses from first up to, not including, behind; open: to the family's last address. */
struct ip_span {
	struct ip first, behind;
	bool open;
};

/* The ranges of one family in order, those that meet made one; ret_spans has room for count.
 * Returns how many. */
size_t cidr_spans(const struct cidr *ranges, size_t count, int family, struct ip_span *ret_spans);

/* The prefix of a contiguous IPv4 mask, -1 for another one. */
int mask4_prefix(struct in_addr mask);
struct in_addr mask4_from_prefix(unsigned int prefix);
