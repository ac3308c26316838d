/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/spdy.h"

#include <errno.h>
#include <string.h>

#include "lib/mem.h"

#define CONTROL 0x80
#define VERSION 3
#define PART_MAX 32768 /* payload of one data frame that we send */

int spdy_init(struct spdy *s, const struct spdy_events *on, void *arg, struct str *out,
	      struct err *e)
{
	*s = (struct spdy){ .on = on, .arg = arg, .out = out };
	return spdy_zlib_new(&s->zlib, e);
}

void spdy_done(struct spdy *s)
{
	spdy_zlib_free(s->zlib);
	free(s->body);
	*s = (struct spdy){ 0 };
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t n)
{
	p[0] = n >> 24;
	p[1] = n >> 16;
	p[2] = n >> 8;
	p[3] = n;
}

/* Sending ------------------------------------------------------------------ */

static void put_control(struct spdy *s, enum spdy_type type, const uint8_t *body, size_t len)
{
	uint8_t head[8] = { CONTROL, VERSION, 0, type };

	put32(head + 4, len); /* flags are 0, length has 24 bits */
	str_add_mem(s->out, head, sizeof(head));
	str_add_mem(s->out, body, len);
}

int spdy_reply(struct spdy *s, uint32_t stream, struct err *e)
{
	static const uint8_t none[4]; /* no headers */
	auto_str body = { 0 };
	uint8_t id[4];
	int r;

	put32(id, stream);
	str_add_mem(&body, id, sizeof(id));
	r = spdy_zlib_deflate(s->zlib, none, sizeof(none), &body, e);
	if (r < 0)
		return r;
	put_control(s, SPDY_SYN_REPLY, (uint8_t *)body.text, body.len);
	return 0;
}

void spdy_data(struct spdy *s, uint32_t stream, const void *data, size_t len, bool fin)
{
	const uint8_t *p = data;

	do {
		size_t part = len < PART_MAX ? len : PART_MAX;
		uint8_t head[8];

		put32(head, stream);
		put32(head + 4, part);
		head[4] = fin && part == len ? SPDY_FIN : 0;
		str_add_mem(s->out, head, sizeof(head));
		str_add_mem(s->out, p, part);
		p += part;
		len -= part;
	} while (len);
}

void spdy_reset(struct spdy *s, uint32_t stream, uint32_t status)
{
	uint8_t body[8];

	put32(body, stream);
	put32(body + 4, status);
	put_control(s, SPDY_RST_STREAM, body, sizeof(body));
}

void spdy_goaway(struct spdy *s, uint32_t status)
{
	uint8_t body[8];

	put32(body, s->last_stream);
	put32(body + 4, status);
	put_control(s, SPDY_GOAWAY, body, sizeof(body));
}

/* Receiving ---------------------------------------------------------------- */

static int take_syn_stream(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len,
			   struct err *e)
{
	uint32_t stream = be32(body) & 0x7fffffff;
	struct spdy_header *h;
	size_t count;

	if (!(stream & 1) || stream <= s->last_stream)
		return err_set(e, EPROTO, "stream %u opened after %u", stream, s->last_stream);
	if (spdy_zlib_inflate(s->zlib, body + 10, len - 10, &h, &count, e) < 0)
		return err_wrap(e, "stream %u", stream);
	s->last_stream = stream;
	s->on->opened(s->arg, stream, h, count);
	if (flags & SPDY_FIN)
		s->on->finished(s->arg, stream);
	return 0;
}

/* More headers of an open stream say nothing to us, but pass through the common zlib state. */
static int take_headers(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len,
			struct err *e)
{
	struct spdy_header *h;
	size_t count;

	if (spdy_zlib_inflate(s->zlib, body + 4, len - 4, &h, &count, e) < 0)
		return err_wrap(e, "stream %u", be32(body) & 0x7fffffff);
	if (flags & SPDY_FIN)
		s->on->finished(s->arg, be32(body) & 0x7fffffff);
	return 0;
}

static int take_rst(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len, struct err *e)
{
	(void)flags;
	(void)len;
	(void)e;
	s->on->reset(s->arg, be32(body) & 0x7fffffff, be32(body + 4));
	return 0;
}

static int take_settings(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len,
			 struct err *e)
{
	uint32_t count = be32(body);

	(void)s;
	(void)flags;
	if (count > SPDY_SETTINGS_MAX || len != 4 + 8 * (size_t)count)
		return err_set(e, EPROTO, "settings: %u entries in %zu bytes", count, len);
	return 0;
}

