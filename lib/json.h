/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON (RFC 8259) read into a tree, with limits on size, depth, nodes and
 * repeated keys. Strings are C strings: an embedded NUL is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define JSON_TEXT_MAX (16u << 20) /* bytes */
#define JSON_DEPTH_MAX 64
#define JSON_NODES_MAX 1000000
#define JSON_KEYS_MAX 4096 /* of one object */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

extern const char *const json_type_names[]; /* "a text": behind "not" */

struct json {
	enum json_type type : 8;
	bool boolean;
	uint32_t count; /* children of an array or object */
	const char *key; /* in an object, else NULL */
	const char *text; /* of a string; of a number as written */
	struct json *next; /* sibling */
	struct json *first; /* child */
};

/* The whole tree is one allocation family: free the root alone. text need not be NUL-terminated. */
int json_parse(const char *text, size_t len, struct json **ret, struct err *e);
void json_free(struct json *root);

static inline void json_freep(struct json **root)
{
	json_free(*root);
}
#define auto_json __attribute__((cleanup(json_freep))) struct json

/* Child of an object by key; NULL when absent, when obj is NULL or no object. */
const struct json *json_get(const struct json *obj, const char *key);

/* Children in order; fine on NULL. */
#define json_each(child, parent)                                                  \
	for (const struct json *child = (parent) ? (parent)->first : NULL; child; \
	     child = child->next)

/*
 * Typed optional members: absent or null leaves *ret untouched and returns 0,
 * there is 1, a wrong type or range is -EINVAL naming the key.
 */
int json_get_text(const struct json *obj, const char *key, const char **ret, struct err *e);
int json_get_bool(const struct json *obj, const char *key, bool *ret, struct err *e);
int json_get_i64(const struct json *obj, const char *key, int64_t *ret, struct err *e);
int json_get_u64(const struct json *obj, const char *key, uint64_t *ret, struct err *e);
int json_get_u32(const struct json *obj, const char *key, uint32_t *ret, struct err *e);
int json_get_int(const struct json *obj, const char *key, int *ret, struct err *e);
int json_get_array(const struct json *obj, const char *key, const struct json **ret, struct err *e);
int json_get_object(const struct json *obj, const char *key, const struct json **ret,
		    struct err *e);

/* Array of strings as a NULL-terminated vector pointing into the tree; the caller frees the vector.
 */
int json_get_texts(const struct json *obj, const char *key, const char ***ret, size_t *ret_count,
		   struct err *e);

/* Same for a required member: absent is -EINVAL too. */
int json_need_text(const struct json *obj, const char *key, const char **ret, struct err *e);

/* The value of one node. */
int json_u64(const struct json *node, uint64_t *ret);
int json_i64(const struct json *node, int64_t *ret);
