/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/lease.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"
#include "net/cidr.h"

#define LEASE_VERSION 1
#define LEASE_KIND "net"

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ "sctp", IPPROTO_SCTP },
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

const char *lease_protocol(uint8_t number)
{
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (protocols[i].number == number)
			return protocols[i].name;
	}
	return "?";
}

void lease_done(struct lease *l)
{
	free(l->ports);
	*l = (struct lease){ 0 };
}

void lease_move(struct lease *to, struct lease *from)
{
	lease_done(to);
	*to = *from;
	*from = (struct lease){ 0 };
}

static int lease_parse_host_ip(const char *text, struct lease_port *p, struct err *e)
{
	struct in6_addr six;
	struct ip ip;

	p->v4 = p->v6 = p->any = true;
	if (!*text)
		return 0;
	if (ip_parse(text, &ip, e) < 0)
		return -e->code;
	/* its answers would come from outside with a loopback address: the kernel takes none */
	six = ip_to6(&ip);
	if (ip.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six))
		return err_set(e, EOPNOTSUPP, "host address ::1 cannot be served, 127.0.0.1 can");
	p->v4 = ip.family == AF_INET;
	p->v6 = !p->v4;
	p->any = ip_is_any(&ip);
	if (p->v4)
		p->host4 = ip_to4(&ip);
	else
		p->host6 = ip_to6(&ip);
	return 0;
}

static int lease_parse_number(const struct json *port, const char *key, uint16_t *ret,
			      struct err *e)
{
	uint32_t n = 0;

	if (json_get_u32(port, key, &n, e) < 0)
		return -e->code;
	if (n < 1 || n > 65535)
		return err_set(e, EINVAL, "%s %u is not 1 to 65535", key, n);
	*ret = (uint16_t)n;
	return 0;
}

static int lease_parse_port(const struct json *port, struct lease_port *ret, struct err *e)
{
	const char *protocol = "tcp", *host_ip = "";
	struct lease_port p = { 0 };

	if (json_get_text(port, "protocol", &protocol, e) < 0 ||
	    json_get_text(port, "host_ip", &host_ip, e) < 0 ||
	    lease_parse_host_ip(host_ip, &p, e) < 0 ||
	    lease_parse_number(port, "host_port", &p.host_port, e) < 0 ||
	    lease_parse_number(port, "container_port", &p.pod_port, e) < 0)
		return -e->code;
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (str_eq(protocols[i].name, protocol))
			p.protocol = protocols[i].number;
	}
	if (!p.protocol)
		return err_set(e, EINVAL, "protocol %.32s is not tcp, udp or sctp", protocol);
	*ret = p;
	return 0;
}

int lease_parse_ports(const struct json *ports, struct lease *l, struct err *e)
{
	auto_free struct lease_port *list = NULL;
	size_t n = 0;

	if (ports && ports->type != JSON_ARRAY)
		return err_set(e, EINVAL, "ports is no array");
	if (ports && ports->count > LEASE_PORTS_MAX)
		return err_set(e, E2BIG, "more than %d host ports", LEASE_PORTS_MAX);
	if (ports && ports->count)
		list = mem_array(ports->count, sizeof(*list));
	json_each(port, ports) {
		if (port->type != JSON_OBJECT)
			return err_set(e, EINVAL, "a port is no object");
		if (lease_parse_port(port, &list[n++], e) < 0)
			return err_wrap(e, "host port");
	}
	free(l->ports);
	l->ports = mem_take(&list);
	l->nports = n;
	return 0;
}

const char *lease_port_text(const struct lease_port *p, char dst[static LEASE_PORT_TEXT_MAX])
{
	struct ip ip = { .family = p->v4 ? AF_INET : AF_INET6 };
	char address[INET6_ADDRSTRLEN] = "";

	if (!p->any)
		ip = p->v4 ? ip4_from(p->host4) : ip6_from(p->host6);
	if (!p->any || p->v4 != p->v6)
		ip_text(&ip, address);
	snprintf(dst, LEASE_PORT_TEXT_MAX, "%s port %u%s%s", lease_protocol(p->protocol),
		 p->host_port, *address ? " of " : "", address);
	return dst;
}

