/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/hostlink.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "net/podlink.h"

struct hostlink {
	struct nl_cache_mngr *mngr;
	struct nl_cache *links; /* of mngr */
	struct nl_sock *sock; /* for requests */
	bool news; /* of a link that is no pod's */
};

/* libnl has numbers of its own; those that we tell apart */
static int nl_errno(int r)
{
	static const struct {
		int nle, code;
	} table[] = {
		{ NLE_EXIST, EEXIST },	       { NLE_OBJ_NOTFOUND, ESRCH },
		{ NLE_NODEV, ENODEV },	       { NLE_NOADDR, EADDRNOTAVAIL },
		{ NLE_PERM, EPERM },	       { NLE_INVAL, EINVAL },
		{ NLE_NOMEM, ENOMEM },	       { NLE_AGAIN, EAGAIN },
		{ NLE_OPNOTSUPP, EOPNOTSUPP }, { NLE_AF_NOSUPPORT, EAFNOSUPPORT },
		{ NLE_FAILURE, EIO },	       { NLE_RANGE, ERANGE },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].nle == abs(r))
			return table[i].code;
	}
	return EIO;
}

static int nl_fail(struct err *e, int r, const char *what)
{
	return err_set(e, nl_errno(r), "%s: %s", what, nl_geterror(r));
}

/* Every pod that starts or ends is news of its link, and none of ours. */
static bool hostlink_is_pods(struct rtnl_link *link)
{
	uint32_t group = rtnl_link_get_group(link);

	return group == PODLINK_GROUP || group == PODLINK_GROUP_GONE;
}

static void on_change(struct nl_cache *cache, struct nl_object *o, int action, void *arg)
{
	struct rtnl_link *link = (struct rtnl_link *)(void *)o;
	struct hostlink *h = arg;

	(void)cache;
	if (rtnl_link_get_family(link) == AF_UNSPEC)
		h->news |= !hostlink_is_pods(link);
	else if (action != NL_ACT_DEL)
		nl_cache_remove(
			o); /* a link as IPv6 sees it: the kernel never says that it is gone */
}

int hostlink_open(struct hostlink **ret, struct err *e)
{
	struct hostlink *h = mem_alloc(sizeof(*h));
	int r;

	h->sock = nl_socket_alloc();
	r = h->sock ? nl_connect(h->sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (r == 0)
		r = nl_cache_mngr_alloc(NULL, NETLINK_ROUTE, NL_AUTO_PROVIDE, &h->mngr);
	if (r == 0)
		r = nl_cache_mngr_add(h->mngr, "route/link", on_change, h, &h->links);
	if (r < 0) {
		hostlink_free(h);
		return nl_fail(e, r, "watch links");
	}
	*ret = h;
	return 0;
}

void hostlink_free(struct hostlink *h)
{
	if (!h)
		return;
	if (h->mngr)
		nl_cache_mngr_free(h->mngr);
	if (h->sock)
		nl_socket_free(h->sock);
	free(h);
}

int hostlink_fd(const struct hostlink *h)
{
	return nl_cache_mngr_get_fd(h->mngr);
}

int hostlink_update(struct hostlink *h, struct err *e)
{
	int r;

	h->news = false;
	r = nl_cache_mngr_data_ready(h->mngr);
	if (r >= 0 || r == -NLE_AGAIN)
		return h->news;
	/* news was lost: read everything again */
	r = nl_cache_refill(h->sock, h->links);
	return r < 0 ? nl_fail(e, r, "read links") : 1;
}

/* By ioctl: /sys may be of another network namespace. */
static void hostlink_driver(struct hostlink *h, struct hostlink_info *info)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&driver };

	str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), info->name);
	if (ioctl(nl_socket_get_fd(h->sock), SIOCETHTOOL, &ifr) == 0)
		str_copy(info->driver, sizeof(info->driver), driver.driver);
}

static void hostlink_fill(struct hostlink *h, struct rtnl_link *link, struct hostlink_info *ret)
{
	struct nl_addr *mac = rtnl_link_get_addr(link);
	unsigned int flags = rtnl_link_get_flags(link);

	*ret = (struct hostlink_info){
		.index = rtnl_link_get_ifindex(link),
		.up = (flags & IFF_UP) != 0,
		.carrier = rtnl_link_get_carrier(link) != 0,
		.mtu = rtnl_link_get_mtu(link),
	};
	str_copy(ret->name, sizeof(ret->name), rtnl_link_get_name(link) ?: "");
	if (rtnl_link_get_arptype(link) == ARPHRD_ETHER && mac && nl_addr_get_len(mac) == 6) {
		memcpy(ret->mac, nl_addr_get_binary_addr(mac), 6);
		ret->ethernet = true;
		ret->physical = rtnl_link_get_type(link) == NULL;
	}
	if (ret->physical)
		hostlink_driver(h, ret);
}

