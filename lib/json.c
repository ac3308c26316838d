/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/json.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "lib/mem.h"
#include "lib/str.h"

/* All nodes and strings of a tree live in a chain of blocks behind its root. */
struct json_block {
	struct json_block *older;
	size_t used, size;
	char data[];
};

struct json_tree {
	struct json root; /* first: the root is the handle */
	struct json_block *blocks;
};

struct json_reader {
	struct json_tree *tree;
	struct json *stack[JSON_DEPTH_MAX];
	size_t depth;
	size_t nodes;
	const char *key;
	bool have_root;
	yajl_handle parser;
	size_t end; /* of the root in the text */
	struct err *e;
};

static void *json_room(struct json_tree *tree, size_t size)
{
	struct json_block *b = tree->blocks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!b || b->size - b->used < size) {
		size_t want = b ? b->size * 2 : 4096;

		if (want > 1 << 20)
			want = 1 << 20;
		if (want < size)
			want = size;
		b = mem_alloc(sizeof(*b) + want);
		b->size = want;
		b->older = tree->blocks;
		tree->blocks = b;
	}
	p = b->data + b->used;
	b->used += size;
	return p;
}

static const char *json_keep(struct json_reader *r, const unsigned char *text, size_t len)
{
	char *copy;

	if (memchr(text, '\0', len)) {
		err_set(r->e, EINVAL, "a NUL in a string");
		return NULL;
	}
	copy = json_room(r->tree, len + 1);
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* the parser lets surrogates and needlessly long sequences through, our peers do not */
	if (!str_is_utf8(copy)) {
		err_set(r->e, EINVAL, "a string that is no UTF-8");
		return NULL;
	}
	return copy;
}

/* Puts a node where the reader stands; NULL with the error set. */
static struct json *json_add(struct json_reader *r, enum json_type type)
{
	struct json *parent = r->depth ? r->stack[r->depth - 1] : NULL;
	struct json *node;

	if (++r->nodes > JSON_NODES_MAX) {
		err_set(r->e, E2BIG, "more than %d values", JSON_NODES_MAX);
		return NULL;
	}
	if (!parent) {
		node = &r->tree->root;
		r->have_root = true;
		r->end = yajl_get_bytes_consumed(r->parser);
	} else {
		node = json_room(r->tree, sizeof(*node));
		memset(node, 0, sizeof(*node));
		node->key = mem_take(&r->key);
		if (parent->last)
			parent->last->next = node;
		else
			parent->first = node;
		parent->last = node;
		parent->count++;
	}
	node->type = type;
	return node;
}

static int json_push(struct json_reader *r, enum json_type type)
{
	struct json *node = json_add(r, type);

	if (!node)
		return 0;
	if (r->depth == JSON_DEPTH_MAX) {
		err_set(r->e, E2BIG, "deeper than %d", JSON_DEPTH_MAX);
		return 0;
	}
	r->stack[r->depth++] = node;
	return 1;
}

static int json_on_null(void *ctx)
{
	return json_add(ctx, JSON_NULL) != NULL;
}

static int json_on_boolean(void *ctx, int value)
{
	struct json *node = json_add(ctx, JSON_BOOL);

	if (node)
		node->boolean = value;
	return node != NULL;
}

static int json_on_number(void *ctx, const char *text, size_t len)
{
	struct json *node = json_add(ctx, JSON_NUMBER);

	if (node)
		node->text = json_keep(ctx, (const unsigned char *)text, len);
	return node && node->text;
}

static int json_on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct json *node = json_add(ctx, JSON_STRING);

	if (node)
		node->text = json_keep(ctx, text, len);
	return node && node->text;
}

static int json_on_start_map(void *ctx)
{
	return json_push(ctx, JSON_OBJECT);
}

static int json_on_map_key(void *ctx, const unsigned char *text, size_t len)
{
	struct json_reader *r = ctx;
	const struct json *object = r->stack[r->depth - 1];

	r->key = json_keep(r, text, len);
	if (!r->key)
		return 0;
	if (object->count >= JSON_KEYS_MAX) {
		err_set(r->e, E2BIG, "more than %d keys in an object", JSON_KEYS_MAX);
		return 0;
	}
	return 1;
}

static int json_on_start_array(void *ctx)
{
	return json_push(ctx, JSON_ARRAY);
}

static int json_on_end(void *ctx)
{
	struct json_reader *r = ctx;

	if (--r->depth == 0)
		r->end = yajl_get_bytes_consumed(r->parser);
	return 1;
}

