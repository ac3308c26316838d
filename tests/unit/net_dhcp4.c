/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/dhcp4.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/test.h"

struct reply {
	uint8_t data[DHCP4_MESSAGE_MAX];
	size_t len;
};

static void reply_begin(struct reply *r, enum dhcp4_type type)
{
	static const uint8_t head[] = { 2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 };
	static const uint8_t cookie[] = { 99, 130, 83, 99, 53, 1 };

	memset(r, 0, sizeof(*r));
	memcpy(r->data, head, sizeof(head));
	inet_pton(AF_INET, "192.0.2.77", r->data + 16);
	memcpy(r->data + 28, "\2\0\0\0\0\1", 6);
	memcpy(r->data + 236, cookie, sizeof(cookie));
	r->data[242] = (uint8_t)type;
	r->len = 243;
}

static void reply_add(struct reply *r, uint8_t code, const void *data, size_t len)
{
	r->data[r->len++] = code;
	r->data[r->len++] = (uint8_t)len;
	memcpy(r->data + r->len, data, len);
	r->len += len;
}

#define ADD(r, code, ...)                                       \
	do {                                                    \
		static const uint8_t data_[] = { __VA_ARGS__ }; \
		reply_add(r, code, data_, sizeof(data_));       \
	} while (0)

static void reply_server(struct reply *r)
{
	ADD(r, 54, 192, 0, 2, 1);
}

static struct dhcp4_lease lease_of(struct reply *r)
{
	struct dhcp4_message m;
	struct dhcp4_lease l;
	struct err e = { 0 };

	r->data[r->len++] = 255;
	assert_int_equal(dhcp4_parse(r->data, r->len, &m, &e), 0);
	assert_int_equal(dhcp4_lease(&m, &l, &e), 0);
	return l;
}

static void assert_addr(struct in_addr a, const char *text)
{
	char got[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a, got, sizeof(got));
	assert_string_equal(got, text);
}

static void a_request_has_its_fields_in_order(void **state)
{
	struct dhcp4_request r = { .type = DHCP4_REQUEST,
				   .xid = 0x01020304,
				   .secs = 7,
				   .broadcast = true,
				   .mac = { 2, 0, 0, 0, 0, 1 },
				   .max_size = 1500,
				   .hostname = "node1" };
	uint8_t data[DHCP4_MESSAGE_MAX];
	size_t len;

	(void)state;
	inet_pton(AF_INET, "192.0.2.77", &r.address);
	inet_pton(AF_INET, "192.0.2.1", &r.server);
	len = dhcp4_build(&r, data);
	assert_int_equal(len, 300);
	assert_memory_equal(data, "\1\1\6\0\1\2\3\4\0\7\x80\0", 12);
	assert_memory_equal(data + 240,
			    "\x35\1\3\x3d\7\1\2\0\0\0\0\1\x36\4\xc0\0\2\1\x32\4\xc0\0\2\x4d"
			    "\x39\2\x05\xdc\x37",
			    29);
	/* 121 comes before 3, and the name is not asked for when it is sent */
	assert_int_equal(data[240 + 29], 13);
	assert_int_equal(data[240 + 30], 121);
	assert_null(memchr(data + 240 + 30, 12, 13));
	assert_memory_equal(data + 240 + 30 + 13, "\14\5node1\74\5berth\377", 15);
	r.hostname = NULL;
	r.skip_mtu = true;
	dhcp4_build(&r, data);
	assert_int_equal(data[240 + 29], 13);
	assert_null(memchr(data + 240 + 30, 26, 13));
	assert_non_null(memchr(data + 240 + 30, 12, 13));
}

static void a_plain_lease_is_read(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 1, 255, 255, 255, 0);
	ADD(&r, 3, 192, 0, 2, 1, 192, 0, 2, 2);
	ADD(&r, 6, 192, 0, 2, 53, 0, 0, 0, 0, 127, 0, 0, 1, 8, 8, 8, 8);
	ADD(&r, 12, 'n', '1', 0);
	ADD(&r, 15, 'a', '.', 'b', '.');
	ADD(&r, 26, 0x05, 0x78);
	ADD(&r, 51, 0, 0, 0x0e, 0x10);
	l = lease_of(&r);
	assert_addr(l.address, "192.0.2.77");
	assert_addr(l.server, "192.0.2.1");
	assert_int_equal(l.prefix, 24);
	assert_int_equal(l.nroutes, 1);
	assert_int_equal(l.routes[0].prefix, 0);
	assert_addr(l.routes[0].gateway, "192.0.2.1");
	assert_int_equal(l.ndns, 2);
	assert_addr(l.dns[1], "8.8.8.8");
	assert_string_equal(l.hostname, "n1");
	assert_string_equal(l.search, "a.b");
	assert_int_equal(l.mtu, 1400);
	assert_int_equal(l.lease_s, 3600);
	assert_int_equal(l.t1_s, 1800);
	assert_int_equal(l.t2_s, 3150);
}

