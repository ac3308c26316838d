/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podnft.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "net/podnft_rules.h"

#define MESSAGE_MAX 65536 /* bytes; of one message of a transaction */
#define MESSAGE_ELEMENTS 400 /* keeps a message's one nested attribute below 64 KiB */
#define SEND_BUFFER (32 << 20) /* bytes; a transaction is one datagram */

/* A transaction being built. */
struct podnft_batch {
	struct netlink *nl;
	char *buf; /* owned */
	size_t used, room;
	uint32_t first, last; /* sequence numbers; last: of the last message inside */
	struct nlmsghdr *open; /* the message being filled */
	const char *what; /* the object of the message being filled */
	struct podnft_note {
		uint32_t seq;
		const char *what;
	} * notes; /* owned; what each message is about, for errors */
	size_t nnotes, notes_room;
};

int podnft_open(struct netlink *ret, struct err *e)
{
	int size = SEND_BUFFER;

	if (netlink_open(ret, NETLINK_NETFILTER, e) < 0)
		return -e->code;
	setsockopt(ret->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return 0;
}

static void podnft_finish(struct podnft_batch *b)
{
	if (b->open)
		b->used += MNL_ALIGN(b->open->nlmsg_len);
	b->open = NULL;
}

/* The next message; pointers into earlier ones are void after it. */
static struct nlmsghdr *podnft_next(struct podnft_batch *b, uint16_t type, uint16_t flags,
				    const char *what)
{
	podnft_finish(b);
	mem_grow(&b->buf, &b->room, b->used + MESSAGE_MAX, 1);
	mem_grow(&b->notes, &b->notes_room, b->nnotes + 1, sizeof(*b->notes));
	b->last = b->nl->seq++;
	b->notes[b->nnotes++] = (struct podnft_note){ .seq = b->last, .what = what };
	b->open = nftnl_nlmsg_build_hdr(b->buf + b->used, type, NFPROTO_INET, flags, b->last);
	return b->open;
}

static void podnft_begin(struct podnft_batch *b, struct netlink *nl)
{
	*b = (struct podnft_batch){ .nl = nl };
	mem_grow(&b->buf, &b->room, MESSAGE_MAX, 1);
	b->first = nl->seq++;
	b->open = nftnl_batch_begin(b->buf, b->first);
}

static int podnft_on_error(void *arg, uint32_t seq, int code, const char *detail, struct err *e)
{
	const struct podnft_batch *b = arg;
	const char *what = "transaction";

	for (size_t i = 0; i < b->nnotes; i++) {
		if (b->notes[i].seq == seq)
			what = b->notes[i].what;
	}
	return err_set(e, code, "nftables: %s%s%s", what, *detail ? ": " : "", detail);
}

/* Sends the transaction and frees it. */
static int podnft_commit(struct podnft_batch *b, struct err *e)
{
	int r = 0;

	if (b->nnotes > 0) {
		b->open->nlmsg_flags |= NLM_F_ACK;
		podnft_finish(b);
		mem_grow(&b->buf, &b->room, b->used + MESSAGE_MAX, 1);
		b->open = nftnl_batch_end(b->buf + b->used, b->nl->seq++);
		podnft_finish(b);
		r = netlink_send(b->nl, b->buf, b->used, e);
		if (r == 0)
			r = netlink_collect(b->nl, b->first, b->last, podnft_on_error, b, e);
	}
	free(b->buf);
	free(b->notes);
	return r;
}

static void podnft_put_table(struct podnft_batch *b, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = podnft_next(b, type, flags, "table " PODNFT_TABLE);
	struct nftnl_table *t = nftnl_table_alloc();

	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, PODNFT_TABLE);
	nftnl_table_nlmsg_build_payload(h, t);
	nftnl_table_free(t);
}

/* nft's own numbers of its types, packed six bits each for joined ones */
enum {
	TYPE_IPV4 = 7,
	TYPE_IPV6 = 8,
	TYPE_PROTOCOL = 12,
	TYPE_PORT = 13,
};
#define TYPE2(a, b) ((a) << 6 | (b))
#define TYPE3(a, b, c) ((a) << 12 | (b) << 6 | (c))

enum podnft_set {
	SET_HOSTPORTS4,
	SET_HOSTPORTS6,
	SET_ADDRPORTS4,
	SET_ADDRPORTS6,
	SET_HAIRPIN4,
	SET_HAIRPIN6,
	SET_PODS4,
	SET_PODS6,
	SET_DIRECT4,
	SET_DIRECT6,
	SETS,
};

