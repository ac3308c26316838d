/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One HTTP exchange after another by libcurl, with limits on everything a
 * server may send or withhold. Redirects are followed here and not by
 * libcurl: credentials stay with the host they were meant for.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/pull.h"
#include "lib/err.h"
#include "lib/str.h"

#define HTTP_HEADERS_MAX (128u << 10) /* bytes */
#define HTTP_ERROR_BODY_MAX (16u << 10)
#define HTTP_REDIRECTS_MAX 10
#define HTTP_CONNECT_MS 10000
#define HTTP_RATE_MIN 1024 /* bytes a second, over the whole stall limit */
#define HTTP_CHALLENGES 4

struct http {
	CURL *curl;
	uint32_t stall_ms;
	/* the window of time in which enough must arrive; time spent in the sink does not count */
	uint64_t window_ms;
	uint64_t window_bytes;
	uint64_t sink_ms;
	bool stalled;
};

struct http_request {
	const char *url;
	const char *accept; /* or NULL */
	const char *authorization; /* value of the header, or NULL */
	const char *form; /* body of a POST, or NULL for GET */
	uint64_t from; /* first byte wanted */
	/* begin: status is 2xx and the body comes; sink: its pieces; both may refuse */
	int (*begin)(void *arg, struct err *e);
	int (*sink)(void *arg, const char *data, size_t len, struct err *e);
	void *arg;
};

struct http_response {
	long status;
	char *content_type; /* owned; without parameters */
	char *digest; /* Docker-Content-Digest */
	char *location;
	char *challenges[HTTP_CHALLENGES];
	size_t nchallenges;
	uint32_t retry_after_s;
	bool has_length;
	uint64_t length;
	uint64_t range_from; /* of a 206 */
	struct str body; /* of an error, cut at HTTP_ERROR_BODY_MAX */
	size_t header_bytes;
	bool broken; /* the connection ended before the body did: worth another try */
	enum pull_failure failure; /* why http_get() failed */
};

int http_init(struct http *h, uint32_t stall_ms, struct err *e);
void http_done(struct http *h);
void http_response_done(struct http_response *r);
#define auto_response __attribute__((cleanup(http_response_done))) struct http_response

/* 0 with any status; negative with ret->failure when there was no complete answer. */
int http_run(struct http *h, const struct http_request *request, struct http_response *ret,
	     struct err *e);

/* http_run() through redirects; http is allowed only when the first url is http. */
int http_follow(struct http *h, const struct http_request *request, struct http_response *ret,
		struct err *e);
