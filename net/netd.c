/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-netd: the host's own links. It reads its configuration once; whatever
 * happens after that is news from the kernel or from a DHCP server. What it
 * set up stays when it ends: a new one takes it over.
 */
#include "net/netd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/notify.h"
#include "lib/path.h"
#include "lib/str.h"
#include "net/podrange.h"

#define READY_MS 30000 /* services are not kept waiting for a network that does not come */
#define NO_LINK_MS 5000 /* when there is not even a link */
#define POLL_MS 250 /* for an address by router advertisement, until ready */
#define RESOLV_DIR "/run/berth"
#define RESOLV_FILE "resolv.conf"

/* of the first pid namespace (PROC_PID_INIT_INO) */
#define INITIAL_PID_NS "pid:[4026531836]"

static bool netd_in_container(void)
{
	char link[64] = "";

	return readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
	       !str_eq(link, INITIAL_PID_NS);
}

/* --- configuration --------------------------------------------------------- */

/* A word that is wrong is named and left out: the others still make a network. */
static void netd_read_ip(struct netd *n)
{
	const char *text;

	for (size_t i = 0; (text = conf_nth(&n->conf, "net.ip", i)); i++) {
		struct err e = { 0 };

		if (n->nconfs == NETD_CONFS_MAX)
			log_error("net.ip: more than %d words", NETD_CONFS_MAX);
		else if (ipconf_parse(text, &n->confs[n->nconfs], &e) < 0)
			log_error("net.ip: %s", err_text(&e));
		else
			n->nconfs++;
		if (n->nconfs == NETD_CONFS_MAX)
			return;
	}
	n->implicit = !conf_nth(&n->conf, "net.ip", 0);
	if (n->implicit)
		n->confs[n->nconfs++] = (struct ipconf){ .dhcp4 = true, .ra = true };
}

static void netd_read_reserved(struct netd *n)
{
	struct podrange pods = { 0 };
	struct err e = { 0 };
	const char *text;

	if (podrange_load(&n->conf, PODRANGE_STATE, &pods, &e) < 0)
		log_error("%s", err_text(&e));
	for (size_t i = 0; i < pods.count; i++)
		n->reserved[n->nreserved++] = pods.ranges[i];
	for (size_t i = 0; (text = conf_nth(&n->conf, "net.service_cidrs", i)) &&
			   n->nreserved < NETD_RESERVED_MAX;
	     i++) {
		if (cidr_parse(text, &n->reserved[n->nreserved], &e) < 0)
			log_error("net.service_cidrs: %s", err_text(&e));
		else
			n->nreserved++;
	}
}

static void netd_read_names(struct netd *n)
{
	const char *text;

	n->hostname = conf_text(&n->conf, "node.hostname", NULL);
	for (size_t i = 0; (text = conf_nth(&n->conf, "net.nameserver", i)); i++) {
		struct err e = { 0 };
		struct ip server;

		if (ip_parse(text, &server, &e) < 0)
			log_error("net.nameserver: %s", err_text(&e));
		else
			resolv_add_server(&n->fixed, &server);
	}
	for (size_t i = 0; i < n->nconfs; i++) {
		for (size_t k = 0; k < n->confs[i].ndns; k++)
			resolv_add_server(&n->fixed, &n->confs[i].dns[k]);
		if (!n->hostname && *n->confs[i].hostname)
			n->hostname = n->confs[i].hostname;
	}
}

/* --- names ----------------------------------------------------------------- */

static void netd_set_hostname(const char *name)
{
	char label[65];

	str_copy(label, sizeof(label), name);
	label[strcspn(label, ".")] = '\0';
	if (*label && sethostname(label, strlen(label)) < 0)
		log_warn("set host name %s: %s", label, strerror(errno));
}

/* Leases first: servers that the node's own network names are the nearest. */
static void netd_gather(struct netd *n, struct resolv *r, const char **ret_name)
{
	list_for_each(link, &n->managed, struct netd_link, node) {
		if (!link->leased)
			continue;
		for (size_t i = 0; i < link->lease.ndns; i++) {
			struct ip server = ip4_from(link->lease.dns[i]);

			resolv_add_server(r, &server);
		}
		resolv_add_search(r, link->lease.search);
		if (!*ret_name && *link->lease.hostname)
			*ret_name = link->lease.hostname;
	}
	list_for_each(link, &n->managed, struct netd_link, node) {
		for (size_t i = 0; i < NETD_RA_SERVERS_MAX; i++)
			resolv_add_link_server(r, &link->ra_servers[i].ip, link->info.name);
		resolv_add_search(r, link->ra_search);
	}
}