static const struct {
	const char *name;
	uint32_t flags;
	uint32_t key_type, key_len;
	uint32_t data_type, data_len;
} sets[SETS] = {
	[SET_HOSTPORTS4] = { "hostports4", NFT_SET_MAP, TYPE2(TYPE_PROTOCOL, TYPE_PORT), 8,
			     TYPE2(TYPE_IPV4, TYPE_PORT), 8 },
	[SET_HOSTPORTS6] = { "hostports6", NFT_SET_MAP, TYPE2(TYPE_PROTOCOL, TYPE_PORT), 8,
			     TYPE2(TYPE_IPV6, TYPE_PORT), 20 },
	[SET_ADDRPORTS4] = { "addrports4", NFT_SET_MAP, TYPE3(TYPE_IPV4, TYPE_PROTOCOL, TYPE_PORT),
			     12, TYPE2(TYPE_IPV4, TYPE_PORT), 8 },
	[SET_ADDRPORTS6] = { "addrports6", NFT_SET_MAP, TYPE3(TYPE_IPV6, TYPE_PROTOCOL, TYPE_PORT),
			     24, TYPE2(TYPE_IPV6, TYPE_PORT), 20 },
	[SET_HAIRPIN4] = { "hairpin4", 0, TYPE2(TYPE_IPV4, TYPE_IPV4), 8, 0, 0 },
	[SET_HAIRPIN6] = { "hairpin6", 0, TYPE2(TYPE_IPV6, TYPE_IPV6), 32, 0, 0 },
	[SET_PODS4] = { "pods4", NFT_SET_INTERVAL, TYPE_IPV4, 4, 0, 0 },
	[SET_PODS6] = { "pods6", NFT_SET_INTERVAL, TYPE_IPV6, 16, 0, 0 },
	[SET_DIRECT4] = { "direct4", NFT_SET_INTERVAL, TYPE_IPV4, 4, 0, 0 },
	[SET_DIRECT6] = { "direct6", NFT_SET_INTERVAL, TYPE_IPV6, 16, 0, 0 },
};

/* What nft notes for itself about a set: it cannot list an interval set without it. */
static void podnft_put_notes(struct nftnl_set *s, uint32_t flags)
{
	enum {
		KEY_BYTE_ORDER = 0,
		DATA_BYTE_ORDER = 1,
		BIG_ENDIAN_ORDER = 2
	};
	uint8_t notes[12] = { KEY_BYTE_ORDER, 4, [6] = DATA_BYTE_ORDER, 4 };
	uint32_t order = flags & NFT_SET_INTERVAL ? BIG_ENDIAN_ORDER : 0;

	memcpy(notes + 2, &order, sizeof(order));
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, notes, flags & NFT_SET_MAP ? 12 : 6);
}

static void podnft_put_set(struct podnft_batch *b, enum podnft_set i)
{
	struct nlmsghdr *h =
		podnft_next(b, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, sets[i].name);
	struct nftnl_set *s = nftnl_set_alloc();

	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_str(s, NFTNL_SET_TABLE, PODNFT_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, sets[i].name);
	nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t)i + 1);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, sets[i].flags);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, sets[i].key_type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sets[i].key_len);
	if (sets[i].flags & NFT_SET_MAP) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, sets[i].data_type);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sets[i].data_len);
	}
	podnft_put_notes(s, sets[i].flags);
	nftnl_set_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
}

static const struct {
	const char *name;
	const char *type; /* NULL: a chain to jump to */
	uint32_t hook;
	int32_t priority;
} chains[] = {
	{ "guard", "filter", NF_INET_PRE_ROUTING, -300 },
	{ "hostports", NULL, 0, 0 },
	/* one behind kube-proxy's -100: equal ones would run in order of registration */
	{ "prerouting", "nat", NF_INET_PRE_ROUTING, -99 },
	{ "output", "nat", NF_INET_LOCAL_OUT, -99 },
	{ "postrouting", "nat", NF_INET_POST_ROUTING, 101 },
};

static void podnft_put_chains(struct podnft_batch *b)
{
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct nlmsghdr *h =
			podnft_next(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, chains[i].name);
		struct nftnl_chain *c = nftnl_chain_alloc();

		nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
		nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, PODNFT_TABLE);
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chains[i].name);
		if (chains[i].type) {
			nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, chains[i].type);
			nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, chains[i].hook);
			nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chains[i].priority);
			nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		}
		nftnl_chain_nlmsg_build_payload(h, c);
		nftnl_chain_free(c);
	}
}

/* Elements gathered for one message. */
struct podnft_elements {
	struct podnft_batch *b;
	uint16_t type; /* NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM */
	enum podnft_set set;
	struct nftnl_set *s;
	size_t count;
};