/* The cache may hold a link as a bridge sees it, too, with the same index. */
static struct rtnl_link *hostlink_get(struct hostlink *h, int index)
{
	for (struct nl_object *o = nl_cache_get_first(h->links); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)(void *)o;

		if (rtnl_link_get_ifindex(link) == index && rtnl_link_get_family(link) == AF_UNSPEC)
			return link;
	}
	return NULL;
}

bool hostlink_find(struct hostlink *h, int index, struct hostlink_info *ret)
{
	struct rtnl_link *link = hostlink_get(h, index);

	if (!link)
		return false;
	hostlink_fill(h, link, ret);
	return true;
}

struct hostlink_order {
	struct rtnl_link *link;
	int index;
};

static int hostlink_compare(const void *a, const void *b)
{
	return ((const struct hostlink_order *)a)->index -
	       ((const struct hostlink_order *)b)->index;
}

void hostlink_each(struct hostlink *h, bool (*each)(void *arg, const struct hostlink_info *info),
		   void *arg)
{
	size_t count = 0;
	auto_free struct hostlink_order *order =
		mem_array((size_t)nl_cache_nitems(h->links) + 1, sizeof(*order));

	for (struct nl_object *o = nl_cache_get_first(h->links); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)(void *)o;

		if (rtnl_link_get_family(link) == AF_UNSPEC && !hostlink_is_pods(link))
			order[count++] =
				(struct hostlink_order){ link, rtnl_link_get_ifindex(link) };
	}
	qsort(order, count, sizeof(*order), hostlink_compare);
	for (size_t i = 0; i < count; i++) {
		struct hostlink_info info;

		hostlink_fill(h, order[i].link, &info);
		if (!each(arg, &info))
			return;
	}
}

bool hostlink_has_address(struct hostlink *h, int index, int family)
{
	struct nl_cache *cache;
	bool found = false;

	if (rtnl_addr_alloc_cache(h->sock, &cache) < 0)
		return false;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)(void *)o;

		found |= rtnl_addr_get_ifindex(a) == index && rtnl_addr_get_family(a) == family &&
			 rtnl_addr_get_scope(a) == RT_SCOPE_UNIVERSE &&
			 !(rtnl_addr_get_flags(a) & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
	}
	nl_cache_free(cache);
	return found;
}

bool hostlink_is_set(struct hostlink *h, int index, const struct cidr *address)
{
	struct nl_addr *wanted =
		nl_addr_build(address->ip.family, address->ip.bytes, ip_size(address->ip.family));
	struct nl_cache *cache;
	bool found = false;

	nl_addr_set_prefixlen(wanted, (int)address->prefix);
	if (rtnl_addr_alloc_cache(h->sock, &cache) == 0) {
		struct rtnl_addr *a = rtnl_addr_get(cache, index, wanted);

		found = a != NULL;
		rtnl_addr_put(a);
		nl_cache_free(cache);
	}
	nl_addr_put(wanted);
	return found;
}

int hostlink_set(struct hostlink *h, int index, uint32_t mtu, const uint8_t *mac, bool up,
		 struct err *e)
{
	struct rtnl_link *link = hostlink_get(h, index), *change = rtnl_link_alloc();
	int r = link && change ? 0 : -NLE_NODEV;

	if (r == 0) {
		if (mtu)
			rtnl_link_set_mtu(change, mtu);
		if (mac) {
			struct nl_addr *addr = nl_addr_build(AF_LLC, mac, 6);

			rtnl_link_set_addr(change, addr);
			nl_addr_put(addr);
		}
		if (up)
			rtnl_link_set_flags(change, IFF_UP);
		r = rtnl_link_change(h->sock, link, change, 0);
	}
	rtnl_link_put(change);
	return r < 0 ? nl_fail(e, r, "change link") : 0;
}

static struct nl_addr *addr_build(const struct ip *ip, unsigned int prefix)
{
	struct nl_addr *a = nl_addr_build(ip->family, ip->bytes, ip_size(ip->family));

