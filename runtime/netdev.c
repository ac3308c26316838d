/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/netdev.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

#define NETDEV_BUFFER 32768
#define NETDEV_ADDRESSES_MAX 4096

union netdev_message {
	struct nlmsghdr head;
	unsigned char bytes[512];
};

static int netdev_socket(struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? err_set(e, errno, "open netlink") : fd;
}

/* 0 with errno set; if_nametoindex() brings the library's whole list of interfaces along. */
static unsigned int netdev_index(const char *name)
{
	struct ifreq request = { 0 };
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!str_copy(request.ifr_name, sizeof(request.ifr_name), name)) {
		errno = ENODEV;
		return 0;
	}
	if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return 0;
	return (unsigned int)request.ifr_ifindex;
}

static void netdev_request(union netdev_message *m, uint16_t type, uint16_t flags, const void *body,
			   size_t len)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_len = NLMSG_LENGTH((uint32_t)len);
	m->head.nlmsg_type = type;
	m->head.nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(NLMSG_DATA(&m->head), body, len);
}

static void netdev_attribute(union netdev_message *m, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)(m->bytes + NLMSG_ALIGN(m->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

/* Sends one request and waits for the kernel's word on it. */
static int netdev_talk(union netdev_message *m)
{
	struct err e = { 0 };
	auto_fd int fd = netdev_socket(&e);
	union netdev_message answer;
	const struct nlmsgerr *code;
	ssize_t n;

	if (fd < 0)
		return -e.code;
	m->head.nlmsg_flags |= NLM_F_ACK;
	if (send(fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*code)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	code = NLMSG_DATA(&answer.head);
	return code->error;
}

/* What makes an address what it is; lifetimes and labels are not among it. */
static void netdev_keep(struct netdevs *n, size_t device, const struct ifaddrmsg *ifa, size_t len)
{
	struct netdev_address *a;
	union netdev_message m;

	netdev_request(&m, RTM_NEWADDR, 0, ifa, sizeof(*ifa));
	for (const struct rtattr *r = IFA_RTA(ifa); RTA_OK(r, len); r = RTA_NEXT(r, len)) {
		if ((r->rta_type == IFA_LOCAL || r->rta_type == IFA_ADDRESS ||
		     r->rta_type == IFA_BROADCAST) &&
		    RTA_PAYLOAD(r) <= 16)
			netdev_attribute(&m, r->rta_type, RTA_DATA(r), RTA_PAYLOAD(r));
	}
	mem_grow(&n->rows, &n->room, n->count + 1, sizeof(*n->rows));
	a = &n->rows[n->count++];
	a->device = device;
	a->len = m.head.nlmsg_len - NLMSG_HDRLEN;
	memcpy(a->message, NLMSG_DATA(&m.head), a->len);
}

static void netdev_look(const struct spec *s, struct netdevs *n, const unsigned int *indexes,
			const struct nlmsghdr *h)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWADDR || ifa->ifa_scope != RT_SCOPE_UNIVERSE ||
	    !(ifa->ifa_flags & IFA_F_PERMANENT) || n->count == NETDEV_ADDRESSES_MAX)
		return;
	for (size_t i = 0; i < s->netdev_count; i++) {
		if (indexes[i] == ifa->ifa_index)
			netdev_keep(n, i, ifa, IFA_PAYLOAD(h));
	}
}

static int netdev_dump(const struct spec *s, struct netdevs *n, const unsigned int *indexes,
		       struct err *e)
{
	const struct ifaddrmsg all = { .ifa_family = AF_UNSPEC };
	auto_free char *buf = mem_alloc(NETDEV_BUFFER);
	auto_fd int fd = netdev_socket(e);
	union netdev_message m;

	if (fd < 0)
		return -e->code;
	netdev_request(&m, RTM_GETADDR, NLM_F_DUMP, &all, sizeof(all));
	if (send(fd, &m, m.head.nlmsg_len, 0) < 0)
		return err_set(e, errno, "ask for addresses");
	for (;;) {
		ssize_t got = recv(fd, buf, NETDEV_BUFFER, 0);
		size_t len = got > 0 ? (size_t)got : 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, got < 0 ? errno : EPROTO, "read addresses");
		for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, len);
		     h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return err_set(e, EPROTO, "read addresses");
			netdev_look(s, n, indexes, h);
		}
	}
}

int netdevs_read(const struct spec *s, struct netdevs *ret, struct err *e)
{
	auto_free unsigned int *indexes = NULL;

	if (s->netdev_count == 0)
		return 0;
	indexes = mem_array(s->netdev_count, sizeof(*indexes));
	for (size_t i = 0; i < s->netdev_count; i++) {
		indexes[i] = netdev_index(s->netdevs[i].from);
		if (indexes[i] == 0)
			return err_set(e, errno, "linux.netDevices.%s", s->netdevs[i].from);
	}
	return netdev_dump(s, ret, indexes, e);
}

void netdevs_done(struct netdevs *n)
{
	free(n->rows);
	*n = (struct netdevs){ 0 };
}

static int netdev_move(const struct spec_netdev *d, int ns, struct err *e)
{
	struct ifinfomsg ifi = { .ifi_index = (int)netdev_index(d->from) };
	union netdev_message m;
	int r;

	netdev_request(&m, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	netdev_attribute(&m, IFLA_NET_NS_FD, &ns, sizeof(ns));
	netdev_attribute(&m, IFLA_IFNAME, d->to, strlen(d->to) + 1);
	r = ifi.ifi_index ? netdev_talk(&m) : -ENODEV;
	return r < 0 ? err_set(e, -r, "linux.netDevices.%s: move it as %s", d->from, d->to) : 0;
}

int netdevs_move(const struct spec *s, int proc, pid_t pid, struct err *e)
{
	auto_free char *path = mem_printf("%d/ns/net", pid);
	auto_fd int ns = -1;

	if (s->netdev_count == 0)
		return 0;
	ns = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_set(e, errno, "open the container's network namespace");
	for (size_t i = 0; i < s->netdev_count; i++) {
		if (netdev_move(&s->netdevs[i], ns, e) < 0)
			return -e->code;
	}
	return 0;
}

static int netdev_up(const char *name, struct err *e)
{
	struct ifinfomsg ifi = {
		.ifi_index = (int)netdev_index(name),
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	union netdev_message m;
	int r;

	netdev_request(&m, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	r = netdev_talk(&m);
	return r < 0 ? err_set(e, -r, "linux.netDevices: set %s up", name) : 0;
}

int netdevs_restore(const struct spec *s, const struct netdevs *n, struct err *e)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct netdev_address *a = &n->rows[i];
		const char *name = s->netdevs[a->device].to;
		union netdev_message m;
		struct ifaddrmsg *ifa;
		int r;

		netdev_request(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a->message, a->len);
		ifa = NLMSG_DATA(&m.head);
		ifa->ifa_index = netdev_index(name);
		r = netdev_talk(&m);
		if (r < 0)
			return err_set(e, -r, "linux.netDevices: give %s its address", name);
	}
	for (size_t i = 0; i < s->netdev_count; i++) {
		if (netdev_up(s->netdevs[i].to, e) < 0)
			return -e->code;
	}
	return 0;
}
