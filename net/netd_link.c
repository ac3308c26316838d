/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/netd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/record.h"
#include "lib/str.h"

#define LEASE_DIR "/var/lib/berth/net"
#define LEASE_KIND "dhcp4"
#define LEASE_VERSION 1
#define METRIC 1024

bool netd_conf_matches(const struct ipconf *conf, const struct hostlink_info *info)
{
	return str_eq(conf->link, info->name);
}

/* --- the lease's file ------------------------------------------------------ */

static void lease_file(const struct netd_link *link, char ret[static 32])
{
	char mac[13];

	str_hex(mac, link->info.mac, 6);
	snprintf(ret, 32, "dhcp4-%s", mac);
}

static int64_t wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

/* The last ACK as it came, and when it ends by the wall clock (0: never). */
static void lease_save(const struct netd_link *link)
{
	auto_json_out o = { 0 };
	auto_free char *json = NULL;
	char name[32], hex[2 * DHCP4_MESSAGE_MAX + 1];
	uint64_t end = link->client.end_ms, now = ev_now_ms();
	struct err e = { 0 };
	auto_fd int dir = -1;

	str_hex(hex, link->message, link->message_len);
	json_out_object(&o, NULL);
	json_out_text(&o, "ack", hex);
	json_out_int(&o, "ends", end == UINT64_MAX ? 0 : wall_s() + (int64_t)((end - now) / 1000));
	json_out_end(&o);
	json = json_out_take(&o);
	lease_file(link, name);
	if (path_mkdirs(LEASE_DIR, 0700, &e) == 0)
		dir = open(LEASE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || record_write(dir, name, LEASE_KIND, LEASE_VERSION, json, PATH_FAST, &e) < 0)
		log_warn("link %s: the lease is not kept: %s", link->info.name, err_text(&e));
}

