/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/dhcp4.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "net/cidr.h"
#include "net/dns.h"

/* RFC 2131 section 2 */
enum {
	AT_OP = 0,
	AT_HTYPE = 1,
	AT_HLEN = 2,
	AT_XID = 4,
	AT_SECS = 8,
	AT_FLAGS = 10,
	AT_CIADDR = 12,
	AT_YIADDR = 16,
	AT_CHADDR = 28,
	AT_SNAME = 44,
	AT_FILE = 108,
	AT_COOKIE = 236,
	AT_OPTIONS = 240,
};

enum {
	OP_REQUEST = 1,
	OP_REPLY = 2,
	HTYPE_ETHERNET = 1,
	FLAG_BROADCAST = 0x8000,
	SIZE_MIN = 300, /* some relays drop shorter ones */
	LEASE_DEFAULT_S = 1800, /* when a server names none */
	MTU_MIN = 576,
};

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOSTNAME = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_BROADCAST = 28,
	OPT_NTP = 42,
	OPT_ADDRESS = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_PARAMETERS = 55,
	OPT_MAX_SIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_VENDOR = 60,
	OPT_CLIENT = 61,
	OPT_SEARCH = 119,
	OPT_ROUTES = 121,
	OPT_END = 255,
};

static const uint8_t cookie[] = { 99, 130, 83, 99 };

