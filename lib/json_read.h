/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A JSON object into a struct by a table of its members: a key that is not in the table is refused.
 */
#pragma once

#include <stddef.h>

#include "lib/json.h"

enum json_kind {
	JSON_READ_TEXT, /* const char * into the tree */
	JSON_READ_TEXTS, /* const char **, NULL at its end, owned by the struct */
	JSON_READ_BOOL,
	JSON_READ_INT,
	JSON_READ_U32,
	JSON_READ_U64,
	JSON_READ_OTHER, /* known, and read by the caller */
};

struct json_field {
	const char *key;
	enum json_kind kind;
	size_t offset; /* of the member in the struct */
};

/* An absent key leaves its member as it was. */
int json_read(const struct json *object, const struct json_field *fields, size_t count, void *ret,
	      struct err *e);
