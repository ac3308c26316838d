/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A JSON object read into a struct by a table of its members; the same table
 * writes and frees the struct. An error names the member by its whole path.
 * Keys that no row has are passed over, and null is as good as none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/json_out.h"

enum schema_kind {
	SCHEMA_BOOL, /* bool */
	SCHEMA_INT, /* signed, of the member's size */
	SCHEMA_UINT, /* unsigned, of the member's size */
	SCHEMA_IDS, /* uint32_t *, owned: an array of ids, none of them -1 */
	SCHEMA_TEXT, /* const char * into the tree; "" is none */
	SCHEMA_TEXTS, /* const char **, owned, NULL at its end: an array of texts */
	SCHEMA_STRING, /* char *, owned: a text as it is */
	SCHEMA_WORD, /* a number of any size: the value of a text in words; "" is none */
	SCHEMA_WORDS, /* the same of an array of texts, or-ed to what is there */
	SCHEMA_OWN_TEXT, /* read gets the node, which is a text */
	SCHEMA_OWN_TEXTS, /* read gets the node, which is an array of texts */
	SCHEMA_OBJECT, /* members of the same struct, offset is added to theirs; {} is none */
	SCHEMA_LIST, /* an owned array of structs: an array of objects */
	SCHEMA_MAP, /* the same of an object of objects; each struct begins with its key */
	SCHEMA_TREE, /* const struct json *: an object that is looked at later */
	SCHEMA_TEXT_TREE, /* the same, of texts */
	SCHEMA_RAW, /* char *, owned: whatever it is, as JSON */
	SCHEMA_VOID, /* refused for the reason why, unless it says nothing (0, -1, false, []) */
};

enum {
	SCHEMA_NEED = 1, /* has to be there, a text not empty */
	SCHEMA_CLAMP = 2, /* a number above max is max */
};

struct schema_word {
	const char *name; /* NULL: behind the last */
	unsigned long value;
};

struct schema_row {
	char key[24]; /* in the row, so that it costs a static program no relocation */
	uint8_t kind; /* enum schema_kind */
	uint8_t flags;
	uint16_t offset, size; /* of the member: SCHEMA_AT */
	uint16_t mark; /* offset of a bool that it is there, of what has elements the size_t count
			  (not of WORDS); 0: none */
	int32_t min; /* of a number */
	uint32_t max; /* of a number (0: what fits), of a text's or a list's length (0: any) */
	union {
		const struct schema_word *words;
		const struct schema *sub;
		int (*check)(const char *text, struct err *e); /* of a text or each of texts */
		int (*read)(const struct json *node, void *member, struct err *e);
		const char *why;
	};
};

struct schema {
	const struct schema_row *rows; /* at most 64, and behind the last one without a key */
	bool closed; /* a key without a row is refused */
	size_t size; /* of the struct, where it is in a list */
	const void *init; /* what a struct of a list is before it is read; NULL: zeros */
	/* when all members are read; its message begins with the member that is wrong */
	int (*check)(void *ret, struct err *e);
	void (*done)(void *ret); /* frees what no row has */
};

#define SCHEMA_AT(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* name: of the object, before its members' ("" for none). After a failure, ret is for
 * schema_done() too. */
int schema_read(const struct schema *s, const struct json *node, const char *name, void *ret,
		struct err *e);
/* The members of an object that is open: bools, numbers, texts and RAW; not what is 0 or NULL, as
 * a struct is before it is read. */
void schema_write(const struct schema *s, const void *from, struct json_out *o);
void schema_done(const struct schema *s, void *ret);

/* False when the name is not there. */
bool schema_word(const struct schema_word *words, const char *name, unsigned long *ret);

/* A check: it begins with '/'. */
int schema_absolute(const char *text, struct err *e);
