/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"
#include "lib/str.h"

#define LOOPBACK_INDEX 1 /* the first link of every namespace */
#define POD_LINK "eth0"
#define MTU_MIN 1280 /* IPv6 needs it */

void podlink_name(const char *pod, char ret[static IFNAMSIZ])
{
	snprintf(ret, IFNAMSIZ, "p%.12s", pod);
}

/* A link's index by its name, in the socket's namespace; 0: no such link. */
static int podlink_index(const struct netlink *nl, const char *name)
{
	struct ifreq ifr = { 0 };

	str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	return ioctl(nl->fd, SIOCGIFINDEX, &ifr) < 0 ? 0 : ifr.ifr_ifindex;
}

int podlink_enter(int netns, int home, struct podlink_ns *ret, struct err *e)
{
	struct podlink_ns ns = { .nl = NETLINK_CLOSED };
	char disabled[4] = "1";
	int r;

	if (setns(netns, CLONE_NEWNET) < 0)
		return err_set(e, errno, "enter the pod's network namespace");
	r = netlink_open(&ns.nl, NETLINK_ROUTE, e);
	if (r == 0) {
		struct err ignored = { 0 };

		/* absent when the kernel has no IPv6 */
		path_read_line(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/disable_ipv6", disabled,
			       sizeof(disabled), &ignored);
		ns.ipv6 = str_eq(disabled, "0");
		if (ns.ipv6)
			path_write(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/accept_ra", "0",
				   &ignored);
	}
	if (setns(home, CLONE_NEWNET) < 0) {
		log_error("cannot leave a pod's network namespace: %s", strerror(errno));
		_exit(1);
	}
	if (r == 0)
		*ret = ns;
	return r;
}

/* fe80::1:INDEX on the host, fe80::2:INDEX in the pod; unique on each link, or adding one becomes
 * slower with every pod */
static struct in6_addr podlink_local(const struct lease *l, uint8_t side)
{
	struct in6_addr a = { .s6_addr = { 0xfe, 0x80 } };

	a.s6_addr[11] = side;
	a.s6_addr[12] = (uint8_t)(l->index >> 24);
	a.s6_addr[13] = (uint8_t)(l->index >> 16);
	a.s6_addr[14] = (uint8_t)(l->index >> 8);
	a.s6_addr[15] = (uint8_t)l->index;
	return a;
}

static struct ifinfomsg *podlink_header(struct nlmsghdr *h, int index)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = index;
	return ifi;
}

static void podlink_add_up(struct netlink_batch *b, int index, const char *what)
{
	struct ifinfomsg *ifi = podlink_header(netlink_add(b, RTM_NEWLINK, 0, what, 0), index);

	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
}

/*
 * No link-local address of the kernel's own making: it would wait for duplicates for a second. And
 * a way out for connections to 127.0.0.1:hostPort. A family that the kernel has not is an error.
 */
static void podlink_add_family(struct netlink_batch *b, int index, bool quiet6, bool localnet4)
{
	struct nlattr *spec, *family, *values;
	struct nlmsghdr *h;

	if (!quiet6 && !localnet4)
		return;
	h = netlink_add(b, RTM_NEWLINK, 0, "set up link", 0);
	podlink_header(h, index);
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	if (quiet6) {
		family = mnl_attr_nest_start(h, AF_INET6);
		mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(h, family);
	}
	if (localnet4) {
		family = mnl_attr_nest_start(h, AF_INET);
		values = mnl_attr_nest_start(h, IFLA_INET_CONF);
		mnl_attr_put_u32(h, IPV4_DEVCONF_ROUTE_LOCALNET, 1);
		mnl_attr_nest_end(h, values);
		mnl_attr_nest_end(h, family);
	}
	mnl_attr_nest_end(h, spec);
}

