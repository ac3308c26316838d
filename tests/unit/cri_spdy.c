/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>
#include <zlib.h>

#include "cri/spdy.h"
#include "lib/mem.h"

/* What happened, as text; and a client's zlib. */
struct bench {
	struct spdy spdy;
	struct str out, seen;
	size_t appetite; /* bytes of data taken at most in one call */
	z_stream deflate, inflate;
};

static void opened(void *arg, uint32_t stream, const struct spdy_header *h, size_t count)
{
	struct bench *b = arg;

	str_printf(&b->seen, "open %u", stream);
	for (size_t i = 0; i < count; i++)
		str_printf(&b->seen, " %s=%s", h[i].name, h[i].value);
	str_add(&b->seen, "\n");
}

static size_t took(void *arg, uint32_t stream, const uint8_t *data, size_t len)
{
	struct bench *b = arg;

	if (len > b->appetite)
		len = b->appetite;
	if (len)
		str_printf(&b->seen, "data %u %.*s\n", stream, (int)len, (const char *)data);
	return len;
}

static void finished(void *arg, uint32_t stream)
{
	str_printf(&((struct bench *)arg)->seen, "fin %u\n", stream);
}

static void was_reset(void *arg, uint32_t stream, uint32_t status)
{
	str_printf(&((struct bench *)arg)->seen, "reset %u %u\n", stream, status);
}

static void goaway(void *arg)
{
	str_add(&((struct bench *)arg)->seen, "goaway\n");
}

static const struct spdy_events events = {
	.opened = opened,
	.data = took,
	.finished = finished,
	.reset = was_reset,
	.goaway = goaway,
};

static int setup(void **state)
{
	struct bench *b = mem_alloc(sizeof(*b));
	unsigned char dictionary[SPDY_DICTIONARY];
	struct err e = { 0 };

	spdy_dictionary(dictionary);
	b->appetite = SIZE_MAX;
	*state = b;
	if (deflateInit(&b->deflate, 9) != Z_OK || inflateInit(&b->inflate) != Z_OK)
		return -1;
	deflateSetDictionary(&b->deflate, dictionary, sizeof(dictionary));
	return spdy_init(&b->spdy, &events, b, &b->out, &e);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	spdy_done(&b->spdy);
	deflateEnd(&b->deflate);
	inflateEnd(&b->inflate);
	str_done(&b->out);
	str_done(&b->seen);
	free(b);
	return 0;
}

static void put32(struct str *s, uint32_t n)
{
	uint8_t b[4] = { n >> 24, n >> 16, n >> 8, n };

	str_add_mem(s, b, 4);
}

static void put_control(struct str *s, unsigned int type, unsigned int flags, const void *body,
			size_t len)
{
	put32(s, 0x80030000u | type);
	put32(s, flags << 24 | (uint32_t)len);
	str_add_mem(s, body, len);
}

/* A control frame with a compressed block behind its fixed part. */
static void put_block(struct bench *b, struct str *s, unsigned int type, unsigned int flags,
		      const struct str *fixed, const void *plain, size_t len)
{
	static uint8_t buf[1 << 20];
	auto_str body = { 0 };

	b->deflate.next_in = (Bytef *)plain;
	b->deflate.avail_in = (uInt)len;
	b->deflate.next_out = buf;
	b->deflate.avail_out = sizeof(buf);
	assert_int_equal(deflate(&b->deflate, Z_SYNC_FLUSH), Z_OK);
	str_add_mem(&body, fixed->text, fixed->len);
	str_add_mem(&body, buf, sizeof(buf) - b->deflate.avail_out);
	put_control(s, type, flags, body.text, body.len);
}

static void put_pair(struct str *s, const char *name, const char *value)
{
	put32(s, (uint32_t)strlen(name));
	str_add(s, name);
	put32(s, (uint32_t)strlen(value));
	str_add(s, value);
}

static void put_syn(struct bench *b, struct str *s, uint32_t id, unsigned int flags,
		    const char *name, const char *value)
{
	auto_str fixed = { 0 }, plain = { 0 };

	put32(&fixed, id);
	put32(&fixed, 0);
	str_add_mem(&fixed, "\0\0", 2);
	put32(&plain, 1);
	put_pair(&plain, name, value);
	put_block(b, s, SPDY_SYN_STREAM, flags, &fixed, plain.text, plain.len);
}

static void put_data(struct str *s, uint32_t id, unsigned int flags, const char *text)
{
	put32(s, id);
	put32(s, flags << 24 | (uint32_t)strlen(text));
	str_add(s, text);
}

static void feed_all(struct bench *b, const struct str *in)
{
	struct err e = { 0 };

	assert_int_equal(spdy_feed(&b->spdy, in->text, in->len, &e), in->len);
}

