/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a streaming client sends after the upgrade. The first byte chooses: the
 * frames as they are in pieces of some size, or a header block in plain, which
 * is compressed here, since no fuzzer guesses zlib streams.
 */
#include "fuzz.h"

#include <zlib.h>

#include "cri/spdy.h"

struct seen {
	uint32_t last;
	size_t appetite, opened, taken;
	bool planted;
};

static void opened(void *arg, uint32_t stream, const struct spdy_header *h, size_t count)
{
	struct seen *s = arg;
	const char *type = spdy_header_find(h, count, "streamtype");
	const char *port = spdy_header_find(h, count, "port");

	assert(stream > s->last && (stream & 1));
	assert(count <= SPDY_HEADERS_MAX);
	for (size_t i = 0; i < count; i++)
		assert(h[i].name[0] && strlen(h[i].value) <= SPDY_BLOCK_MAX);
	s->last = stream;
	s->opened++;
	s->planted = type && count == 3 && port && port[0] != '8';
}

static size_t took(void *arg, uint32_t stream, const uint8_t *data, size_t len)
{
	struct seen *s = arg;
	uint8_t sum = 0;

	assert(stream && stream <= s->last);
	if (s->appetite && len > s->appetite)
		len = s->appetite;
	for (size_t i = 0; i < len; i++)
		sum ^= data[i];
	s->taken += len + (sum & 0);
	return len;
}

static void finished(void *arg, uint32_t stream)
{
	(void)arg;
	(void)stream;
}

static void was_reset(void *arg, uint32_t stream, uint32_t status)
{
	(void)arg;
	(void)stream;
	(void)status;
}

static void goaway(void *arg)
{
	(void)arg;
}

static const struct spdy_events events = { opened, took, finished, was_reset, goaway };

static void feed(struct spdy *spdy, const uint8_t *data, size_t size, size_t piece)
{
	struct err e = { 0 };

	while (size) {
		size_t part = piece && piece < size ? piece : size;
		ssize_t n = spdy_feed(spdy, data, part, &e);

		if (n < 0) {
			assert(e.code && e.msg[0]);
			return;
		}
		assert((size_t)n <= part);
		if (n == 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

/* SYN_STREAM 1 with the block. */
static void feed_block(struct spdy *spdy, const uint8_t *block, size_t size)
{
	unsigned char dictionary[SPDY_DICTIONARY];
	static uint8_t out[SPDY_CONTROL_MAX];
	auto_str frame = { 0 };
	z_stream z = { 0 };
	size_t len;

	spdy_dictionary(dictionary);
	if (deflateInit(&z, 1) != Z_OK)
		return;
	deflateSetDictionary(&z, dictionary, sizeof(dictionary));
	z.next_in = (Bytef *)block;
	z.avail_in = (uInt)size;
	z.next_out = out;
	z.avail_out = sizeof(out);
	deflate(&z, Z_SYNC_FLUSH);
	len = sizeof(out) - z.avail_out;
	deflateEnd(&z);
	str_add_mem(&frame, "\x80\3\0\1\0", 5);
	str_add_char(&frame, (char)((len + 10) >> 16));
	str_add_char(&frame, (char)((len + 10) >> 8));
	str_add_char(&frame, (char)(len + 10));
	str_add_mem(&frame, "\0\0\0\1\0\0\0\0\0\0", 10);
	str_add_mem(&frame, out, len);
	feed(spdy, (uint8_t *)frame.text, frame.len, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { 0 };
	struct spdy spdy;
	auto_str out = { 0 };
	struct err e = { 0 };

	if (size < 2 || spdy_init(&spdy, &events, &seen, &out, &e) < 0)
		return 0;
	seen.appetite = data[1];
	if (data[0] & 1)
		feed_block(&spdy, data + 2, size - 2);
	else
		feed(&spdy, data + 2, size - 2, data[0] >> 1);
	assert(out.len <= size * 2 + 64);
	spdy_done(&spdy);
	FUZZ_PLANT(seen.planted);
	return 0;
}
