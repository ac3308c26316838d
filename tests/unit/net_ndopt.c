/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ndopt.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "tests/unit/test.h"

struct message {
	struct nlmsghdr h;
	struct nduseroptmsg user;
	uint8_t options[128];
};

static struct message message(const void *options, size_t len)
{
	struct message m = {
		.h = { .nlmsg_len = sizeof(m.h) + sizeof(m.user) + (uint32_t)len,
		       .nlmsg_type = RTM_NEWNDUSEROPT },
		.user = { .nduseropt_family = AF_INET6,
			  .nduseropt_opts_len = (uint16_t)len,
			  .nduseropt_ifindex = 7,
			  .nduseropt_icmp_type = 134 },
	};

	memcpy(m.options, options, len);
	return m;
}

#define SERVER "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"

static void servers_and_domains_are_read(void **state)
{
	static const char options[] = "\x19\5\0\0\0\0\7\x08" SERVER "\1" SERVER "\2"
				      "\x1f\4\0\0\xff\xff\xff\xff"
				      "\3eng\7example\0\1a\0\0\0\0\0\0\0\0";
	struct message m = message(options, 40 + 32);
	char text[INET6_ADDRSTRLEN];
	struct ndopt o;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ndopt_parse((const uint8_t *)&m, m.h.nlmsg_len, &o, &e), 0);
	assert_int_equal(o.ifindex, 7);
	assert_int_equal(o.nservers, 2);
	assert_int_equal(o.servers[0].lifetime_s, 1800);
	assert_string_equal(ip_text(&o.servers[1].ip, text), "2001:db8::2");
	assert_true(o.has_search);
	assert_string_equal(o.search, "eng.example a");
	assert_int_equal(o.search_lifetime_s, NDOPT_FOREVER);
}

static void what_is_cut_or_odd_is_left_out(void **state)
{
	/* an option without length, one longer than the message, a multicast server */
	static const char none[] = "\x19\0\0\0\0\0\7\x08";
	static const char far[] = "\x19\5\0\0\0\0\7\x08" SERVER "\1";
	static const char odd[] = "\x19\3\0\0\0\0\7\x08\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
	struct message m = message(none, 8);
	struct ndopt o;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ndopt_parse((const uint8_t *)&m, m.h.nlmsg_len, &o, &e), 0);
	assert_int_equal(o.nservers, 0);
	m = message(far, 24);
	assert_int_equal(ndopt_parse((const uint8_t *)&m, m.h.nlmsg_len, &o, &e), 0);
	assert_int_equal(o.nservers, 0);
	m = message(odd, 24);
	assert_int_equal(ndopt_parse((const uint8_t *)&m, m.h.nlmsg_len, &o, &e), 0);
	assert_int_equal(o.nservers, 0);
	for (uint32_t len = 0; len < sizeof(m.h) + sizeof(m.user); len++)
		assert_int_equal(ndopt_parse((const uint8_t *)&m, len, &o, &e), -ENOMSG);
	m.h.nlmsg_type = RTM_NEWLINK;
	assert_int_equal(ndopt_parse((const uint8_t *)&m, m.h.nlmsg_len, &o, &e), -ENOMSG);
	m = message(odd, 24);
	m.h.nlmsg_len = 1u << 31;
	assert_int_equal(ndopt_parse((const uint8_t *)&m, 60, &o, &e), -ENOMSG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(servers_and_domains_are_read),
	cmocka_unit_test(what_is_cut_or_odd_is_left_out),
};
TEST_MAIN(tests)