bool lease_port_clash(const struct lease_port *a, const struct lease_port *b)
{
	if (a->protocol != b->protocol || a->host_port != b->host_port || a->any != b->any)
		return false;
	if (a->v4 && b->v4)
		return a->any || a->host4.s_addr == b->host4.s_addr;
	if (a->v6 && b->v6)
		return a->any || memcmp(&a->host6, &b->host6, sizeof(a->host6)) == 0;
	return false;
}

static void lease_put_port(struct json_out *o, const struct lease_port *p)
{
	struct ip ip = { .family = p->v4 ? AF_INET : AF_INET6 };
	char host_ip[INET6_ADDRSTRLEN] = "";

	if (!p->any)
		ip = p->v4 ? ip4_from(p->host4) : ip6_from(p->host6);
	if (!p->any || p->v4 != p->v6)
		ip_text(&ip, host_ip);
	json_out_object(o, NULL);
	json_out_text(o, "protocol", lease_protocol(p->protocol));
	json_out_text(o, "host_ip", host_ip);
	json_out_uint(o, "host_port", p->host_port);
	json_out_uint(o, "container_port", p->pod_port);
	json_out_end(o);
}

static void lease_put_ip(struct json_out *o, const char *key, struct ip ip)
{
	char text[INET6_ADDRSTRLEN];

	json_out_text(o, key, ip_text(&ip, text));
}

