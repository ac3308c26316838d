/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/json.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

/*
 * All nodes and strings of a tree live in a chain of blocks behind its root:
 * nodes from the front of a block, strings from its back. Blocks are not
 * zeroed, so that memory which is not used is not touched.
 */
struct json_block {
	struct json_block *older;
	size_t front, back;
	char data[];
};

struct json_tree {
	struct json root; /* first: the root is the handle */
	struct json_block *blocks;
	size_t next; /* the size of the next block */
};

struct json_reader {
	struct json_tree *tree;
	struct json *stack[JSON_DEPTH_MAX]; /* what is open */
	struct json *last[JSON_DEPTH_MAX]; /* the last child of each */
	size_t depth;
	size_t nodes;
	const char *key; /* of the value that comes */
	bool have_root;
	const char *text, *at, *end;
	struct err *e;
};

static struct json_block *json_new_block(struct json_tree *tree, size_t size)
{
	size_t want = tree->next > size ? tree->next : size;
	struct json_block *b = mem_realloc(NULL, sizeof(*b) + want);

	b->front = 0;
	b->back = want;
	b->older = tree->blocks;
	tree->blocks = b;
	if (tree->next < 1 << 20)
		tree->next *= 2;
	return b;
}

/* A block with room for size bytes. */
static inline struct json_block *json_block(struct json_tree *tree, size_t size)
{
	struct json_block *b = tree->blocks;

	return b && b->back - b->front >= size ? b : json_new_block(tree, size);
}

static int json_refuse(const struct json_reader *r, const char *why)
{
	return err_set(r->e, EINVAL, "JSON: %s", why);
}

/* What the grammar does not know, where the reader stands. */
static int json_syntax(const struct json_reader *r, const char *why)
{
	size_t line = 1;

	if (r->at >= r->end)
		return json_refuse(r, "ends too early");
	for (const char *p = r->text; p < r->at; p++)
		line += *p == '\n';
	return err_set(r->e, EINVAL, "JSON line %zu: %s", line, why);
}

/* Puts a node where the reader stands; NULL with the error set. */
static struct json *json_add(struct json_reader *r, enum json_type type)
{
	struct json *parent = r->depth ? r->stack[r->depth - 1] : NULL;
	struct json *node = &r->tree->root;

	if (++r->nodes > JSON_NODES_MAX) {
		err_set(r->e, E2BIG, "JSON: more than %d values", JSON_NODES_MAX);
		return NULL;
	}
	if (parent) {
		struct json_block *b = json_block(r->tree, sizeof(*node));

		node = (struct json *)(void *)(b->data + b->front);
		b->front += sizeof(*node);
		*node = (struct json){ .key = mem_take(&r->key) };
		if (parent->first)
			r->last[r->depth - 1]->next = node;
		else
			parent->first = node;
		r->last[r->depth - 1] = node;
		parent->count++;
	}
	r->have_root = true;
	node->type = type;
	return node;
}

