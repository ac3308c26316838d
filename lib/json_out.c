/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/json_out.h"

#include <assert.h>
#include <inttypes.h>

static void json_out_quoted(struct str *s, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	str_add_char(s, '"');
	while (*p) {
		const unsigned char *begin = p;
		size_t n;

		while (*p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
			p++;
		str_add_mem(s, begin, (size_t)(p - begin));
		if (!*p)
			break;
		if (*p == '"' || *p == '\\') {
			str_add_char(s, '\\');
			str_add_char(s, (char)*p++);
		} else if (*p < 0x20) {
			str_printf(s, "\\u%04x", *p++);
		} else if ((n = str_utf8((const char *)p)) > 0) {
			str_add_mem(s, p, n);
			p += n;
		} else {
			str_add(s, "\xef\xbf\xbd");
			p++;
		}
	}
	str_add_char(s, '"');
}

static void json_out_key(struct json_out *o, const char *key)
{
	if (o->comma)
		str_add_char(&o->s, ',');
	o->comma = true;
	if (key) {
		json_out_quoted(&o->s, key);
		str_add_char(&o->s, ':');
	}
}

static void json_out_open(struct json_out *o, const char *key, char open, char close)
{
	assert(o->depth < JSON_OUT_DEPTH);
	json_out_key(o, key);
	str_add_char(&o->s, open);
	o->close[o->depth++] = close;
	o->comma = false;
}

void json_out_object(struct json_out *o, const char *key)
{
	json_out_open(o, key, '{', '}');
}

void json_out_array(struct json_out *o, const char *key)
{
	json_out_open(o, key, '[', ']');
}

void json_out_end(struct json_out *o)
{
	assert(o->depth > 0);
	str_add_char(&o->s, o->close[--o->depth]);
	o->comma = true;
}

void json_out_text(struct json_out *o, const char *key, const char *text)
{
	json_out_key(o, key);
	if (text)
		json_out_quoted(&o->s, text);
	else
		str_add(&o->s, "null");
}

void json_out_int(struct json_out *o, const char *key, int64_t n)
{
	json_out_key(o, key);
	str_printf(&o->s, "%" PRId64, n);
}

void json_out_uint(struct json_out *o, const char *key, uint64_t n)
{
	json_out_key(o, key);
	str_printf(&o->s, "%" PRIu64, n);
}

void json_out_bool(struct json_out *o, const char *key, bool b)
{
	json_out_key(o, key);
	str_add(&o->s, b ? "true" : "false");
}

void json_out_raw(struct json_out *o, const char *key, const char *json)
{
	json_out_key(o, key);
	str_add(&o->s, json);
}

void json_out_json(struct json_out *o, const char *key, const struct json *node)
{
	switch (node->type) {
	case JSON_NULL:
		json_out_text(o, key, NULL);
		return;
	case JSON_BOOL:
		json_out_bool(o, key, node->boolean);
		return;
	case JSON_NUMBER:
		json_out_raw(o, key, node->text);
		return;
	case JSON_STRING:
		json_out_text(o, key, node->text);
		return;
	case JSON_ARRAY:
		json_out_array(o, key);
		break;
	case JSON_OBJECT:
		json_out_object(o, key);
		break;
	}
	json_each(child, node)
		json_out_json(o, child->key, child);
	json_out_end(o);
}

char *json_out_take(struct json_out *o)
{
	o->depth = 0;
	o->comma = false;
	return str_take(&o->s);
}
