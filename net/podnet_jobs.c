/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podnet_jobs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/step.h"
#include "lib/str.h"
#include "net/conntrack.h"
#include "net/podhost.h"
#include "net/podlink.h"
#include "net/podnft.h"

#define PURGE_MS 1000 /* how long a link may wait for its namespace to go */

/* A detached pod whose link is still there; its addresses are not given out. */
struct leaving {
	struct list node;
	struct lease lease;
	uint64_t due_ms;
};

/* Both places of a lease: its families may stem from different configurations. */
static void podnet_places(struct podnet *n, const struct lease *l, uint32_t ret[2])
{
	struct ip addr4 = ip4_from(l->addr4), addr6 = ip6_from(l->addr6);

	ret[0] = l->has4 ? cidr_position(&n->ipam.range4, &addr4) : UINT32_MAX;
	ret[1] = l->has6 ? cidr_position(&n->ipam.range6, &addr6) : UINT32_MAX;
}

static void podnet_claim(struct podnet *n, const struct lease *l)
{
	uint32_t places[2];

	podnet_places(n, l, places);
	ipam_claim(&n->ipam, places[0]);
	ipam_claim(&n->ipam, places[1]);
}

static void podnet_release(struct podnet *n, const struct lease *l)
{
	uint32_t places[2];

	podnet_places(n, l, places);
	ipam_release(&n->ipam, places[0]);
	ipam_release(&n->ipam, places[1]);
}

/* Leases of an earlier range are sources to masquerade too. */
static int podnet_rebuild(struct podnet *n, struct err *e)
{
	auto_free const struct lease **leases = mem_array(n->leases.count + 1, sizeof(*leases));
	auto_free struct cidr *pods = mem_array(2 + 2 * n->leases.count, sizeof(*pods));
	struct podnft_table t = {
		.pods = pods,
		.direct = n->direct,
		.ndirect = n->ndirect,
		.masquerade = n->masquerade,
		.leases = leases,
	};

	for (size_t i = 0; i < n->nranges; i++)
		pods[t.npods++] = n->ranges[i];
	map_for_each(entry, &n->leases) {
		const struct lease *l = entry->value;

		leases[t.nleases++] = l;
		if (l->has4)
			pods[t.npods++] = (struct cidr){ ip4_from(l->addr4), 32 };
		if (l->has6)
			pods[t.npods++] = (struct cidr){ ip6_from(l->addr6), 128 };
	}
	return podnft_rebuild(&n->nft, &t, e);
}

static void podnet_add_gateway(struct ip *list, size_t *count, struct ip ip)
{
	for (size_t i = 0; i < *count; i++) {
		if (ip_equal(&list[i], &ip))
			return;
	}
	list[(*count)++] = ip;
}

static int podnet_set_gateways(struct podnet *n, struct err *e)
{
	auto_free struct ip *wanted = mem_array(2 + 2 * n->leases.count, sizeof(*wanted));
	size_t count = 0;

	for (size_t i = 0; i < n->nranges; i++)
		wanted[count++] = cidr_nth(&n->ranges[i], 1);
	map_for_each(entry, &n->leases) {
		const struct lease *l = entry->value;

		if (l->has4)
			podnet_add_gateway(wanted, &count, ip4_from(l->gateway4));
		if (l->has6)
			podnet_add_gateway(wanted, &count, ip6_from(l->gateway6));
	}
	return podhost_set_gateways(&n->host, wanted, count, e);
}

/* The table was changed by somebody else, or never made: make it again. */
static int podnet_repair(struct podnet *n, const struct err *why, struct err *e)
{
	log_warn("rebuilding the nftables table: %s", err_text(why));
	return podnet_rebuild(n, e);
}

static void podnet_purge(struct podnet *n, bool now)
{
	uint64_t limit = now ? UINT64_MAX : ev_now_ms();
	struct err e = { 0 };
	bool some = false;

	list_for_each(item, &n->leaving, struct leaving, node)
		some |= item->due_ms <= limit && podlink_exists(&n->host, item->lease.pod);
	if (some && podlink_purge(&n->host, &e) < 0)
		log_warn("%s", err_text(&e));
	list_for_each(item, &n->leaving, struct leaving, node) {
		if (podlink_exists(&n->host, item->lease.pod))
			continue;
		podnet_release(n, &item->lease);
		list_remove(&item->node);
		lease_done(&item->lease);
		free(item);
	}
	if (!list_empty(&n->leaving))
		ev_timer_set(&n->purge, PURGE_MS);
}