static void podnft_open_elements(struct podnft_elements *all, struct podnft_batch *b, uint16_t type,
				 enum podnft_set set)
{
	*all = (struct podnft_elements){ .b = b, .type = type, .set = set };
}

static void podnft_close_elements(struct podnft_elements *all)
{
	struct nlmsghdr *h;

	if (!all->s)
		return;
	h = podnft_next(all->b, all->type, all->type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0,
			sets[all->set].name);
	nftnl_set_elems_nlmsg_build_payload(h, all->s);
	nftnl_set_free(all->s);
	all->s = NULL;
	all->count = 0;
}

/* data NULL: none */
static void podnft_put_element(struct podnft_elements *all, const void *key, const void *data,
			       uint32_t flags)
{
	struct nftnl_set_elem *item = nftnl_set_elem_alloc();

	if (!all->s) {
		all->s = nftnl_set_alloc();
		nftnl_set_set_str(all->s, NFTNL_SET_TABLE, PODNFT_TABLE);
		nftnl_set_set_str(all->s, NFTNL_SET_NAME, sets[all->set].name);
	}
	nftnl_set_elem_set(item, NFTNL_SET_ELEM_KEY, key, sets[all->set].key_len);
	if (data)
		nftnl_set_elem_set(item, NFTNL_SET_ELEM_DATA, data, sets[all->set].data_len);
	if (flags)
		nftnl_set_elem_set_u32(item, NFTNL_SET_ELEM_FLAGS, flags);
	nftnl_set_elem_add(all->s, item);
	if (++all->count == MESSAGE_ELEMENTS)
		podnft_close_elements(all);
}

/* Each span as its first address and, flagged, the first one behind it; nft wants 0 flagged too. */
static void podnft_put_spans(struct podnft_batch *b, enum podnft_set set,
			     const struct cidr *const *lists, const size_t *counts, int family)
{
	static const uint8_t zero[16];
	auto_free struct cidr *all = mem_array(counts[0] + counts[1] + 1, sizeof(*all));
	auto_free struct ip_span *spans = mem_array(counts[0] + counts[1] + 1, sizeof(*spans));
	struct podnft_elements elements;
	size_t n;

	if (counts[0])
		memcpy(all, lists[0], counts[0] * sizeof(*all));
	if (counts[1])
		memcpy(all + counts[0], lists[1], counts[1] * sizeof(*all));
	n = cidr_spans(all, counts[0] + counts[1], family, spans);
	podnft_open_elements(&elements, b, NFT_MSG_NEWSETELEM, set);
	if (n > 0 && !ip_is_any(&spans[0].first))
		podnft_put_element(&elements, zero, NULL, NFT_SET_ELEM_INTERVAL_END);
	for (size_t i = 0; i < n; i++) {
		podnft_put_element(&elements, spans[i].first.bytes, NULL, 0);
		if (!spans[i].open)
			podnft_put_element(&elements, spans[i].behind.bytes, NULL,
					   NFT_SET_ELEM_INTERVAL_END);
	}
	podnft_close_elements(&elements);
}

