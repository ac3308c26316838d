/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each row is what nft 1.0.6 makes of the text beside it (nft --debug=netlink),
 * register numbers included.
 */
#include "net/podnft_rules.h"

#include <assert.h>
#include <stdio.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>

enum op_kind {
	OP_END,
	OP_META, /* a: key, reg: to */
	OP_CMP, /* a: operator, len bytes of value; reg */
	OP_NETWORK, /* payload of the network header: a: offset, len; reg: to */
	OP_TRANSPORT,
	OP_LOOKUP, /* name: set; a: inverted; reg */
	OP_MAP, /* name: map; reg: from and to */
	OP_FIB_TYPE, /* of the destination; reg: to */
	OP_DNAT, /* a: family; reg: address; len: register of the port */
	OP_MASQUERADE, /* a: flags */
	OP_DROP,
	OP_RETURN,
	OP_JUMP, /* name: chain */
};

struct op {
	enum op_kind kind;
	uint32_t a;
	uint32_t len;
	uint32_t reg;
	const char *name;
	uint8_t value[16];
};

#define META(key, r)                                             \
	{                                                        \
		.kind = OP_META, .a = NFT_META_##key, .reg = (r) \
	}
#define CMP(op, n, ...)                                                                           \
	{                                                                                         \
		.kind = OP_CMP, .a = NFT_CMP_##op, .len = (n), .reg = 1, .value = { __VA_ARGS__ } \
	}
#define NETWORK(offset, n, r)                                             \
	{                                                                 \
		.kind = OP_NETWORK, .a = (offset), .len = (n), .reg = (r) \
	}
#define TRANSPORT(offset, n, r)                                             \
	{                                                                   \
		.kind = OP_TRANSPORT, .a = (offset), .len = (n), .reg = (r) \
	}
#define LOOKUP(set, inverted)                                               \
	{                                                                   \
		.kind = OP_LOOKUP, .a = (inverted), .reg = 1, .name = (set) \
	}
#define MAP(map)                                        \
	{                                               \
		.kind = OP_MAP, .reg = 1, .name = (map) \
	}
#define FIB_TYPE                              \
	{                                     \
		.kind = OP_FIB_TYPE, .reg = 1 \
	}
#define DNAT(family, port_reg)                                                      \
	{                                                                           \
		.kind = OP_DNAT, .a = NFPROTO_##family, .reg = 1, .len = (port_reg) \
	}
#define MASQUERADE(flags)                           \
	{                                           \
		.kind = OP_MASQUERADE, .a = (flags) \
	}
#define DROP                    \
	{                       \
		.kind = OP_DROP \
	}
#define RETURN                    \
	{                         \
		.kind = OP_RETURN \
	}
#define JUMP(chain)                              \
	{                                        \
		.kind = OP_JUMP, .name = (chain) \
	}

/* the loopback link's index, as the processor keeps it */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST32(n) (n), 0, 0, 0
#else
#define HOST32(n) 0, 0, 0, (n)
#endif

#define IS_IPV4 META(NFPROTO, 1), CMP(EQ, 1, NFPROTO_IPV4)
#define IS_IPV6 META(NFPROTO, 1), CMP(EQ, 1, NFPROTO_IPV6)
#define SADDR4(r) NETWORK(12, 4, r)
#define DADDR4(r) NETWORK(16, 4, r)
#define SADDR6(r) NETWORK(8, 16, r)
#define DADDR6(r) NETWORK(24, 16, r)
#define DPORT(r) TRANSPORT(2, 2, r)

#define OPS_MAX 9

static const struct rule {
	const char *chain;
	const char *text;
	bool masquerades;
	struct op ops[OPS_MAX];
} rules[] = {
	/* links of pods route loopback addresses (for 127.0.0.1:hostPort); no packet may bring them
	 */
	{ "guard",
	  "iif != lo ip daddr 127.0.0.0/8 drop",
	  false,
	  { META(IIF, 1), CMP(NEQ, 4, HOST32(1)), IS_IPV4, NETWORK(16, 1, 1), CMP(EQ, 1, 127),
	    DROP } },
	{ "guard",
	  "iif != lo ip saddr 127.0.0.0/8 drop",
	  false,
	  { META(IIF, 1), CMP(NEQ, 4, HOST32(1)), IS_IPV4, NETWORK(12, 1, 1), CMP(EQ, 1, 127),
	    DROP } },
	{ "hostports",
	  "dnat ip to ip daddr . meta l4proto . th dport map @addrports4",
	  false,
	  { IS_IPV4, DADDR4(1), META(L4PROTO, 9), DPORT(10), MAP("addrports4"), DNAT(IPV4, 9) } },
	{ "hostports",
	  "dnat ip to meta l4proto . th dport map @hostports4",
	  false,
	  { META(L4PROTO, 1), DPORT(9), MAP("hostports4"), DNAT(IPV4, 9) } },
	{ "hostports",
	  "dnat ip6 to ip6 daddr . meta l4proto . th dport map @addrports6",
	  false,
	  { IS_IPV6, DADDR6(1), META(L4PROTO, 2), DPORT(13), MAP("addrports6"), DNAT(IPV6, 2) } },
	{ "hostports",
	  "dnat ip6 to meta l4proto . th dport map @hostports6",
	  false,
	  { META(L4PROTO, 1), DPORT(9), MAP("hostports6"), DNAT(IPV6, 2) } },
	{ "prerouting",
	  "fib daddr type local jump hostports",
	  false,
	  { FIB_TYPE, CMP(EQ, 4, HOST32(RTN_LOCAL)), JUMP("hostports") } },
	/* the kernel takes no answer from outside to ::1: refused at once is better than a wait,
	 * and "localhost" then goes to 127.0.0.1
	 */
	{ "output",
	  "ip6 daddr ::1 return",
	  false,
	  { IS_IPV6, DADDR6(1), CMP(EQ, 16, [15] = 1), RETURN } },
	{ "output",
	  "fib daddr type local jump hostports",
	  false,
	  { FIB_TYPE, CMP(EQ, 4, HOST32(RTN_LOCAL)), JUMP("hostports") } },
	/* a pod that comes to itself by a host port: it must not see its own address as the source
	 */
	{ "postrouting",
	  "ip saddr . ip daddr @hairpin4 masquerade",
	  false,
	  { IS_IPV4, SADDR4(1), DADDR4(9), LOOKUP("hairpin4", 0), MASQUERADE(0) } },
	{ "postrouting",
	  "ip6 saddr . ip6 daddr @hairpin6 masquerade",
	  false,
	  { IS_IPV6, SADDR6(1), DADDR6(2), LOOKUP("hairpin6", 0), MASQUERADE(0) } },
	{ "postrouting",
	  "oif != lo ip saddr 127.0.0.0/8 masquerade",
	  false,
	  { META(OIF, 1), CMP(NEQ, 4, HOST32(1)), IS_IPV4, NETWORK(12, 1, 1), CMP(EQ, 1, 127),
	    MASQUERADE(0) } },
	{ "postrouting",
	  "ip saddr @pods4 ip daddr != @direct4 masquerade fully-random",
	  true,
	  { IS_IPV4, SADDR4(1), LOOKUP("pods4", 0), DADDR4(1), LOOKUP("direct4", NFT_LOOKUP_F_INV),
	    MASQUERADE(NF_NAT_RANGE_PROTO_RANDOM_FULLY) } },
	{ "postrouting",
	  "ip6 saddr @pods6 ip6 daddr != @direct6 masquerade fully-random",
	  true,
	  { IS_IPV6, SADDR6(1), LOOKUP("pods6", 0), DADDR6(1), LOOKUP("direct6", NFT_LOOKUP_F_INV),
	    MASQUERADE(NF_NAT_RANGE_PROTO_RANDOM_FULLY) } },
};

