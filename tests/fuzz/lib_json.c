/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader against the grammar of RFC 8259, spelled out here once more, and
 * the writer against the reader: what was read is written and read the same.
 */
#include "fuzz.h"

#include "lib/json.h"
#include "lib/json_out.h"

struct grammar {
	const char *p, *end;
	int depth;
	bool surrogates; /* an escape outside of the grammar's say: yes or no */
};

static void blanks(struct grammar *g)
{
	while (g->p < g->end && memchr(" \t\r\n", *g->p, 4))
		g->p++;
}

static bool take(struct grammar *g, char c)
{
	if (g->p == g->end || *g->p != c)
		return false;
	g->p++;
	return true;
}

static bool digits(struct grammar *g)
{
	const char *begin = g->p;

	while (g->p < g->end && *g->p >= '0' && *g->p <= '9')
		g->p++;
	return g->p > begin;
}

static bool number(struct grammar *g)
{
	take(g, '-');
	if (!take(g, '0') && !digits(g))
		return false;
	if (take(g, '.') && !digits(g))
		return false;
	if (take(g, 'e') || take(g, 'E')) {
		if (!take(g, '+'))
			take(g, '-');
		return digits(g);
	}
	return true;
}

/* One character of UTF-8, decoded and judged by its number. */
static bool character(struct grammar *g)
{
	unsigned char c = (unsigned char)*g->p++;
	int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	static const uint32_t lowest[] = { 0, 0x80, 0x800, 0x10000 };
	uint32_t n = more ? c & (0x3f >> more) : c;

	if (c < 0x20 || (c >= 0x80 && c < 0xc0) || c >= 0xf8)
		return false;
	for (int i = 0; i < more; i++) {
		if (g->p == g->end || ((unsigned char)*g->p & 0xc0) != 0x80)
			return false;
		n = n << 6 | ((unsigned char)*g->p++ & 0x3f);
	}
	return n >= lowest[more] && n <= 0x10ffff && (n < 0xd800 || n > 0xdfff);
}

static bool escape(struct grammar *g)
{
	uint32_t n = 0;

	if (g->p == g->end)
		return false;
	if (!take(g, 'u'))
		return memchr("\"\\/bfnrt", *g->p++, 8);
	for (int i = 0; i < 4; i++) {
		char c = g->p < g->end ? *g->p++ : 'x';

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))
			return false;
		n = n << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	if (n >= 0xd800 && n <= 0xdfff)
		g->surrogates = true;
	return n != 0; /* ours: a NUL is refused */
}

static bool text(struct grammar *g)
{
	if (!take(g, '"'))
		return false;
	while (g->p < g->end && *g->p != '"') {
		if (take(g, '\\') ? !escape(g) : !character(g))
			return false;
	}
	return take(g, '"');
}

static bool word(struct grammar *g, const char *w)
{
	size_t len = strlen(w);

	if ((size_t)(g->end - g->p) < len || memcmp(g->p, w, len) != 0)
		return false;
	g->p += len;
	return true;
}

static bool value(struct grammar *g);

static bool members(struct grammar *g, char close, bool keys)
{
	bool ok;

	if (++g->depth > JSON_DEPTH_MAX)
		return false;
	blanks(g);
	ok = take(g, close);
	while (!ok) {
		blanks(g);
		if (keys) {
			if (!text(g))
				return false;
			blanks(g);
			if (!take(g, ':'))
				return false;
		}
		if (!value(g))
			return false;
		ok = take(g, close);
		if (!ok && !take(g, ','))
			return false;
	}
	g->depth--;
	return true;
}

static bool value(struct grammar *g)
{
	bool ok;

	blanks(g);
	if (take(g, '{'))
		ok = members(g, '}', true);
	else if (take(g, '['))
		ok = members(g, ']', false);
	else if (g->p < g->end && *g->p == '"')
		ok = text(g);
	else if (g->p < g->end && strchr("tfn", *g->p))
		ok = word(g, "true") || word(g, "false") || word(g, "null");
	else
		ok = number(g);
	blanks(g);
	return ok;
}

static void same(const struct json *a, const struct json *b)
{
	const struct json *other = b->first;
	size_t count = 0;

	assert(a->type == b->type && a->count == b->count && a->boolean == b->boolean);
	assert(!a->text == !b->text && (!a->text || str_eq(a->text, b->text)));
	assert(!a->key == !b->key && (!a->key || str_eq(a->key, b->key)));
	json_each(child, a) {
		assert(other);
		assert(!child->key || json_get(a, child->key) == child);
		same(child, other);
		other = other->next;
		count++;
	}
	assert(!other && count == a->count);
}

/* Numbers are those of the C library, where that can say. */
static void numbers(const struct json *node)
{
	uint64_t u;
	int64_t i;

	if (node->type == JSON_NUMBER) {
		char *end;

		errno = 0;
		if (json_i64(node, &i) == 0)
			assert(i == strtoll(node->text, &end, 10) && !*end && !errno);
		errno = 0;
		if (json_u64(node, &u) == 0)
			assert(u == strtoull(node->text, &end, 10) && !*end && !errno);
		FUZZ_PLANT(json_i64(node, &i) == 0 && i < -1 && node->key);
	}
	json_each(child, node)
		numbers(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grammar g = { .p = (const char *)data, .end = (const char *)data + size };
	auto_json *tree = NULL, *again = NULL;
	auto_json_out first = { 0 }, second = { 0 };
	struct err e = { 0 };
	bool good = value(&g) && g.p == g.end;

	if (json_parse((const char *)data, size, &tree, &e) < 0) {
		assert(e.code && e.msg[0] && !strchr(e.msg, '\n'));
		assert(!good || g.surrogates || strstr(e.msg, " twice") || e.code == E2BIG);
		return 0;
	}
	assert(good);
	numbers(tree);
	json_out_json(&first, NULL, tree);
	if (json_parse(first.s.text, first.s.len, &again, &e) < 0)
		abort();
	same(tree, again);
	json_out_json(&second, NULL, again);
	assert(str_eq(first.s.text, second.s.text));
	return 0;
}