static int json_compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Looked for at the end and by sorting: with each key, thousands of keys would take seconds. */
static int json_on_end_map(void *ctx)
{
	struct json_reader *r = ctx;
	const struct json *object = r->stack[r->depth - 1];
	auto_free const char **many = NULL;
	const char *few[16], **keys = few;
	size_t n = 0;

	if (object->count > sizeof(few) / sizeof(few[0]))
		keys = many = mem_array(object->count, sizeof(*keys));
	json_each(child, object)
		keys[n++] = child->key;
	qsort(keys, n, sizeof(*keys), json_compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (str_eq(keys[i - 1], keys[i])) {
			auto_free char *shown = str_escape(keys[i], strlen(keys[i]), 64);

			err_set(r->e, EINVAL, "key %s twice", shown);
			return 0;
		}
	}
	return json_on_end(ctx);
}

static const yajl_callbacks json_callbacks = {
	.yajl_null = json_on_null,
	.yajl_boolean = json_on_boolean,
	.yajl_number = json_on_number,
	.yajl_string = json_on_string,
	.yajl_start_map = json_on_start_map,
	.yajl_map_key = json_on_map_key,
	.yajl_end_map = json_on_end_map,
	.yajl_start_array = json_on_start_array,
	.yajl_end_array = json_on_end,
};

/* The parser's own message has a picture of the place in further lines; the first says it. */
static int json_syntax_error(yajl_handle parser, const char *text, size_t len, struct err *e)
{
	size_t at = yajl_get_bytes_consumed(parser);
	unsigned char *why = yajl_get_error(parser, 0, (const unsigned char *)text, len);
	size_t line = 1;

	for (size_t i = 0; i < at && i < len; i++)
		line += text[i] == '\n';
	why[strcspn((char *)why, "\n")] = '\0';
	err_set(e, EINVAL, "JSON line %zu: %s", line, (const char *)why);
	yajl_free_error(parser, why);
	return -EINVAL;
}

/* Behind the end of a text the parser lets half a token through. */
static bool json_is_blank(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && memchr(" \t\r\n\v\f", text[i], 6))
		i++;
	return i == len;
}

/* The number of an escape \uXXXX at text; -1: there is none. */
static int json_escape(const char *text, const char *end)
{
	int n = 0;

	if (end - text < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = strchr(digits, text[i] | 0x20);

		if (!d || !*d)
			return -1;
		n = n << 4 | (int)(d - digits);
	}
	return n;
}

/* The parser makes one character of the first half of a pair and whatever escape comes next. */
static bool json_has_half_a_pair(const char *text, size_t len)
{
	const char *end = text + len;

	while ((text = memchr(text, '\\', (size_t)(end - text)))) {
		int low, n = json_escape(text, end);

		if (n < 0xd800 || n > 0xdfff) {
			text += text + 1 < end ? 2 : 1;
			continue;
		}
		low = json_escape(text + 6, end);
		if (n > 0xdbff || low < 0xdc00 || low > 0xdfff)
			return true;
		text += 12;
	}
	return false;
}

static int json_run(struct json_reader *r, const char *text, size_t len)
{
	yajl_status status = yajl_parse(r->parser, (const unsigned char *)text, len);
	bool number; /* alone: it ends with the text */

	if (status == yajl_status_ok) {
		number = !r->have_root;
		status = yajl_complete_parse(r->parser);
		r->end = number ? len : r->end;
	}
	if (status == yajl_status_client_canceled)
		return err_wrap(r->e, "JSON");
	if (status != yajl_status_ok)
		return json_syntax_error(r->parser, text, len, r->e);
	if (!r->have_root || r->depth > 0)
		return err_set(r->e, EINVAL, "JSON: ends too early");
	if (!json_is_blank(text + r->end, len - r->end))
		return err_set(r->e, EINVAL, "JSON: goes on behind its end");
	return 0;
}

int json_parse(const char *text, size_t len, struct json **ret, struct err *e)
{
	struct json_reader r = { .e = e };
	auto_json *root = NULL;
	int result;

	if (len > JSON_TEXT_MAX)
		return err_set(e, EFBIG, "JSON of %zu bytes", len);
	if (json_has_half_a_pair(text, len))
		return err_set(e, EINVAL, "JSON: half a surrogate pair");
	e->code = 0;
	r.tree = mem_alloc(sizeof(*r.tree));
	root = &r.tree->root;
	r.parser = yajl_alloc(&json_callbacks, NULL, &r);
	if (!r.parser)
		return err_set(e, ENOMEM, "JSON parser");
	result = json_run(&r, text, len);
	yajl_free(r.parser);
	if (result < 0)
		return result;
	*ret = mem_take(&root);
	return 0;
}