static void podlink_add_address(struct netlink_batch *b, int index, struct ip ip,
				unsigned int prefix, uint8_t protocol, const char *what)
{
	struct nlmsghdr *h =
		netlink_add(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, what, EEXIST);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
	size_t size = ip_size(ip.family);

	ifa->ifa_family = (uint8_t)ip.family;
	ifa->ifa_prefixlen = (uint8_t)prefix;
	ifa->ifa_index = (uint32_t)index;
	ifa->ifa_scope = ip.family == AF_INET6 && prefix == 64 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	mnl_attr_put(h, IFA_LOCAL, size, ip.bytes);
	mnl_attr_put(h, IFA_ADDRESS, size, ip.bytes);
	if (ip.family == AF_INET6)
		mnl_attr_put_u32(h, IFA_FLAGS, IFA_F_NODAD);
	if (protocol)
		mnl_attr_put_u8(h, IFA_PROTO, protocol);
}

/* to.family 0 with via: a default route of via's family. */
static void podlink_add_route(struct netlink_batch *b, uint16_t type, int index, struct ip to,
			      const struct ip *via, const struct ip *src, const char *what)
{
	bool new = type == RTM_NEWROUTE;
	struct nlmsghdr *h =
		netlink_add(b, type, new ? NLM_F_CREATE | NLM_F_REPLACE : 0, what, new ? 0 : ESRCH);
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	size_t size = ip_size(to.family ? to.family : via->family);

	r->rtm_family = (uint8_t)(to.family ? to.family : via->family);
	r->rtm_dst_len = to.family ? (uint8_t)(size * 8) : 0;
	r->rtm_table = RT_TABLE_MAIN;
	r->rtm_protocol = PODLINK_ROUTE_PROTOCOL;
	r->rtm_scope = via || to.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	r->rtm_type = RTN_UNICAST;
	if (!new)
		r->rtm_scope = RT_SCOPE_NOWHERE;
	if (to.family)
		mnl_attr_put(h, RTA_DST, size, to.bytes);
	if (via)
		mnl_attr_put(h, RTA_GATEWAY, size, via->bytes);
	if (src)
		mnl_attr_put(h, RTA_PREFSRC, size, src->bytes);
	if (index)
		mnl_attr_put_u32(h, RTA_OIF, (uint32_t)index);
}

static void podlink_add_neighbour(struct netlink_batch *b, int index, struct ip ip,
				  const uint8_t mac[6], const char *what)
{
	struct nlmsghdr *h = netlink_add(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, what, 0);
	struct ndmsg *n = mnl_nlmsg_put_extra_header(h, sizeof(*n));

	n->ndm_family = (uint8_t)ip.family;
	n->ndm_ifindex = index;
	n->ndm_state = NUD_PERMANENT;
	mnl_attr_put(h, NDA_DST, ip_size(ip.family), ip.bytes);
	mnl_attr_put(h, NDA_LLADDR, 6, mac);
}

static void podlink_put_end(struct nlmsghdr *h, const char *name, const uint8_t mac[6],
			    uint32_t mtu)
{
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	/* the default is one queue for each processor that could be plugged in */
	mnl_attr_put_u32(h, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(h, IFLA_NUM_RX_QUEUES, 1);
}

/* Both ends are born down: the peer must be, and the host's end would make itself a link-local
 * address when the pod's comes up. */
static int podlink_make(struct netlink *host, const char *name, int netns, const struct lease *l,
			struct err *e)
{
	struct netlink_batch b;
	struct nlmsghdr *h;
	struct nlattr *info, *data, *peer;

	netlink_batch_init(&b);
	h = netlink_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "create link", 0);
	podlink_header(h, 0);
	podlink_put_end(h, name, l->host_mac, l->mtu);
	mnl_attr_put_u32(h, IFLA_GROUP, PODLINK_GROUP);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	podlink_header(h, 0);
	podlink_put_end(h, POD_LINK, l->pod_mac, l->mtu);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	if (netlink_run(host, &b, e) < 0)
		return err_wrap(e, "link %s", name);
	return 0;
}

