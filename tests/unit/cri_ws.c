/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "cri/ws.h"
#include "lib/mem.h"

struct bench {
	struct ws ws;
	struct str out, seen;
	size_t appetite;
};

static size_t took(void *arg, const uint8_t *data, size_t len, bool first)
{
	struct bench *b = arg;

	if (len > b->appetite)
		len = b->appetite;
	str_printf(&b->seen, "%s%.*s|", first ? "^" : "", (int)len, len ? (const char *)data : "");
	return len;
}

static void message_end(void *arg)
{
	str_add(&((struct bench *)arg)->seen, "$");
}

static void closed(void *arg)
{
	str_add(&((struct bench *)arg)->seen, "closed");
}

static const struct ws_events events = { took, message_end, closed };

static int setup(void **state)
{
	struct bench *b = mem_alloc(sizeof(*b));

	b->appetite = SIZE_MAX;
	ws_init(&b->ws, &events, b, &b->out);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	str_done(&b->out);
	str_done(&b->seen);
	free(b);
	return 0;
}

static void put(struct str *s, unsigned int first, const char *text, size_t len)
{
	static const uint8_t mask[] = { 1, 2, 3, 250 };
	uint8_t head[8] = { first, 0x80 | (len < 126 ? len : 126), len >> 8, len };

	str_add_mem(s, head, len < 126 ? 2 : 4);
	str_add_mem(s, mask, 4);
	for (size_t i = 0; i < len; i++)
		str_add_char(s, (char)(text[i] ^ mask[i % 4]));
}

static void feed_all(struct bench *b, struct str *in)
{
	struct err e = { 0 };

	assert_int_equal(ws_feed(&b->ws, in->text, in->len, &e), in->len);
	str_drop(in, in->len);
}

static void the_handshakes_answer_is_the_rfcs(void **state)
{
	char accept[WS_ACCEPT];

	(void)state;
	ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void messages_come_whole_and_in_parts(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };
	char big[300];
	struct err e = { 0 };

	put(&in, 0x82, "hello", 5);
	put(&in, 0x02, "one", 3);
	put(&in, 0x89, "p", 1); /* a ping between the parts */
	put(&in, 0x80, "two", 3);
	put(&in, 0x82, "", 0);
	feed_all(b, &in);
	assert_string_equal(b->seen.text, "^hello|$^one|two|$^|$");
	assert_memory_equal(b->out.text, "\x8a\1p", 3);
	str_drop(&b->seen, b->seen.len);
	memset(big, 'x', sizeof(big));
	put(&in, 0x82, big, sizeof(big));
	for (size_t i = 0; i < in.len; i++)
		assert_int_equal(ws_feed(&b->ws, in.text + i, 1, &e), 1);
	assert_int_equal(b->seen.len, 1 + 2 * sizeof(big) + 1);
}

static void what_is_not_taken_comes_again_unmasked_once(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };
	struct err e = { 0 };
	ssize_t n;

	put(&in, 0x82, "abcdefg", 7);
	b->appetite = 0;
	n = ws_feed(&b->ws, in.text, in.len, &e);
	assert_int_equal(n, 6);
	b->appetite = 3;
	str_drop(&b->seen, b->seen.len);
	assert_int_equal(ws_feed(&b->ws, in.text + n, in.len - n, &e), 7);
	assert_string_equal(b->seen.text, "^abc|def|g|$");
}

static void broken_frames_end_the_connection(void **state)
{
	static const char *const rows[] = {
		"\x82\5hello", /* no mask */
		"\xc2\x85\1\1\1\1", /* reserved bit */
		"\x83\x81\1\1\1\1", /* opcode 3 */
		"\x8b\x81\1\1\1\1", /* opcode 11 */
		"\x80\x81\1\1\1\1", /* continuation of nothing */
		"\x09\x81\1\1\1\1", /* a ping in parts */
		"\x89\xfe\1\1\1\1", /* a long ping */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = { 0 };
		struct bench *b;
		char copy[16];

		teardown(state);
		setup(state);
		b = *state;
		strcpy(copy, rows[i]);
		assert_true(ws_feed(&b->ws, copy, strlen(rows[i]), &e) < 0);
	}
}

static void a_close_is_answered_once(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };

	put(&in, 0x88, "\x03\xe8", 2);
	feed_all(b, &in);
	assert_string_equal(b->seen.text, "closed");
	assert_int_equal(b->out.len, 4);
	assert_memory_equal(b->out.text, "\x88\2\x03\xe8", 4);
	ws_close(&b->ws, WS_NORMAL);
	ws_message(&b->ws, "x", 1, "y", 1);
	assert_int_equal(b->out.len, 4);
}

static void lengths_are_written_in_three_ways(void **state)
{
	struct bench *b = *state;
	auto_free char *data = mem_alloc(70000);

	ws_message(&b->ws, "\1", 1, "ab", 2);
	assert_memory_equal(b->out.text, "\x82\3\1ab", 5);
	str_drop(&b->out, b->out.len);
	ws_message(&b->ws, "\1", 1, data, 300);
	assert_memory_equal(b->out.text, "\x82\x7e\1\x2d\1", 5);
	str_drop(&b->out, b->out.len);
	ws_message(&b->ws, "\1", 1, data, 69999);
	assert_memory_equal(b->out.text, "\x82\x7f\0\0\0\0\0\1\x11\x70\1", 11);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(the_handshakes_answer_is_the_rfcs),
	T(messages_come_whole_and_in_parts),
	T(what_is_not_taken_comes_again_unmasked_once),
	T(broken_frames_end_the_connection),
	T(a_close_is_answered_once),
	T(lengths_are_written_in_three_ways),
};

TEST_MAIN(tests)