void netd_names_changed(struct netd *n)
{
	struct resolv r = n->fixed;
	auto_free char *text = NULL;
	const char *name = NULL;
	struct err e = { 0 };
	int dir;

	netd_gather(n, &r, &name);
	if (!n->hostname && name)
		netd_set_hostname(name);
	text = resolv_text(&r);
	if (path_mkdirs(RESOLV_DIR, 0711, &e) < 0) {
		log_error("%s", err_text(&e));
		return;
	}
	dir = open(RESOLV_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || path_replace(dir, RESOLV_FILE, text, strlen(text), 0644, PATH_FAST, &e) < 0)
		log_error("write %s/%s: %s", RESOLV_DIR, RESOLV_FILE,
			  dir < 0 ? strerror(errno) : err_text(&e));
	if (dir >= 0)
		close(dir);
}

/* --- links ----------------------------------------------------------------- */

static struct netd_link *netd_find(struct netd *n, int index)
{
	list_for_each(link, &n->managed, struct netd_link, node) {
		if (link->info.index == index)
			return link;
	}
	return NULL;
}

static bool netd_is_named(const struct netd *n, const struct hostlink_info *info)
{
	for (size_t i = 0; i < n->nconfs; i++) {
		if (netd_conf_matches(&n->confs[i], info))
			return true;
	}
	return false;
}

/* On Azure a second link with the same hardware address is a part of the first one. */
static bool netd_is_part(const struct hostlink_info *info)
{
	static const char *const drivers[] = { "mlx4_core", "mlx4_en", "mlx5_core", "mana" };

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (str_eq(info->driver, drivers[i]))
			return true;
	}
	return false;
}

/* What the links are like, in one walk. */
struct netd_view {
	struct netd *n;
	bool physical; /* there is one */
	bool whole; /* one whose parts are to be left alone: a virtual link of Azure */
	bool open; /* words without a link look for one */
};

static bool netd_on_view(void *arg, const struct hostlink_info *info)
{
	struct netd_view *v = arg;

	v->physical |= info->physical;
	v->whole |= str_eq(info->driver, "hv_netvsc");
	return true;
}

static struct netd_view netd_view(struct netd *n)
{
	struct netd_view v = { .n = n };

	hostlink_each(n->links, netd_on_view, &v);
	for (size_t i = 0; i < n->nconfs; i++) {
		const struct ipconf *c = &n->confs[i];

		v.open |= !*c->link && (c->dhcp4 || c->ra || c->has_address);
	}
	return v;
}

/* Words without a link are for the first physical one that gets a carrier. */
static bool netd_on_choice(void *arg, const struct hostlink_info *info)
{
	struct netd_view *v = arg;
	struct netd *n = v->n;
	struct err e = { 0 };

	if (!info->physical || (v->whole && netd_is_part(info)) || netd_is_named(n, info))
		return true;
	if (!info->up && hostlink_set(n->links, info->index, 0, NULL, true, &e) < 0)
		log_error("link %s: %s", info->name, err_text(&e));
	if (!info->carrier)
		return true;
	for (size_t i = 0; i < n->nconfs; i++) {
		if (!*n->confs[i].link)
			str_copy(n->confs[i].link, IFNAMSIZ, info->name);
	}
	return false;
}

static bool netd_on_link(void *arg, const struct hostlink_info *info)
{
	struct netd *n = arg;
	struct netd_link *link = netd_find(n, info->index);

	if (!link && netd_is_named(n, info))
		link = netd_link_new(n, info);
	if (link)
		netd_link_update(link, info);
	return true;
}

static void netd_look(struct netd *n)
{
	struct netd_view view = netd_view(n);
	struct hostlink_info info;

	if (view.open)
		hostlink_each(n->links, netd_on_choice, &view);
	list_for_each(link, &n->managed, struct netd_link, node) {
		if (hostlink_find(n->links, link->info.index, &info))
			continue;
		log_warn("link %s: gone", link->info.name);
		netd_link_free(link);
		netd_names_changed(n);
	}
	hostlink_each(n->links, netd_on_link, n);
}

/* --- readiness ------------------------------------------------------------- */

static void netd_tell(struct netd *n, const char *status)
{
	char text[128];

	if (n->told_ready)
		return;
	n->told_ready = true;
	ev_timer_cancel(&n->deadline);
	ev_timer_cancel(&n->poll);
	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	notify(text);
}

static bool netd_conf_ready(struct netd *n, const struct ipconf *c)
{
	if (!c->dhcp4 && !c->ra && !c->has_address)
		return true;
	list_for_each(link, &n->managed, struct netd_link, node) {
		if (netd_conf_matches(c, &link->info))
			return netd_link_ready(link);
	}
	return false;
}

