/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/schema.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

/* A member on the way: its row, its node, and what it is in. */
struct schema_item {
	const struct schema_item *up;
	const char *key; /* NULL: an element, of number index */
	size_t index;
	const struct schema_row *row;
	const struct json *node;
	void *ret; /* the struct that has the member */
};

static void *schema_at(const void *ret, size_t offset)
{
	return (char *)ret + offset;
}

static void *schema_member(const struct schema_item *i)
{
	return schema_at(i->ret, i->row->offset);
}

static void schema_path(const struct schema_item *i, struct str *s)
{
	if (!i)
		return;
	schema_path(i->up, s);
	if (i->key)
		str_printf(s, "%s%.64s", s->len ? "." : "", i->key);
	else
		str_printf(s, "[%zu]", i->index);
}

/* Puts the path before the reason, which may begin with the rest of the path. */
static int schema_blame(const struct schema_item *i, const char *separator, struct err *e)
{
	const struct err reason = *e;
	auto_str path = { 0 };

	schema_path(i, &path);
	return err_set(e, reason.code, "%s%s%s", path.text ?: "", path.len ? separator : "",
		       reason.msg);
}

bool schema_word(const struct schema_word *words, const char *name, unsigned long *ret)
{
	for (; words->name; words++) {
		if (str_is(words->name, name)) {
			*ret = words->value;
			return true;
		}
	}
	return false;
}

int schema_absolute(const char *text, struct err *e)
{
	return text[0] == '/' ? 0 : err_set(e, EINVAL, "not absolute");
}

/* A number of any size is the first bytes of a bigger one. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied by their low bytes");

static void schema_store(const struct schema_item *i, uint64_t n)
{
	memcpy(schema_member(i), &n, i->row->size);
}

static int schema_bool(const struct schema_item *i, struct err *e)
{
	(void)e;
	*(bool *)schema_member(i) = i->node->boolean;
	return 0;
}

static int schema_int(const struct schema_item *i, struct err *e)
{
	const struct schema_row *row = i->row;
	bool limited = row->min || row->max;
	int64_t most = INT64_MAX >> (64 - 8 * row->size);
	int64_t min = limited ? row->min : -most - 1;
	int64_t max = limited ? (int64_t)row->max : most;
	int64_t n;

	if (json_i64(i->node, &n) < 0)
		return err_set(e, EINVAL, "%.32s is no whole number in range", i->node->text);
	if (n < min || n > max)
		return err_set(e, ERANGE, "outside of %lld to %lld", (long long)min,
			       (long long)max);
	schema_store(i, (uint64_t)n);
	return 0;
}

static int schema_uint_of(const struct schema_row *row, const struct json *node, uint64_t *ret,
			  struct err *e)
{
	uint64_t min = (uint64_t)row->min;
	uint64_t max = row->max ? row->max : UINT64_MAX >> (64 - 8 * row->size);
	uint64_t n;

	if (node->type != JSON_NUMBER)
		return err_set(e, EINVAL, "not a number");
	if (json_u64(node, &n) < 0)
		return err_set(e, EINVAL, "%.32s is no whole number in range", node->text);
	if (n > max && row->flags & SCHEMA_CLAMP)
		n = max;
	if (n < min || n > max)
		return err_set(e, ERANGE, "outside of %llu to %llu", (unsigned long long)min,
			       (unsigned long long)max);
	*ret = n;
	return 0;
}

static int schema_uint(const struct schema_item *i, struct err *e)
{
	uint64_t n;

	if (schema_uint_of(i->row, i->node, &n, e) < 0)
		return -e->code;
	schema_store(i, n);
	return 0;
}

static int schema_empty(const struct schema_item *i, struct err *e)
{
	return i->row->flags & SCHEMA_NEED ? err_set(e, EINVAL, "empty") : 0;
}

static int schema_text(const struct schema_item *i, struct err *e)
{
	const char *text = i->node->text;

	if (text[0] == '\0')
		return schema_empty(i, e);
	if (i->row->check && i->row->check(text, e) < 0)
		return -e->code;
	*(const char **)schema_member(i) = text;
	return 0;
}

static int schema_string(const struct schema_item *i, struct err *e)
{
	(void)e;
	mem_replace(schema_member(i), i->node->text);
	return 0;
}

static int schema_word_read(const struct schema_item *i, struct err *e)
{
	unsigned long value;

	if (i->node->text[0] == '\0')
		return schema_empty(i, e);
	if (!schema_word(i->row->words, i->node->text, &value))
		return err_set(e, EINVAL, "%.48s is unknown", i->node->text);
	schema_store(i, value);
	return 0;
}

static int schema_own(const struct schema_item *i, struct err *e)
{
	return i->row->read(i->node, schema_member(i), e);
}

static int schema_tree(const struct schema_item *i, struct err *e)
{
	(void)e;
	*(const struct json **)schema_member(i) = i->node;
	return 0;
}

static int schema_raw(const struct schema_item *i, struct err *e)
{
	auto_json_out o = { 0 };

	(void)e;
	json_out_json(&o, NULL, i->node);
	*(char **)schema_member(i) = json_out_take(&o);
	return 0;
}

static int schema_void(const struct schema_item *i, struct err *e)
{
	const struct json *node = i->node;
	int64_t n = 0;
	bool something = true;

	if (node->type == JSON_BOOL)
		something = node->boolean;
	else if (node->type == JSON_NUMBER)
		something = json_i64(node, &n) < 0 || (n != 0 && n != -1);
	else if (node->type == JSON_OBJECT || node->type == JSON_ARRAY)
		something = node->count > 0;
	return something ? err_set(e, ENOTSUP, "%s", i->row->why) : 0;
}

/* What has children names the one that is wrong. */
static int schema_blame_child(const struct schema_item *i, const struct json *child, size_t index,
			      struct err *e)
{
	const struct schema_item at = { .up = i, .key = child->key, .index = index };