int lease_write(int pods, const struct lease *l, struct err *e)
{
	auto_fd int dir = openat(pods, l->pod, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_json_out o = { 0 };
	auto_free char *text = NULL;
	char mac[13];

	if (dir < 0)
		return err_set(e, errno, "open folder of pod %s", l->pod);
	json_out_object(&o, NULL);
	json_out_text(&o, "pod", l->pod);
	json_out_uint(&o, "index", l->index);
	json_out_bool(&o, "prefer6", l->prefer6);
	if (l->has4) {
		lease_put_ip(&o, "ipv4", ip4_from(l->addr4));
		lease_put_ip(&o, "gateway4", ip4_from(l->gateway4));
	}
	if (l->has6) {
		lease_put_ip(&o, "ipv6", ip6_from(l->addr6));
		lease_put_ip(&o, "gateway6", ip6_from(l->gateway6));
	}
	str_hex(mac, l->host_mac, sizeof(l->host_mac));
	json_out_text(&o, "host_mac", mac);
	str_hex(mac, l->pod_mac, sizeof(l->pod_mac));
	json_out_text(&o, "pod_mac", mac);
	json_out_uint(&o, "mtu", l->mtu);
	json_out_array(&o, "ports");
	for (size_t i = 0; i < l->nports; i++)
		lease_put_port(&o, &l->ports[i]);
	json_out_end(&o);
	json_out_end(&o);
	text = json_out_take(&o);
	return record_write(dir, LEASE_FILE, LEASE_KIND, LEASE_VERSION, text, PATH_FAST, e);
}

static int lease_get_ip(const struct json *data, const char *key, int family, struct ip *ret,
			struct err *e)
{
	const char *text = NULL;

	if (json_get_text(data, key, &text, e) < 0)
		return -e->code;
	if (!text)
		return 0;
	if (ip_parse(text, ret, e) < 0)
		return err_wrap(e, "%s", key);
	if (ret->family != family)
		return err_set(e, EBADMSG, "%s is of the other family", key);
	return 1;
}

static int lease_get_mac(const struct json *data, const char *key, uint8_t ret[6], struct err *e)
{
	const char *text;
	unsigned int b[6];

	if (json_need_text(data, key, &text, e) < 0)
		return -e->code;
	if (strlen(text) != 12 ||
	    sscanf(text, "%2x%2x%2x%2x%2x%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return err_set(e, EBADMSG, "%s is no hardware address", key);
	for (int i = 0; i < 6; i++)
		ret[i] = (uint8_t)b[i];
	return 0;
}

static int lease_get_pair(const struct json *data, const char *address, const char *gateway,
			  int family, struct ip ret[2], struct err *e)
{
	int a = lease_get_ip(data, address, family, &ret[0], e);
	int g = a < 0 ? a : lease_get_ip(data, gateway, family, &ret[1], e);

	if (g < 0)
		return g;
	if (a != g)
		return err_set(e, EBADMSG, "%s without %s", a ? address : gateway,
			       a ? gateway : address);
	return a;
}

static int lease_parse(const struct json *data, struct lease *l, struct err *e)
{
	const struct json *ports = NULL;
	struct ip pair[2];
	const char *pod;
	int r;

	if (json_need_text(data, "pod", &pod, e) < 0)
		return -e->code;
	if (!id_valid(pod))
		return err_set(e, EBADMSG, "pod is no id");
	str_copy(l->pod, sizeof(l->pod), pod);
	if (json_get_u32(data, "index", &l->index, e) < 0 ||
	    json_get_u32(data, "mtu", &l->mtu, e) < 0 ||
	    json_get_bool(data, "prefer6", &l->prefer6, e) < 0 ||
	    lease_get_mac(data, "host_mac", l->host_mac, e) < 0 ||
	    lease_get_mac(data, "pod_mac", l->pod_mac, e) < 0 ||
	    json_get_array(data, "ports", &ports, e) < 0 || lease_parse_ports(ports, l, e) < 0)
		return -e->code;
	r = lease_get_pair(data, "ipv4", "gateway4", AF_INET, pair, e);
	if (r < 0)
		return r;
	if (r > 0) {
		l->has4 = true;
		l->addr4 = ip_to4(&pair[0]);
		l->gateway4 = ip_to4(&pair[1]);
	}
	r = lease_get_pair(data, "ipv6", "gateway6", AF_INET6, pair, e);
	if (r < 0)
		return r;
	if (r > 0) {
		l->has6 = true;
		l->addr6 = ip_to6(&pair[0]);
		l->gateway6 = ip_to6(&pair[1]);
	}
	return 0;
}

int lease_read(int pods, const char *pod, struct lease *ret, struct err *e)
{
	auto_fd int dir = openat(pods, pod, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_record r = { 0 };
	auto_lease l = { 0 };

	if (dir < 0)
		return err_set(e, errno, "open folder of pod %s", pod);
	if (record_read(dir, LEASE_FILE, LEASE_KIND, &r, e) < 0)
		return err_wrap(e, "pod %s", pod);
	if (lease_parse(r.data, &l, e) < 0)
		return err_wrap(e, "network record of pod %s", pod);
	if (!str_eq(l.pod, pod))
		return err_set(e, EBADMSG, "network record of pod %s is of another pod", pod);
	lease_move(ret, &l);
	return 0;
}

int lease_remove(int pods, const char *pod, struct err *e)
{
	/* .new: what a kill between writing and renaming left */
	static const char *const names[] = { LEASE_FILE, LEASE_FILE ".new" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[ID_LEN + sizeof("/" LEASE_FILE ".new")];

		snprintf(path, sizeof(path), "%s/%s", pod, names[i]);
		if (unlinkat(pods, path, 0) < 0 && errno != ENOENT && errno != ENOTDIR)
			return err_set(e, errno, "remove network record of pod %s", pod);
	}
	return 0;
}

static size_t lease_order(const struct lease *l, struct ip v4, struct ip v6,
			  char ret[2][INET6_ADDRSTRLEN])
{
	size_t n = 0;

	if (l->has6 && l->prefer6)
		ip_text(&v6, ret[n++]);
	if (l->has4)
		ip_text(&v4, ret[n++]);
	if (l->has6 && !l->prefer6)
		ip_text(&v6, ret[n++]);
	return n;
}

size_t lease_addresses(const struct lease *l, char ret[2][INET6_ADDRSTRLEN])
{
	return lease_order(l, ip4_from(l->addr4), ip6_from(l->addr6), ret);
}

size_t lease_gateways(const struct lease *l, char ret[2][INET6_ADDRSTRLEN])
{
	return lease_order(l, ip4_from(l->gateway4), ip6_from(l->gateway6), ret);
}
