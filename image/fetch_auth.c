/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-fetch's job and its dance for a bearer token. */
#include <string.h>

#include "image/auth.h"
#include "image/fetch.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

static int read_sources(struct fetch_job *job, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(job->root, "sources", &list, e) < 0)
		return -e->code;
	job->sources = mem_array((list ? list->count : 0) + 1, sizeof(job->sources[0]));
	json_each(node, list) {
		struct fetch_source *s = &job->sources[job->nsources++];

		if (json_need_text(node, "url", &s->name, e) < 0 ||
		    json_get_bool(node, "origin", &s->origin, e) < 0)
			return err_wrap(e, "source");
	}
	return 0;
}

int fetch_read_job(struct fetch_job *ret, struct err *e)
{
	auto_free char *text = NULL;
	struct fetch_job *j = ret;
	const struct {
		const char *key;
		const char **value;
	} texts[] = {
		{ "host", &j->host },
		{ "path", &j->path },
		{ "kind", &j->kind },
		{ "ref", &j->ref },
		{ "digest", &j->digest },
		{ "user", &j->user },
		{ "password", &j->password },
		{ "identity_token", &j->identity_token },
		{ "registry_token", &j->registry_token },
		{ "token", &j->token },
		{ "token_source", &j->token_source },
	};
	size_t len;
	int r;

	if (fd_read_all(0, FETCH_JOB_MAX, &text, &len, e) < 0 ||
	    json_parse(text, len, &j->root, e) < 0)
		return -e->code;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		*texts[i].value = "";
		if (json_get_text(j->root, texts[i].key, texts[i].value, e) < 0)
			return -e->code;
	}
	r = json_get_u64(j->root, "size", &j->size, e);
	if (r < 0 || json_get_text(j->root, "accept", &j->accept, e) < 0 ||
	    json_get_u64(j->root, "max", &j->max, e) < 0 ||
	    json_get_u32(j->root, "stall_ms", &j->stall_ms, e) < 0)
		return -e->code;
	j->has_size = r > 0;
	return read_sources(j, e);
}

/* Mirrors hear whose registry they stand in for. */
char *fetch_url(const struct fetch *f, const struct fetch_source *source)
{
	const struct fetch_job *j = &f->job;
	size_t len = strlen(source->name);

	while (len > 0 && source->name[len - 1] == '/')
		len--;
	return mem_printf("%.*s/v2/%s/%s/%s%s%s", (int)len, source->name, j->path, j->kind, j->ref,
			  source->origin ? "" : "?ns=", source->origin ? "" : j->host);
}

static void use_bearer(struct fetch *f, const char *token)
{
	free(f->authorization);
	f->authorization = mem_printf("Bearer %s", token);
	mem_replace(&f->token, token);
}

void fetch_use_token(struct fetch *f, const struct fetch_source *source)
{
	mem_replace(&f->authorization, NULL);
	mem_replace(&f->token, NULL);
	if (f->job.token[0] && str_eq(f->job.token_source, source->name))
		use_bearer(f, f->job.token);
	else if (source->origin && f->job.registry_token[0])
		use_bearer(f, f->job.registry_token);
}

static void add_query(struct str *s, const char *key, const char *value)
{
	char *escaped;

	if (!value || !value[0])
		return;
	escaped = curl_easy_escape(NULL, value, (int)strlen(value));
	if (escaped)
		str_printf(s, "%s%s=%s", s->len ? "&" : "", key, escaped);
	curl_free(escaped);
}

static int keep_body(void *arg, const char *data, size_t len, struct err *e)
{
	struct str *body = arg;

	if (body->len + len > 4 * FETCH_TOKEN_MAX)
		return err_set(e, EBADMSG, "token answer of more than %u bytes",
			       4 * FETCH_TOKEN_MAX);
	str_add_mem(body, data, len);
	return 0;
}

