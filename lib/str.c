/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void str_reserve(struct str *s, size_t more)
{
	mem_grow(&s->text, &s->room, s->len + more + 1, 1);
}

void str_add_mem(struct str *s, const void *data, size_t len)
{
	str_reserve(s, len);
	if (len > 0)
		memcpy(s->text + s->len, data, len);
	s->len += len;
	s->text[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_add_mem(s, text, strlen(text));
}

void str_add_char(struct str *s, char c)
{
	str_add_mem(s, &c, 1);
}

void str_printf(struct str *s, const char *fmt, ...)
{
	va_list ap;
	va_list again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		str_reserve(s, (size_t)n);
		vsnprintf(s->text + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void str_drop(struct str *s, size_t len)
{
	if (len == 0)
		return;
	s->len -= len;
	memmove(s->text, s->text + len, s->len);
	s->text[s->len] = '\0';
}

char *str_take(struct str *s)
{
	char *text = s->text ?: mem_strdup("");

	*s = (struct str){ 0 };
	return text;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t len = strlen(text);
	size_t n = strlen(suffix);

	return len >= n && memcmp(text + len - n, suffix, n) == 0;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (len >= size) {
		dst[0] = '\0';
		return false;
	}
	memcpy(dst, src, len + 1);
	return true;
}

int str_to_u64(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

int str_to_i64(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t n;
	int r = str_to_u64(text + negative, &n);

	if (r < 0)
		return r;
	if (n > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}

int str_to_u32(const char *text, uint32_t *ret)
{
	uint64_t n;
	int r = str_to_u64(text, &n);

	if (r < 0)
		return r;
	if (n > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)n;
	return 0;
}

int str_to_int(const char *text, int *ret)
{
	int64_t n;
	int r = str_to_i64(text, &n);

	if (r < 0)
		return r;
	if (n < INT_MIN || n > INT_MAX)
		return -ERANGE;
	*ret = (int)n;
	return 0;
}

char *str_field(char **rest, const char *separators)
{
	return strsep(rest, separators);
}

void str_hex(char *dst, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		dst[2 * i] = digits[p[i] >> 4];
		dst[2 * i + 1] = digits[p[i] & 15];
	}
	dst[2 * len] = '\0';
}

char *str_escape(const char *text, size_t len, size_t max)
{
	auto_str s = { 0 };

	for (size_t i = 0; i < len && s.len < max; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c > 0x7e || c == '\\')
			str_printf(&s, "\\x%02x", c);
		else
			str_add_char(&s, (char)c);
	}
	return str_take(&s);
}

size_t str_utf8(const char *text)
{
	static const unsigned char lowest[] = { 0, 0, 0x80, 0xa0, 0x90 };
	const unsigned char *p = (const unsigned char *)text;
	size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;

	if (*p < 0x80)
		return 1;
	if (*p < 0xc2 || *p > 0xf4)
		return 0;
	if ((*p == 0xe0 || *p == 0xf0) && p[1] < lowest[n])
		return 0;
	if ((*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool str_is_utf8(const char *text)
{
	size_t n;

	for (; *text; text += n) {
		n = str_utf8(text);
		if (!n)
			return false;
	}
	return true;
}