static bool json_take(struct json_reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static void json_blanks(struct json_reader *r)
{
	const char *p = r->at;

	/* most of an indented text */
	if (p < r->end && *p == '\n')
		p++;
	while (r->end - p >= 8 && memcmp(p, "        ", 8) == 0)
		p += 8;
	while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	r->at = p;
}

/* The number of an escape \uXXXX at text; -1: there is none. */
static int json_escape(const char *text, const char *end)
{
	int n = 0;

	if (end - text < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isxdigit(c))
			return -1;
		n = n << 4 | (isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return n;
}

static char *json_put_utf8(char *to, unsigned int n)
{
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	int more = n < 0x80 ? 1 : n < 0x800 ? 2 : n < 0x10000 ? 3 : 4;

	for (int i = more - 1; i > 0; i--, n >>= 6)
		to[i] = (char)(0x80 | (n & 0x3f));
	*to = (char)(first[more] | n);
	return to + more;
}

/* What \u at *p means, with the second escape of a pair. */
static int json_unicode(const struct json_reader *r, const char **p, const char *end, char **to)
{
	int n = json_escape(*p, end);

	if (n <= 0)
		return n < 0 ? json_syntax(r, "an unknown escape")
			     : json_refuse(r, "a NUL in a string");
	*p += 6;
	if (n >= 0xd800 && n <= 0xdfff) {
		int low = json_escape(*p, end);

		if (n > 0xdbff || low < 0xdc00 || low > 0xdfff)
			return json_refuse(r, "half a surrogate pair");
		n = 0x10000 + ((n - 0xd800) << 10 | (low - 0xdc00));
		*p += 6;
	}
	*to = json_put_utf8(*to, (unsigned int)n);
	return 0;
}

/* The text from p to end, where no backslash is the last byte; it becomes no longer. */
static int json_unescape(const struct json_reader *r, const char *p, const char *end, char *to)
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

	while (p < end) {
		if (*p != '\\') {
			*to++ = *p++;
		} else if (p[1] == 'u') {
			if (json_unicode(r, &p, end, &to) < 0)
				return -r->e->code;
		} else {
			const char *name = memchr(names, p[1], sizeof(names) - 1);

			if (!name)
				return json_syntax(r, "an unknown escape");
			*to++ = meant[name - names];
			p += 2;
		}
	}
	*to = '\0';
	return 0;
}

#define JSON_EACH(byte) (0x0101010101010101u * (byte))

/* Eight bytes of a string with no control character, quote, backslash or UTF-8 among them. */
static bool json_is_plain(const char *p)
{
	uint64_t x, of_quote, of_backslash, borrow;

	memcpy(&x, p, sizeof(x));
	of_quote = x ^ JSON_EACH('"');
	of_backslash = x ^ JSON_EACH('\\');
	/* the lowest byte that is below borrows: its highest bit is set */
	borrow = (x - JSON_EACH(0x20)) | (of_quote - JSON_EACH(1)) | (of_backslash - JSON_EACH(1));
	return ((borrow | x) & JSON_EACH(0x80)) == 0;
}

/* From behind the opening quote to behind the closing one. */
static const char *json_string(struct json_reader *r)
{
	const char *begin = r->at, *p = begin, *end = r->end;
	unsigned char all = 0;
	bool plain = true;
	struct json_block *b;
	char *copy;

	while (end - p >= 8 && json_is_plain(p))
		p += 8;
	for (; p < end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			break;
		all |= (unsigned char)*p;
		if (*p == '\\') {
			plain = false;
			if (++p == end)
				break;
		}
	}
	r->at = p;
	if (p < end && *p != '"') {
		json_syntax(r, "a control character in a string");
		return NULL;
	}
	if (p == end) {
		json_syntax(r, "a string without an end");
		return NULL;
	}
	b = json_block(r->tree, (size_t)(r->at - begin) + 1);
	b->back -= (size_t)(r->at - begin) + 1;
	copy = b->data + b->back;
	if (!plain && json_unescape(r, begin, r->at, copy) < 0)
		return NULL;
	if (plain)
		*(char *)mempcpy(copy, begin, (size_t)(r->at - begin)) = '\0';
	if (all >= 0x80 && !str_is_utf8(copy)) {
		json_refuse(r, "a string that is no UTF-8");
		return NULL;
	}
	r->at++;
	return copy;
}

static bool json_digits(struct json_reader *r)
{
	const char *begin = r->at;

	while (r->at < r->end && isdigit((unsigned char)*r->at))
		r->at++;
	return r->at > begin;
}

/* Kept as it is written. */
static int json_number(struct json_reader *r)
{
	struct json *node = json_add(r, JSON_NUMBER);
	const char *begin = r->at;
	struct json_block *b;
	size_t len;

	if (!node)
		return -r->e->code;
	json_take(r, '-');
	if (!json_take(r, '0') && !json_digits(r))
		return json_syntax(r, "no value");
	if (json_take(r, '.') && !json_digits(r))
		return json_syntax(r, "no digit behind a point");
	if (json_take(r, 'e') || json_take(r, 'E')) {
		if (!json_take(r, '+'))
			json_take(r, '-');
		if (!json_digits(r))
			return json_syntax(r, "no digit in an exponent");
	}
	len = (size_t)(r->at - begin);
	b = json_block(r->tree, len + 1);
	b->back -= len + 1;
	node->text = memcpy(b->data + b->back, begin, len);
	b->data[b->back + len] = '\0';
	return 0;
}

static int json_word(struct json_reader *r, const char *word, enum json_type type)
{
	size_t len = strlen(word);
	struct json *node;

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return json_syntax(r, "no value");
	r->at += len;
	node = json_add(r, type);
	if (!node)
		return -r->e->code;
	node->boolean = *word == 't';
	return 0;
}

static int json_open(struct json_reader *r, enum json_type type)
{
	struct json *node = json_add(r, type);

	if (!node)
		return -r->e->code;
	if (r->depth == JSON_DEPTH_MAX)
		return err_set(r->e, E2BIG, "JSON: deeper than %d", JSON_DEPTH_MAX);
	r->stack[r->depth++] = node;
	r->at++;
	return 0;
}

static int json_value(struct json_reader *r)
{
	struct json *node;

	switch (r->at < r->end ? *r->at : '\0') {
	case '{':
		return json_open(r, JSON_OBJECT);
	case '[':
		return json_open(r, JSON_ARRAY);
	case '"':
		r->at++;
		node = json_add(r, JSON_STRING);
		if (!node)
			return -r->e->code;
		node->text = json_string(r);
		return node->text ? 0 : -r->e->code;
	case 't':
		return json_word(r, "true", JSON_BOOL);
	case 'f':
		return json_word(r, "false", JSON_BOOL);
	case 'n':
		return json_word(r, "null", JSON_NULL);
	default:
		return json_number(r);
	}
}

static int json_key(struct json_reader *r)
{
	if (!json_take(r, '"'))
		return json_syntax(r, "no key");
	r->key = json_string(r);
	if (!r->key)
		return -r->e->code;
	if (r->stack[r->depth - 1]->count >= JSON_KEYS_MAX)
		return err_set(r->e, E2BIG, "JSON: more than %d keys in an object", JSON_KEYS_MAX);
	json_blanks(r);
	if (!json_take(r, ':'))
		return json_syntax(r, "no colon behind a key");
	json_blanks(r);
	return 0;
}

static int json_compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int json_twice(const struct json_reader *r, const char *key)
{
	auto_free char *shown = str_escape(key, strlen(key), 64);

	return err_set(r->e, EINVAL, "JSON: key %s twice", shown);
}

#define JSON_FEW 16

/* Looked for at the end, of many by sorting: with each key, thousands would take seconds. */
static int json_keys(const struct json_reader *r, const struct json *node)
{
	auto_free const char **keys = NULL;
	size_t n = 0;

	if (node->count <= JSON_FEW) {
		json_each(a, node) {
			for (const struct json *b = a->next; b; b = b->next) {
				if (str_is(a->key, b->key))
					return json_twice(r, a->key);
			}
		}
		return 0;
	}
	keys = mem_array(node->count, sizeof(*keys));
	json_each(child, node)
		keys[n++] = child->key;
	qsort(keys, n, sizeof(*keys), json_compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (str_eq(keys[i - 1], keys[i]))
			return json_twice(r, keys[i]);
	}
	return 0;
}

static int json_close(struct json_reader *r)
{
	const struct json *node = r->stack[--r->depth];

	r->at++;
	return node->type == JSON_OBJECT ? json_keys(r, node) : 0;
}

static int json_run(struct json_reader *r)
{
	bool wanted = true; /* a value: at the beginning, behind a comma */

	json_blanks(r);
	while (!r->have_root || r->depth > 0) {
		const struct json *in = r->depth ? r->stack[r->depth - 1] : NULL;

		if (!wanted && r->at < r->end && *r->at == (in->type == JSON_OBJECT ? '}' : ']')) {
			if (json_close(r) < 0)
				return -r->e->code;
		} else if (!wanted && in->first) {
			if (!json_take(r, ','))
				return json_syntax(r, "no comma and no end behind a value");
			wanted = true;
		} else {
			if (in && in->type == JSON_OBJECT && json_key(r) < 0)
				return -r->e->code;
			if (json_value(r) < 0)
				return -r->e->code;
			wanted = false;
		}
		json_blanks(r);
	}
	return r->at == r->end ? 0 : json_refuse(r, "goes on behind its end");
}

int json_parse(const char *text, size_t len, struct json **ret, struct err *e)
{
	struct json_reader r = { .text = text, .at = text, .end = text + len, .e = e };
	auto_json *root = NULL;

	if (len > JSON_TEXT_MAX)
		return err_set(e, EFBIG, "JSON of %zu bytes", len);
	r.tree = mem_alloc(sizeof(*r.tree));
	r.tree->next = 4096;
	root = &r.tree->root;
	if (json_run(&r) < 0)
		return -e->code;
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

const char *const json_type_names[] = { "null",	  "a boolean", "a number",
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