static void frames_are_understood_in_any_pieces(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };
	struct err e = { 0 };

	put_syn(b, &in, 1, 0, "streamtype", "error");
	put_syn(b, &in, 3, 1, "streamtype", "stdin");
	put_data(&in, 1, 0, "hello");
	put_data(&in, 1, 1, "");
	put_control(&in, SPDY_RST_STREAM, 0, "\0\0\0\3\0\0\0\5", 8);
	put_control(&in, SPDY_SETTINGS, 0, "\0\0\0\0", 4);
	put_control(&in, SPDY_WINDOW_UPDATE, 0, "\0\0\0\3\0\0\0\5", 8);
	put_control(&in, SPDY_GOAWAY, 0, "\0\0\0\0\0\0\0\0", 8);
	for (size_t i = 0; i < in.len; i++)
		assert_int_equal(spdy_feed(&b->spdy, in.text + i, 1, &e), 1);
	assert_string_equal(b->seen.text, "open 1 streamtype=error\n"
					  "open 3 streamtype=stdin\nfin 3\n"
					  "data 1 h\ndata 1 e\ndata 1 l\ndata 1 l\ndata 1 o\n"
					  "fin 1\nreset 3 5\ngoaway\n");
}

static void data_waits_for_who_takes_it(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };
	struct err e = { 0 };

	put_syn(b, &in, 1, 0, "a", "b");
	feed_all(b, &in);
	str_drop(&in, in.len);
	str_drop(&b->seen, b->seen.len);
	put_data(&in, 1, 1, "abcdef");
	b->appetite = 0;
	assert_int_equal(spdy_feed(&b->spdy, in.text, in.len, &e), 8);
	b->appetite = 4;
	assert_int_equal(spdy_feed(&b->spdy, in.text + 8, 6, &e), 6);
	assert_string_equal(b->seen.text, "data 1 abcd\ndata 1 ef\nfin 1\n");
}

static void odd_pings_are_echoed(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };

	put_control(&in, SPDY_PING, 0, "\0\0\0\2", 4);
	feed_all(b, &in);
	assert_int_equal(b->out.len, 0);
	put_control(&in, SPDY_PING, 0, "\0\0\0\7", 4);
	feed_all(b, &in);
	assert_int_equal(b->out.len, 12);
	assert_memory_equal(b->out.text, "\x80\3\0\6\0\0\0\4\0\0\0\7", 12);
}

static void replies_are_one_zlib_stream_for_a_go_reader(void **state)
{
	struct bench *b = *state;
	unsigned char dictionary[SPDY_DICTIONARY], plain[8];
	struct err e = { 0 };

	spdy_dictionary(dictionary);
	assert_int_equal(adler32(adler32(0, NULL, 0), dictionary, sizeof(dictionary)), 0xe3c6a7c2);
	for (uint32_t id = 1; id < 7; id += 2) {
		const uint8_t *p;

		str_drop(&b->out, b->out.len);
		assert_int_equal(spdy_reply(&b->spdy, id, &e), 0);
		p = (uint8_t *)b->out.text;
		assert_memory_equal(p, "\x80\3\0\2\0", 5);
		assert_int_equal(p[7] + 8, b->out.len);
		assert_int_equal(p[11], id);
		b->inflate.next_in = (Bytef *)p + 12;
		b->inflate.avail_in = (uInt)(b->out.len - 12);
		b->inflate.next_out = plain;
		b->inflate.avail_out = sizeof(plain);
		if (id == 1) {
			assert_int_equal(inflate(&b->inflate, Z_SYNC_FLUSH), Z_NEED_DICT);
			inflateSetDictionary(&b->inflate, dictionary, sizeof(dictionary));
		}
		assert_int_equal(inflate(&b->inflate, Z_SYNC_FLUSH), Z_OK);
		assert_int_equal(b->inflate.avail_in, 0);
		assert_int_equal(b->inflate.avail_out, 4);
		assert_memory_equal(plain, "\0\0\0\0", 4);
	}
}

static void long_data_is_cut_into_frames(void **state)
{
	struct bench *b = *state;
	auto_free char *data = mem_alloc(70000);

	spdy_data(&b->spdy, 5, data, 70000, true);
	assert_int_equal(b->out.len, 70000 + 3 * 8);
	assert_memory_equal(b->out.text, "\0\0\0\5\0\0\x80\0", 8);
	assert_memory_equal(b->out.text + 2 * 32776, "\0\0\0\5\1\0\x11\x70", 8);
	str_drop(&b->out, b->out.len);
	spdy_data(&b->spdy, 5, "", 0, true);
	assert_memory_equal(b->out.text, "\0\0\0\5\1\0\0\0", 8);
	str_drop(&b->out, b->out.len);
	spdy_goaway(&b->spdy, 0);
	assert_memory_equal(b->out.text, "\x80\3\0\7\0\0\0\x8", 8);
}

