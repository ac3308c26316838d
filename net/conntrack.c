/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "net/cidr.h"

#define FOUND_MAX 65536

struct conntrack_tuple {
	struct ip src, dst;
	uint8_t protocol;
	uint16_t port; /* of dst */
};

/* What a connection is deleted by: its original tuple, its zone, and its id against reuse. */
struct conntrack_entry {
	uint8_t family;
	bool has_zone;
	uint16_t zone; /* network order */
	uint32_t id; /* network order */
	uint16_t len;
	uint8_t tuple[128]; /* the payload of CTA_TUPLE_ORIG */
};

struct conntrack_search {
	const struct lease *l;
	bool to_pod; /* else: those without any translation */
	struct conntrack_entry *found; /* owned */
	size_t count, room;
};

static void conntrack_read_ip(const struct nlattr *nest, struct conntrack_tuple *t)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		uint16_t type = mnl_attr_get_type(a);
		struct ip *ip = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC	 ? &t->src
				: type == CTA_IP_V4_DST || type == CTA_IP_V6_DST ? &t->dst
										 : NULL;

		if (!ip || (mnl_attr_get_payload_len(a) != 4 && mnl_attr_get_payload_len(a) != 16))
			continue;
		ip->family = mnl_attr_get_payload_len(a) == 4 ? AF_INET : AF_INET6;
		memcpy(ip->bytes, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	}
}

static void conntrack_read_tuple(const struct nlattr *nest, struct conntrack_tuple *t)
{
	const struct nlattr *a, *p;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
			conntrack_read_ip(a, t);
		if (mnl_attr_get_type(a) != CTA_TUPLE_PROTO)
			continue;
		mnl_attr_for_each_nested(p, a)
		{
			if (mnl_attr_get_type(p) == CTA_PROTO_NUM &&
			    mnl_attr_validate(p, MNL_TYPE_U8) >= 0)
				t->protocol = mnl_attr_get_u8(p);
			else if (mnl_attr_get_type(p) == CTA_PROTO_DST_PORT &&
				 mnl_attr_validate(p, MNL_TYPE_U16) >= 0)
				t->port = ntohs(mnl_attr_get_u16(p));
		}
	}
}

static bool conntrack_is_port(const struct lease *l, const struct conntrack_tuple *t)
{
	for (size_t i = 0; i < l->nports; i++) {
		if (l->ports[i].protocol == t->protocol && l->ports[i].host_port == t->port)
			return true;
	}
	return false;
}

static bool conntrack_matches(const struct conntrack_search *s, const struct conntrack_tuple *orig,
			      const struct conntrack_tuple *reply)
{
	const struct lease *l = s->l;
	struct ip addr4 = ip4_from(l->addr4), addr6 = ip6_from(l->addr6);

	if (orig->protocol == IPPROTO_TCP || !conntrack_is_port(l, orig))
		return false;
	if (s->to_pod)
		return (l->has4 && ip_equal(&reply->src, &addr4)) ||
		       (l->has6 && ip_equal(&reply->src, &addr6));
	return ip_equal(&reply->src, &orig->dst) && ip_equal(&reply->dst, &orig->src);
}

static int conntrack_on_entry(const struct nlmsghdr *h, void *arg)
{
	struct conntrack_search *s = arg;
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct conntrack_tuple orig = { 0 }, reply = { 0 };
	struct conntrack_entry entry = { 0 };
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*g))
		return MNL_CB_OK;
	entry.family = g->nfgen_family;
	mnl_attr_for_each(a, h, sizeof(*g))
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == CTA_TUPLE_ORIG && mnl_attr_get_payload_len(a) <= sizeof(entry.tuple)) {
			conntrack_read_tuple(a, &orig);
			entry.len = mnl_attr_get_payload_len(a);
			memcpy(entry.tuple, mnl_attr_get_payload(a), entry.len);
		} else if (type == CTA_TUPLE_REPLY) {
			conntrack_read_tuple(a, &reply);
		} else if (type == CTA_ID && mnl_attr_validate(a, MNL_TYPE_U32) >= 0) {
			entry.id = mnl_attr_get_u32(a);
		} else if (type == CTA_ZONE && mnl_attr_validate(a, MNL_TYPE_U16) >= 0) {
			entry.has_zone = true;
			entry.zone = mnl_attr_get_u16(a);
		}
	}
	if (entry.len && s->count < FOUND_MAX && conntrack_matches(s, &orig, &reply)) {
		mem_grow(&s->found, &s->room, s->count + 1, sizeof(*s->found));
		s->found[s->count++] = entry;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *conntrack_header(struct nlmsghdr *h, uint16_t type, uint16_t flags,
					 uint8_t family)
{
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

static int conntrack_delete(struct netlink *nl, const struct conntrack_search *s, struct err *e)
{
	for (size_t i = 0; i < s->count;) {
		struct netlink_batch b;

		netlink_batch_init(&b);
		for (; i < s->count && b.count < NETLINK_BATCH_REQUESTS / 2; i++) {
			const struct conntrack_entry *entry = &s->found[i];
			struct nlmsghdr *h =
				netlink_add(&b, 0, 0, "forget a datagram connection", ENOENT);

			conntrack_header(h, IPCTNL_MSG_CT_DELETE, 0, entry->family);
			mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, entry->len, entry->tuple);
			if (entry->has_zone)
				mnl_attr_put_u16(h, CTA_ZONE, entry->zone);
			mnl_attr_put_u32(h, CTA_ID, entry->id);
		}
		if (netlink_run(nl, &b, e) < 0)
			return -e->code;
	}
	return 0;
}

static bool conntrack_needed(const struct lease *l)
{
	for (size_t i = 0; i < l->nports; i++) {
		if (l->ports[i].protocol != IPPROTO_TCP)
			return true;
	}
	return false;
}

static int conntrack_forget(struct netlink *nl, const struct lease *l, bool to_pod, struct err *e)
{
	struct conntrack_search s = { .l = l, .to_pod = to_pod };
	char buf[MNL_ALIGN(128)] __attribute__((aligned(MNL_ALIGNTO)));
	int r;

	if (!conntrack_needed(l))
		return 0;
	r = netlink_dump(nl,
			 conntrack_header(mnl_nlmsg_put_header(buf), IPCTNL_MSG_CT_GET, NLM_F_DUMP,
					  AF_UNSPEC),
			 conntrack_on_entry, &s, e);
	if (r < 0)
		err_wrap(e, "list connections");
	else
		r = conntrack_delete(nl, &s, e);
	free(s.found);
	return r;
}

int conntrack_claim(struct netlink *nl, const struct lease *l, struct err *e)
{
	return conntrack_forget(nl, l, false, e);
}

int conntrack_release(struct netlink *nl, const struct lease *l, struct err *e)
{
	return conntrack_forget(nl, l, true, e);
}
