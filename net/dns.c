/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/dns.h"

#include <string.h>

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

bool dns_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 253 || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!name_char(name[i]) || (name[i] == '.' && name[i + 1] == '.'))
			return false;
	}
	return true;
}

/* One domain name at *at, compressed as in DNS; pointers must go backwards, so the loop ends. */
static bool dns_next_name(const uint8_t *data, size_t len, size_t *at,
			  char ret[static DNS_NAME_MAX])
{
	size_t i = *at, limit = *at, used = 0;
	bool jumped = false;

	while (i < len && data[i] != 0) {
		size_t n = data[i];

		if (n >= 0xc0) {
			if (i + 1 >= len)
				return false;
			if (!jumped)
				*at = i + 2;
			jumped = true;
			i = (n & 0x3f) << 8 | data[i + 1];
			if (i >= limit)
				return false;
			limit = i;
			continue;
		}
		if (n > 63 || i + 1 + n > len || used + n + 1 > 255)
			return false;
		if (used)
			ret[used++] = '.';
		memcpy(ret + used, data + i + 1, n);
		used += n;
		i += 1 + n;
	}
	if (i >= len)
		return false;
	if (!jumped)
		*at = i + 1;
	ret[used] = '\0';
	return memchr(ret, '\0', used) == NULL;
}

void dns_join_names(const uint8_t *data, size_t len, char *ret, size_t size)
{
	size_t used = 0, at = 0;
	char name[DNS_NAME_MAX];

	ret[0] = '\0';
	while (at < len && dns_next_name(data, len, &at, name)) {
		size_t n = strlen(name);

		if (!dns_name_ok(name) || used + n + 2 > size)
			continue;
		if (used)
			ret[used++] = ' ';
		memcpy(ret + used, name, n + 1);
		used += n;
	}
}
