/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podnet.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"
#include "net/podhost.h"
#include "net/podnet_jobs.h"
#include "net/podnft.h"

static int podnet_get_pod(const struct json *body, const char **ret, struct err *e)
{
	if (json_need_text(body, "pod", ret, e) < 0)
		return -e->code;
	if (!id_valid(*ret))
		return err_set(e, EINVAL, "pod %.80s is no id", *ret);
	return 0;
}

/* Ranges of a text array; those of a family that is off are left out. */
static int podnet_get_ranges(const struct json *body, const char *key, bool ipv6,
			     struct cidr *ranges, size_t max, size_t *ret_count, struct err *e)
{
	const struct json *list = NULL;
	size_t n = 0;

	if (json_get_array(body, key, &list, e) < 0)
		return -e->code;
	json_each(item, list) {
		struct cidr c;

		if (item->type != JSON_STRING)
			return err_set(e, EINVAL, "%s is no list of texts", key);
		if (cidr_parse(item->text, &c, e) < 0)
			return err_wrap(e, "%s", key);
		if (c.ip.family == AF_INET6 && !ipv6)
			continue;
		if (n == max)
			return err_set(e, E2BIG, "%s: more than %zu ranges", key, max);
		ranges[n++] = c;
	}
	*ret_count = n;
	return 0;
}

static void podnet_on_nft(void *arg, uint32_t events)
{
	struct podnet *n = arg;
	struct err e = { 0 };

	(void)events;
	if (podnft_heard(n->watch) && n->configured && podnet_check_table(n, &e) < 0)
		log_error("%s", err_text(&e));
}

/*
 * Only when the table stands: the kernel begins to load nf_tables for a listener and does not
 * wait, and a request that comes meanwhile finds it half there.
 */
static int podnet_listen(struct podnet *n, struct err *e)
{
	if (n->watch >= 0)
		return 0;
	if (podnft_watch(&n->watch, e) < 0 ||
	    ev_add_fd(&n->ev, &n->on_nft, n->watch, EPOLLIN, podnet_on_nft, n, e) < 0)
		return -e->code;
	return podnet_check_table(n, e);
}

static int serve_config(struct podnet *n, const struct json *body, struct json_out *out,
			struct err *e)
{
	struct cidr direct[PODNET_DIRECT_MAX], ranges[2];
	size_t ndirect, nranges;
	struct ipam trial;
	bool masquerade = true;
	bool ipv6 = podhost_has_ipv6();

	if (podnet_get_ranges(body, "pod_cidrs", ipv6, ranges, 2, &nranges, e) < 0 ||
	    podnet_get_ranges(body, "no_masquerade", ipv6, direct, PODNET_DIRECT_MAX, &ndirect, e) <
		    0 ||
	    json_get_bool(body, "masquerade", &masquerade, e) < 0 ||
	    ipam_init(&trial, ranges, nranges, e) < 0)
		return -e->code;
	ipam_done(&trial);
	memcpy(n->ranges, ranges, sizeof(ranges));
	memcpy(n->direct, direct, ndirect * sizeof(*direct));
	n->nranges = nranges;
	n->ndirect = ndirect;
	n->masquerade = masquerade;
	if ((!n->configured && podnet_load(n, e) < 0) || podnet_apply(n, e) < 0 ||
	    podnet_listen(n, e) < 0)
		return -e->code;
	n->configured = true;
	json_out_array(out, "families");
	if (n->ipam.range4.ip.family)
		json_out_text(out, NULL, "ipv4");
	if (n->ipam.range6.ip.family)
		json_out_text(out, NULL, "ipv6");
	json_out_end(out);
	return 0;
}

static void podnet_put_texts(struct json_out *out, const char *key, size_t count,
			     char texts[2][INET6_ADDRSTRLEN])
{
	json_out_array(out, key);
	for (size_t i = 0; i < count; i++)
		json_out_text(out, NULL, texts[i]);
	json_out_end(out);
}

static int serve_attach(struct podnet *n, const struct json *body, struct json_out *out,
			struct err *e)
{
	const char *pod, *prefer = "ipv4";
	const struct json *ports = NULL;
	char texts[2][INET6_ADDRSTRLEN];
	auto_lease want = { 0 };
	struct lease *l;

	if (podnet_get_pod(body, &pod, e) < 0 || json_get_array(body, "ports", &ports, e) < 0 ||
	    json_get_text(body, "prefer", &prefer, e) < 0 || lease_parse_ports(ports, &want, e) < 0)
		return -e->code;
	if (n->in.nfds != 1)
		return err_set(e, EINVAL, "%zu descriptors instead of one", n->in.nfds);
	if (!str_eq(prefer, "ipv4") && !str_eq(prefer, "ipv6"))
		return err_set(e, EINVAL, "prefer %.16s is neither ipv4 nor ipv6", prefer);
	want.prefer6 = str_eq(prefer, "ipv6");
	str_copy(want.pod, sizeof(want.pod), pod);
	if (podnet_attach(n, &want, n->in.fds[0], &l, e) < 0)
		return err_wrap(e, "attach pod %.12s", pod);
	podnet_put_texts(out, "addresses", lease_addresses(l, texts), texts);
	podnet_put_texts(out, "gateways", lease_gateways(l, texts), texts);
	json_out_uint(out, "mtu", l->mtu);
	return 0;
}

