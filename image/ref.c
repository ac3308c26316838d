/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/ref.h"

#include <ctype.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

#define REF_LOWER "abcdefghijklmnopqrstuvwxyz"
#define REF_UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define REF_DIGITS "0123456789"
#define REF_WORD REF_LOWER REF_UPPER REF_DIGITS "_"

static const char ref_default_host[] = "docker.io";

void ref_done(struct ref *r)
{
	free(r->host);
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct ref){ 0 };
}

bool digest_valid(const char *text)
{
	return strlen(text) == DIGEST_LEN && str_starts(text, "sha256:") &&
	       strspn(text + 7, REF_DIGITS "abcdef") == 64;
}

const char *digest_hex(const char *digest)
{
	return digest + 7;
}

/* labels of letters, digits and inner dashes, joined by dots */
static bool ref_domain_valid(const char *text, size_t len)
{
	char last = '.';

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!isalnum((unsigned char)c) && c != '-' && c != '.')
			return false;
		if (c == '.' && (last == '.' || last == '-'))
			return false;
		if (c == '-' && last == '.')
			return false;
		last = c;
	}
	return len > 0 && last != '.' && last != '-';
}

static bool ref_host_valid(const char *host)
{
	const char *colon = strrchr(host, ':');
	size_t len;

	if (host[0] == '[') {
		const char *end = strchr(host, ']');

		if (!end || end == host + 1 ||
		    strspn(host + 1, REF_DIGITS "abcdefABCDEF:.") != (size_t)(end - host - 1))
			return false;
		if (end[1] &&
		    (end[1] != ':' || !end[2] || strspn(end + 2, REF_DIGITS) != strlen(end + 2)))
			return false;
		return true;
	}
	len = colon ? (size_t)(colon - host) : strlen(host);
	if (colon && (!colon[1] || strlen(colon + 1) > 5 ||
		      strspn(colon + 1, REF_DIGITS) != strlen(colon + 1)))
		return false;
	return ref_domain_valid(host, len);
}

/* one component: runs of letters and digits joined by '.', '_', '__' or any number of '-' */
static bool ref_component_valid(const char *text, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t run = strspn(text + i, REF_LOWER REF_DIGITS);
		size_t dashes;

		if (run > len - i)
			run = len - i;
		if (run == 0)
			return false;
		i += run;
		if (i == len)
			return true;
		dashes = strspn(text + i, "-");
		if (dashes > 0)
			i += dashes;
		else if (text[i] == '.')
			i++;
		else if (text[i] == '_')
			i += text[i + 1] == '_' ? 2 : 1;
		else
			return false;
		if (i >= len)
			return false;
	}
}

static bool ref_path_valid(const char *path)
{
	while (true) {
		size_t len = strcspn(path, "/");

		if (!ref_component_valid(path, len))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

static bool ref_tag_valid(const char *tag)
{
	size_t len = strlen(tag);

	return len > 0 && len <= REF_TAG_MAX && strspn(tag, REF_WORD) > 0 &&
	       strspn(tag, REF_WORD ".-") == len;
}

/* The first part is a host when it can be none of a path: a dot, a colon, capitals, localhost. */
static bool ref_has_host(const char *name, size_t len)
{
	if (name[len] != '/')
		return false;
	if (memchr(name, '.', len) || memchr(name, ':', len) || name[0] == '[')
		return true;
	for (size_t i = 0; i < len; i++) {
		if (isupper((unsigned char)name[i]))
			return true;
	}
	return len == 9 && memcmp(name, "localhost", len) == 0;
}

static int ref_parse_name(const char *name, struct ref *ret, struct err *e)
{
	size_t first = strcspn(name, "/");
	const char *path = name;

	if (ref_has_host(name, first)) {
		ret->host = mem_strndup(name, first);
		path += first + 1;
	} else {
		ret->host = mem_strdup(ref_default_host);
	}
	if (str_eq(ret->host, "index.docker.io"))
		mem_replace(&ret->host, ref_default_host);
	if (str_eq(ret->host, ref_default_host) && !strchr(path, '/'))
		ret->path = mem_printf("library/%s", path);
	else
		ret->path = mem_strdup(path);
	if (!ref_host_valid(ret->host))
		return err_set(e, EINVAL, "malformed host %s", ret->host);
	if (!ref_path_valid(ret->path))
		return err_set(e, EINVAL, "malformed name %s", path);
	if (strlen(path) == 64 && strspn(path, REF_DIGITS "abcdef") == 64 && path == name)
		return err_set(e, EINVAL, "a name of 64 hex digits is an id");
	if (strlen(ret->host) + 1 + strlen(ret->path) > REF_NAME_MAX)
		return err_set(e, EINVAL, "name of more than %d bytes", REF_NAME_MAX);
	return 0;
}

static int ref_parse_copy(char *text, struct ref *ret, struct err *e)
{
	char *at = strchr(text, '@');
	char *slash, *colon;

	if (at)
		*at++ = '\0';
	slash = strrchr(text, '/');
	colon = strrchr(text, ':');
	if (colon && slash && colon < slash)
		colon = NULL;
	if (colon)
		*colon++ = '\0';
	if (at && !digest_valid(at))
		return err_set(e, EINVAL, "malformed digest %s", at);
	if (colon && !ref_tag_valid(colon))
		return err_set(e, EINVAL, "malformed tag %s", colon);
	if (ref_parse_name(text, ret, e) < 0)
		return -e->code;
	if (at)
		ret->digest = mem_strdup(at);
	else
		ret->tag = mem_strdup(colon ?: "latest");
	return 0;
}

int ref_parse(const char *text, struct ref *ret, struct err *e)
{
	size_t len = strlen(text);
	auto_free char *shown = str_escape(text, len, 128);
	auto_free char *copy = NULL;
	auto_ref r = { 0 };

	if (len == 0)
		return err_set(e, EINVAL, "image name is empty");
	if (len > REF_TEXT_MAX)
		return err_set(e, EINVAL, "image name %s...: more than %d bytes", shown,
			       REF_TEXT_MAX);
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)text[i]))
			return err_set(e, EINVAL, "image name %s: malformed", shown);
	}
	copy = mem_strdup(text);
	if (ref_parse_copy(copy, &r, e) < 0)
		return err_wrap(e, "image name %s", shown);
	*ret = r;
	r = (struct ref){ 0 };
	return 0;
}

char *ref_name(const struct ref *r)
{
	return mem_printf("%s/%s", r->host, r->path);
}

char *ref_text(const struct ref *r)
{
	if (r->digest)
		return mem_printf("%s/%s@%s", r->host, r->path, r->digest);
	return mem_printf("%s/%s:%s", r->host, r->path, r->tag);
}