static int take_ping(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len, struct err *e)
{
	(void)flags;
	(void)e;
	if (be32(body) & 1) /* even ones would answer pings of ours */
		put_control(s, SPDY_PING, body, len);
	return 0;
}

static int take_goaway(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len,
		       struct err *e)
{
	(void)flags;
	(void)body;
	(void)len;
	(void)e;
	s->on->goaway(s->arg);
	return 0;
}

static int take_nothing(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len,
			struct err *e)
{
	(void)s;
	(void)flags;
	(void)body;
	(void)len;
	(void)e;
	return 0;
}

static const struct frame {
	size_t min, max; /* bytes of the body */
	int (*take)(struct spdy *s, uint8_t flags, const uint8_t *body, size_t len, struct err *e);
} frames[] = {
	[SPDY_SYN_STREAM] = { 10, SPDY_CONTROL_MAX, take_syn_stream },
	[SPDY_SYN_REPLY] = { 4, SPDY_CONTROL_MAX, take_headers },
	[SPDY_RST_STREAM] = { 8, 8, take_rst },
	[SPDY_SETTINGS] = { 4, 4 + 8 * SPDY_SETTINGS_MAX, take_settings },
	[SPDY_PING] = { 4, 4, take_ping },
	[SPDY_GOAWAY] = { 8, 8, take_goaway },
	[SPDY_HEADERS] = { 4, SPDY_CONTROL_MAX, take_headers },
	[SPDY_WINDOW_UPDATE] = { 8, 8, take_nothing },
};

#define NFRAMES (sizeof(frames) / sizeof(*frames))

/* A whole head: what follows? */
static int take_head(struct spdy *s, struct err *e)
{
	uint32_t len = be32(s->head + 4) & 0xffffff;
	unsigned int version = (s->head[0] & 0x7f) << 8 | s->head[1];
	unsigned int type = s->head[2] << 8 | s->head[3];

	if (!(s->head[0] & CONTROL)) {
		if (be32(s->head) == 0 || be32(s->head) > s->last_stream)
			return err_set(e, EPROTO, "data on stream %u, which was never opened",
				       be32(s->head));
		s->in_data = true;
		s->left = len;
		return 0;
	}
	if (version != VERSION)
		return err_set(e, EPROTO, "control frame of version %u", version);
	if (type >= NFRAMES || !frames[type].take)
		return err_set(e, EPROTO, "control frame of type %u", type);
	if (len < frames[type].min || len > frames[type].max)
		return err_set(e, EPROTO, "control frame of type %u with %u bytes", type, len);
	if (!s->body)
		s->body = mem_alloc(SPDY_CONTROL_MAX);
	s->got = 0;
	s->left = len;
	return 0;
}

static int take_control(struct spdy *s, struct err *e)
{
	unsigned int type = s->head[3];

	s->have = 0;
	return frames[type].take(s, s->head[4], s->body, s->got, e);
}

/* Returns what was taken of a data frame's payload. */
static size_t take_data(struct spdy *s, const uint8_t *data, size_t len)
{
	uint32_t stream = be32(s->head);
	size_t part = len < s->left ? len : s->left;

	if (part)
		part = s->on->data(s->arg, stream, data, part);
	s->left -= part;
	if (s->left == 0) {
		s->in_data = false;
		s->have = 0;
		if (s->head[4] & SPDY_FIN)
			s->on->finished(s->arg, stream);
	}
	return part;
}

ssize_t spdy_feed(struct spdy *s, const void *data, size_t len, struct err *e)
{
	const uint8_t *begin = data, *p = begin, *end = p + len;

	while (p < end || (s->in_data && s->left == 0)) {
		if (s->have < sizeof(s->head)) {
			s->head[s->have++] = *p++;
			if (s->have == sizeof(s->head) && take_head(s, e) < 0)
				return -e->code;
			continue;
		}
		if (s->in_data) {
			size_t taken = take_data(s, p, (size_t)(end - p));

			p += taken;
			if (!taken && s->in_data)
				break;
			continue;
		}
		size_t part = (size_t)(end - p) < s->left ? (size_t)(end - p) : s->left;

		memcpy(s->body + s->got, p, part);
		s->got += part;
		s->left -= part;
		p += part;
		if (s->left == 0 && take_control(s, e) < 0)
			return -e->code;
	}
	return p - begin;
}