static int take_token(struct fetch *f, const struct str *body, struct err *e)
{
	auto_json *root = NULL;
	const char *token = "";

	f->failure = PULL_CORRUPT;
	if (json_parse(body->text ?: "", body->len, &root, e) < 0 ||
	    json_get_text(root, "access_token", &token, e) < 0 ||
	    json_get_text(root, "token", &token, e) < 0)
		return err_wrap(e, "token answer");
	if (!token[0] || strlen(token) > FETCH_TOKEN_MAX)
		return err_set(e, EBADMSG, "token answer without a usable token");
	for (const char *p = token; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return err_set(e, EBADMSG, "malformed token");
	}
	f->failure = PULL_OK;
	use_bearer(f, token);
	return 0;
}

/* https, or as plain as the registry itself is */
static bool realm_allowed(const char *realm, const struct fetch_source *source)
{
	return str_starts(realm, "https://") ||
	       (str_starts(realm, "http://") && str_starts(source->name, "http://"));
}

static int ask_token(struct fetch *f, const struct fetch_source *source, const struct challenge *c,
		     struct err *e)
{
	auto_free char *scope = mem_printf("repository:%s:pull", f->job.path);
	auto_free char *basic = NULL, *url = NULL;
	auto_response response = { 0 };
	auto_str query = { 0 }, body = { 0 };
	struct http_request request = { .sink = keep_body, .arg = &body };
	bool refresh = source->origin && f->job.identity_token[0];

	f->failure = PULL_CORRUPT;
	if (!realm_allowed(c->realm, source))
		return err_set(e, EBADMSG, "the token server is not https");
	if (refresh) {
		add_query(&query, "grant_type", "refresh_token");
		add_query(&query, "client_id", "berth");
		add_query(&query, "refresh_token", f->job.identity_token);
	}
	add_query(&query, "service", c->service);
	add_query(&query, "scope", c->scope ?: scope);
	if (!refresh && source->origin && f->job.user[0]) {
		auto_free char *base64 = auth_basic(f->job.user, f->job.password);

		basic = mem_printf("Basic %s", base64);
		add_query(&query, "account", f->job.user);
	}
	url = refresh ? mem_strdup(c->realm)
		      : mem_printf("%s%c%s", c->realm, strchr(c->realm, '?') ? '&' : '?',
				   query.text ?: "");
	request.url = url;
	request.form = refresh ? query.text : NULL;
	request.authorization = basic;
	if (http_follow(&f->http, &request, &response, e) < 0) {
		f->failure = response.failure;
		return err_wrap(e, "token server");
	}
	if (response.status < 200 || response.status > 299) {
		f->failure = response.status >= 500 ? PULL_UNAVAILABLE : PULL_DENIED;
		return err_set(e, EACCES, "the token server answers %ld", response.status);
	}
	return take_token(f, &body, e);
}

static int answer(struct fetch *f, const struct fetch_source *source, const struct challenge *c,
		  struct err *e)
{
	switch (c->scheme) {
	case AUTH_NONE:
		return 0;
	case AUTH_BASIC:
		if (source->origin && f->job.user[0]) {
			auto_free char *base64 = auth_basic(f->job.user, f->job.password);

			free(f->authorization);
			f->authorization = mem_printf("Basic %s", base64);
		}
		return 0;
	case AUTH_BEARER:
		return ask_token(f, source, c, e);
	}
	return 0;
}

int fetch_authorize(struct fetch *f, const struct fetch_source *source, struct err *e)
{
	mem_replace(&f->authorization, NULL);
	mem_replace(&f->token, NULL);
	for (size_t i = 0; i < f->response.nchallenges && !f->authorization; i++) {
		auto_challenge c = { 0 };

		f->failure = PULL_CORRUPT;
		if (challenge_parse(f->response.challenges[i], &c, e) < 0)
			return err_set(e, EBADMSG, "malformed challenge for credentials");
		if (answer(f, source, &c, e) < 0)
			return -e->code;
	}
	return 0;
}
