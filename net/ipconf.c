/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ipconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

#define FIELDS_MAX 16

static const struct {
	const char *name;
	bool dhcp4, ra;
	const char *why; /* not NULL: refused */
} methods[] = {
	{ "dhcp", true, true, NULL },
	{ "on", true, true, NULL },
	{ "any", true, true, NULL },
	{ "single-dhcp", true, true, NULL },
	{ "auto6", false, true, NULL },
	{ "link6", false, true, NULL },
	{ "off", false, false, NULL },
	{ "none", false, false, NULL },
	{ "dhcp6", false, false, "DHCPv6 is not there yet" },
	{ "either6", false, false, "DHCPv6 is not there yet" },
	{ "bootp", false, false, "BOOTP is not supported" },
	{ "rarp", false, false, "RARP is not supported" },
	{ "both", false, false, "BOOTP is not supported" },
	{ "ibft", false, false, "iBFT is not supported" },
};

static int method_find(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(methods[i].name, name))
			return (int)i;
	}
	return -1;
}

static int ipconf_method(const char *name, struct ipconf *c, struct err *e)
{
	int i = method_find(name);

	if (i < 0)
		return err_set(e, EINVAL, "method %.32s is unknown", name);
	if (methods[i].why)
		return err_set(e, EOPNOTSUPP, "method %s: %s", name, methods[i].why);
	c->dhcp4 = methods[i].dhcp4;
	c->ra = methods[i].ra;
	return 0;
}

/* Cuts text at colons outside brackets, which vanish; the number of fields, 0 for none that is
 * sound. */
static size_t ipconf_split(char *text, char *fields[FIELDS_MAX])
{
	size_t n = 1;
	char *out = text;
	bool inside = false;

	fields[0] = text;
	for (char *in = text; *in; in++) {
		if ((*in == '[') != (*in == ']')) {
			if (inside == (*in == '['))
				return 0;
			inside = !inside;
		} else if (*in == ':' && !inside) {
			if (n == FIELDS_MAX)
				return 0;
			*out++ = '\0';
			fields[n++] = out;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return inside ? 0 : n;
}

static int ipconf_link(const char *name, struct ipconf *c, struct err *e)
{
	if (!str_copy(c->link, sizeof(c->link), name) || strchr(name, '/') || str_eq(name, ".") ||
	    str_eq(name, ".."))
		return err_set(e, EINVAL, "%.32s is no name of a link", name);
	return 0;
}

static bool ipconf_is_mac(const char *const *fields, size_t count, uint8_t ret[6])
{
	if (count < 6)
		return false;
	for (size_t i = 0; i < 6; i++) {
		char *end;
		unsigned long n = strtoul(fields[i], &end, 16);

		if (strlen(fields[i]) != 2 || *end || n > 255)
			return false;
		ret[i] = (uint8_t)n;
	}
	return true;
}

/* [MTU][:MAC], the MAC's own colons cut too. */
static int ipconf_mtu_mac(char *const *fields, size_t count, struct ipconf *c, struct err *e)
{
	if (count > 0 && *fields[0] &&
	    (str_to_u32(fields[0], &c->mtu) < 0 || c->mtu < 68 || c->mtu > 65535))
		return err_set(e, EINVAL, "%.32s is no MTU", fields[0]);
	if (count < 2)
		return 0;
	if (count != 7 || !ipconf_is_mac((const char *const *)fields + 1, 6, c->mac))
		return err_set(e, EINVAL, "no hardware address behind the MTU");
	c->has_mac = true;
	return 0;
}

static int ipconf_prefix(const char *mask, struct ipconf *c, struct err *e)
{
	unsigned int bits = (unsigned int)ip_size(c->address.ip.family) * 8;
	struct ip ip;
	uint32_t n;
	int prefix;

	if (str_to_u32(mask, &n) == 0 && n <= bits) {
		c->address.prefix = n;
		return 0;
	}
	if (c->address.ip.family == AF_INET && strchr(mask, '.') && ip_parse(mask, &ip, e) == 0) {
		prefix = mask4_prefix(ip_to4(&ip));
		if (prefix >= 0) {
			c->address.prefix = (unsigned int)prefix;
			return 0;
		}
	}
	return err_set(e, EINVAL, "%.40s is no netmask", *mask ? mask : "nothing");
}

static int ipconf_servers(char *const *fields, size_t count, struct ipconf *c, struct err *e)
{
	for (size_t i = 0; i < count && i < 2; i++) {
		if (*fields[i] && ip_parse(fields[i], &c->dns[c->ndns++], e) < 0)
			return err_wrap(e, "name server");
	}
	return 0;
}

static int ipconf_static(char *const *f, size_t n, struct ipconf *c, struct err *e)
{
	uint32_t number;

	if (n < 7)
		return err_set(e, EINVAL, "%zu fields instead of at least 7", n);
	if (*f[0]) {
		if (ip_parse(f[0], &c->address.ip, e) < 0 || ipconf_prefix(f[3], c, e) < 0)
			return -e->code;
		c->has_address = true;
	}
	if (*f[2] && ip_parse(f[2], &c->gateway, e) < 0)
		return err_wrap(e, "gateway");
	if (c->has_address && c->gateway.family && c->gateway.family != c->address.ip.family)
		return err_set(e, EINVAL, "the gateway is of the other family");
	if (!str_copy(c->hostname, sizeof(c->hostname), f[4]))
		return err_set(e, EINVAL, "the host name is too long");
	if (ipconf_link(f[5], c, e) < 0 || ipconf_method(*f[6] ? f[6] : "none", c, e) < 0)
		return -e->code;
	f += 7;
	n -= 7;
	/* what follows is a number, or the address of a name server */
	if (n > 0 && (!*f[0] || str_to_u32(f[0], &number) == 0) && (n == 1 || n == 7))
		return ipconf_mtu_mac(f, n, c, e);
	return ipconf_servers(f, n, c, e);
}

int ipconf_parse(const char *text, struct ipconf *ret, struct err *e)
{
	auto_free char *copy = mem_strdup(text);
	char *fields[FIELDS_MAX];
	size_t n = ipconf_split(copy, fields);
	struct ipconf c = { 0 };
	int r;

	if (n == 0)
		r = err_set(e, EINVAL, "brackets or too many fields");
	else if (n == 1)
		r = ipconf_method(fields[0], &c, e);
	else if (*fields[0] && method_find(fields[1]) >= 0)
		r = ipconf_link(fields[0], &c, e) < 0 || ipconf_method(fields[1], &c, e) < 0
			    ? -e->code
			    : ipconf_mtu_mac(fields + 2, n - 2, &c, e);
	else
		r = ipconf_static(fields, n, &c, e);
	if (r < 0)
		return err_wrap(e, "ip=%.80s", text);
	*ret = c;
	return 0;
}