void json_free(struct json *root)
{
	struct json_tree *tree = (struct json_tree *)root;

	if (!tree)
		return;
	while (tree->blocks) {
		struct json_block *b = tree->blocks;

		tree->blocks = b->older;
		free(b);
	}
	free(tree);
}

const struct json *json_get(const struct json *obj, const char *key)
{
	if (!obj || obj->type != JSON_OBJECT)
		return NULL;
	json_each(child, obj) {
		if (str_eq(child->key, key))
			return child;
	}
	return NULL;
}

static const char *const json_type_names[] = { "null",	 "a boolean", "a number",
					       "a text", "an array",  "an object" };

/* 1 and the node when present with the type, 0 when absent or null. */
static int json_member(const struct json *obj, const char *key, enum json_type type,
		       const struct json **ret, struct err *e)
{
	const struct json *node = json_get(obj, key);

	if (!node || node->type == JSON_NULL)
		return 0;
	if (node->type != type)
		return err_set(e, EINVAL, "%s: not %s", key, json_type_names[type]);
	*ret = node;
	return 1;
}

int json_get_text(const struct json *obj, const char *key, const char **ret, struct err *e)
{
	const struct json *node;
	int r = json_member(obj, key, JSON_STRING, &node, e);

	if (r > 0)
		*ret = node->text;
	return r;
}

int json_need_text(const struct json *obj, const char *key, const char **ret, struct err *e)
{
	int r = json_get_text(obj, key, ret, e);

	return r == 0 ? err_set(e, EINVAL, "%s: missing", key) : r;
}

int json_get_bool(const struct json *obj, const char *key, bool *ret, struct err *e)
{
	const struct json *node;
	int r = json_member(obj, key, JSON_BOOL, &node, e);

	if (r > 0)
		*ret = node->boolean;
	return r;
}

int json_u64(const struct json *node, uint64_t *ret)
{
	return node->type == JSON_NUMBER ? str_to_u64(node->text, ret) : -EINVAL;
}

int json_i64(const struct json *node, int64_t *ret)
{
	return node->type == JSON_NUMBER ? str_to_i64(node->text, ret) : -EINVAL;
}

int json_get_i64(const struct json *obj, const char *key, int64_t *ret, struct err *e)
{
	const struct json *node;
	int r = json_member(obj, key, JSON_NUMBER, &node, e);

	if (r > 0 && json_i64(node, ret) < 0)
		return err_set(e, EINVAL, "%s: %.32s is no whole number in range", key, node->text);
	return r;
}

int json_get_u64(const struct json *obj, const char *key, uint64_t *ret, struct err *e)
{
	const struct json *node;
	int r = json_member(obj, key, JSON_NUMBER, &node, e);

	if (r > 0 && json_u64(node, ret) < 0)
		return err_set(e, EINVAL, "%s: %.32s is no whole number in range", key, node->text);
	return r;
}

int json_get_u32(const struct json *obj, const char *key, uint32_t *ret, struct err *e)
{
	uint64_t n = 0;
	int r = json_get_u64(obj, key, &n, e);

	if (r > 0 && n > UINT32_MAX)
		return err_set(e, EINVAL, "%s: out of range", key);
	if (r > 0)
		*ret = (uint32_t)n;
	return r;
}

int json_get_int(const struct json *obj, const char *key, int *ret, struct err *e)
{
	int64_t n = 0;
	int r = json_get_i64(obj, key, &n, e);

	if (r > 0 && (n < INT_MIN || n > INT_MAX))
		return err_set(e, EINVAL, "%s: out of range", key);
	if (r > 0)
		*ret = (int)n;
	return r;
}

int json_get_array(const struct json *obj, const char *key, const struct json **ret, struct err *e)
{
	return json_member(obj, key, JSON_ARRAY, ret, e);
}

int json_get_object(const struct json *obj, const char *key, const struct json **ret, struct err *e)
{
	return json_member(obj, key, JSON_OBJECT, ret, e);
}

int json_get_texts(const struct json *obj, const char *key, const char ***ret, size_t *ret_count,
		   struct err *e)
{
	auto_free const char **texts = NULL;
	const struct json *node;
	size_t n = 0;
	int r = json_member(obj, key, JSON_ARRAY, &node, e);

	if (r <= 0)
		return r;
	texts = mem_array(node->count + 1, sizeof(*texts));
	json_each(item, node) {
		if (item->type != JSON_STRING)
			return err_set(e, EINVAL, "%s[%zu]: not a text", key, n);
		texts[n++] = item->text;
	}
	*ret_count = n;
	*ret = mem_take(&texts);
	return 1;
}