static void podnet_on_purge(void *arg)
{
	podnet_purge(arg, false);
}

/* Keeps the addresses of a lease until its link is gone; the lease is emptied. */
static void podnet_leave(struct podnet *n, struct lease *l)
{
	struct leaving *item;

	if (!podlink_exists(&n->host, l->pod)) {
		podnet_release(n, l);
		return;
	}
	item = mem_alloc(sizeof(*item));
	lease_move(&item->lease, l);
	item->due_ms = ev_now_ms() + PURGE_MS;
	list_add_tail(&n->leaving, &item->node);
	if (!ev_timer_armed(&n->purge))
		ev_timer_set(&n->purge, PURGE_MS);
}

/* A lease of an earlier configuration: what was kept for it alone goes too. */
static int podnet_outside(struct podnet *n, const struct lease *l, struct err *e)
{
	uint32_t places[2];

	podnet_places(n, l, places);
	if ((!l->has4 || places[0] != UINT32_MAX) && (!l->has6 || places[1] != UINT32_MAX))
		return 0;
	if (podnet_set_gateways(n, e) < 0)
		return -e->code;
	return podnet_rebuild(n, e);
}

/* Every step of an attach in reverse, whether it was done or not. */
int podnet_detach(struct podnet *n, const char *pod, struct err *e)
{
	struct lease *l = map_get(&n->leases, pod);
	auto_lease gone = { 0 };
	struct err failed = { 0 };

	if (!l) {
		str_copy(gone.pod, sizeof(gone.pod), pod);
		if (podlink_unset(&n->host, &gone, e) < 0 || lease_remove(n->pods, pod, e) < 0)
			return -e->code;
		podnet_leave(n, &gone);
		return 0;
	}
	map_remove(&n->leases, pod);
	if (podnft_remove(&n->nft, l, &failed) < 0 && podnet_repair(n, &failed, e) < 0)
		goto undo;
	if (podlink_unset(&n->host, l, e) < 0 || podnet_outside(n, l, e) < 0)
		goto undo;
	if (conntrack_release(&n->nft, l, &failed) < 0)
		log_warn("pod %.12s: %s", pod, err_text(&failed));
	if (lease_remove(n->pods, pod, e) < 0)
		goto undo;
	lease_move(&gone, l);
	free(l);
	podnet_leave(n, &gone);
	return 0;
undo:
	/* still known: the next detach tries again */
	map_set(&n->leases, pod, l);
	return -e->code;
}

/* An attach under way. */
struct attach {
	struct podnet *n;
	struct lease *l;
	int netns;
	struct podlink_ns ns;
};

static int attach_record(void *ctx, struct err *e)
{
	struct attach *a = ctx;

	return lease_write(a->n->pods, a->l, e);
}

static int attach_create(void *ctx, struct err *e)
{
	struct attach *a = ctx;

	return podlink_create(&a->n->host, &a->ns, a->netns, a->l, e);
}

static int attach_pod(void *ctx, struct err *e)
{
	struct attach *a = ctx;

	return podlink_set_pod(&a->ns, a->l, e);
}

static int attach_host(void *ctx, struct err *e)
{
	struct attach *a = ctx;

	return podlink_set_host(&a->n->host, a->l, e);
}

static int attach_ports(void *ctx, struct err *e)
{
	struct attach *a = ctx;
	struct err failed = { 0 };

	if (podnft_add(&a->n->nft, a->l, &failed) < 0 && podnet_repair(a->n, &failed, e) < 0)
		return -e->code;
	failed.code = 0;
	/* without conntrack's interface only a client's old datagrams go astray */
	if (conntrack_claim(&a->n->nft, a->l, &failed) < 0)
		log_warn("pod %.12s: %s", a->l->pod, err_text(&failed));
	return 0;
}

/* undone together, by podnet_detach() */
static const struct step attach_steps[] = {
	{ "write record", attach_record, NULL },   { "create link", attach_create, NULL },
	{ "set up the pod", attach_pod, NULL },	   { "set up the host", attach_host, NULL },
	{ "open host ports", attach_ports, NULL },
};