/* Each row is fed alone and must be refused. */
static void broken_frames_end_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "\0\0\0\0\0\0\0\1x", 9 }, /* data on stream 0 */
		{ "\0\0\0\1\0\0\0\1x", 9 }, /* on one that was never opened */
		{ "\x80\2\0\6\0\0\0\4\0\0\0\1", 12 }, /* version 2 */
		{ "\x80\3\0\5\0\0\0\0", 8 }, /* NOOP */
		{ "\x80\3\0\x0a\0\0\0\4\0\0\0\0", 12 }, /* CREDENTIAL */
		{ "\x80\3\xff\xff\0\0\0\4\0\0\0\0", 12 },
		{ "\x80\3\0\0\0\0\0\4\0\0\0\0", 12 },
		{ "\x80\3\0\6\0\0\0\5\0\0\0\1x", 13 }, /* PING of 5 bytes */
		{ "\x80\3\0\3\0\0\0\4\0\0\0\1", 12 }, /* RST of 4 */
		{ "\x80\3\0\4\0\0\0\x0c\0\0\0\2\0\0\0\0\0\0\0\0",
		  20 }, /* 2 settings in 1's space */
		{ "\x80\3\0\4\0\0\0\4\xff\xff\xff\xff", 12 },
		{ "\x80\3\0\4\0\xff\xff\xff", 8 }, /* a huge SETTINGS frame */
		{ "\x80\3\0\1\0\xff\xff\xff", 8 }, /* a huge SYN_STREAM */
		{ "\x80\3\0\1\0\0\0\x9\0\0\0\1\0\0\0\0\0", 17 }, /* a short one */
		{ "\x80\3\0\1\0\0\0\x0e\0\0\0\1\0\0\0\0\0\0junk", 22 },
		{ "\x80\3\0\1\0\0\0\x0a\0\0\0\2\0\0\0\0\0\0", 18 }, /* even stream */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = { 0 };
		struct bench *b;
		ssize_t n;

		teardown(state);
		assert_int_equal(setup(state), 0);
		b = *state;
		n = spdy_feed(&b->spdy, rows[i].bytes, rows[i].len, &e);
		if (n >= 0)
			fail_msg("row %zu was taken", i);
		assert_null(b->seen.text);
	}
}

static void streams_are_opened_upwards(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };
	struct err e = { 0 };

	put_syn(b, &in, 5, 0, "a", "b");
	feed_all(b, &in);
	str_drop(&in, in.len);
	put_syn(b, &in, 3, 0, "a", "b");
	assert_true(spdy_feed(&b->spdy, in.text, in.len, &e) < 0);
}

/* plain is a block's content; it must be refused. */
static void assert_block_refused(void **state, const struct str *plain)
{
	auto_str fixed = { 0 }, in = { 0 };
	struct err e = { 0 };
	struct bench *b;

	teardown(state);
	assert_int_equal(setup(state), 0);
	b = *state;
	put32(&fixed, 1);
	put32(&fixed, 0);
	str_add_mem(&fixed, "\0\0", 2);
	put_block(b, &in, SPDY_SYN_STREAM, 0, &fixed, plain->text, plain->len);
	assert_true(spdy_feed(&b->spdy, in.text, in.len, &e) < 0);
	assert_null(b->seen.text);
}

static void header_blocks_have_limits(void **state)
{
	auto_str plain = { 0 };
	auto_free char *big = mem_alloc(SPDY_BLOCK_MAX);

	put32(&plain, 0xffffffff); /* a count that would be gigabytes */
	assert_block_refused(state, &plain);
	str_drop(&plain, plain.len);
	put32(&plain, 1);
	put32(&plain, 0xfffffff0); /* a length beyond the block */
	str_add(&plain, "abc");
	assert_block_refused(state, &plain);
	str_drop(&plain, plain.len);
	put32(&plain, 1);
	put_pair(&plain, "", "x"); /* no name */
	assert_block_refused(state, &plain);
	str_drop(&plain, plain.len);
	put32(&plain, 1);
	put_pair(&plain, "a", "b");
	str_add(&plain, "rest");
	assert_block_refused(state, &plain);
	str_drop(&plain, plain.len);
	put32(&plain, SPDY_HEADERS_MAX + 1);
	for (int i = 0; i <= SPDY_HEADERS_MAX; i++)
		put_pair(&plain, "a", "b");
	assert_block_refused(state, &plain);
	/* a few hundred bytes that inflate to more than the limit */
	str_drop(&plain, plain.len);
	memset(big, 'x', SPDY_BLOCK_MAX - 1);
	put32(&plain, 1);
	put_pair(&plain, "a", big);
	assert_block_refused(state, &plain);
}

static void header_blocks_share_their_history(void **state)
{
	struct bench *b = *state;
	auto_str in = { 0 };

	for (uint32_t id = 1; id < 200; id += 2)
		put_syn(b, &in, id, 0, "streamtype", "stdout");
	feed_all(b, &in);
	assert_non_null(strstr(b->seen.text, "open 199 streamtype=stdout\n"));
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(frames_are_understood_in_any_pieces),
	T(data_waits_for_who_takes_it),
	T(odd_pings_are_echoed),
	T(replies_are_one_zlib_stream_for_a_go_reader),
	T(long_data_is_cut_into_frames),
	T(broken_frames_end_the_connection),
	T(streams_are_opened_upwards),
	T(header_blocks_have_limits),
	T(header_blocks_share_their_history),
};

TEST_MAIN(tests)
