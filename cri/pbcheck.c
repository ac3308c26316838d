/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a request's bytes; see pbcheck.h. */
#include "cri/pbcheck.h"

#include <stdbool.h>

struct walk {
	const uint8_t *at, *end;
	size_t *fields;
	int depth;
};

static int walk_message(struct walk *w, const ProtobufCMessageDescriptor *desc, struct err *e);

static bool take_varint(struct walk *w, uint64_t *ret)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; shift < 64 && w->at < w->end; shift += 7) {
		uint8_t b = *w->at++;

		n |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = n;
			return true;
		}
	}
	return false;
}

/* The length of one UTF-8 sequence, 0 when it is none (or a surrogate, or not the shortest form).
 */
static size_t utf8_length(const uint8_t *p, const uint8_t *end)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;
	uint32_t c;

	if (n <= 1)
		return n;
	if ((size_t)(end - p) < n)
		return 0;
	c = *p & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static int check_text(const uint8_t *p, size_t len, struct err *e)
{
	for (const uint8_t *end = p + len; p < end;) {
		size_t n = *p ? utf8_length(p, end) : 0;

		if (!n)
			return err_set(e, EINVAL, "%s", *p ? "not UTF-8" : "a NUL byte");
		p += n;
	}
	return 0;
}

static int walk_block(struct walk *w, const ProtobufCFieldDescriptor *field, size_t len,
		      struct err *e)
{
	struct walk inner = { w->at, w->at + len, w->fields, w->depth + 1 };
	int r = 0;

	if (field && field->type == PROTOBUF_C_TYPE_STRING)
		r = check_text(w->at, len, e);
	else if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		r = walk_message(&inner, field->descriptor, e);
	else if (field && field->label == PROTOBUF_C_LABEL_REPEATED) /* packed numbers */
		*w->fields += len;
	w->at += len;
	return r < 0 ? err_wrap(e, "%s", field->name) : 0;
}

static int walk_field(struct walk *w, const ProtobufCMessageDescriptor *desc, struct err *e)
{
	const ProtobufCFieldDescriptor *field;
	uint64_t tag, n;
	size_t fixed = 0;

	if (!take_varint(w, &tag) || tag >> 3 == 0 || tag >> 32)
		return err_set(e, EINVAL, "malformed tag");
	if (++*w->fields > PBCHECK_FIELDS_MAX)
		return err_set(e, EMSGSIZE, "more than %d fields", PBCHECK_FIELDS_MAX);
	field = protobuf_c_message_descriptor_get_field(desc, (unsigned int)(tag >> 3));
	switch (tag & 7) {
	case 0:
		return take_varint(w, &n) ? 0 : err_set(e, EINVAL, "malformed number");
	case 1:
		fixed = 8;
		break;
	case 5:
		fixed = 4;
		break;
	case 2:
		if (!take_varint(w, &n) || n > (size_t)(w->end - w->at))
			return err_set(e, EINVAL, "malformed length");
		return walk_block(w, field, (size_t)n, e);
	default:
		return err_set(e, EINVAL, "wire type %d", (int)(tag & 7));
	}
	if ((size_t)(w->end - w->at) < fixed)
		return err_set(e, EINVAL, "cut short");
	w->at += fixed;
	return 0;
}

static int walk_message(struct walk *w, const ProtobufCMessageDescriptor *desc, struct err *e)
{
	if (w->depth > PBCHECK_DEPTH_MAX)
		return err_set(e, EINVAL, "nested too deeply");
	while (w->at < w->end)
		if (walk_field(w, desc, e) < 0)
			return -e->code;
	return 0;
}

int pbcheck(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len, struct err *e)
{
	size_t fields = 0;
	struct walk w = { data, data + len, &fields, 0 };

	if (!len)
		return 0;
	return walk_message(&w, desc, e);
}