int podlink_create(struct netlink *host, const struct podlink_ns *ns, int netns,
		   const struct lease *l, struct err *e)
{
	char name[IFNAMSIZ];
	int r;

	podlink_name(l->pod, name);
	r = podlink_make(host, name, netns, l, e);
	if (r != -EEXIST || !podlink_index(host, name))
		return r;
	/* ours, of an attach that was cut off; both ends are made at once or not at all */
	if (podlink_index(&ns->nl, POD_LINK))
		return 0;
	if (podlink_discard(host, name, e) < 0 || podlink_purge(host, e) < 0)
		return -e->code;
	return podlink_make(host, name, netns, l, e);
}

int podlink_set_pod(struct podlink_ns *ns, const struct lease *l, struct err *e)
{
	int index = podlink_index(&ns->nl, POD_LINK);
	struct ip addr4 = ip4_from(l->addr4), gateway4 = ip4_from(l->gateway4);
	struct ip addr6 = ip6_from(l->addr6);
	struct ip local6 = ip6_from(podlink_local(l, 2)), via6 = ip6_from(podlink_local(l, 1));
	struct netlink_batch b;

	if (!index)
		return err_set(e, ENODEV, "no " POD_LINK " in the pod");
	netlink_batch_init(&b);
	podlink_add_up(&b, LOOPBACK_INDEX, "bring the pod's lo up");
	podlink_add_family(&b, index, l->has6, false);
	podlink_add_up(&b, index, "bring " POD_LINK " up");
	if (l->has4) {
		podlink_add_address(&b, index, addr4, 32, 0, "add the pod's IPv4 address");
		podlink_add_neighbour(&b, index, gateway4, l->host_mac, "add IPv4 neighbour");
		podlink_add_route(&b, RTM_NEWROUTE, index, gateway4, NULL, NULL,
				  "add route to the IPv4 gateway");
		podlink_add_route(&b, RTM_NEWROUTE, index, (struct ip){ 0 }, &gateway4, NULL,
				  "add the pod's IPv4 default route");
	}
	if (l->has6) {
		podlink_add_address(&b, index, local6, 64, 0, "add link-local address");
		podlink_add_address(&b, index, addr6, 128, 0, "add the pod's IPv6 address");
		podlink_add_neighbour(&b, index, via6, l->host_mac, "add IPv6 neighbour");
		podlink_add_route(&b, RTM_NEWROUTE, index, (struct ip){ 0 }, &via6, NULL,
				  "add the pod's IPv6 default route");
	}
	return netlink_run(&ns->nl, &b, e);
}

int podlink_set_host(struct netlink *host, const struct lease *l, struct err *e)
{
	struct ip addr4 = ip4_from(l->addr4), gateway4 = ip4_from(l->gateway4);
	struct ip addr6 = ip6_from(l->addr6), gateway6 = ip6_from(l->gateway6);
	struct ip local6 = ip6_from(podlink_local(l, 1));
	struct netlink_batch b;
	char name[IFNAMSIZ];
	struct nlmsghdr *h;
	int index;

	podlink_name(l->pod, name);
	index = podlink_index(host, name);
	if (!index)
		return err_set(e, ENODEV, "no link %s", name);
	netlink_batch_init(&b);
	podlink_add_family(&b, index, l->has6, l->has4);
	podlink_add_up(&b, index, "bring link up");
	h = netlink_add(&b, RTM_NEWLINK, 0, "set link group", 0);
	podlink_header(h, index);
	mnl_attr_put_u32(h, IFLA_GROUP, PODLINK_GROUP);
	if (l->has4) {
		podlink_add_neighbour(&b, index, addr4, l->pod_mac, "add IPv4 neighbour");
		podlink_add_route(&b, RTM_NEWROUTE, index, addr4, NULL, &gateway4,
				  "add IPv4 route to the pod");
	}
	if (l->has6) {
		podlink_add_address(&b, index, local6, 64, 0, "add link-local address");
		podlink_add_neighbour(&b, index, addr6, l->pod_mac, "add IPv6 neighbour");
		podlink_add_route(&b, RTM_NEWROUTE, index, addr6, NULL, &gateway6,
				  "add IPv6 route to the pod");
	}
	if (netlink_run(host, &b, e) < 0)
		return err_wrap(e, "link %s", name);
	return 0;
}

