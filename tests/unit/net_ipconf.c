/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ipconf.h"

#include <string.h>

#include "tests/unit/test.h"

static struct ipconf parse(const char *text)
{
	struct ipconf c;
	struct err e = { 0 };

	assert_int_equal(ipconf_parse(text, &c, &e), 0);
	return c;
}

static void assert_ip(const struct ip *ip, const char *text)
{
	char got[INET6_ADDRSTRLEN];

	assert_string_equal(ip_text(ip, got), text);
}

static void a_method_alone_is_for_the_first_link(void **state)
{
	struct ipconf c = parse("dhcp");

	(void)state;
	assert_string_equal(c.link, "");
	assert_true(c.dhcp4 && c.ra && !c.has_address);
	c = parse("off");
	assert_false(c.dhcp4 || c.ra || c.has_address);
	c = parse("auto6");
	assert_true(!c.dhcp4 && c.ra);
}

static void a_link_has_a_method(void **state)
{
	struct ipconf c = parse("eth0:dhcp");

	(void)state;
	assert_string_equal(c.link, "eth0");
	assert_true(c.dhcp4);
	c = parse("ens3:dhcp:9000:52:54:00:12:34:5f");
	assert_int_equal(c.mtu, 9000);
	assert_true(c.has_mac);
	assert_memory_equal(c.mac, "\x52\x54\0\x12\x34\x5f", 6);
	c = parse("eth0:dhcp::52:54:00:12:34:56");
	assert_int_equal(c.mtu, 0);
	assert_true(c.has_mac);
}

static void a_fixed_address_has_its_fields(void **state)
{
	struct ipconf c = parse("192.0.2.10::192.0.2.1:255.255.255.0:node1:eth0:none");

	(void)state;
	assert_true(c.has_address && !c.dhcp4);
	assert_ip(&c.address.ip, "192.0.2.10");
	assert_int_equal(c.address.prefix, 24);
	assert_ip(&c.gateway, "192.0.2.1");
	assert_string_equal(c.hostname, "node1");
	assert_string_equal(c.link, "eth0");
	c = parse("192.0.2.10:::28::eth0:none:192.0.2.53:[2001:db8::53]:192.0.2.123");
	assert_int_equal(c.address.prefix, 28);
	assert_int_equal(c.gateway.family, 0);
	assert_int_equal(c.ndns, 2);
	assert_ip(&c.dns[1], "2001:db8::53");
	c = parse("[2001:db8::10]::[2001:db8::1]:64::eth0:none:1400");
	assert_int_equal(c.address.prefix, 64);
	assert_ip(&c.gateway, "2001:db8::1");
	assert_int_equal(c.mtu, 1400);
	c = parse("::::node2:eth1:dhcp");
	assert_false(c.has_address);
	assert_true(c.dhcp4);
	assert_string_equal(c.hostname, "node2");
	c = parse("192.0.2.10::192.0.2.1:24:::");
	assert_string_equal(c.link, "");
	assert_true(c.has_address && !c.dhcp4);
}

static void nonsense_is_named(void **state)
{
	static const struct {
		const char *text, *word;
		int code;
	} cases[] = {
		{ "", "unknown", EINVAL },
		{ "dhcp7", "dhcp7", EINVAL },
		{ "dhcp6", "DHCPv6", EOPNOTSUPP },
		{ "eth0:ibft", "iBFT", EOPNOTSUPP },
		{ "averyveryverylongname:dhcp", "name of a link", EINVAL },
		{ "../x:dhcp", "name of a link", EINVAL },
		{ "eth0:dhcp:12", "MTU", EINVAL },
		{ "eth0:dhcp:1500:52:54", "hardware", EINVAL },
		{ "192.0.2.10", "unknown", EINVAL },
		{ "192.0.2.10::192.0.2.1", "fields", EINVAL },
		{ "192.0.2.10::192.0.2.1:::eth0:none", "netmask", EINVAL },
		{ "192.0.2.10::192.0.2.1:255.0.255.0::eth0:none", "netmask", EINVAL },
		{ "192.0.2.10::192.0.2.1:33::eth0:none", "netmask", EINVAL },
		{ "192.0.2.10::[2001:db8::1]:24::eth0:none", "family", EINVAL },
		{ "192.0.2.300::192.0.2.1:24::eth0:none", "192.0.2.300", EINVAL },
		{ "[2001:db8::1::x:64::eth0:none", "brackets", EINVAL },
		{ "a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p:q:r", "fields", EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipconf c;
		struct err e = { 0 };

		assert_int_equal(ipconf_parse(cases[i].text, &c, &e), -cases[i].code);
		assert_non_null(strstr(e.msg, cases[i].word));
		assert_int_equal(strncmp(e.msg, "ip=", 3), 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_method_alone_is_for_the_first_link),
	cmocka_unit_test(a_link_has_a_method),
	cmocka_unit_test(a_fixed_address_has_its_fields),
	cmocka_unit_test(nonsense_is_named),
};
TEST_MAIN(tests)
