/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON written into a growing text; commas and quoting are taken care of. key is NULL inside
 * arrays. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/str.h"

#define JSON_OUT_DEPTH (JSON_DEPTH_MAX + 16) /* a tree read before, inside of what is written */

struct json_out {
	struct str s;
	int depth;
	bool comma;
	char close[JSON_OUT_DEPTH];
};

static inline void json_out_done(struct json_out *o)
{
	str_done(&o->s);
}
#define auto_json_out __attribute__((cleanup(json_out_done))) struct json_out

void json_out_object(struct json_out *o, const char *key);
void json_out_array(struct json_out *o, const char *key);
void json_out_end(struct json_out *o); /* of the innermost object or array */
/* text NULL writes null; bytes that are no UTF-8 become U+FFFD. */
void json_out_text(struct json_out *o, const char *key, const char *text);
void json_out_int(struct json_out *o, const char *key, int64_t n);
void json_out_uint(struct json_out *o, const char *key, uint64_t n);
void json_out_bool(struct json_out *o, const char *key, bool b);
/* JSON text taken as it is. */
void json_out_raw(struct json_out *o, const char *key, const char *json);
/* A tree read before. */
void json_out_json(struct json_out *o, const char *key, const struct json *node);
/* The text; the caller frees it. */
char *json_out_take(struct json_out *o);
