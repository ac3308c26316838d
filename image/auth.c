/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/auth.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/str.h"

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	*c = (struct challenge){ 0 };
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* token or quoted text at p; moves past it */
static int take_value(const char **p, char **ret, struct err *e)
{
	auto_str s = { 0 };
	const char *at = *p;

	if (*at != '"') {
		size_t len = strcspn(at, ", \t");

		str_add_mem(&s, at, len);
		at += len;
	} else {
		for (at++; *at != '"'; at++) {
			if (*at == '\\' && at[1])
				at++;
			if (!*at)
				return err_set(e, EINVAL, "challenge with an open quote");
			str_add_char(&s, *at);
		}
		at++;
	}
	*p = at;
	*ret = str_take(&s);
	return 0;
}

static int take_parameter(const char **p, struct challenge *c, struct err *e)
{
	const char *at = *p;
	size_t len = strcspn(at, "=, \t");
	auto_free char *name = mem_strndup(at, len);
	auto_free char *value = NULL;

	at = skip_blanks(at + len);
	if (*at != '=')
		return err_set(e, EINVAL, "challenge with a parameter without value");
	at = skip_blanks(at + 1);
	if (take_value(&at, &value, e) < 0)
		return -e->code;
	*p = at;
	if (strcasecmp(name, "realm") == 0)
		mem_replace(&c->realm, value);
	else if (strcasecmp(name, "service") == 0)
		mem_replace(&c->service, value);
	else if (strcasecmp(name, "scope") == 0)
		mem_replace(&c->scope, value);
	return 0;
}

int challenge_parse(const char *text, struct challenge *ret, struct err *e)
{
	auto_challenge c = { 0 };
	const char *p = skip_blanks(text);
	size_t len = strcspn(p, " \t,");

	if (len == 6 && strncasecmp(p, "bearer", len) == 0)
		c.scheme = AUTH_BEARER;
	else if (len == 5 && strncasecmp(p, "basic", len) == 0)
		c.scheme = AUTH_BASIC;
	p = skip_blanks(p + len);
	while (c.scheme != AUTH_NONE && *p) {
		if (take_parameter(&p, &c, e) < 0)
			return -e->code;
		p = skip_blanks(p);
		if (*p && *p != ',')
			return err_set(e, EINVAL, "challenge without a comma");
		p += strspn(p, ", \t");
	}
	if (c.scheme == AUTH_BEARER && !c.realm)
		return err_set(e, EINVAL, "challenge without a realm");
	*ret = c;
	c = (struct challenge){ 0 };
	return 0;
}

char *auth_basic(const char *user, const char *password)
{
	auto_free char *both = mem_printf("%s:%s", user, password);
	size_t len = strlen(both);
	auto_str s = { 0 };

	for (size_t i = 0; i < len; i += 3) {
		const unsigned char *p = (const unsigned char *)both + i;
		size_t have = len - i < 3 ? len - i : 3;
		unsigned int v = (unsigned int)p[0] << 16;

		if (have > 1)
			v |= (unsigned int)p[1] << 8;
		if (have > 2)
			v |= p[2];
		for (size_t k = 0; k < 4; k++)
			str_add_char(&s, k > have ? '=' : base64_digits[v >> (18 - 6 * k) & 63]);
	}
	return str_take(&s);
}

int auth_split(const char *base64, char **ret_user, char **ret_password, struct err *e)
{
	auto_str s = { 0 };
	unsigned int v = 0;
	int bits = 0;
	char *colon;

	for (const char *p = base64; *p && *p != '='; p++) {
		const char *digit = strchr(base64_digits, *p);

		if (!digit)
			return err_set(e, EINVAL, "credentials are not base64");
		v = (v << 6 | (unsigned int)(digit - base64_digits)) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			str_add_char(&s, (char)(v >> bits & 0xff));
		}
	}
	colon = s.text ? strchr(s.text, ':') : NULL;
	if (!colon || strlen(s.text) != s.len)
		return err_set(e, EINVAL, "credentials are not user:password");
	*ret_user = mem_strndup(s.text, (size_t)(colon - s.text));
	*ret_password = mem_strdup(colon + 1);
	return 0;
}
