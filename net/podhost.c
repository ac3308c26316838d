/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/path.h"
#include "lib/str.h"
#include "net/podlink.h"

#define LOOPBACK_INDEX 1 /* the first link of every namespace */
#define MTU_DEFAULT 1500
#define MTU_MIN 1280 /* IPv6 needs it */
#define GATEWAYS_MAX 64

struct podhost_addresses {
	struct ip ips[GATEWAYS_MAX];
	size_t count;
};

/* gathers the addresses of ours on loopback */
static int podhost_on_address(const struct nlmsghdr *h, void *arg)
{
	struct podhost_addresses *all = arg;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ip ip = { 0 };
	bool ours = false, found = false;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ifa))
		return MNL_CB_OK;
	ip.family = ifa->ifa_family;
	if (ifa->ifa_index != LOOPBACK_INDEX || (ip.family != AF_INET && ip.family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == IFA_ADDRESS && mnl_attr_get_payload_len(a) == ip_size(ip.family)) {
			memcpy(ip.bytes, mnl_attr_get_payload(a), ip_size(ip.family));
			found = true;
		} else if (type == IFA_PROTO && mnl_attr_validate(a, MNL_TYPE_U8) >= 0) {
			ours = mnl_attr_get_u8(a) == PODLINK_ROUTE_PROTOCOL;
		}
	}
	if (found && ours && all->count < GATEWAYS_MAX)
		all->ips[all->count++] = ip;
	return MNL_CB_OK;
}

static int podhost_list(struct netlink *host, struct podhost_addresses *ret, struct err *e)
{
	char buf[MNL_ALIGN(64)] __attribute__((aligned(MNL_ALIGNTO)));
	struct ifaddrmsg *ifa;
	struct nlmsghdr *h;
	int tries = 0;
	int r;

	do {
		ret->count = 0;
		h = mnl_nlmsg_put_header(buf);
		h->nlmsg_type = RTM_GETADDR;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
		ifa->ifa_family = AF_UNSPEC;
		r = netlink_dump(host, h, podhost_on_address, ret, e);
	} while (r == -EINTR && ++tries < NETLINK_TRIES);
	return r < 0 ? err_wrap(e, "list addresses") : 0;
}

static void podhost_add(struct netlink_batch *b, uint16_t type, const struct ip *ip)
{
	bool new = type == RTM_NEWADDR;
	struct nlmsghdr *h = netlink_add(b, type, new ? NLM_F_CREATE | NLM_F_REPLACE : 0,
					 new ? "add gateway address" : "remove gateway address",
					 new ? EEXIST : EADDRNOTAVAIL);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
	size_t size = ip_size(ip->family);

	ifa->ifa_family = (uint8_t)ip->family;
	ifa->ifa_prefixlen = (uint8_t)(size * 8);
	ifa->ifa_index = LOOPBACK_INDEX;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	mnl_attr_put(h, IFA_LOCAL, size, ip->bytes);
	mnl_attr_put(h, IFA_ADDRESS, size, ip->bytes);
	if (!new)
		return;
	if (ip->family == AF_INET6)
		mnl_attr_put_u32(h, IFA_FLAGS, IFA_F_NODAD);
	mnl_attr_put_u8(h, IFA_PROTO, PODLINK_ROUTE_PROTOCOL);
}

static bool podhost_in(const struct ip *ip, const struct ip *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ip_equal(ip, &list[i]))
			return true;
	}
	return false;
}