static void classless_routes_replace_the_router(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 3, 192, 0, 2, 1);
	/* default, a /32, an on-link /24 with host bits, one of 20 bits; then one that is cut */
	ADD(&r, 121, 0, 192, 0, 2, 9, 32, 10, 0, 0, 5, 192, 0, 2, 8);
	ADD(&r, 121, 24, 10, 1, 2, 0, 0, 0, 0, 20, 10, 2, 0x1f, 192, 0, 2, 7, 33, 1, 2, 3);
	l = lease_of(&r);
	assert_int_equal(l.nroutes, 4);
	assert_int_equal(l.routes[0].prefix, 0);
	assert_addr(l.routes[0].gateway, "192.0.2.9");
	assert_addr(l.routes[1].to, "10.0.0.5");
	assert_int_equal(l.routes[1].prefix, 32);
	assert_addr(l.routes[2].to, "10.1.2.0");
	assert_addr(l.routes[2].gateway, "0.0.0.0");
	assert_addr(l.routes[3].to, "10.2.16.0");
	assert_int_equal(l.prefix, 32);
	assert_int_equal(l.lease_s, 1800);
}

static void options_overflow_into_file_and_name(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 52, 3);
	memcpy(r.data + 108, "\6\4\10\10\10\10\14\2ab\377", 11);
	memcpy(r.data + 44, "\14\2cd\377", 5);
	l = lease_of(&r);
	assert_int_equal(l.ndns, 1);
	assert_string_equal(l.hostname, "abcd");
}

static void search_domains_are_uncompressed(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 15, 'u', 'n', 'u', 's', 'e', 'd');
	ADD(&r, 119, 3, 'e', 'n', 'g', 5, 'a', 'p', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 9, 'm', 'a',
	    'r', 'k', 'e', 't', 'i', 'n', 'g', 0xc0, 4);
	l = lease_of(&r);
	assert_string_equal(l.search, "eng.apple.com marketing.apple.com");
	/* a loop, a pointer forwards, and a name that runs out end the list */
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 119, 1, 'a', 0, 1, 'b', 0xc0, 3);
	l = lease_of(&r);
	assert_string_equal(l.search, "a");
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 119, 0xc0, 2, 1, 'x', 0);
	l = lease_of(&r);
	assert_string_equal(l.search, "");
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 119, 9, 'a');
	l = lease_of(&r);
	assert_string_equal(l.search, "");
}

static void names_cannot_break_a_file(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 12, 'a', ';', 'r', 'm');
	ADD(&r, 15, 'x', '\n', 'n', 'a', 'm', 'e');
	ADD(&r, 119, 4, 'a', '\n', 'b', ' ', 0, 1, '/', 0);
	l = lease_of(&r);
	assert_string_equal(l.hostname, "");
	assert_string_equal(l.search, "");
}

static void odd_times_become_sound_ones(void **state)
{
	struct reply r;
	struct dhcp4_lease l;

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 51, 255, 255, 255, 255);
	l = lease_of(&r);
	assert_int_equal(l.lease_s, DHCP4_FOREVER);
	assert_int_equal(l.t1_s, DHCP4_FOREVER);
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	ADD(&r, 51, 0, 0, 0, 100);
	ADD(&r, 58, 0, 0, 0, 90);
	ADD(&r, 59, 0, 0, 0, 80);
	l = lease_of(&r);
	assert_int_equal(l.t1_s, 50);
	assert_int_equal(l.t2_s, 87);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct reply r;
	struct dhcp4_message m;
	struct dhcp4_lease l;
	struct err e = { 0 };

	(void)state;
	reply_begin(&r, DHCP4_ACK);
	reply_server(&r);
	for (size_t len = 0; len < 240; len++)
		assert_int_equal(dhcp4_parse(r.data, len, &m, &e), -EBADMSG);
	/* cut anywhere in its options it is read or refused, never read beyond */
	for (size_t len = 240; len < r.len; len++)
		dhcp4_parse(r.data, len, &m, &e);
	r.data[0] = 1;
	assert_int_equal(dhcp4_parse(r.data, r.len, &m, &e), -EBADMSG);
	reply_begin(&r, DHCP4_DISCOVER);
	assert_int_equal(dhcp4_parse(r.data, r.len, &m, &e), -EBADMSG);
	reply_begin(&r, DHCP4_ACK);
	assert_int_equal(dhcp4_parse(r.data, r.len, &m, &e), 0);
	assert_int_equal(dhcp4_lease(&m, &l, &e), -EBADMSG);
	reply_server(&r);
	inet_pton(AF_INET, "224.0.0.1", r.data + 16);
	assert_int_equal(dhcp4_parse(r.data, r.len, &m, &e), 0);
	assert_int_equal(dhcp4_lease(&m, &l, &e), -EBADMSG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_request_has_its_fields_in_order),
	cmocka_unit_test(a_plain_lease_is_read),
	cmocka_unit_test(classless_routes_replace_the_router),
	cmocka_unit_test(options_overflow_into_file_and_name),
	cmocka_unit_test(search_domains_are_uncompressed),
	cmocka_unit_test(names_cannot_break_a_file),
	cmocka_unit_test(odd_times_become_sound_ones),
	cmocka_unit_test(what_is_no_answer_is_refused),
};
TEST_MAIN(tests)