static void netd_check_ready(struct netd *n)
{
	bool ready = true, polled = false;

	if (n->told_ready)
		return;
	for (size_t i = 0; i < n->nconfs; i++)
		ready &= netd_conf_ready(n, &n->confs[i]);
	if (ready) {
		netd_tell(n, n->nconfs ? "the network is up" : "nothing is configured");
		return;
	}
	if (n->implicit && n->container && !netd_view(n).physical) {
		netd_tell(n, "no link to set up");
		return;
	}
	list_for_each(link, &n->managed, struct netd_link, node)
		polled |= link->ra && !link->dhcp4;
	if (polled && !ev_timer_armed(&n->poll))
		ev_timer_set(&n->poll, POLL_MS);
}

static void on_deadline(void *arg)
{
	struct netd *n = arg;

	/* links may appear as drivers find them: the short wait is for none at all */
	if (n->no_link)
		log_warn("no link to set up");
	else
		log_warn("no usable address yet; going on without");
	netd_tell(n, "no usable address yet");
}

static void on_work(void *arg)
{
	netd_check_ready(arg);
}

void netd_check_later(struct netd *n)
{
	ev_mark(&n->work);
}

static void on_poll(void *arg)
{
	netd_check_ready(arg);
}

static void on_links(void *arg, uint32_t events)
{
	struct netd *n = arg;
	struct err e = { 0 };
	int r;

	(void)events;
	r = hostlink_update(n->links, &e);
	if (r < 0)
		log_error("%s", err_text(&e));
	if (r == 0)
		return;
	netd_look(n);
	netd_check_ready(n);
	if (!n->told_ready && n->implicit && netd_view(n).physical && !ev_timer_armed(&n->deadline))
		ev_timer_set(&n->deadline, READY_MS);
}

static void on_options(void *arg, uint32_t events)
{
	uint8_t data[8192];
	struct netd *n = arg;
	struct ndopt o;
	struct err ignored = { 0 };
	ssize_t len = recv(n->options, data, sizeof(data), 0);

	(void)events;
	if (len <= 0 || ndopt_parse(data, (size_t)len, &o, &ignored) < 0)
		return;
	if (netd_find(n, o.ifindex))
		netd_link_advertised(netd_find(n, o.ifindex), &o);
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct netd *n = arg;

	log_info("signal %u: the network stays as it is", info->ssi_signo);
	ev_stop(&n->ev, 0);
}

static int netd_start(struct netd *n, struct err *e)
{
	sigset_t set;

	list_init(&n->managed);
	n->options = -1;
	n->container = netd_in_container();
	if (conf_load(CONF_PATH, &n->conf, e) < 0)
		return -e->code;
	netd_read_ip(n);
	netd_read_reserved(n);
	netd_read_names(n);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	ev_add_timer(&n->ev, &n->deadline, on_deadline, n);
	ev_add_timer(&n->ev, &n->poll, on_poll, n);
	ev_add_work(&n->ev, &n->work, on_work, n);
	if (ev_add_signals(&n->ev, &n->signals, &set, on_signal, n, e) < 0 ||
	    hostlink_open(&n->links, e) < 0 ||
	    ev_add_fd(&n->ev, &n->on_links, hostlink_fd(n->links), EPOLLIN, on_links, n, e) < 0)
		return -e->code;
	/* without it only advertised name servers are missed */
	if (ndopt_open(&n->options, e) < 0 ||
	    ev_add_fd(&n->ev, &n->on_options, n->options, EPOLLIN, on_options, n, e) < 0)
		log_warn("%s", err_text(e));
	if (hostlink_set(n->links, 1, 0, NULL, true, e) < 0)
		log_error("link lo: %s", err_text(e));
	if (n->hostname && conf_text(&n->conf, "node.hostname", NULL) == NULL)
		netd_set_hostname(n->hostname);
	netd_names_changed(n);
	ev_timer_set(&n->deadline, n->implicit && !netd_view(n).physical ? NO_LINK_MS : READY_MS);
	netd_look(n);
	netd_check_ready(n);
	return 0;
}

int main(void)
{
	auto_free struct netd *n = mem_alloc(sizeof(*n));
	struct err e = { 0 };
	int r;

	log_init("netd");
	r = ev_init(&n->ev, &e);
	if (r == 0)
		r = netd_start(n, &e);
	if (r == 0)
		r = ev_run(&n->ev, &e);
	if (r < 0)
		log_error("%s", err_text(&e));
	while (n->managed.next && !list_empty(&n->managed))
		netd_link_free(list_entry(n->managed.next, struct netd_link, node));
	if (n->options >= 0)
		close(n->options);
	hostlink_free(n->links);
	conf_done(&n->conf);
	ev_done(&n->ev);
	return r < 0 ? 1 : 0;
}