	return schema_blame(&at, ": ", e);
}

/* Room for all elements, with one of zeros behind the last. */
static void *schema_room(const struct schema_item *i, size_t size)
{
	void *rows = mem_array(i->node->count + 1, size);

	*(void **)schema_member(i) = rows;
	return rows;
}

static int schema_ids(const struct schema_item *i, struct err *e)
{
	const struct schema_row id = { .max = UINT32_MAX - 1 };
	uint32_t *rows = schema_room(i, sizeof(*rows));
	size_t *count = schema_at(i->ret, i->row->mark);
	uint64_t n;

	json_each(child, i->node) {
		if (schema_uint_of(&id, child, &n, e) < 0)
			return schema_blame_child(i, child, *count, e);
		rows[(*count)++] = (uint32_t)n;
	}
	return 0;
}

static int schema_is_texts(const struct schema_item *i,
			   int (*check)(const char *text, struct err *e), struct err *e)
{
	size_t n = 0;

	json_each(child, i->node) {
		if (child->type != JSON_STRING)
			err_set(e, EINVAL, "not a text");
		if (child->type != JSON_STRING || (check && check(child->text, e) < 0))
			return schema_blame_child(i, child, n, e);
		n++;
	}
	return 0;
}

static int schema_texts(const struct schema_item *i, struct err *e)
{
	const char **rows = schema_room(i, sizeof(*rows));

	if (schema_is_texts(i, i->row->check, e) < 0)
		return -e->code;
	json_each(child, i->node)
		*rows++ = child->text;
	if (i->row->mark)
		*(size_t *)schema_at(i->ret, i->row->mark) = i->node->count;
	return 0;
}

static int schema_words(const struct schema_item *i, struct err *e)
{
	unsigned long value;
	uint64_t values = 0;
	size_t n = 0;

	if (schema_is_texts(i, NULL, e) < 0)
		return -e->code;
	memcpy(&values, schema_member(i), i->row->size);
	json_each(child, i->node) {
		if (!schema_word(i->row->words, child->text, &value)) {
			err_set(e, EINVAL, "%.48s is unknown", child->text);
			return schema_blame_child(i, child, n, e);
		}
		values |= value;
		n++;
	}
	schema_store(i, values);
	return 0;
}

static int schema_own_texts(const struct schema_item *i, struct err *e)
{
	if (schema_is_texts(i, NULL, e) < 0)
		return -e->code;
	return schema_own(i, e) < 0 ? schema_blame(i, ": ", e) : 0;
}

