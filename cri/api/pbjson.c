/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages as JSON; see pbjson.h. */
#include "cri/api/pbjson.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cri/api/api.pb-c.h"
#include "lib/mem.h"
#include "lib/str.h"

/* What a field holds, by its type: the member in the message's C struct. */
union value {
	const void *raw;
	const int32_t *i32;
	const uint32_t *u32;
	const int64_t *i64;
	const uint64_t *u64;
	const protobuf_c_boolean *boolean;
	const double *real;
	char *const *text;
	const ProtobufCBinaryData *bytes;
	ProtobufCMessage *const *message;
};

static bool is_map(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_MESSAGE && f->label == PROTOBUF_C_LABEL_REPEATED &&
	       f->descriptor == &cri__map_entry__descriptor;
}

static void put_enum(struct json_out *out, const char *key, const ProtobufCEnumDescriptor *desc,
		     int32_t n)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(desc, n);

	if (v)
		json_out_text(out, key, v->name);
	else
		json_out_int(out, key, n);
}

/* Nearly always text; what is not is written as \xHEX... */
static void put_bytes(struct json_out *out, const char *key, const ProtobufCBinaryData *b)
{
	auto_free char *text = mem_alloc(2 * b->len + 3);
	bool plain = true;

	for (size_t i = 0; i < b->len && plain; i++)
		plain = b->data[i] >= 0x20 && b->data[i] < 0x7f;
	if (plain && !(b->len > 1 && memcmp(b->data, "\\x", 2) == 0)) {
		if (b->len)
			memcpy(text, b->data, b->len);
	} else {
		memcpy(text, "\\x", 2);
		str_hex(text + 2, b->data, b->len);
	}
	json_out_text(out, key, text);
}

static void put_value(struct json_out *out, const char *key, const ProtobufCFieldDescriptor *f,
		      union value v)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		json_out_int(out, key, *v.i32);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		json_out_uint(out, key, *v.u32);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		json_out_int(out, key, *v.i64);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		json_out_uint(out, key, *v.u64);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		json_out_bool(out, key, *v.boolean);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(out, key, f->descriptor, *v.i32);
		break;
	case PROTOBUF_C_TYPE_STRING:
		json_out_text(out, key, *v.text);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(out, key, v.bytes);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		pbjson_put(out, key, *v.message);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: /* measurements only: nothing that is recorded */
		break;
	}
}

static bool is_default(const ProtobufCFieldDescriptor *f, union value v)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return *v.u32 == 0;
	case PROTOBUF_C_TYPE_ENUM: /* zero is a word: SANDBOX_READY */
		return false;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return *v.u64 == 0;
	case PROTOBUF_C_TYPE_BOOL:
		return !*v.boolean;
	case PROTOBUF_C_TYPE_STRING:
		return !*v.text || !**v.text;
	case PROTOBUF_C_TYPE_BYTES:
		return v.bytes->len == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*v.message;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		break;
	}
	return true;
}

static size_t value_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return sizeof(void *);
}

/* The last one of a key counts, and JSON has room for one. */
static bool is_repeated_later(const Cri__MapEntry *const *entries, size_t i, size_t count)
{
	for (size_t k = i + 1; k < count; k++)
		if (str_eq(entries[i]->key, entries[k]->key))
			return true;
	return false;
}

static void put_repeated(struct json_out *out, const ProtobufCFieldDescriptor *f, const char *base)
{
	size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset);
	const char *items = *(const char *const *)(const void *)(base + f->offset);

	if (!count)
		return;
	if (is_map(f)) {
		const Cri__MapEntry *const *entries = (const void *)items;

		json_out_object(out, f->name);
		for (size_t i = 0; i < count; i++)
			if (!is_repeated_later(entries, i, count))
				json_out_text(out, entries[i]->key, entries[i]->value);
		json_out_end(out);
		return;
	}
	json_out_array(out, f->name);
	for (size_t i = 0; i < count; i++)
		put_value(out, NULL, f, (union value){ .raw = items + i * value_size(f) });
	json_out_end(out);
}

void pbjson_put(struct json_out *out, const char *key, const ProtobufCMessage *msg)
{
	const char *base = (const char *)msg;

	json_out_object(out, key);
	for (unsigned int i = 0; i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[i];
		union value v = { .raw = base + f->offset };

		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			put_repeated(out, f, base);
		else if (!is_default(f, v))
			put_value(out, f->name, f, v);
	}
	json_out_end(out);
}

/* Reading ---------------------------------------------------------------------- */

static int get_text(const struct json *node, char **ret, struct err *e)
{
	if (node->type != JSON_STRING)
		return err_set(e, EINVAL, "no text");
	*ret = mem_strdup(node->text);
	return 0;
}

static int get_enum(const ProtobufCEnumDescriptor *desc, const struct json *node, int32_t *ret,
		    struct err *e)
{
	const ProtobufCEnumValue *v = NULL;
	int64_t n;

