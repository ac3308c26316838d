/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ndopt.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "net/dns.h"
#include "net/netlink.h"

enum {
	ROUTER_ADVERTISEMENT = 134, /* ICMPv6 type */
	OPT_RDNSS = 25,
	OPT_DNSSL = 31,
	OPT_HEADER = 8, /* type, length, reserved, lifetime */
};

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void ndopt_servers(const uint8_t *opt, size_t len, struct ndopt *ret)
{
	uint32_t lifetime = get_u32(opt + 4);

	for (size_t i = OPT_HEADER; i + 16 <= len && ret->nservers < NDOPT_SERVERS_MAX; i += 16) {
		struct ndopt_server *s = &ret->servers[ret->nservers];

		*s = (struct ndopt_server){ .ip.family = AF_INET6, .lifetime_s = lifetime };
		memcpy(s->ip.bytes, opt + i, 16);
		/* neither any, loopback nor multicast */
		if (s->ip.bytes[0] == 0xff ||
		    (get_u32(s->ip.bytes) == 0 && get_u32(s->ip.bytes + 4) == 0))
			continue;
		ret->nservers++;
	}
}

static void ndopt_search(const uint8_t *opt, size_t len, struct ndopt *ret)
{
	dns_join_names(opt + OPT_HEADER, len - OPT_HEADER, ret->search, sizeof(ret->search));
	ret->search_lifetime_s = get_u32(opt + 4);
	ret->has_search = true;
}

int ndopt_parse(const uint8_t *data, size_t len, struct ndopt *ret, struct err *e)
{
	struct ndopt found = { 0 };
	struct nduseroptmsg user;
	struct nlmsghdr h;
	const uint8_t *opt = data + sizeof(h) + sizeof(user);
	size_t left;

	if (len < sizeof(h) + sizeof(user))
		return err_set(e, ENOMSG, "a message of %zu bytes", len);
	memcpy(&h, data, sizeof(h));
	memcpy(&user, data + sizeof(h), sizeof(user));
	if (h.nlmsg_type != RTM_NEWNDUSEROPT || h.nlmsg_len > len ||
	    h.nlmsg_len < sizeof(h) + sizeof(user) || user.nduseropt_family != AF_INET6 ||
	    user.nduseropt_icmp_type != ROUTER_ADVERTISEMENT)
		return err_set(e, ENOMSG, "no option of a router advertisement");
	left = h.nlmsg_len - sizeof(h) - sizeof(user);
	if (user.nduseropt_opts_len < left)
		left = user.nduseropt_opts_len;
	found.ifindex = user.nduseropt_ifindex;
	while (left >= OPT_HEADER) {
		size_t n = (size_t)opt[1] * 8;

		if (n < OPT_HEADER || n > left)
			break;
		if (opt[0] == OPT_RDNSS)
			ndopt_servers(opt, n, &found);
		else if (opt[0] == OPT_DNSSL)
			ndopt_search(opt, n, &found);
		opt += n;
		left -= n;
	}
	*ret = found;
	return 0;
}

int ndopt_open(int *ret_fd, struct err *e)
{
	auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (RTNLGRP_ND_USEROPT - 1),
	};

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(e, errno, "listen for options of router advertisements");
	*ret_fd = fd_take(&fd);
	return 0;
}

int ndopt_solicit(int ifindex, struct err *e)
{
	auto_fd int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	struct nd_router_solicit rs = { .nd_rs_type = ND_ROUTER_SOLICIT };
	struct sockaddr_in6 routers = {
		.sin6_family = AF_INET6,
		.sin6_addr = { .s6_addr = { 0xff, 2, [15] = 2 } },
		.sin6_scope_id = (uint32_t)ifindex,
	};
	int hops = 255; /* others are not answered */

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    sendto(fd, &rs, sizeof(rs), 0, (struct sockaddr *)&routers, sizeof(routers)) < 0)
		return err_set(e, errno, "solicit routers");
	return 0;
}