static int schema_text_tree(const struct schema_item *i, struct err *e)
{
	json_each(child, i->node) {
		if (child->key[0] == '\0') {
			err_set(e, EINVAL, "an empty key");
			return schema_blame(i, ": ", e);
		}
	}
	return schema_is_texts(i, NULL, e) < 0 ? -e->code : schema_tree(i, e);
}

static int schema_members(const struct schema *s, const struct json *node, void *ret,
			  const struct schema_item *up, struct err *e);

static int schema_object(const struct schema_item *i, struct err *e)
{
	return schema_members(i->row->sub, i->node, schema_member(i), i, e);
}

/* Each is counted before it is read, so that schema_done() finds a half read one. */
static int schema_list(const struct schema_item *i, struct err *e)
{
	const struct schema *sub = i->row->sub;
	size_t *count = schema_at(i->ret, i->row->mark);
	char *element = schema_room(i, sub->size);

	json_each(child, i->node) {
		const struct schema_item at = { .up = i, .key = child->key, .index = (*count)++ };

		if (sub->init)
			memcpy(element, sub->init, sub->size);
		if (i->row->kind == SCHEMA_MAP)
			*(const char **)(void *)element = child->key;
		if (schema_members(sub, child, element, &at, e) < 0)
			return -e->code;
		element += sub->size;
	}
	return 0;
}

static const struct schema_reader {
	enum json_type type; /* JSON_NULL: any */
	bool blames; /* names by itself what is wrong */
	int (*read)(const struct schema_item *i, struct err *e);
} schema_readers[] = {
	[SCHEMA_BOOL] = { JSON_BOOL, false, schema_bool },
	[SCHEMA_INT] = { JSON_NUMBER, false, schema_int },
	[SCHEMA_UINT] = { JSON_NUMBER, false, schema_uint },
	[SCHEMA_IDS] = { JSON_ARRAY, true, schema_ids },
	[SCHEMA_TEXT] = { JSON_STRING, false, schema_text },
	[SCHEMA_TEXTS] = { JSON_ARRAY, true, schema_texts },
	[SCHEMA_STRING] = { JSON_STRING, false, schema_string },
	[SCHEMA_WORD] = { JSON_STRING, false, schema_word_read },
	[SCHEMA_WORDS] = { JSON_ARRAY, true, schema_words },
	[SCHEMA_OWN_TEXT] = { JSON_STRING, false, schema_own },
	[SCHEMA_OWN_TEXTS] = { JSON_ARRAY, true, schema_own_texts },
	[SCHEMA_OBJECT] = { JSON_OBJECT, true, schema_object },
	[SCHEMA_LIST] = { JSON_ARRAY, true, schema_list },
	[SCHEMA_MAP] = { JSON_OBJECT, true, schema_list },
	[SCHEMA_TREE] = { JSON_OBJECT, false, schema_tree },
	[SCHEMA_TEXT_TREE] = { JSON_OBJECT, true, schema_text_tree },
	[SCHEMA_RAW] = { JSON_NULL, false, schema_raw },
	[SCHEMA_VOID] = { JSON_NULL, false, schema_void },
};

static int schema_fits(const struct schema_item *i, enum json_type type, struct err *e)
{
	const struct json *node = i->node;
	size_t len;

	if (node->type != type)
		return err_set(e, EINVAL, "not %s", json_type_names[type]);
	len = type == JSON_STRING ? strlen(node->text) : node->count;
	if (type != JSON_NUMBER && i->row->max && len > i->row->max)
		return err_set(e, E2BIG, "%s than %u", type == JSON_STRING ? "longer" : "more",
			       i->row->max);
	return 0;
}

static int schema_one(const struct schema_item *i, struct err *e)
{
	const struct schema_row *row = i->row;
	const struct schema_reader *r = &schema_readers[row->kind];
	bool counted = row->kind == SCHEMA_IDS || row->kind == SCHEMA_TEXTS ||
		       row->kind == SCHEMA_LIST || row->kind == SCHEMA_MAP;

	if (r->type != JSON_NULL && schema_fits(i, r->type, e) < 0)
		return schema_blame(i, ": ", e);
	if (r->read(i, e) < 0)
		return r->blames ? -e->code : schema_blame(i, ": ", e);
	if (row->mark && !counted)
		*(bool *)schema_at(i->ret, row->mark) = true;
	return 0;
}