static int podnet_check_ports(struct podnet *n, const struct lease *l, struct err *e)
{
	char text[LEASE_PORT_TEXT_MAX];

	map_for_each(entry, &n->leases) {
		const struct lease *other = entry->value;

		for (size_t i = 0; i < other->nports * l->nports; i++) {
			const struct lease_port *p = &l->ports[i % l->nports];

			if (str_eq(other->pod, l->pod) ||
			    !lease_port_clash(&other->ports[i / l->nports], p))
				continue;
			return err_set(e, EADDRINUSE, "%s of the host is taken by pod %s",
				       lease_port_text(p, text), other->pod);
		}
	}
	return 0;
}

static int podnet_take(struct podnet *n, uint32_t *ret_index, struct err *e)
{
	if (ipam_take(&n->ipam, ret_index, e) == 0)
		return 0;
	if (list_empty(&n->leaving))
		return -e->code;
	/* some are only held for links whose pods are gone */
	podnet_purge(n, true);
	return ipam_take(&n->ipam, ret_index, e);
}

static int podnet_fill(struct podnet *n, struct lease *l, bool ipv6, struct err *e)
{
	struct ip ip;

	if (!n->ipam.range4.ip.family && !ipv6)
		return err_set(e, EAFNOSUPPORT,
			       "IPv6 is disabled in the pod, and IPv4 has no range");
	if (podnet_take(n, &l->index, e) < 0)
		return -e->code;
	if (n->ipam.range4.ip.family) {
		l->has4 = true;
		ip = cidr_nth(&n->ipam.range4, l->index);
		l->addr4 = ip_to4(&ip);
		ip = cidr_nth(&n->ipam.range4, 1);
		l->gateway4 = ip_to4(&ip);
	}
	if (n->ipam.range6.ip.family && ipv6) {
		l->has6 = true;
		ip = cidr_nth(&n->ipam.range6, l->index);
		l->addr6 = ip_to6(&ip);
		ip = cidr_nth(&n->ipam.range6, 1);
		l->gateway6 = ip_to6(&ip);
	}
	if (getrandom(l->host_mac, 6, 0) != 6 || getrandom(l->pod_mac, 6, 0) != 6)
		return err_set(e, EIO, "no random numbers");
	l->host_mac[0] = l->pod_mac[0] = 0x02; /* locally administered, one station */
	l->mtu = podhost_uplink_mtu(&n->host);
	return 0;
}

