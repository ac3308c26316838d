/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gRPC framing; see grpc.h. */
#include "cri/grpc.h"

#include <errno.h>
#include <string.h>

#include "lib/mem.h"

enum grpc_code grpc_code_of(const struct err *e)
{
	static const struct {
		int code;
		enum grpc_code grpc;
	} table[] = {
		{ EINVAL, GRPC_INVALID_ARGUMENT },	 { ERANGE, GRPC_INVALID_ARGUMENT },
		{ ENAMETOOLONG, GRPC_INVALID_ARGUMENT }, { EEXIST, GRPC_ALREADY_EXISTS },
		{ EBUSY, GRPC_FAILED_PRECONDITION },	 { ENOSPC, GRPC_RESOURCE_EXHAUSTED },
		{ EDQUOT, GRPC_RESOURCE_EXHAUSTED },	 { EMFILE, GRPC_RESOURCE_EXHAUSTED },
		{ ENFILE, GRPC_RESOURCE_EXHAUSTED },	 { EAGAIN, GRPC_RESOURCE_EXHAUSTED },
		{ ENOMEM, GRPC_RESOURCE_EXHAUSTED },	 { EMSGSIZE, GRPC_RESOURCE_EXHAUSTED },
		{ ETIMEDOUT, GRPC_DEADLINE_EXCEEDED },	 { ENOSYS, GRPC_UNIMPLEMENTED },
		{ EOPNOTSUPP, GRPC_UNIMPLEMENTED },	 { ECANCELED, GRPC_CANCELLED },
		{ ECONNREFUSED, GRPC_UNAVAILABLE },	 { EPIPE, GRPC_UNAVAILABLE },
		{ ECONNRESET, GRPC_UNAVAILABLE },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == e->code)
			return table[i].grpc;
	return GRPC_UNKNOWN;
}

int grpc_timeout_parse(const char *text, size_t len, uint64_t *ret_ms, struct err *e)
{
	static const struct {
		char unit;
		uint64_t per_ms; /* units in a millisecond, or */
		uint64_t ms; /* milliseconds in a unit */
	} units[] = {
		{ 'n', 1000000, 0 }, { 'u', 1000, 0 },	{ 'm', 1, 0 },
		{ 'S', 0, 1000 },    { 'M', 0, 60000 }, { 'H', 0, 3600000 },
	};
	uint64_t n = 0;

	if (len < 2 || len > 9)
		return err_set(e, EINVAL, "grpc-timeout: %zu bytes", len);
	for (size_t i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return err_set(e, EINVAL, "grpc-timeout: no number");
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != text[len - 1])
			continue;
		*ret_ms =
			units[i].ms ? n * units[i].ms : (n + units[i].per_ms - 1) / units[i].per_ms;
		return 0;
	}
	return err_set(e, EINVAL, "grpc-timeout: unknown unit");
}

void grpc_percent_encode(struct str *out, const char *text, size_t max)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t start = out->len;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = *p >= 0x20 && *p < 0x7f && *p != '%';

		if (out->len - start + (plain ? 1 : 3) > max)
			break;
		if (plain) {
			str_add_char(out, (char)*p);
			continue;
		}
		str_add_char(out, '%');
		str_add_char(out, hex[*p >> 4]);
		str_add_char(out, hex[*p & 15]);
	}
}

void grpc_frame_put(uint8_t frame[static GRPC_FRAME], size_t len)
{
	frame[0] = 0;
	for (int i = 0; i < 4; i++)
		frame[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

static int body_frame(struct grpc_body *b, struct err *e)
{
	if (b->frame[0] > 1)
		return err_set(e, EPROTO, "message frame: flag %u", b->frame[0]);
	if (b->frame[0])
		return err_set(e, EOPNOTSUPP, "message frame: compressed");
	b->len = (size_t)b->frame[1] << 24 | (size_t)b->frame[2] << 16 | (size_t)b->frame[3] << 8 |
		 b->frame[4];
	if (b->len > GRPC_MESSAGE_MAX)
		return err_set(e, EMSGSIZE, "message of %zu bytes, at most %u", b->len,
			       GRPC_MESSAGE_MAX);
	return 0;
}

int grpc_body_feed(struct grpc_body *b, const uint8_t *data, size_t len, struct err *e)
{
	while (len && b->have < GRPC_FRAME) {
		b->frame[b->have++] = *data++;
		len--;
		if (b->have == GRPC_FRAME && body_frame(b, e) < 0)
			return -e->code;
	}
	if (!len)
		return 0;
	if (len > b->len - b->got)
		return err_set(e, EPROTO, "bytes behind the message");
	/* grows with what came, not with what was announced: that costs the sender nothing */
	mem_grow(&b->data, &b->room, b->got + len, 1);
	memcpy(b->data + b->got, data, len);
	b->got += len;
	return 0;
}

bool grpc_body_whole(const struct grpc_body *b)
{
	return b->have == GRPC_FRAME && b->got == b->len;
}

void grpc_body_done(struct grpc_body *b)
{
	free(b->data);
	*b = (struct grpc_body){ 0 };
}
