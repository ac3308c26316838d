/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/test.h"

static struct cidr range(const char *text)
{
	struct err e = { 0 };
	struct cidr c;

	assert_int_equal(cidr_parse(text, &c, &e), 0);
	return c;
}

static struct ip address(const char *text)
{
	struct err e = { 0 };
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip, &e), 0);
	return ip;
}

static void assert_ip(struct ip ip, const char *text)
{
	char got[INET6_ADDRSTRLEN];

	assert_string_equal(ip_text(&ip, got), text);
}

static void ranges_are_read_strictly(void **state)
{
	static const char *const bad[] = { "",
					   "/",
					   "10.0.0.0/",
					   "10.0.0.0/33",
					   "10.0.0/8",
					   "10.0.0.0/-1",
					   "10.0.0.0/+8",
					   "10.0.0.0/8 ",
					   " 10.0.0.0/8",
					   "::/129",
					   "fe80::1%lo/64",
					   "010.0.0.1/8",
					   "x",
					   "1.2.3.4.5/8",
					   "::1::/64" };
	struct err e;
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.code = 0;
		assert_int_equal(cidr_parse(bad[i], &c, &e), -EINVAL);
	}
	c = range("10.1.2.3/8");
	assert_int_equal(c.prefix, 8);
	assert_ip(c.ip, "10.1.2.3");
	assert_int_equal(range("::1").prefix, 128);
	assert_int_equal(range("1.2.3.4").prefix, 32);
}

static void membership_looks_at_the_prefix(void **state)
{
	struct cidr c4 = range("10.88.4.0/22"), c6 = range("fd00:10:88::/61"), all = range("::/0");
	struct ip in4 = address("10.88.7.255"), out4 = address("10.88.8.0");
	struct ip in6 = address("fd00:10:88:7::1"), out6 = address("fd00:10:88:8::1");

	(void)state;
	assert_true(cidr_contains(&c4, &in4));
	assert_false(cidr_contains(&c4, &out4));
	assert_true(cidr_contains(&c6, &in6));
	assert_false(cidr_contains(&c6, &out6));
	assert_false(cidr_contains(&c4, &in6));
	assert_true(cidr_contains(&all, &out6));
}

static void addresses_are_counted_from_the_start(void **state)
{
	struct cidr c4 = range("10.88.0.77/16"), c6 = range("fd00::/64");
	struct ip ip = address("10.88.1.1");

	(void)state;
	assert_ip(cidr_nth(&c4, 0), "10.88.0.0");
	assert_ip(cidr_nth(&c4, 257), "10.88.1.1");
	assert_int_equal(cidr_position(&c4, &ip), 257);
	assert_ip(cidr_nth(&c6, 65535), "fd00::ffff");
	assert_ip(cidr_nth(&c6, 65537), "fd00::1:1");
	ip = address("fd00::1:1");
	assert_int_equal(cidr_position(&c6, &ip), 65537);
	ip = address("fd00::1:0:1");
	assert_int_equal(cidr_position(&c6, &ip), UINT32_MAX);
	ip = address("fd01::1");
	assert_int_equal(cidr_position(&c6, &ip), UINT32_MAX);
	assert_int_equal(cidr_size(&c4), 65536);
	assert_int_equal(cidr_size(&c6), UINT32_MAX);
	c4 = range("1.2.3.4/32");
	assert_int_equal(cidr_size(&c4), 1);
}

static void the_end_of_a_range_carries(void **state)
{
	static const struct {
		const char *range, *behind;
	} cases[] = {
		{ "10.88.0.0/24", "10.88.1.0" },   { "10.255.255.0/24", "11.0.0.0" },
		{ "128.0.0.0/1", NULL },	   { "0.0.0.0/0", NULL },
		{ "255.255.255.255/32", NULL },	   { "fd00:10:88::/64", "fd00:10:88:1::" },
		{ "fd00::ffff/128", "fd00::1:0" }, { "ff00::/8", NULL },
		{ "10.0.0.8/31", "10.0.0.10" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cidr c = range(cases[i].range);
		struct ip behind;
		bool some = cidr_behind(&c, &behind);

		assert_int_equal(some, cases[i].behind != NULL);
		if (some)
			assert_ip(behind, cases[i].behind);
	}
}

static void ranges_overlap_or_not(void **state)
{
	struct cidr a = range("10.88.0.0/16"), b = range("10.88.7.0/24"), c = range("10.89.0.0/16");
	struct cidr six = range("::/0");

	(void)state;
	assert_true(cidr_overlap(&a, &b));
	assert_true(cidr_overlap(&b, &a));
	assert_false(cidr_overlap(&a, &c));
	assert_false(cidr_overlap(&a, &six));
}

static void spans_are_ordered_and_joined(void **state)
{
	struct cidr list[] = { range("10.0.1.0/24"), range("fd00::/64"),   range("10.0.0.0/24"),
			       range("10.0.0.7"),    range("10.9.0.0/16"), range("10.9.3.0/24"),
			       range("240.0.0.0/4"), range("255.0.0.0/8") };
	struct ip_span spans[8];

	(void)state;
	assert_int_equal(cidr_spans(list, 8, AF_INET, spans), 3);
	assert_ip(spans[0].first, "10.0.0.0");
	assert_ip(spans[0].behind, "10.0.2.0");
	assert_ip(spans[1].first, "10.9.0.0");
	assert_ip(spans[1].behind, "10.10.0.0");
	assert_ip(spans[2].first, "240.0.0.0");
	assert_true(spans[2].open);
	assert_int_equal(cidr_spans(list, 8, AF_INET6, spans), 1);
	assert_int_equal(cidr_spans(list, 1, AF_INET6, spans), 0);
}

static void masks_are_prefixes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= 32; i++)
		assert_int_equal(mask4_prefix(mask4_from_prefix(i)), i);
	assert_int_equal(mask4_prefix((struct in_addr){ htonl(0xff00ff00) }), -1);
	assert_int_equal(mask4_prefix((struct in_addr){ htonl(0x000000ff) }), -1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(ranges_are_read_strictly),
	cmocka_unit_test(membership_looks_at_the_prefix),
	cmocka_unit_test(addresses_are_counted_from_the_start),
	cmocka_unit_test(the_end_of_a_range_carries),
	cmocka_unit_test(ranges_overlap_or_not),
	cmocka_unit_test(spans_are_ordered_and_joined),
	cmocka_unit_test(masks_are_prefixes),
};
TEST_MAIN(tests)