static int podnet_check_netns(struct podnet *n, int netns, struct err *e)
{
	struct stat theirs, ours;

	if (ioctl(netns, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(e, EINVAL, "the descriptor is no network namespace");
	if (fstat(netns, &theirs) < 0 || fstat(n->home, &ours) < 0)
		return err_set(e, errno, "stat network namespace");
	if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev)
		return err_set(e, EINVAL, "the network namespace is the host's own");
	return 0;
}

/* A new lease in the map, or the one of an earlier try. */
static int podnet_lease(struct podnet *n, struct lease *want, bool ipv6, struct lease **ret,
			struct err *e)
{
	struct lease *l = map_get(&n->leases, want->pod);

	if (podnet_check_ports(n, want, e) < 0)
		return -e->code;
	if (l) {
		free(l->ports);
		l->ports = mem_take(&want->ports);
		l->nports = want->nports;
		l->prefer6 = want->prefer6;
		*ret = l;
		return 0;
	}
	if (podnet_fill(n, want, ipv6, e) < 0)
		return -e->code;
	l = mem_alloc(sizeof(*l));
	lease_move(l, want);
	map_set(&n->leases, l->pod, l);
	*ret = l;
	return 0;
}

int podnet_attach(struct podnet *n, struct lease *want, int netns, struct lease **ret,
		  struct err *e)
{
	struct attach a = { .n = n, .netns = netns, .ns = { .nl = NETLINK_CLOSED } };
	struct err ignored = { 0 };
	int r;

	if (podnet_check_netns(n, netns, e) < 0 || podlink_enter(netns, n->home, &a.ns, e) < 0)
		return -e->code;
	r = podnet_lease(n, want, a.ns.ipv6, &a.l, e);
	if (r == 0) {
		r = step_run(attach_steps, sizeof(attach_steps) / sizeof(attach_steps[0]), &a, e);
		if (r < 0 && podnet_detach(n, a.l->pod, &ignored) < 0)
			log_warn("pod %.12s: %s", a.l->pod, err_text(&ignored));
	}
	netlink_close(&a.ns.nl);
	if (r == 0)
		*ret = a.l;
	return r;
}

void podnet_jobs_init(struct podnet *n)
{
	list_init(&n->leaving);
	ev_add_timer(&n->ev, &n->purge, podnet_on_purge, n);
}

void podnet_jobs_done(struct podnet *n)
{
	list_for_each(item, &n->leaving, struct leaving, node) {
		list_remove(&item->node);
		lease_done(&item->lease);
		free(item);
	}
	map_for_each(entry, &n->leases) {
		lease_done(entry->value);
		free(entry->value);
	}
	map_done(&n->leases);
	ipam_done(&n->ipam);
}

static void podnet_load_one(struct podnet *n, const char *pod)
{
	struct err e = { 0 };
	auto_lease l = { 0 };
	struct lease *kept;
	int r = lease_read(n->pods, pod, &l, &e);

	if (r < 0) {
		if (r != -ENOENT)
			log_warn("%s", err_text(&e));
		if (lease_remove(n->pods, pod, &e) < 0)
			log_warn("%s", err_text(&e));
		return;
	}
	kept = mem_alloc(sizeof(*kept));
	lease_move(kept, &l);
	map_set(&n->leases, kept->pod, kept);
}

int podnet_load(struct podnet *n, struct err *e)
{
	int fd = openat(n->pods, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		fd_close(&fd);
		return err_set(e, errno, "read the folder of pods");
	}
	while ((d = readdir(dir))) {
		if (id_valid(d->d_name) && !map_get(&n->leases, d->d_name))
			podnet_load_one(n, d->d_name);
	}
	closedir(dir);
	return 0;
}

int podnet_apply(struct podnet *n, struct err *e)
{
	struct ipam ipam;

	if (ipam_init(&ipam, n->ranges, n->nranges, e) < 0)
		return -e->code;
	ipam_done(&n->ipam);
	n->ipam = ipam;
	map_for_each(entry, &n->leases)
		podnet_claim(n, entry->value);
	list_for_each(item, &n->leaving, struct leaving, node)
		podnet_claim(n, &item->lease);
	if (podnet_set_gateways(n, e) < 0 ||
	    podhost_set_forwarding(n->ipam.range6.ip.family != 0, e) < 0 ||
	    podlink_purge(&n->host, e) < 0 || podnet_rebuild(n, e) < 0)
		return -e->code;
	return 0;
}

/* Links of ours without a lease. */
struct strays {
	struct podnet *n;
	char (*names)[IFNAMSIZ]; /* owned */
	size_t count, room;
};

static void podnet_on_link(void *arg, const char *name)
{
	struct strays *s = arg;

	map_for_each(entry, &s->n->leases) {
		char mine[IFNAMSIZ];

		podlink_name(entry->key, mine);
		if (str_eq(mine, name))
			return;
	}
	mem_grow(&s->names, &s->room, s->count + 1, sizeof(*s->names));
	str_copy(s->names[s->count++], IFNAMSIZ, name);
}

static int podnet_remove_strays(struct podnet *n, size_t *ret_count, struct err *e)
{
	struct strays s = { .n = n };
	int r = podlink_list(&n->host, podnet_on_link, &s, e);

	for (size_t i = 0; i < s.count && r == 0; i++)
		r = podlink_discard(&n->host, s.names[i], e);
	if (r == 0 && s.count > 0)
		r = podlink_purge(&n->host, e);
	free(s.names);
	*ret_count = s.count;
	return r;
}

int podnet_sync(struct podnet *n, const struct map *live, size_t *ret_removed, struct err *e)
{
	size_t strays, count = 0;

	map_for_each(entry, &n->leases) {
		/* the detach frees the entry's key with its lease */
		char pod[ID_LEN + 1];

		str_copy(pod, sizeof(pod), entry->key);
		if (map_get(live, pod))
			continue;
		if (podnet_detach(n, pod, e) < 0)
			return -e->code;
		count++;
	}
	if (podnet_remove_strays(n, &strays, e) < 0)
		return -e->code;
	*ret_removed = count + strays;
	return 0;
}

int podnet_check_table(struct podnet *n, struct err *e)
{
	struct err gone = { 0 };

	if (podnft_check(&n->nft, &gone) == 0)
		return 0;
	return podnet_repair(n, &gone, e);
}