size_t podnft_rules_count(void)
{
	return sizeof(rules) / sizeof(rules[0]);
}

const char *podnft_rule_text(size_t i)
{
	return rules[i].text;
}

bool podnft_rule_masquerades(size_t i)
{
	return rules[i].masquerades;
}

static const char *const op_names[] = {
	[OP_META] = "meta",	    [OP_CMP] = "cmp",	       [OP_NETWORK] = "payload",
	[OP_TRANSPORT] = "payload", [OP_LOOKUP] = "lookup",    [OP_MAP] = "lookup",
	[OP_FIB_TYPE] = "fib",	    [OP_DNAT] = "nat",	       [OP_MASQUERADE] = "masq",
	[OP_DROP] = "immediate",    [OP_RETURN] = "immediate", [OP_JUMP] = "immediate",
};

static void op_payload(struct nftnl_expr *x, const struct op *op, uint32_t base)
{
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, op->reg);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, op->a);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, op->len);
}

static void op_verdict(struct nftnl_expr *x, uint32_t verdict, const char *chain)
{
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, verdict);
	if (chain)
		nftnl_expr_set_str(x, NFTNL_EXPR_IMM_CHAIN, chain);
}

static void op_nat(struct nftnl_expr *x, const struct op *op)
{
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_FAMILY, op->a);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_ADDR_MIN, op->reg);
	nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_REG_PROTO_MIN, op->len);
}

static void op_fill(struct nftnl_expr *x, const struct op *op)
{
	switch (op->kind) {
	case OP_META:
		nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, op->a);
		nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, op->reg);
		break;
	case OP_CMP:
		nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, op->reg);
		nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op->a);
		nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, op->value, op->len);
		break;
	case OP_NETWORK:
		op_payload(x, op, NFT_PAYLOAD_NETWORK_HEADER);
		break;
	case OP_TRANSPORT:
		op_payload(x, op, NFT_PAYLOAD_TRANSPORT_HEADER);
		break;
	case OP_MAP:
		nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_DREG, op->reg);
		__attribute__((fallthrough));
	case OP_LOOKUP:
		nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SREG, op->reg);
		nftnl_expr_set_str(x, NFTNL_EXPR_LOOKUP_SET, op->name);
		if (op->a)
			nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, op->a);
		break;
	case OP_FIB_TYPE:
		nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_DREG, op->reg);
		nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
		nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
		break;
	case OP_DNAT:
		op_nat(x, op);
		break;
	case OP_MASQUERADE:
		if (op->a)
			nftnl_expr_set_u32(x, NFTNL_EXPR_MASQ_FLAGS, op->a);
		break;
	case OP_DROP:
		op_verdict(x, NF_DROP, NULL);
		break;
	case OP_RETURN:
		op_verdict(x, (uint32_t)NFT_RETURN, NULL);
		break;
	case OP_JUMP:
		op_verdict(x, (uint32_t)NFT_JUMP, op->name);
		break;
	case OP_END:
		break;
	}
}

void podnft_rule_build(struct nlmsghdr *h, size_t i, const char *table)
{
	struct nftnl_rule *r = nftnl_rule_alloc();

	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, rules[i].chain);
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	for (size_t k = 0; k < OPS_MAX && rules[i].ops[k].kind != OP_END; k++) {
		struct nftnl_expr *x = nftnl_expr_alloc(op_names[rules[i].ops[k].kind]);

		assert(x);
		op_fill(x, &rules[i].ops[k]);
		nftnl_rule_add_expr(r, x);
	}
	nftnl_rule_nlmsg_build_payload(h, r);
	nftnl_rule_free(r);
}
