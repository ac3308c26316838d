/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: a growing buffer, strict number parsing, splitting. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"

/* A growing buffer; always NUL-terminated once something was added. */
struct str {
	char *text; /* NULL while empty */
	size_t len;
	size_t room;
};

static inline void str_done(struct str *s)
{
	free(s->text);
	*s = (struct str){ 0 };
}

#define auto_str __attribute__((cleanup(str_done))) struct str

void str_add(struct str *s, const char *text);
void str_add_mem(struct str *s, const void *data, size_t len);
void str_add_char(struct str *s, char c);
void str_printf(struct str *s, const char *fmt, ...) PRINTF(2, 3);
/* Drops the first len bytes. */
void str_drop(struct str *s, size_t len);
/* The text, never NULL; the caller frees it; the buffer is empty after. */
char *str_take(struct str *s);

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The same, for lists of words: most differ in the first letter already. */
static inline bool str_is(const char *word, const char *text)
{
	return *word == *text && str_eq(word, text);
}

static inline bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix);

/* Copies with a NUL; returns false (and an empty dst) when it does not fit. */
bool str_copy(char *dst, size_t size, const char *src);

/* Whole-text decimal numbers: no blanks, no sign for the unsigned, no overflow; -EINVAL or -ERANGE.
 */
int str_to_u64(const char *text, uint64_t *ret);
int str_to_i64(const char *text, int64_t *ret);
int str_to_u32(const char *text, uint32_t *ret);
int str_to_int(const char *text, int *ret);

/*
 * Splits text in place at any of the separators; empty fields are kept.
 * Returns the next field and moves *rest, NULL at the end.
 */
char *str_field(char **rest, const char *separators);

/* Lower-case hex of len bytes into dst (2 * len + 1 bytes). */
void str_hex(char *dst, const void *data, size_t len);

/* Length of the character at text (RFC 3629), 0 when it is no UTF-8; 1 for the NUL at the end. */
size_t str_utf8(const char *text);
bool str_is_utf8(const char *text);

/* Copy of text with every byte outside printable ASCII as \xNN: for names of foreign origin in
 * logs. */
char *str_escape(const char *text, size_t len, size_t max);