/* Files have their members mostly in the order of the rows: from is where the last one was. */
static const struct schema_row *schema_find(const struct schema_row *rows,
					    const struct schema_row *from, const char *key)
{
	for (const struct schema_row *row = from; row->key[0]; row++) {
		if (str_eq(row->key, key))
			return row;
	}
	for (const struct schema_row *row = rows; row < from; row++) {
		if (str_eq(row->key, key))
			return row;
	}
	return NULL;
}

static bool schema_is_none(const struct schema_row *row, const struct json *node)
{
	return node->type == JSON_NULL ||
	       (row->kind == SCHEMA_OBJECT && node->type == JSON_OBJECT && node->count == 0);
}

static int schema_members(const struct schema *s, const struct json *node, void *ret,
			  const struct schema_item *up, struct err *e)
{
	const struct schema_row *from = s->rows;
	uint64_t seen = 0;

	if (node->type != JSON_OBJECT) {
		err_set(e, EINVAL, "not an object");
		return schema_blame(up, ": ", e);
	}
	json_each(child, node) {
		const struct schema_row *row = schema_find(s->rows, from, child->key);
		const struct schema_item item = { up, child->key, 0, row, child, ret };

		if (!row && s->closed) {
			err_set(e, EINVAL, "unknown key");
			return schema_blame(&item, ": ", e);
		}
		if (!row || schema_is_none(row, child))
			continue;
		if (schema_one(&item, e) < 0)
			return -e->code;
		seen |= 1ull << (row - s->rows);
		from = row + 1;
	}
	for (const struct schema_row *row = s->rows; row->key[0]; row++, seen >>= 1) {
		if (row->flags & SCHEMA_NEED && !(seen & 1)) {
			err_set(e, EINVAL, "%s: missing", row->key);
			return schema_blame(up, ".", e);
		}
	}
	return s->check && s->check(ret, e) < 0 ? schema_blame(up, ".", e) : 0;
}

int schema_read(const struct schema *s, const struct json *node, const char *name, void *ret,
		struct err *e)
{
	struct schema_item top = { .key = name };

	return schema_members(s, node, ret, name[0] ? &top : NULL, e);
}

void schema_write(const struct schema *s, const void *from, struct json_out *o)
{
	for (const struct schema_row *row = s->rows; row->key[0]; row++) {
		const void *member = schema_at(from, row->offset);
		unsigned int unused = 64 - 8 * row->size; /* bits, of a number */
		uint64_t n = 0;
		const char *text;

		switch (row->kind) {
		case SCHEMA_BOOL:
			if (*(const bool *)member)
				json_out_bool(o, row->key, true);
			break;
		case SCHEMA_INT:
			memcpy(&n, member, row->size);
			/* from above down again: with the sign */
			if (n)
				json_out_int(o, row->key, (int64_t)(n << unused) >> unused);
			break;
		case SCHEMA_UINT:
			memcpy(&n, member, row->size);
			if (n)
				json_out_uint(o, row->key, n);
			break;
		case SCHEMA_RAW:
			text = *(const char *const *)member;
			if (text)
				json_out_raw(o, row->key, text);
			break;
		default:
			text = *(const char *const *)member;
			if (text)
				json_out_text(o, row->key, text);
		}
	}
}

void schema_done(const struct schema *s, void *ret)
{
	for (const struct schema_row *row = s->rows; row->key[0]; row++) {
		void *member = schema_at(ret, row->offset);

		switch (row->kind) {
		case SCHEMA_OBJECT:
			schema_done(row->sub, member);
			break;
		case SCHEMA_LIST:
		case SCHEMA_MAP:
			for (size_t i = 0; i < *(size_t *)schema_at(ret, row->mark); i++)
				schema_done(row->sub,
					    schema_at(*(void **)member, i * row->sub->size));
			free(*(void **)member);
			break;
		case SCHEMA_IDS:
		case SCHEMA_TEXTS:
		case SCHEMA_STRING:
		case SCHEMA_RAW:
			free(*(void **)member);
			break;
		default:
			break;
		}
	}
	if (s->done)
		s->done(ret);
}
