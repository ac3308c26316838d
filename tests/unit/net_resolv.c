/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/resolv.h"

#include <string.h>

#include "lib/mem.h"
#include "tests/unit/test.h"

static void add(struct resolv *r, const char *server)
{
	struct err e = { 0 };
	struct ip ip;

	assert_int_equal(ip_parse(server, &ip, &e), 0);
	resolv_add_server(r, &ip);
}

static void three_servers_and_each_once(void **state)
{
	struct resolv r = { 0 };
	auto_free char *text = NULL;

	(void)state;
	add(&r, "192.0.2.1");
	add(&r, "0.0.0.0");
	add(&r, "192.0.2.1");
	add(&r, "2001:db8::1");
	add(&r, "192.0.2.2");
	add(&r, "192.0.2.3");
	resolv_add_search(&r, "b.example a.example");
	resolv_add_search(&r, "a.example  example");
	text = resolv_text(&r);
	assert_string_equal(text, "# written by berth-netd\n"
				  "search b.example a.example example\n"
				  "nameserver 192.0.2.1\n"
				  "nameserver 2001:db8::1\n"
				  "nameserver 192.0.2.2\n");
}

static void nothing_known_is_an_empty_file(void **state)
{
	struct resolv r = { 0 };
	auto_free char *text = resolv_text(&r);

	(void)state;
	assert_string_equal(text, "# written by berth-netd\n");
}

static void a_domain_too_many_is_left_out_whole(void **state)
{
	struct resolv r = { 0 };
	char name[101];

	(void)state;
	for (char c = 'a'; c <= 'h'; c++) {
		memset(name, c, 100);
		name[100] = '\0';
		resolv_add_search(&r, name);
	}
	assert_int_equal(strlen(r.search), 5 * 100 + 4);
	assert_int_equal(r.search[strlen(r.search) - 1], 'e');
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(three_servers_and_each_once),
	cmocka_unit_test(nothing_known_is_an_empty_file),
	cmocka_unit_test(a_domain_too_many_is_left_out_whole),
};
TEST_MAIN(tests)
