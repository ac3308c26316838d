/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside berth-fetch: the job it got and what became of it so far. */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/http.h"
#include "image/ref.h"
#include "image/report.h"
#include "lib/err.h"
#include "lib/json.h"

#define FETCH_JOB_MAX (48u << 10) /* bytes; fits a pipe at once */
#define FETCH_TOKEN_MAX (16u << 10)

struct fetch_source {
	const char *name; /* base address: scheme and host, perhaps a folder */
	bool origin; /* the registry itself: credentials are for it alone */
};

/*
 * {"sources": [{"url", "origin"}], "host", "path", "kind": "manifests" or
 * "blobs", "ref": tag or digest, "accept", "digest", "size", "max",
 * "stall_ms", "user", "password", "identity_token", "registry_token",
 * "token", "token_source"}
 */
struct fetch_job {
	struct json *root; /* the texts live there */
	struct fetch_source *sources;
	size_t nsources;
	const char *host;
	const char *path;
	const char *kind;
	const char *ref;
	const char *accept; /* NULL: whatever */
	const char *digest; /* "" when any will do (a tag) */
	bool has_size;
	uint64_t size;
	uint64_t max;
	uint32_t stall_ms;
	const char *user, *password; /* "" when there are none */
	const char *identity_token;
	const char *registry_token;
	const char *token; /* a bearer token that an earlier job got from token_source */
	const char *token_source;
};

struct fetch {
	struct fetch_job job;
	struct http http;
	struct http_response response;
	EVP_MD_CTX *sha;
	char digest[DIGEST_LEN + 1];
	int out; /* -1: nobody reads any more */
	uint64_t got; /* bytes hashed and passed on */
	uint64_t skip; /* bytes that come again and are dropped */
	struct report progress;
	char *authorization; /* header for the current source */
	char *token; /* bearer token in it */
	bool asked; /* for credentials, in this try */
	const struct fetch_source *source; /* that had it */
	enum pull_failure failure;
};

/* From descriptor 0. */
int fetch_read_job(struct fetch_job *ret, struct err *e);
char *fetch_url(const struct fetch *f, const struct fetch_source *source);
/* Sets the header from a token got earlier, if it was for this source. */
void fetch_use_token(struct fetch *f, const struct fetch_source *source);
/*
 * Answers the challenges of f->response: f->authorization is set, or NULL when
 * there is nothing to answer with.
 */
int fetch_authorize(struct fetch *f, const struct fetch_source *source, struct err *e);

/* Hashes, counts and passes on a piece of the body. */
int fetch_sink(void *fetch, const char *data, size_t len, struct err *e);

/* fetch_layout.c: a folder in the place of a registry */
bool fetch_is_layout(const struct fetch_source *source);
int fetch_layout(struct fetch *f, const struct fetch_source *source, struct err *e);