static void podlink_add_discard(struct netlink_batch *b, const char *name)
{
	struct nlmsghdr *h = netlink_add(b, RTM_NEWLINK, 0, "give up link", ENODEV);

	podlink_header(h, 0);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_GROUP, PODLINK_GROUP_GONE);
}

int podlink_discard(struct netlink *host, const char *name, struct err *e)
{
	struct netlink_batch b;

	netlink_batch_init(&b);
	podlink_add_discard(&b, name);
	if (netlink_run(host, &b, e) < 0)
		return err_wrap(e, "link %s", name);
	return 0;
}

int podlink_unset(struct netlink *host, const struct lease *l, struct err *e)
{
	struct netlink_batch b;
	char name[IFNAMSIZ];

	podlink_name(l->pod, name);
	netlink_batch_init(&b);
	if (l->has4)
		podlink_add_route(&b, RTM_DELROUTE, 0, ip4_from(l->addr4), NULL, NULL,
				  "remove IPv4 route to the pod");
	if (l->has6)
		podlink_add_route(&b, RTM_DELROUTE, 0, ip6_from(l->addr6), NULL, NULL,
				  "remove IPv6 route to the pod");
	podlink_add_discard(&b, name);
	if (netlink_run(host, &b, e) < 0)
		return err_wrap(e, "link %s", name);
	return 0;
}

bool podlink_exists(struct netlink *host, const char *pod)
{
	char name[IFNAMSIZ];

	podlink_name(pod, name);
	return podlink_index(host, name) != 0;
}

int podlink_purge(struct netlink *host, struct err *e)
{
	struct netlink_batch b;
	struct nlmsghdr *h;

	netlink_batch_init(&b);
	h = netlink_add(&b, RTM_DELLINK, 0, "remove links without a pod", ENODEV);
	podlink_header(h, 0);
	mnl_attr_put_u32(h, IFLA_GROUP, PODLINK_GROUP_GONE);
	return netlink_run(host, &b, e);
}

struct podlink_seen {
	void (*each)(void *arg, const char *name);
	void *arg;
};

static int podlink_on_link(const struct nlmsghdr *h, void *arg)
{
	const struct podlink_seen *seen = arg;
	const char *name = NULL;
	const struct nlattr *a;
	uint32_t group = 0;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct ifinfomsg))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			name = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == IFLA_GROUP &&
			 mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			group = mnl_attr_get_u32(a);
	}
	if (name && group == PODLINK_GROUP)
		seen->each(seen->arg, name);
	return MNL_CB_OK;
}

int podlink_list(struct netlink *host, void (*each)(void *arg, const char *name), void *arg,
		 struct err *e)
{
	struct podlink_seen seen = { .each = each, .arg = arg };
	char buf[MNL_ALIGN(256)] __attribute__((aligned(MNL_ALIGNTO)));
	struct nlmsghdr *h;
	struct nlattr *info;
	int tries = 0;
	int r;

	do {
		h = mnl_nlmsg_put_header(buf);
		h->nlmsg_type = RTM_GETLINK;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		podlink_header(h, 0);
		mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		info = mnl_attr_nest_start(h, IFLA_LINKINFO);
		mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
		mnl_attr_nest_end(h, info);
		r = netlink_dump(host, h, podlink_on_link, &seen, e);
	} while (r == -EINTR && ++tries < NETLINK_TRIES);
	return r < 0 ? err_wrap(e, "list links") : 0;
}