int podhost_set_gateways(struct netlink *host, const struct ip *wanted, size_t count, struct err *e)
{
	struct podhost_addresses there;
	struct netlink_batch b;
	struct ifinfomsg *ifi;

	if (podhost_list(host, &there, e) < 0)
		return -e->code;
	netlink_batch_init(&b);
	ifi = mnl_nlmsg_put_extra_header(netlink_add(&b, RTM_NEWLINK, 0, "bring lo up", 0),
					 sizeof(*ifi));
	ifi->ifi_index = LOOPBACK_INDEX;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	if (netlink_run(host, &b, e) < 0)
		return -e->code;
	for (size_t i = 0; i < there.count + count; i++) {
		bool old = i < there.count;
		const struct ip *ip = old ? &there.ips[i] : &wanted[i - there.count];

		if (old ? podhost_in(ip, wanted, count) : podhost_in(ip, there.ips, there.count))
			continue;
		netlink_batch_init(&b);
		podhost_add(&b, old ? RTM_DELADDR : RTM_NEWADDR, ip);
		if (netlink_run(host, &b, e) < 0)
			return -e->code;
	}
	return 0;
}

bool podhost_has_ipv6(void)
{
	struct err ignored = { 0 };
	char disabled[4];

	return path_read_line(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/disable_ipv6", disabled,
			      sizeof(disabled), &ignored) == 0 &&
	       str_eq(disabled, "0");
}

int podhost_set_forwarding(bool ipv6, struct err *e)
{
	static const struct {
		const char *path, *value;
		bool ipv6;
		bool must;
	} settings[] = {
		{ "/proc/sys/net/ipv4/ip_forward", "1", false, true },
		/* a pod that reaches itself by a host port would be told of a shorter way */
		{ "/proc/sys/net/ipv4/conf/all/send_redirects", "0", false, false },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", "1", true, true },
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct err failed = { 0 };
		char now[8];

		if ((settings[i].ipv6 && !ipv6) ||
		    (path_read_line(AT_FDCWD, settings[i].path, now, sizeof(now), &failed) == 0 &&
		     str_eq(now, settings[i].value)))
			continue;
		if (path_write(AT_FDCWD, settings[i].path, settings[i].value, &failed) == 0)
			continue;
		if (settings[i].must) {
			*e = failed;
			return -e->code;
		}
		log_warn("%s", err_text(&failed));
	}
	return 0;
}

static int podhost_on_route(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct rtmsg))
	{
		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			*(uint32_t *)arg = mnl_attr_get_u32(a);
	}
	return MNL_CB_OK;
}

/* the link that traffic to an address of the documentation ranges would take; 0: none */
static uint32_t podhost_uplink(struct netlink *host, const struct ip *to)
{
	char buf[MNL_ALIGN(128)] __attribute__((aligned(MNL_ALIGNTO)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct err ignored = { 0 };
	struct rtmsg *r;
	uint32_t index = 0;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->rtm_family = (uint8_t)to->family;
	r->rtm_dst_len = (uint8_t)(ip_size(to->family) * 8);
	mnl_attr_put(h, RTA_DST, ip_size(to->family), to->bytes);
	netlink_dump(host, h, podhost_on_route, &index, &ignored);
	return index;
}

static uint32_t podhost_link_mtu(struct netlink *host, uint32_t index)
{
	struct ifreq ifr = { .ifr_ifindex = (int)index };

	if (ioctl(host->fd, SIOCGIFNAME, &ifr) < 0 || ioctl(host->fd, SIOCGIFMTU, &ifr) < 0)
		return 0;
	return (uint32_t)ifr.ifr_mtu;
}

uint32_t podhost_uplink_mtu(struct netlink *host)
{
	static const struct ip somewhere[] = {
		{ .family = AF_INET, .bytes = { 192, 0, 2, 1 } },
		{ .family = AF_INET6, .bytes = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
	};
	uint32_t mtu = 0;

	for (size_t i = 0; i < 2; i++) {
		uint32_t index = podhost_uplink(host, &somewhere[i]);
		uint32_t n = index > LOOPBACK_INDEX ? podhost_link_mtu(host, index) : 0;

		if (n && (!mtu || n < mtu))
			mtu = n;
	}
	if (!mtu)
		return MTU_DEFAULT;
	return mtu < MTU_MIN ? MTU_MIN : mtu > 65535 ? 65535 : mtu;
}