	if (node->type == JSON_STRING)
		v = protobuf_c_enum_descriptor_get_value_by_name(desc, node->text);
	else if (json_i64(node, &n) == 0 && n == (int32_t)n) {
		*ret = (int32_t)n;
		return 0;
	}
	if (!v)
		return err_set(e, EINVAL, "no %s", desc->short_name);
	*ret = v->value;
	return 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int get_bytes(const struct json *node, ProtobufCBinaryData *ret, struct err *e)
{
	const char *text = node->text;
	auto_free uint8_t *data = NULL;
	size_t len;

	if (node->type != JSON_STRING)
		return err_set(e, EINVAL, "no text");
	if (!str_starts(text, "\\x")) {
		*ret = (ProtobufCBinaryData){ .len = strlen(text),
					      .data = (uint8_t *)mem_strdup(text) };
		return 0;
	}
	text += 2;
	len = strlen(text);
	data = mem_alloc(len / 2 + 1);
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return err_set(e, EINVAL, "no hex digits");
		data[i / 2] = (uint8_t)(high << 4 | low);
	}
	*ret = (ProtobufCBinaryData){ .len = len / 2, .data = mem_take(&data) };
	return 0;
}

static int get_number(const ProtobufCFieldDescriptor *f, const struct json *node, void *at,
		      struct err *e)
{
	int64_t n = 0;
	uint64_t u = 0;
	bool is_signed = f->type != PROTOBUF_C_TYPE_UINT32 && f->type != PROTOBUF_C_TYPE_UINT64;
	int r = is_signed ? json_i64(node, &n) : json_u64(node, &u);

	if (is_signed)
		u = (uint64_t)n;
	if (r == 0 && value_size(f) == sizeof(uint32_t)) {
		uint32_t small = (uint32_t)u;

		if (is_signed ? n != (int32_t)n : u > UINT32_MAX)
			r = -ERANGE;
		memcpy(at, &small, sizeof(small));
	} else if (r == 0) {
		memcpy(at, &u, sizeof(u));
	}
	return r < 0 ? err_set(e, EINVAL, "no number in range") : 0;
}

static int get_value(const ProtobufCFieldDescriptor *f, const struct json *node, void *at,
		     struct err *e)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		if (node->type != JSON_BOOL)
			return err_set(e, EINVAL, "neither true nor false");
		*(protobuf_c_boolean *)at = node->boolean;
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		return get_enum(f->descriptor, node, at, e);
	case PROTOBUF_C_TYPE_STRING:
		return get_text(node, at, e);
	case PROTOBUF_C_TYPE_BYTES:
		return get_bytes(node, at, e);
	case PROTOBUF_C_TYPE_MESSAGE:
		return pbjson_get(f->descriptor, node, at, e);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 0;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		break;
	}
	return get_number(f, node, at, e);
}

static int get_map(const struct json *node, Cri__MapEntry **items, size_t *count, struct err *e)
{
	json_each(child, node) {
		Cri__MapEntry *entry = mem_alloc(sizeof(*entry));

		cri__map_entry__init(entry);
		entry->key = mem_strdup(child->key);
		items[(*count)++] = entry;
		if (get_text(child, &entry->value, e) < 0)
			return err_wrap(e, "%s", child->key);
	}
	return 0;
}

static int get_repeated(const ProtobufCFieldDescriptor *f, const struct json *node, char *base,
			struct err *e)
{
	size_t *count = (size_t *)(void *)(base + f->quantifier_offset);
	char *items;

	if (node->type != (is_map(f) ? JSON_OBJECT : JSON_ARRAY))
		return err_set(e, EINVAL, "%s", is_map(f) ? "no object" : "no array");
	if (!node->count)
		return 0;
	items = mem_array(node->count, value_size(f));
	*(char **)(void *)(base + f->offset) = items;
	if (is_map(f))
		return get_map(node, (Cri__MapEntry **)(void *)items, count, e);
	json_each(child, node) {
		if (get_value(f, child, items + *count * value_size(f), e) < 0)
			return -e->code;
		(*count)++;
	}
	return 0;
}

int pbjson_get(const ProtobufCMessageDescriptor *desc, const struct json *node,
	       ProtobufCMessage **ret, struct err *e)
{
	ProtobufCMessage *msg;

	if (!node || node->type != JSON_OBJECT)
		return err_set(e, EINVAL, "no object");
	msg = mem_alloc(desc->sizeof_message);
	protobuf_c_message_init(desc, msg);
	for (unsigned int i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &desc->fields[i];
		const struct json *child = json_get(node, f->name);
		char *base = (char *)msg;
		int r;

		if (!child || child->type == JSON_NULL)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			r = get_repeated(f, child, base, e);
		else
			r = get_value(f, child, base + f->offset, e);
		if (r < 0) {
			protobuf_c_message_free_unpacked(msg, NULL);
			return err_wrap(e, "%s", f->name);
		}
	}
	*ret = msg;
	return 0;
}

ProtobufCMessage *pbjson_copy(const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	auto_free uint8_t *data = mem_alloc(len + 1);
	ProtobufCMessage *copy;

	protobuf_c_message_pack(msg, data);
	copy = protobuf_c_message_unpack(msg->descriptor, NULL, len, data);
	if (!copy)
		abort(); /* out of memory: what we packed is well formed */
	return copy;
}
