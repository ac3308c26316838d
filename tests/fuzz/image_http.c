/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The headers of a registry's answer, line by line as libcurl hands them on,
 * and where a redirect leads: never from https to http, and credentials stay
 * with their host.
 */
#include "fuzz.h"

/* for its inner parts */
#include "image/http.c"

static void check(const struct http_response *r)
{
	assert(!r->content_type || !strpbrk(r->content_type, "; \t"));
	assert(r->nchallenges <= HTTP_CHALLENGES);
	FUZZ_PLANT(r->has_length && r->length == 77 && r->range_from == 5);
}

static void follow_once(const char *base, const char *location)
{
	CURLU *url = curl_url();
	struct origin to = { 0 };
	struct err e = { 0 };
	bool same = false;

	if (curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK)
		abort();
	if (redirect(url, location, &same, &e) < 0) {
		assert(e.code == EBADMSG && e.msg[0]);
	} else {
		assert(origin_of(url, &to, &e) == 0);
		assert(str_eq(to.scheme, "https") ||
		       (str_eq(to.scheme, "http") && str_starts(base, "http:")));
		assert(!same || (strcasecmp(to.host, "r.example") == 0 && str_eq(to.port, "443")) ||
		       str_starts(base, "http:"));
		origin_done(&to);
	}
	curl_url_cleanup(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_response r = { 0 };
	struct exchange x = { .response = &r };
	auto_free char *copy = mem_memdup(data, size);
	char *line = copy;

	while (line < copy + size) {
		char *end = memchr(line, '\n', (size_t)(copy + size - line));
		size_t len = end ? (size_t)(end - line) + 1 : (size_t)(copy + size - line);
		size_t took = on_header(line, 1, len, &x);

		assert(took == len || (took == 0 && x.err.code == EBADMSG));
		line += len;
	}
	check(&r);
	if (r.location) {
		follow_once("https://r.example/v2/a/blobs/x", r.location);
		follow_once("http://r.example:5000/v2/a/blobs/x", r.location);
	}
	http_response_done(&r);
	return 0;
}
