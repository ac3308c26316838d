/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "cri/api/api.pb-c.h"
#include "cri/grpc.h"
#include "cri/pbcheck.h"
#include "lib/mem.h"

static void a_timeout_is_read_in_every_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} rows[] = {
		{ "1n", 1 },
		{ "999999n", 1 },
		{ "1000001n", 2 },
		{ "1500u", 2 },
		{ "250m", 250 },
		{ "300000m", 300000 },
		{ "99999999m", 99999999 },
		{ "3S", 3000 },
		{ "2M", 120000 },
		{ "1H", 3600000 },
		{ "0m", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = { 0 };
		uint64_t ms;

		assert_int_equal(grpc_timeout_parse(rows[i].text, strlen(rows[i].text), &ms, &e),
				 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void a_malformed_timeout_is_refused(void **state)
{
	static const char *const rows[] = {
		"", "m", "5", "123456789m", "-1m", "1x", "1 m", "1.5S"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = { 0 };
		uint64_t ms;

		assert_int_equal(grpc_timeout_parse(rows[i], strlen(rows[i]), &ms, &e), -EINVAL);
	}
}

static void status_text_is_percent_encoded(void **state)
{
	auto_str out = { 0 };
	auto_str cut = { 0 };

	(void)state;
	grpc_percent_encode(&out, "50% of \xc3\xa9\n~", 100);
	assert_string_equal(out.text, "50%25 of %C3%A9%0A~");
	grpc_percent_encode(&cut, "ab%cd", 4);
	assert_string_equal(cut.text, "ab"); /* an escape is whole or not there */
}

static void a_message_is_collected_from_pieces(void **state)
{
	static const uint8_t wire[] = { 0, 0, 0, 0, 3, 'a', 'b', 'c' };
	struct grpc_body b = { 0 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wire); i++) {
		assert_false(grpc_body_whole(&b));
		assert_int_equal(grpc_body_feed(&b, wire + i, 1, &e), 0);
	}
	assert_true(grpc_body_whole(&b));
	assert_memory_equal(b.data, "abc", 3);
	assert_int_equal(grpc_body_feed(&b, wire, 1, &e), -EPROTO);
	grpc_body_done(&b);
}

static void a_message_that_is_too_large_costs_nothing(void **state)
{
	static const uint8_t large[] = { 0, 1, 0, 0, 1 };
	static const uint8_t announced[] = { 0, 0, 255, 255, 255, 'x' };
	static const uint8_t compressed[] = { 1, 0, 0, 0, 0 };
	struct grpc_body b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(grpc_body_feed(&b, large, sizeof(large), &e), -EMSGSIZE);
	grpc_body_done(&b);
	assert_int_equal(grpc_body_feed(&b, announced, sizeof(announced), &e), 0);
	assert_true(b.room < 64);
	grpc_body_done(&b);
	assert_int_equal(grpc_body_feed(&b, compressed, sizeof(compressed), &e), -EOPNOTSUPP);
	grpc_body_done(&b);
}

static void an_errno_becomes_the_code_that_says_it(void **state)
{
	(void)state;
	assert_int_equal(grpc_code_of(&(struct err){ .code = EINVAL }), GRPC_INVALID_ARGUMENT);
	assert_int_equal(grpc_code_of(&(struct err){ .code = ENOSPC }), GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(grpc_code_of(&(struct err){ .code = ETIMEDOUT }), GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(grpc_code_of(&(struct err){ .code = EIO }), GRPC_UNKNOWN);
}

static int check(const char *wire, size_t len, struct err *e)
{
	*e = (struct err){ 0 };
	return pbcheck(&cri__pod_sandbox_config__descriptor, (const uint8_t *)wire, len, e);
}

static void texts_of_a_request_are_utf8_without_nul(void **state)
{
	struct err e;

	(void)state;
	/* metadata (1) { name (1) } */
	assert_int_equal(check("\x0a\x03\x0a\x01x", 5, &e), 0);
	assert_int_equal(check("\x0a\x04\x0a\x02\xc3\xa9", 6, &e), 0);
	assert_int_equal(check("\x0a\x04\x0a\x02\xc3\x28", 6, &e), -EINVAL);
	assert_string_equal(e.msg, "metadata: name: not UTF-8");
	assert_int_equal(check("\x0a\x05\x0a\x03\xed\xa0\x80", 7, &e), -EINVAL); /* a surrogate */
	assert_int_equal(check("\x0a\x04\x0a\x02\xc0\x80", 6, &e), -EINVAL); /* not the shortest */
	assert_int_equal(check("\x0a\x03\x0a\x01\0", 5, &e), -EINVAL);
	assert_string_equal(e.msg, "metadata: name: a NUL byte");
}

static void malformed_wire_is_refused(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(check("\x0a", 1, &e), -EINVAL);
	assert_int_equal(check("\x0a\x05x", 3, &e), -EINVAL);
	assert_int_equal(check("\x0b\x00", 2, &e), -EINVAL); /* a group */
	assert_int_equal(check("\x09\x00", 2, &e), -EINVAL); /* eight bytes, cut short */
	assert_int_equal(check("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &e), -EINVAL);
	assert_int_equal(check("\xf8\x07\x01", 3, &e), 0); /* a field of a later version */
}

static void many_empty_fields_are_refused(void **state)
{
	size_t len = 2 * (PBCHECK_FIELDS_MAX + 1);
	auto_free char *wire = mem_alloc(len);
	struct err e;

	(void)state;
	for (size_t i = 0; i < len; i += 2)
		wire[i] = 0x32; /* labels, empty */
	assert_int_equal(check(wire, len, &e), -EMSGSIZE);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_timeout_is_read_in_every_unit),
	cmocka_unit_test(a_malformed_timeout_is_refused),
	cmocka_unit_test(status_text_is_percent_encoded),
	cmocka_unit_test(a_message_is_collected_from_pieces),
	cmocka_unit_test(a_message_that_is_too_large_costs_nothing),
	cmocka_unit_test(an_errno_becomes_the_code_that_says_it),
	cmocka_unit_test(texts_of_a_request_are_utf8_without_nul),
	cmocka_unit_test(malformed_wire_is_refused),
	cmocka_unit_test(many_empty_fields_are_refused),
};

TEST_MAIN(tests)
