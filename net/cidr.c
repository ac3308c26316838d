/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

int ip_parse(const char *text, struct ip *ret, struct err *e)
{
	struct ip ip = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(ip.family, text, ip.bytes) != 1)
		return err_set(e, EINVAL, "%.64s is no address", text);
	*ret = ip;
	return 0;
}

const char *ip_text(const struct ip *ip, char dst[static INET6_ADDRSTRLEN])
{
	dst[0] = '\0';
	if (ip->family)
		inet_ntop(ip->family, ip->bytes, dst, INET6_ADDRSTRLEN);
	return dst;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family &&
	       (a->family == 0 || memcmp(a->bytes, b->bytes, ip_size(a->family)) == 0);
}

bool ip_is_any(const struct ip *ip)
{
	static const uint8_t zero[16];

	return ip->family && memcmp(ip->bytes, zero, ip_size(ip->family)) == 0;
}

struct ip ip4_from(struct in_addr a)
{
	struct ip ip = { .family = AF_INET };

	memcpy(ip.bytes, &a, 4);
	return ip;
}

struct ip ip6_from(struct in6_addr a)
{
	struct ip ip = { .family = AF_INET6 };

	memcpy(ip.bytes, &a, 16);
	return ip;
}

struct in_addr ip_to4(const struct ip *ip)
{
	struct in_addr a;

	memcpy(&a, ip->bytes, 4);
	return a;
}

struct in6_addr ip_to6(const struct ip *ip)
{
	struct in6_addr a;

	memcpy(&a, ip->bytes, 16);
	return a;
}

int cidr_parse(const char *text, struct cidr *ret, struct err *e)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	struct cidr c = { 0 };
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len >= sizeof(address))
		return err_set(e, EINVAL, "%.64s is no range", text);
	memcpy(address, text, len);
	address[len] = '\0';
	if (ip_parse(address, &c.ip, e) < 0)
		return -e->code;
	c.prefix = (unsigned int)ip_size(c.ip.family) * 8;
	if (slash) {
		uint32_t n;

		if (str_to_u32(slash + 1, &n) < 0 || n > c.prefix)
			return err_set(e, EINVAL, "%.64s: the prefix is not 0 to %u", text,
				       c.prefix);
		c.prefix = n;
	}
	*ret = c;
	return 0;
}

const char *cidr_text(const struct cidr *c, char dst[static CIDR_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];

	snprintf(dst, CIDR_TEXT_MAX, "%s/%u", ip_text(&c->ip, address), c->prefix);
	return dst;
}

/* the byte of a mask of prefix bits at index i */
static uint8_t mask_byte(unsigned int prefix, size_t i)
{
	if (prefix >= 8 * (i + 1))
		return 0xff;
	if (prefix <= 8 * i)
		return 0;
	return (uint8_t)(0xff00 >> (prefix - 8 * i));
}

static bool same_prefix(const struct ip *a, const struct ip *b, unsigned int prefix)
{
	for (size_t i = 0; i < ip_size(a->family); i++) {
		if ((a->bytes[i] ^ b->bytes[i]) & mask_byte(prefix, i))
			return false;
	}
	return true;
}

bool cidr_contains(const struct cidr *c, const struct ip *ip)
{
	return c->ip.family && c->ip.family == ip->family && same_prefix(&c->ip, ip, c->prefix);
}

bool cidr_overlap(const struct cidr *a, const struct cidr *b)
{
	unsigned int shorter = a->prefix < b->prefix ? a->prefix : b->prefix;

	return a->ip.family == b->ip.family && same_prefix(&a->ip, &b->ip, shorter);
}

void cidr_first(const struct cidr *c, struct ip *ret)
{
	*ret = (struct ip){ .family = c->ip.family };
	for (size_t i = 0; i < ip_size(c->ip.family); i++)
		ret->bytes[i] = c->ip.bytes[i] & mask_byte(c->prefix, i);
}

struct ip cidr_nth(const struct cidr *c, uint32_t n)
{
	uint64_t carry = n;
	struct ip ip;

	cidr_first(c, &ip);
	for (size_t i = ip_size(ip.family); i-- > 0 && carry;) {
		carry += ip.bytes[i];
		ip.bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return ip;
}

uint32_t cidr_position(const struct cidr *c, const struct ip *ip)
{
	size_t size = ip_size(c->ip.family);
	uint32_t n = 0;

	if (!cidr_contains(c, ip))
		return UINT32_MAX;
	for (size_t i = 0; i < size; i++) {
		uint8_t host = ip->bytes[i] & (uint8_t)~mask_byte(c->prefix, i);

		if (i + 4 < size && host)
			return UINT32_MAX;
		n = n << 8 | host;
	}
	return n;
}

uint32_t cidr_size(const struct cidr *c)
{
	unsigned int bits = (unsigned int)ip_size(c->ip.family) * 8 - c->prefix;

	return bits >= 32 ? UINT32_MAX : 1u << bits;
}

bool cidr_behind(const struct cidr *c, struct ip *ret)
{
	unsigned int i = c->prefix;

	cidr_first(c, ret);
	/* adds one at the last bit of the prefix */
	while (i-- > 0) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		ret->bytes[i / 8] ^= bit;
		if (ret->bytes[i / 8] & bit)
			return true;
	}
	return false;
}

static int span_order(const void *a, const void *b)
{
	const struct ip_span *x = a, *y = b;

	return memcmp(x->first.bytes, y->first.bytes, sizeof(x->first.bytes));
}

size_t cidr_spans(const struct cidr *ranges, size_t count, int family, struct ip_span *ret_spans)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (ranges[i].ip.family != family)
			continue;
		cidr_first(&ranges[i], &ret_spans[n].first);
		ret_spans[n].open = !cidr_behind(&ranges[i], &ret_spans[n].behind);
		n++;
	}
	qsort(ret_spans, n, sizeof(*ret_spans), span_order);
	for (size_t i = 0; i < n; i++) {
		struct ip_span *last = kept ? &ret_spans[kept - 1] : NULL;

		if (last && last->open)
			break;
		if (!last || memcmp(ret_spans[i].first.bytes, last->behind.bytes, 16) > 0) {
			ret_spans[kept++] = ret_spans[i];
		} else if (ret_spans[i].open ||
			   memcmp(ret_spans[i].behind.bytes, last->behind.bytes, 16) > 0) {
			last->behind = ret_spans[i].behind;
			last->open = ret_spans[i].open;
		}
	}
	return kept;
}

int mask4_prefix(struct in_addr mask)
{
	uint32_t m = ntohl(mask.s_addr);
	int n = __builtin_popcount(m);

	return m == (n ? ~0u << (32 - n) : 0) ? n : -1;
}

struct in_addr mask4_from_prefix(unsigned int prefix)
{
	struct in_addr a = { .s_addr = prefix ? htonl(~0u << (32 - prefix)) : 0 };

	return a;
}