static void podnft_put_u16(uint8_t *at, uint16_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

/* The host ports of one family. Every field of a joined key begins at a multiple of four bytes. */
static void podnft_put_ports(struct podnft_batch *b, uint16_t type, const struct lease *l,
			     int family, bool any)
{
	bool v4 = family == AF_INET;
	size_t size = ip_size(family);
	const void *pod = v4 ? (const void *)&l->addr4 : (const void *)&l->addr6;
	struct podnft_elements all;

	podnft_open_elements(&all, b, type,
			     any ? (v4 ? SET_HOSTPORTS4 : SET_HOSTPORTS6)
				 : (v4 ? SET_ADDRPORTS4 : SET_ADDRPORTS6));
	for (size_t i = 0; i < l->nports; i++) {
		const struct lease_port *p = &l->ports[i];
		const void *host = v4 ? (const void *)&p->host4 : (const void *)&p->host6;
		uint8_t key[24] = { 0 }, data[20] = { 0 };
		size_t at = any ? 0 : size;

		if (p->any != any || !(v4 ? p->v4 : p->v6))
			continue;
		if (!any)
			memcpy(key, host, size);
		key[at] = p->protocol;
		podnft_put_u16(key + at + 4, p->host_port);
		memcpy(data, pod, size);
		podnft_put_u16(data + size, p->pod_port);
		podnft_put_element(&all, key, type == NFT_MSG_NEWSETELEM ? data : NULL, 0);
	}
	podnft_close_elements(&all);
}

static void podnft_put_family(struct podnft_batch *b, uint16_t type, const struct lease *l,
			      int family)
{
	bool v4 = family == AF_INET;
	size_t size = ip_size(family);
	const void *pod = v4 ? (const void *)&l->addr4 : (const void *)&l->addr6;
	struct podnft_elements all;
	uint8_t pair[32];
	bool some = false;

	for (size_t i = 0; i < l->nports; i++)
		some |= v4 ? l->ports[i].v4 : l->ports[i].v6;
	if (!some)
		return;
	podnft_put_ports(b, type, l, family, true);
	podnft_put_ports(b, type, l, family, false);
	memcpy(pair, pod, size);
	memcpy(pair + size, pod, size);
	podnft_open_elements(&all, b, type, v4 ? SET_HAIRPIN4 : SET_HAIRPIN6);
	podnft_put_element(&all, pair, NULL, 0);
	podnft_close_elements(&all);
}

static void podnft_put_lease(struct podnft_batch *b, uint16_t type, const struct lease *l)
{
	if (l->has4)
		podnft_put_family(b, type, l, AF_INET);
	if (l->has6)
		podnft_put_family(b, type, l, AF_INET6);
}

static void podnft_put_rules(struct podnft_batch *b, bool masquerade)
{
	for (size_t i = 0; i < podnft_rules_count(); i++) {
		if (podnft_rule_masquerades(i) && !masquerade)
			continue;
		podnft_rule_build(podnft_next(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
					      podnft_rule_text(i)),
				  i, PODNFT_TABLE);
	}
}

int podnft_rebuild(struct netlink *nl, const struct podnft_table *t, struct err *e)
{
	const struct cidr *lists[] = { t->pods, t->direct };
	const size_t pods[] = { t->npods, 0 }, direct[] = { t->npods, t->ndirect };
	struct podnft_batch b;

	podnft_begin(&b, nl);
	/* made first, so that deleting it cannot fail */
	podnft_put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	podnft_put_table(&b, NFT_MSG_DELTABLE, 0);
	podnft_put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	for (enum podnft_set i = 0; i < SETS; i++)
		podnft_put_set(&b, i);
	podnft_put_spans(&b, SET_PODS4, lists, pods, AF_INET);
	podnft_put_spans(&b, SET_PODS6, lists, pods, AF_INET6);
	podnft_put_spans(&b, SET_DIRECT4, lists, direct, AF_INET);
	podnft_put_spans(&b, SET_DIRECT6, lists, direct, AF_INET6);
	podnft_put_chains(&b);
	podnft_put_rules(&b, t->masquerade);
	for (size_t i = 0; i < t->nleases; i++)
		podnft_put_lease(&b, NFT_MSG_NEWSETELEM, t->leases[i]);
	return podnft_commit(&b, e);
}

int podnft_add(struct netlink *nl, const struct lease *l, struct err *e)
{
	struct podnft_batch b;

	podnft_begin(&b, nl);
	podnft_put_lease(&b, NFT_MSG_NEWSETELEM, l);
	return podnft_commit(&b, e);
}

int podnft_remove(struct netlink *nl, const struct lease *l, struct err *e)
{
	struct podnft_batch b;

	podnft_begin(&b, nl);
	podnft_put_lease(&b, NFT_MSG_DELSETELEM, l);
	return podnft_commit(&b, e);
}

static int podnft_on_table(const struct nlmsghdr *h, void *arg)
{
	(void)h;
	(void)arg;
	return MNL_CB_OK;
}

int podnft_check(struct netlink *nl, struct err *e)
{
	char buf[MNL_ALIGN(128)] __attribute__((aligned(MNL_ALIGNTO)));
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, PODNFT_TABLE);
	return netlink_dump(nl, h, podnft_on_table, NULL, e);
}

int podnft_watch(int *ret_fd, struct err *e)
{
	auto_fd int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (NFNLGRP_NFTABLES - 1),
	};

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(e, errno, "watch nftables");
	*ret_fd = fd_take(&fd);
	return 0;
}

bool podnft_heard(int fd)
{
	auto_free char *buf = mem_realloc(NULL, MESSAGE_MAX);
	bool heard = false;

	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(void *)buf;
		ssize_t n = recv(fd, buf, MESSAGE_MAX, MSG_TRUNC);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			heard = true;
			continue;
		}
		if (n < 0)
			return heard;
		if (n > MESSAGE_MAX) {
			heard = true;
			continue;
		}
		for (; netlink_ok(h, left, 0); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE))
				heard = true;
		}
	}
}