	nl_addr_set_prefixlen(a, (int)prefix);
	return a;
}

static struct rtnl_addr *address_build(int index, const struct cidr *address)
{
	struct rtnl_addr *a = rtnl_addr_alloc();
	struct nl_addr *local = addr_build(&address->ip, address->prefix);

	rtnl_addr_set_ifindex(a, index);
	rtnl_addr_set_local(a, local);
	nl_addr_put(local);
	return a;
}

int hostlink_add_address(struct hostlink *h, int index, const struct cidr *address,
			 uint32_t lifetime_s, struct err *e)
{
	struct rtnl_addr *a = address_build(index, address);
	char text[CIDR_TEXT_MAX];
	int r;

	if (address->ip.family == AF_INET && address->prefix < 31) {
		struct ip last = cidr_nth(address, cidr_size(address) - 1);
		struct nl_addr *broadcast = addr_build(&last, 32);

		rtnl_addr_set_broadcast(a, broadcast);
		nl_addr_put(broadcast);
	}
	/* the kernel removes the address when we are not there to renew it */
	if (lifetime_s != UINT32_MAX) {
		rtnl_addr_set_valid_lifetime(a, lifetime_s);
		rtnl_addr_set_preferred_lifetime(a, lifetime_s);
	}
	r = rtnl_addr_add(h->sock, a, NLM_F_REPLACE);
	rtnl_addr_put(a);
	if (r < 0 && r != -NLE_EXIST) {
		nl_fail(e, r, "add address");
		return err_wrap(e, "%s", cidr_text(address, text));
	}
	return 0;
}

int hostlink_remove_address(struct hostlink *h, int index, const struct cidr *address,
			    struct err *e)
{
	struct rtnl_addr *a = address_build(index, address);
	char text[CIDR_TEXT_MAX];
	int r = rtnl_addr_delete(h->sock, a, 0);

	rtnl_addr_put(a);
	if (r < 0 && r != -NLE_NOADDR && r != -NLE_NODEV) {
		nl_fail(e, r, "remove address");
		return err_wrap(e, "%s", cidr_text(address, text));
	}
	return 0;
}

static struct rtnl_route *route_build(const struct hostlink_route *r)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct ip first;
	struct nl_addr *to;

	cidr_first(&r->to, &first);
	to = addr_build(&first, r->to.prefix);
	rtnl_route_set_family(route, (uint8_t)r->to.ip.family);
	rtnl_route_set_dst(route, to);
	nl_addr_put(to);
	rtnl_route_set_table(route, RT_TABLE_MAIN);
	rtnl_route_set_protocol(route, r->protocol);
	rtnl_route_set_priority(route, r->metric);
	rtnl_route_set_scope(route, !r->gateway.family && r->to.ip.family == AF_INET
					    ? RT_SCOPE_LINK
					    : RT_SCOPE_UNIVERSE);
	rtnl_route_nh_set_ifindex(hop, r->index);
	if (r->gateway.family) {
		struct nl_addr *gateway =
			addr_build(&r->gateway, (unsigned int)ip_size(r->gateway.family) * 8);

		rtnl_route_nh_set_gateway(hop, gateway);
		nl_addr_put(gateway);
	}
	rtnl_route_add_nexthop(route, hop);
	return route;
}

int hostlink_add_route(struct hostlink *h, const struct hostlink_route *r, struct err *e)
{
	struct rtnl_route *route = route_build(r);
	char text[CIDR_TEXT_MAX];
	int result = rtnl_route_add(h->sock, route, NLM_F_REPLACE);

	rtnl_route_put(route);
	if (result < 0 && result != -NLE_EXIST) {
		nl_fail(e, result, "add route");
		return err_wrap(e, "%s", cidr_text(&r->to, text));
	}
	return 0;
}

int hostlink_remove_route(struct hostlink *h, const struct hostlink_route *r, struct err *e)
{
	struct rtnl_route *route = route_build(r);
	char text[CIDR_TEXT_MAX];
	int result = rtnl_route_delete(h->sock, route, 0);

	rtnl_route_put(route);
	if (result < 0 && result != -NLE_OBJ_NOTFOUND && result != -NLE_NODEV) {
		nl_fail(e, result, "remove route");
		return err_wrap(e, "%s", cidr_text(&r->to, text));
	}
	return 0;
}
