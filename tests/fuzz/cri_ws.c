/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A websocket client's frames; the first byte is the size of the pieces they come in. */
#include "fuzz.h"

#include "cri/ws.h"

struct seen {
	bool in_message, closed;
	size_t messages, appetite;
};

static size_t took(void *arg, const uint8_t *data, size_t len, bool first)
{
	struct seen *s = arg;

	(void)data;
	assert(!s->closed);
	assert(first || s->in_message);
	if (s->appetite && len > s->appetite)
		len = s->appetite;
	s->in_message = true;
	return len;
}

static void message_end(void *arg)
{
	struct seen *s = arg;

	assert(s->in_message);
	s->in_message = false;
	s->messages++;
}

static void closed(void *arg)
{
	(void)arg;
}

static const struct ws_events events = { took, message_end, closed };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free uint8_t *copy = mem_memdup(data, size);
	struct seen seen = { 0 };
	auto_str out = { 0 };
	struct err e = { 0 };
	uint8_t *p = copy + 2;
	struct ws w;

	if (size < 3)
		return 0;
	seen.appetite = copy[1];
	ws_init(&w, &events, &seen, &out);
	for (size_t rest = size - 2; rest;) {
		size_t part = copy[0] && copy[0] < rest ? copy[0] : rest;
		ssize_t n = ws_feed(&w, p, part, &e);

		if (n < 0) {
			assert(e.code && e.msg[0]);
			break;
		}
		assert((size_t)n <= part);
		if (!n)
			break;
		p += n;
		rest -= (size_t)n;
	}
	assert(out.len <= size * 2 + 64);
	FUZZ_PLANT(seen.messages == 2 && out.len > 4);
	return 0;
}