static int serve_detach(struct podnet *n, const struct json *body, struct json_out *out,
			struct err *e)
{
	const char *pod;

	(void)out;
	if (podnet_get_pod(body, &pod, e) < 0)
		return -e->code;
	if (podnet_detach(n, pod, e) < 0)
		return err_wrap(e, "detach pod %.12s", pod);
	return 0;
}

static int serve_sync(struct podnet *n, const struct json *body, struct json_out *out,
		      struct err *e)
{
	const struct json *list = NULL;
	auto_map live = { 0 };
	size_t removed;

	if (json_get_array(body, "pods", &list, e) < 0)
		return -e->code;
	if (!list)
		return err_set(e, EINVAL, "pods is missing");
	json_each(item, list) {
		if (item->type != JSON_STRING || !id_valid(item->text))
			return err_set(e, EINVAL, "pods is no list of ids");
		map_set(&live, item->text, n);
	}
	if (podnet_sync(n, &live, &removed, e) < 0)
		return -e->code;
	json_out_uint(out, "removed", removed);
	return 0;
}

static const struct {
	uint32_t type;
	int (*serve)(struct podnet *n, const struct json *body, struct json_out *out,
		     struct err *e);
} requests[] = {
	{ NET_ATTACH, serve_attach },
	{ NET_DETACH, serve_detach },
	{ NET_SYNC, serve_sync },
	{ NET_CONFIG, serve_config },
};

static int podnet_serve(struct podnet *n, struct json_out *out, struct err *e)
{
	auto_json *body = NULL;

	if (json_parse(n->in.body, n->in.h.length, &body, e) < 0)
		return -e->code;
	if (body->type != JSON_OBJECT)
		return err_set(e, EINVAL, "the body is no object");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].type != n->in.h.type)
			continue;
		if (!n->configured && n->in.h.type != NET_CONFIG)
			return err_set(e, ENOTCONN, "no pod range is configured yet");
		return requests[i].serve(n, body, out, e);
	}
	return err_set(e, ENOSYS, "request %u is unknown", n->in.h.type);
}

static int podnet_answer(struct podnet *n, struct err *e)
{
	auto_json_out good = { 0 }, bad = { 0 };
	struct err failed = { 0 };
	auto_free char *text = NULL;
	bool ok;

	json_out_object(&good, NULL);
	ok = podnet_serve(n, &good, &failed) == 0;
	json_out_end(&good);
	if (!ok) {
		json_out_object(&bad, NULL);
		json_out_int(&bad, "errno", failed.code);
		json_out_text(&bad, "message", failed.msg);
		json_out_end(&bad);
	}
	text = json_out_take(ok ? &good : &bad);
	return msg_send(n->sock, ok ? PROTO_OK : PROTO_ERROR, n->in.h.id, text, NULL, 0, e);
}

static void podnet_on_message(void *arg, uint32_t events)
{
	struct podnet *n = arg;
	struct err e = { 0 };
	int r = msg_recv(n->sock, &n->in, &e);

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r > 0)
		r = podnet_answer(n, &e) < 0 ? -e.code : 1;
	msg_done(&n->in);
	if (r > 0)
		return;
	if (r < 0)
		log_error("%s", err_text(&e));
	ev_stop(&n->ev, r < 0);
}

static int podnet_open(struct podnet *n, struct err *e)
{
	const char *pods = getenv("BERTH_PODS_DIR") ?: PODNET_DIR;

	if (path_mkdirs(pods, 0700, e) < 0)
		return -e->code;
	n->pods = open(pods, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->pods < 0)
		return err_set(e, errno, "open %s", pods);
	n->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (n->home < 0)
		return err_set(e, errno, "open /proc/self/ns/net");
	if (netlink_open(&n->host, NETLINK_ROUTE, e) < 0 || podnft_open(&n->nft, e) < 0)
		return -e->code;
	return ev_add_fd(&n->ev, &n->on_message, n->sock, EPOLLIN, podnet_on_message, n, e);
}

int podnet_worker(int sock)
{
	auto_free struct podnet *n = mem_alloc(sizeof(*n));
	struct err e = { 0 };
	int r;

	n->sock = sock;
	n->home = n->pods = n->watch = n->host.fd = n->nft.fd = -1;
	r = ev_init(&n->ev, &e);
	if (r == 0) {
		podnet_jobs_init(n);
		r = podnet_open(n, &e);
		if (r == 0)
			r = ev_run(&n->ev, &e);
		podnet_jobs_done(n);
		ev_done(&n->ev);
	}
	if (r < 0)
		log_error("network worker: %s", err_text(&e));
	netlink_close(&n->host);
	netlink_close(&n->nft);
	fd_close(&n->watch);
	fd_close(&n->home);
	fd_close(&n->pods);
	return r == 0 ? 0 : 1;
}