static void put_u16(uint8_t *at, uint16_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

static void put_u32(uint8_t *at, uint32_t n)
{
	put_u16(at, (uint16_t)(n >> 16));
	put_u16(at + 2, (uint16_t)n);
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static struct in_addr get_addr(const uint8_t *at)
{
	struct in_addr a;

	memcpy(&a, at, 4);
	return a;
}

static uint8_t *put_option(uint8_t *at, uint8_t code, const void *data, size_t len)
{
	at[0] = code;
	at[1] = (uint8_t)len;
	memcpy(at + 2, data, len);
	return at + 2 + len;
}

/* The same list in every message: servers decide by it what to answer. 121 before 3. */
static uint8_t *put_parameters(uint8_t *at, const struct dhcp4_request *r)
{
	static const uint8_t wanted[] = { OPT_ROUTES, OPT_MASK,	     OPT_ROUTER,   OPT_DNS,
					  OPT_DOMAIN, OPT_SEARCH,    OPT_HOSTNAME, OPT_MTU,
					  OPT_NTP,    OPT_BROADCAST, OPT_LEASE,	   OPT_SERVER,
					  OPT_T1,     OPT_T2 };
	uint8_t list[sizeof(wanted)];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(wanted); i++) {
		/* a name that is sent comes back as it is from some servers, and means nothing */
		if ((wanted[i] == OPT_HOSTNAME && r->hostname) ||
		    (wanted[i] == OPT_MTU && r->skip_mtu))
			continue;
		list[n++] = wanted[i];
	}
	return put_option(at, OPT_PARAMETERS, list, n);
}

size_t dhcp4_build(const struct dhcp4_request *r, uint8_t ret[static DHCP4_MESSAGE_MAX])
{
	uint8_t type = (uint8_t)r->type, id[7] = { HTYPE_ETHERNET }, size[2];
	uint8_t *at = ret + AT_OPTIONS;

	memset(ret, 0, SIZE_MIN);
	ret[AT_OP] = OP_REQUEST;
	ret[AT_HTYPE] = HTYPE_ETHERNET;
	ret[AT_HLEN] = 6;
	put_u32(ret + AT_XID, r->xid);
	put_u16(ret + AT_SECS, r->secs);
	put_u16(ret + AT_FLAGS, r->broadcast ? FLAG_BROADCAST : 0);
	memcpy(ret + AT_CIADDR, &r->ciaddr, 4);
	memcpy(ret + AT_CHADDR, r->mac, 6);
	memcpy(ret + AT_COOKIE, cookie, sizeof(cookie));
	memcpy(id + 1, r->mac, 6);
	put_u16(size, r->max_size);
	at = put_option(at, OPT_TYPE, &type, 1);
	at = put_option(at, OPT_CLIENT, id, sizeof(id));
	if (r->server.s_addr)
		at = put_option(at, OPT_SERVER, &r->server, 4);
	if (r->address.s_addr)
		at = put_option(at, OPT_ADDRESS, &r->address, 4);
	if (r->type == DHCP4_DISCOVER || r->type == DHCP4_REQUEST) {
		at = put_option(at, OPT_MAX_SIZE, size, 2);
		at = put_parameters(at, r);
		if (r->hostname)
			at = put_option(at, OPT_HOSTNAME, r->hostname, strnlen(r->hostname, 63));
		at = put_option(at, OPT_VENDOR, "berth", 5);
	}
	*at++ = OPT_END;
	if (at < ret + SIZE_MIN)
		return SIZE_MIN;
	return (size_t)(at - ret);
}

/* A part of a message that holds options. */
struct area {
	const uint8_t *data;
	size_t len;
};

/* Joins the parts of an option in one area to what is there; -1 when the area has none. */
static int area_option(struct area a, uint8_t code, uint8_t *ret, size_t size, int have)
{
	size_t i = 0;

	while (i < a.len && a.data[i] != OPT_END) {
		size_t len;

		if (a.data[i] == OPT_PAD) {
			i++;
			continue;
		}
		if (i + 2 > a.len)
			break;
		len = a.data[i + 1];
		if (i + 2 + len > a.len)
			break;
		if (a.data[i] == code) {
			size_t used = have < 0 ? 0 : (size_t)have;
			size_t room = size - used;

			if (len > room)
				len = room;
			if (len > 0)
				memcpy(ret + used, a.data + i + 2, len);
			have = (int)(used + len);
			len = a.data[i + 1];
		}
		i += 2 + len;
	}
	return have;
}

int dhcp4_option(const struct dhcp4_message *m, uint8_t code, uint8_t *ret, size_t size)
{
	struct area options = { m->data + AT_OPTIONS, m->len - AT_OPTIONS };
	struct area file = { m->data + AT_FILE, AT_COOKIE - AT_FILE };
	struct area sname = { m->data + AT_SNAME, AT_FILE - AT_SNAME };
	uint8_t overload = 0;
	int have = area_option(options, code, ret, size, -1);

	area_option(options, OPT_OVERLOAD, &overload, 1, -1);
	if (overload & 1)
		have = area_option(file, code, ret, size, have);
	if (overload & 2)
		have = area_option(sname, code, ret, size, have);
	return have;
}

static struct in_addr option_addr(const struct dhcp4_message *m, uint8_t code)
{
	uint8_t data[4];

	if (dhcp4_option(m, code, data, sizeof(data)) != 4)
		return (struct in_addr){ 0 };
	return get_addr(data);
}

static uint32_t option_u32(const struct dhcp4_message *m, uint8_t code, uint32_t fallback)
{
	uint8_t data[4];

	return dhcp4_option(m, code, data, sizeof(data)) == 4 ? get_u32(data) : fallback;
}

int dhcp4_parse(const uint8_t *data, size_t len, struct dhcp4_message *ret, struct err *e)
{
	struct dhcp4_message m = { .data = data, .len = len };
	uint8_t type[1];

	if (len < AT_OPTIONS)
		return err_set(e, EBADMSG, "a message of %zu bytes", len);
	if (data[AT_OP] != OP_REPLY || data[AT_HTYPE] != HTYPE_ETHERNET || data[AT_HLEN] != 6 ||
	    memcmp(data + AT_COOKIE, cookie, sizeof(cookie)) != 0)
		return err_set(e, EBADMSG, "no answer of a DHCP server");
	if (dhcp4_option(&m, OPT_TYPE, type, 1) != 1 ||
	    (type[0] != DHCP4_OFFER && type[0] != DHCP4_ACK && type[0] != DHCP4_NAK))
		return err_set(e, EBADMSG, "no OFFER, ACK or NAK");
	m.type = (enum dhcp4_type)type[0];
	m.xid = get_u32(data + AT_XID);
	memcpy(m.mac, data + AT_CHADDR, 6);
	m.yiaddr = get_addr(data + AT_YIADDR);
	m.server = option_addr(&m, OPT_SERVER);
	*ret = m;
	return 0;
}

/* Neither zero, loopback, multicast nor broadcast. */
static bool addr_usable(struct in_addr a)
{
	uint32_t n = ntohl(a.s_addr);

	return n >> 24 != 0 && n >> 24 != 127 && n >> 28 < 14;
}

static size_t option_addrs(const struct dhcp4_message *m, uint8_t code,
			   struct in_addr ret[static DHCP4_SERVERS_MAX])
{
	uint8_t data[DHCP4_SERVERS_MAX * 8];
	int len = dhcp4_option(m, code, data, sizeof(data));
	size_t n = 0;

	for (int i = 0; i + 4 <= len && n < DHCP4_SERVERS_MAX; i += 4) {
		struct in_addr a = get_addr(data + i);

		if (addr_usable(a))
			ret[n++] = a;
	}
	return n;
}

static bool option_name(const struct dhcp4_message *m, uint8_t code, char ret[static 256])
{
	int len = dhcp4_option(m, code, (uint8_t *)ret, 255);

	if (len <= 0)
		return false;
	ret[len] = '\0';
	len = (int)strlen(ret); /* some servers send a NUL with it */
	if (len > 0 && ret[len - 1] == '.')
		ret[len - 1] = '\0';
	return dns_name_ok(ret);
}

static void lease_search(const struct dhcp4_message *m, struct dhcp4_lease *l)
{
	uint8_t data[DHCP4_OPTION_MAX];
	int len = dhcp4_option(m, OPT_SEARCH, data, sizeof(data));
	char name[256];

	if (len > 0)
		dns_join_names(data, (size_t)len, l->search, sizeof(l->search));
	if (!*l->search && option_name(m, OPT_DOMAIN, name))
		str_copy(l->search, sizeof(l->search), name);
}

/* Classless routes: width, the bytes of the destination that count, gateway. */
static void lease_routes(const struct dhcp4_message *m, struct dhcp4_lease *l)
{
	uint8_t data[DHCP4_OPTION_MAX];
	int len = dhcp4_option(m, OPT_ROUTES, data, sizeof(data));
	struct in_addr routers[DHCP4_SERVERS_MAX];

	for (int i = 0; i < len && l->nroutes < DHCP4_ROUTES_MAX;) {
		struct dhcp4_route *r = &l->routes[l->nroutes];
		int width = data[i], bytes = (width + 7) / 8;
		uint8_t to[4] = { 0 };

		if (width > 32 || i + 1 + bytes + 4 > len)
			break;
		memcpy(to, data + i + 1, (size_t)bytes);
		r->to = get_addr(to);
		r->to.s_addr &= mask4_from_prefix((unsigned int)width).s_addr;
		r->prefix = (unsigned int)width;
		r->gateway = get_addr(data + i + 1 + bytes);
		i += 1 + bytes + 4;
		if (r->gateway.s_addr == 0 || addr_usable(r->gateway))
			l->nroutes++;
	}
	/* with option 121 the routers of option 3 do not count (RFC 3442) */
	if (len > 0)
		return;
	if (option_addrs(m, OPT_ROUTER, routers) > 0)
		l->routes[l->nroutes++] = (struct dhcp4_route){ .gateway = routers[0] };
}

static void lease_times(const struct dhcp4_message *m, struct dhcp4_lease *l)
{
	l->lease_s = option_u32(m, OPT_LEASE, LEASE_DEFAULT_S);
	if (l->lease_s == DHCP4_FOREVER) {
		l->t1_s = l->t2_s = DHCP4_FOREVER;
		return;
	}
	l->t1_s = option_u32(m, OPT_T1, l->lease_s / 2);
	l->t2_s = option_u32(m, OPT_T2, (uint32_t)((uint64_t)l->lease_s * 7 / 8));
	if (l->t1_s == 0 || l->t1_s > l->t2_s || l->t2_s > l->lease_s) {
		l->t1_s = l->lease_s / 2;
		l->t2_s = (uint32_t)((uint64_t)l->lease_s * 7 / 8);
	}
}

int dhcp4_lease(const struct dhcp4_message *m, struct dhcp4_lease *ret, struct err *e)
{
	struct dhcp4_lease l = { .address = m->yiaddr, .server = m->server, .prefix = 32 };
	struct in_addr mask = option_addr(m, OPT_MASK);
	int prefix = mask4_prefix(mask);
	char name[256];
	uint8_t mtu[2];

	if (!addr_usable(l.address))
		return err_set(e, EBADMSG, "the server offers no usable address");
	if (l.server.s_addr == 0)
		return err_set(e, EBADMSG, "the server does not say who it is");
	lease_times(m, &l);
	if (l.lease_s == 0)
		return err_set(e, EBADMSG, "a lease of no time");
	if (mask.s_addr && prefix > 0)
		l.prefix = (unsigned int)prefix;
	lease_routes(m, &l);
	l.ndns = option_addrs(m, OPT_DNS, l.dns);
	l.nntp = option_addrs(m, OPT_NTP, l.ntp);
	lease_search(m, &l);
	if (option_name(m, OPT_HOSTNAME, name) && strlen(name) < sizeof(l.hostname))
		str_copy(l.hostname, sizeof(l.hostname), name);
	if (dhcp4_option(m, OPT_MTU, mtu, 2) == 2 && (mtu[0] << 8 | mtu[1]) >= MTU_MIN)
		l.mtu = (uint16_t)(mtu[0] << 8 | mtu[1]);
	*ret = l;
	return 0;
}