static size_t from_hex(const char *hex, uint8_t *ret, size_t size)
{
	size_t n = 0;
	unsigned int byte;

	while (n < size && hex[2 * n] && hex[2 * n + 1] && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		ret[n++] = (uint8_t)byte;
	return n;
}

/* True with the lease of the last run; ret_end_ms may lie in the past. */
static bool lease_load(struct netd_link *link, struct dhcp4_lease *ret, uint64_t *ret_end_ms)
{
	auto_fd int dir = open(LEASE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dhcp4_message m;
	auto_record r = { 0 };
	const char *hex;
	int64_t ends = 0;
	char name[32];
	struct err e = { 0 };

	lease_file(link, name);
	if (dir < 0 || record_read(dir, name, LEASE_KIND, &r, &e) < 0 ||
	    json_need_text(r.data, "ack", &hex, &e) < 0 ||
	    json_get_i64(r.data, "ends", &ends, &e) < 0)
		return false;
	link->message_len = from_hex(hex, link->message, sizeof(link->message));
	if (dhcp4_parse(link->message, link->message_len, &m, &e) < 0 ||
	    dhcp4_lease(&m, ret, &e) < 0)
		return false;
	*ret_end_ms = UINT64_MAX;
	if (ends)
		*ret_end_ms =
			ends > wall_s() ? ev_now_ms() + (uint64_t)(ends - wall_s()) * 1000 : 0;
	return true;
}

/* --- the lease in the kernel ----------------------------------------------- */

static bool route_equal(const struct hostlink_route *a, const struct hostlink_route *b)
{
	return a->to.prefix == b->to.prefix && ip_equal(&a->to.ip, &b->to.ip) &&
	       ip_equal(&a->gateway, &b->gateway);
}

static bool routes_have(const struct hostlink_route *list, size_t count,
			const struct hostlink_route *r)
{
	for (size_t i = 0; i < count; i++) {
		if (route_equal(&list[i], r))
			return true;
	}
	return false;
}

/* A route into what the node gives to its pods would take their traffic away. */
static bool route_reserved(const struct netd *netd, const struct cidr *to)
{
	for (size_t i = 0; i < netd->nreserved; i++) {
		if (to->prefix >= netd->reserved[i].prefix &&
		    cidr_contains(&netd->reserved[i], &to->ip))
			return true;
	}
	return false;
}

static struct hostlink_route link_route(const struct netd_link *link, struct cidr to,
					struct ip gateway)
{
	return (struct hostlink_route){
		.index = link->info.index,
		.to = to,
		.gateway = gateway,
		.protocol = RTPROT_DHCP,
		.metric = METRIC + link->order,
	};
}

/* The routes of a lease; a gateway outside its subnet gets one of its own first. */
static size_t lease_routes(struct netd_link *link, const struct dhcp4_lease *l,
			   struct hostlink_route ret[static NETD_LINK_ROUTES_MAX])
{
	struct cidr subnet = { ip4_from(l->address), l->prefix };
	size_t n = 0;

	for (size_t i = 0; i < l->nroutes; i++) {
		struct cidr to = { ip4_from(l->routes[i].to), l->routes[i].prefix };
		struct ip gateway = ip4_from(l->routes[i].gateway);
		struct hostlink_route r = link_route(link, to, gateway);
		struct cidr host = { gateway, 32 };
		struct hostlink_route way = link_route(link, host, (struct ip){ 0 });
		char text[CIDR_TEXT_MAX];

		if (route_reserved(link->netd, &to)) {
			log_warn("link %s: the lease's route to %s is not set: it is for pods",
				 link->info.name, cidr_text(&to, text));
			continue;
		}
		if (ip_is_any(&gateway))
			r.gateway.family = 0;
		else if (!cidr_contains(&subnet, &gateway) && !routes_have(ret, n, &way))
			ret[n++] = way;
		ret[n++] = r;
	}
	return n;
}

static uint32_t lease_left_s(const struct netd_link *link)
{
	uint64_t now = ev_now_ms();

	if (link->client.end_ms == UINT64_MAX)
		return UINT32_MAX;
	return link->client.end_ms > now ? (uint32_t)((link->client.end_ms - now) / 1000) + 1 : 1;
}

static void log_failed(const struct netd_link *link, const struct err *e)
{
	log_error("link %s: %s", link->info.name, err_text(e));
}

static void link_set_routes(struct netd_link *link, const struct hostlink_route *routes,
			    size_t count)
{
	struct err e = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (hostlink_add_route(link->netd->links, &routes[i], &e) < 0)
			log_failed(link, &e);
	}
	for (size_t i = link->nroutes; i-- > 0;) {
		if (!routes_have(routes, count, &link->routes[i]) &&
		    hostlink_remove_route(link->netd->links, &link->routes[i], &e) < 0)
			log_failed(link, &e);
	}
	if (count > 0)
		memmove(link->routes, routes, count * sizeof(*routes));
	link->nroutes = count;
}

static uint32_t link_conf_mtu(const struct netd_link *link)
{
	for (size_t i = 0; i < link->netd->nconfs; i++) {
		if (netd_conf_matches(&link->netd->confs[i], &link->info) &&
		    link->netd->confs[i].mtu)
			return link->netd->confs[i].mtu;
	}
	return 0;
}

/* New address and routes first, old ones after: nothing is without a way meanwhile. */
static void on_bound(void *arg, const struct dhcp4_lease *lease)
{
	struct netd_link *link = arg;
	struct cidr address = { ip4_from(lease->address), lease->prefix };
	auto_free struct hostlink_route *routes = mem_array(NETD_LINK_ROUTES_MAX, sizeof(*routes));
	char text[CIDR_TEXT_MAX];
	struct err e = { 0 };

	if (!link->leased || !ip_equal(&address.ip, &link->leased_address.ip))
		log_info("link %s: leased %s for %u s", link->info.name, cidr_text(&address, text),
			 lease->lease_s);
	if (lease->mtu && !link_conf_mtu(link) && lease->mtu != link->info.mtu &&
	    hostlink_set(link->netd->links, link->info.index, lease->mtu, NULL, true, &e) < 0)
		log_failed(link, &e);
	if (hostlink_add_address(link->netd->links, link->info.index, &address, lease_left_s(link),
				 &e) < 0) {
		log_failed(link, &e);
		return;
	}
	link_set_routes(link, routes, lease_routes(link, lease, routes));
	link->leased = true;
	link->leased_address = address;
	link->lease = *lease;
	dhcp4_io_close_raw(&link->io);
	/* opened now, so that nothing is lost of an answer to a renewal */
	dhcp4_io_close_udp(&link->io);
	if (dhcp4_io_open_udp(&link->io, lease->address, &e) < 0)
		log_failed(link, &e);
	lease_save(link);
	netd_names_changed(link->netd);
	netd_check_later(link->netd);
}

static void on_lost(void *arg, const char *why)
{
	struct netd_link *link = arg;
	char text[CIDR_TEXT_MAX];
	struct err e = { 0 };

	log_warn("link %s: lost %s: %s", link->info.name, cidr_text(&link->leased_address, text),
		 why);
	link_set_routes(link, NULL, 0);
	if (hostlink_remove_address(link->netd->links, link->info.index, &link->leased_address,
				    &e) < 0)
		log_failed(link, &e);
	dhcp4_io_close_udp(&link->io);
	link->leased = false;
	netd_names_changed(link->netd);
}

static void on_send(void *arg, const uint8_t *data, size_t len, enum dhcp4_way way,
		    struct in_addr server)
{
	struct netd_link *link = arg;
	struct err e = { 0 };
	int r = way == DHCP4_RAW ? dhcp4_io_open_raw(&link->io, &e)
				 : dhcp4_io_open_udp(&link->io, link->client.lease.address, &e);

	/* a link that is down, say: the client tries again */
	if (r < 0 || dhcp4_io_send(&link->io, data, len, way, server, &e) < 0)
		log_warn("link %s: %s: %s", link->info.name, dhcp4_state_name(link->client.state),
			 err_text(&e));
}

static const struct dhcp4_ops dhcp4_ops = { on_send, on_bound, on_lost };

/* --- what routers advertise -------------------------------------------------- */

static uint64_t advertised_end(uint32_t lifetime_s)
{
	return lifetime_s == NDOPT_FOREVER ? UINT64_MAX : ev_now_ms() + (uint64_t)lifetime_s * 1000;
}

/* Forgets what has ended, and waits for the next end. */
static void on_ra_timer(void *arg)
{
	struct netd_link *link = arg;
	uint64_t now = ev_now_ms(), next = UINT64_MAX;

	for (size_t i = 0; i < NETD_RA_SERVERS_MAX; i++) {
		if (link->ra_servers[i].ip.family && link->ra_servers[i].end_ms <= now)
			link->ra_servers[i].ip.family = 0;
		if (link->ra_servers[i].ip.family && link->ra_servers[i].end_ms < next)
			next = link->ra_servers[i].end_ms;
	}
	if (*link->ra_search && link->ra_search_end_ms <= now)
		*link->ra_search = '\0';
	if (*link->ra_search && link->ra_search_end_ms < next)
		next = link->ra_search_end_ms;
	ev_timer_cancel(&link->ra_timer);
	if (next != UINT64_MAX)
		ev_timer_set(&link->ra_timer, next - now);
	netd_names_changed(link->netd);
}

static void link_add_advertised(struct netd_link *link, const struct ndopt_server *s)
{
	size_t place = NETD_RA_SERVERS_MAX;

	for (size_t i = NETD_RA_SERVERS_MAX; i-- > 0;) {
		if (ip_equal(&link->ra_servers[i].ip, &s->ip)) {
			place = i;
			break;
		}
		if (!link->ra_servers[i].ip.family)
			place = i;
	}
	if (place == NETD_RA_SERVERS_MAX)
		return;
	link->ra_servers[place].ip = s->ip;
	link->ra_servers[place].end_ms = advertised_end(s->lifetime_s);
}

void netd_link_advertised(struct netd_link *link, const struct ndopt *o)
{
	if (!link->ra)
		return;
	for (size_t i = 0; i < o->nservers; i++)
		link_add_advertised(link, &o->servers[i]);
	if (o->has_search) {
		str_copy(link->ra_search, sizeof(link->ra_search), o->search);
		link->ra_search_end_ms = advertised_end(o->search_lifetime_s);
	}
	on_ra_timer(link);
}

/* --- its clock and its link ------------------------------------------------- */

static void link_rearm(struct netd_link *link)
{
	uint64_t now = ev_now_ms(), due = link->client.due_ms;

	ev_timer_cancel(&link->timer);
	if (due != UINT64_MAX)
		ev_timer_set(&link->timer, due > now ? due - now : 0);
}

static void on_receive(void *arg, const uint8_t *data, size_t len)
{
	struct netd_link *link = arg;

	memcpy(link->message, data, len);
	link->message_len = len;
	dhcp4_client_receive(&link->client, ev_now_ms(), data, len);
	link_rearm(link);
}

static void on_timer(void *arg)
{
	struct netd_link *link = arg;

	dhcp4_client_timer(&link->client, ev_now_ms());
	link_rearm(link);
}

/* What the last run of ours set up, when it is still there. */
static bool link_adopt(struct netd_link *link, const struct dhcp4_lease *last)
{
	struct cidr address = { ip4_from(last->address), last->prefix };

	if (!hostlink_is_set(link->netd->links, link->info.index, &address))
		return false;
	link->leased = true;
	link->leased_address = address;
	link->lease = *last;
	link->nroutes = lease_routes(link, last, link->routes);
	netd_names_changed(link->netd);
	return true;
}

static void link_start_dhcp4(struct netd_link *link)
{
	struct dhcp4_lease last;
	uint64_t end_ms;

	link->client.ops = &dhcp4_ops;
	link->client.arg = link;
	link->client.mtu = link->info.mtu < 1500 ? (uint16_t)link->info.mtu : 1500;
	link->client.hostname = link->netd->hostname;
	link->client.skip_mtu = str_eq(link->info.driver, "hv_netvsc");
	link->client.broadcast = str_eq(link->info.driver, "vmxnet3");
	memcpy(link->client.mac, link->info.mac, 6);
	if (getrandom(&link->client.random, sizeof(link->client.random), 0) < 0 ||
	    !link->client.random)
		link->client.random = ev_now_ms() | 1;
	dhcp4_client_init(&link->client);
	link->io.ev = &link->netd->ev;
	link->io.ifindex = link->info.index;
	link->io.receive = on_receive;
	link->io.arg = link;
	str_copy(link->io.link, sizeof(link->io.link), link->info.name);
	if (lease_load(link, &last, &end_ms))
		dhcp4_client_start(&link->client, ev_now_ms(), &last, end_ms,
				   link_adopt(link, &last));
	else
		dhcp4_client_start(&link->client, ev_now_ms(), NULL, 0, false);
	link_rearm(link);
}

/* Before the link goes up, or an address of an advertisement may come in between. */
static void link_set_ra(const struct netd_link *link)
{
	char path[96];
	struct err e = { 0 };

	/* 2: also when the host forwards, as it does for pods */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", link->info.name);
	if (path_exists(AT_FDCWD, path) && path_write(AT_FDCWD, path, link->ra ? "2" : "0", &e) < 0)
		log_warn("link %s: %s", link->info.name, err_text(&e));
}

static int link_add_static(struct netd_link *link, const struct ipconf *c, struct err *e)
{
	struct hostlink *links = link->netd->links;
	struct hostlink_route r = {
		.index = link->info.index,
		.to.ip.family = c->address.ip.family,
		.gateway = c->gateway,
		.protocol = RTPROT_STATIC,
		.metric = METRIC + link->order,
	};
	struct hostlink_route way = r;
	char text[CIDR_TEXT_MAX];

	if (hostlink_add_address(links, link->info.index, &c->address, UINT32_MAX, e) < 0)
		return -e->code;
	log_info("link %s: address %s", link->info.name, cidr_text(&c->address, text));
	if (!c->gateway.family)
		return 0;
	way.to = (struct cidr){ c->gateway, (unsigned int)ip_size(c->gateway.family) * 8 };
	way.gateway.family = 0;
	if (!cidr_contains(&c->address, &c->gateway) && hostlink_add_route(links, &way, e) < 0)
		return -e->code;
	return hostlink_add_route(links, &r, e);
}

static void link_begin(struct netd_link *link)
{
	struct netd *netd = link->netd;
	const uint8_t *mac = NULL;
	struct err e = { 0 };

	for (size_t i = 0; i < netd->nconfs; i++) {
		const struct ipconf *c = &netd->confs[i];

		if (!netd_conf_matches(c, &link->info))
			continue;
		link->dhcp4 |= c->dhcp4;
		link->ra |= c->ra;
		if (c->has_mac)
			mac = c->mac;
	}
	link_set_ra(link);
	if (hostlink_set(netd->links, link->info.index, link_conf_mtu(link), mac, true, &e) < 0) {
		log_failed(link, &e);
		link->failed = true;
	}
	if (mac)
		memcpy(link->info.mac, mac, 6);
	for (size_t i = 0; i < netd->nconfs; i++) {
		if (!netd->confs[i].has_address || !netd_conf_matches(&netd->confs[i], &link->info))
			continue;
		if (link_add_static(link, &netd->confs[i], &e) < 0) {
			log_failed(link, &e);
			link->failed = true;
		}
	}
	link->begun = true;
}

struct netd_link *netd_link_new(struct netd *netd, const struct hostlink_info *info)
{
	struct netd_link *link = mem_alloc(sizeof(*link));
	unsigned int order = 0;

	list_for_each(other, &netd->managed, struct netd_link, node) {
		if (other->order >= order)
			order = other->order + 1;
	}
	link->netd = netd;
	link->info = *info;
	link->info.carrier = false; /* its coming is the first news */
	link->order = order;
	dhcp4_io_init(&link->io);
	ev_add_timer(&netd->ev, &link->timer, on_timer, link);
	ev_add_timer(&netd->ev, &link->ra_timer, on_ra_timer, link);
	list_add_tail(&netd->managed, &link->node);
	link_begin(link);
	return link;
}

void netd_link_free(struct netd_link *link)
{
	list_remove(&link->node);
	ev_remove(&link->timer);
	ev_remove(&link->ra_timer);
	dhcp4_io_close(&link->io);
	free(link);
}

void netd_link_update(struct netd_link *link, const struct hostlink_info *info)
{
	bool came = info->carrier && !link->info.carrier;
	bool went = !info->carrier && link->info.carrier;
	struct err e = { 0 };
	uint8_t mac[6];

	memcpy(mac, link->info.mac, 6);
	link->info = *info;
	if (link->client.ops)
		memcpy(link->info.mac, mac, 6);
	if (went)
		log_warn("link %s: no carrier", info->name);
	if (!came)
		return;
	log_info("link %s: carrier", info->name);
	/* a link that was up before us: what routers said then is lost */
	if (link->ra && ndopt_solicit(info->index, &e) < 0)
		log_debug("link %s: %s", info->name, err_text(&e));
	if (!link->dhcp4)
		return;
	if (!link->client.ops) {
		link_start_dhcp4(link);
		return;
	}
	dhcp4_client_link_up(&link->client, ev_now_ms());
	link_rearm(link);
}

bool netd_link_ready(struct netd_link *link)
{
	if (link->failed || !link->begun)
		return false;
	if (link->dhcp4)
		return link->leased;
	for (size_t i = 0; i < link->netd->nconfs; i++) {
		if (link->netd->confs[i].has_address &&
		    netd_conf_matches(&link->netd->confs[i], &link->info))
			return true;
	}
	return !link->ra || hostlink_has_address(link->netd->links, link->info.index, AF_INET6);
}
