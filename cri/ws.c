/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/ws.h"

#include <errno.h>
#include <string.h>

#include "lib/mem.h"

#define FIN 0x80
#define RESERVED 0x70
#define MASKED 0x80

/* SHA-1 is asked for by the handshake, and guards nothing. */

static uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t block[64])
{
	static const uint32_t k[] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], f, x = h[4];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t next;

		f = i < 20   ? (b & c) | (~b & d)
		    : i < 40 ? b ^ c ^ d
		    : i < 60 ? (b & c) | (b & d) | (c & d)
			     : b ^ c ^ d;
		next = rol(a, 5) + f + x + k[i / 20] + w[i];
		x = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += x;
}

/* Of a short text: two blocks at most. */
static void sha1(const char *text, size_t len, uint8_t ret[20])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint8_t buf[128] = { 0 };
	size_t blocks = len + 9 <= 64 ? 1 : 2;

	memcpy(buf, text, len);
	buf[len] = 0x80;
	for (int i = 0; i < 4; i++)
		buf[64 * blocks - 1 - i] = (uint8_t)((len * 8) >> (8 * i));
	for (size_t i = 0; i < blocks; i++)
		sha1_block(h, buf + 64 * i);
	for (int i = 0; i < 20; i++)
		ret[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept(const char *key, char ret[static WS_ACCEPT])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	auto_free char *text = mem_printf("%.64s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	uint8_t d[21] = { 0 };
	char *out = ret;

	sha1(text, strlen(text), d);
	for (int i = 0; i < 21; i += 3) {
		uint32_t n = (uint32_t)d[i] << 16 | (uint32_t)d[i + 1] << 8 | d[i + 2];

		for (int k = 18; k >= 0; k -= 6)
			*out++ = alphabet[n >> k & 63];
	}
	out[-1] = '=';
	*out = 0;
}

void ws_init(struct ws *w, const struct ws_events *on, void *arg, struct str *out)
{
	*w = (struct ws){ .on = on, .arg = arg, .out = out, .need = 2 };
}

/* Sending ------------------------------------------------------------------ */

static void put_head(struct ws *w, enum ws_opcode op, uint64_t len)
{
	uint8_t head[10] = { FIN | op };
	size_t n = 2;

	if (len < 126) {
		head[1] = (uint8_t)len;
	} else if (len < 65536) {
		head[1] = 126;
		n = 4;
	} else {
		head[1] = 127;
		n = 10;
	}
	for (size_t i = 2; i < n; i++)
		head[i] = (uint8_t)(len >> (8 * (n - 1 - i)));
	str_add_mem(w->out, head, n);
}

void ws_message(struct ws *w, const void *first, size_t first_len, const void *data, size_t len)
{
	if (w->close_sent)
		return;
	put_head(w, WS_BINARY, first_len + len);
	str_add_mem(w->out, first, first_len);
	str_add_mem(w->out, data, len);
}

void ws_close(struct ws *w, enum ws_status status)
{
	uint8_t code[2] = { status >> 8, status & 0xff };

	if (w->close_sent)
		return;
	put_head(w, WS_CLOSE, sizeof(code));
	str_add_mem(w->out, code, sizeof(code));
	w->close_sent = true;
}

/* Receiving ---------------------------------------------------------------- */

static bool is_control(const struct ws *w)
{
	return w->head[0] & 8;
}

/* How long the whole head is, by its first two bytes. */
static size_t head_size(const struct ws *w)
{
	unsigned int len = w->head[1] & 0x7f;

	return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + 4;
}

static int check_head(struct ws *w, struct err *e)
{
	unsigned int op = w->head[0] & 15;

	if (w->head[0] & RESERVED)
		return err_set(e, EPROTO, "websocket frame with reserved bits");
	if (!(w->head[1] & MASKED))
		return err_set(e, EPROTO, "websocket frame without a mask");
	if (is_control(w) && (!(w->head[0] & FIN) || (w->head[1] & 0x7f) > WS_CONTROL_MAX))
		return err_set(e, EPROTO, "websocket control frame in parts or too long");
	if (op > WS_PONG || (op > WS_BINARY && op < WS_CLOSE))
		return err_set(e, EPROTO, "websocket opcode %u", op);
	if ((op == WS_TEXT || op == WS_BINARY) && w->in_message)
		return err_set(e, EPROTO, "websocket message inside a message");
	if (op == WS_CONTINUATION && !w->in_message)
		return err_set(e, EPROTO, "websocket continuation of nothing");
	return 0;
}

static void begin_payload(struct ws *w)
{
	unsigned int len = w->head[1] & 0x7f, n = len == 126 ? 2 : len == 127 ? 8 : 0;

	w->left = n ? 0 : len;
	for (unsigned int i = 0; i < n; i++)
		w->left = w->left << 8 | w->head[2 + i];
	w->at = 0;
	w->got = 0;
	w->in_payload = true;
	if (!is_control(w)) {
		if ((w->head[0] & 15) != WS_CONTINUATION)
			w->began = false;
		w->in_message = !(w->head[0] & FIN);
	}
}

static void end_control(struct ws *w)
{
	switch (w->head[0] & 15) {
	case WS_PING:
		if (w->close_sent)
			break;
		put_head(w, WS_PONG, w->got);
		str_add_mem(w->out, w->control, w->got);
		break;
	case WS_CLOSE:
		ws_close(w, WS_NORMAL);
		w->on->closed(w->arg);
		break;
	}
}

static void end_frame(struct ws *w)
{
	w->in_payload = false;
	w->have = 0;
	w->need = 2;
	if (is_control(w)) {
		end_control(w);
		return;
	}
	if (w->in_message)
		return;
	if (!w->began)
		w->on->data(w->arg, NULL, 0, true);
	w->on->message_end(w->arg);
}

/* Unmasks, hands on, and masks again what was not taken. */
static size_t take_payload(struct ws *w, uint8_t *data, size_t len)
{
	const uint8_t *mask = w->head + w->need - 4;
	size_t part = len < w->left ? len : w->left, taken = part;

	for (size_t i = 0; i < part; i++)
		data[i] ^= mask[(w->at + i) & 3];
	if (is_control(w)) {
		memcpy(w->control + w->got, data, part);
		w->got += part;
	} else {
		taken = w->on->data(w->arg, data, part, !w->began);
		w->began = w->began || taken;
		for (size_t i = taken; i < part; i++)
			data[i] ^= mask[(w->at + i) & 3];
	}
	w->at += taken;
	w->left -= taken;
	return taken;
}

ssize_t ws_feed(struct ws *w, void *data, size_t len, struct err *e)
{
	uint8_t *begin = data, *p = begin, *end = p + len;

	while (p < end) {
		size_t taken;

		if (!w->in_payload) {
			w->head[w->have++] = *p++;
			if (w->have == 2) {
				if (check_head(w, e) < 0)
					return -e->code;
				w->need = head_size(w);
			}
			if (w->have < w->need)
				continue;
			begin_payload(w);
			if (w->left == 0)
				end_frame(w);
			continue;
		}
		taken = take_payload(w, p, (size_t)(end - p));
		p += taken;
		if (w->left == 0)
			end_frame(w);
		else if (!taken)
			break;
	}
	return p - begin;
}
