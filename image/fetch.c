/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-fetch: gets one manifest or blob from the first source that has it.
 * 0: the job as JSON (image/fetch.h); 1: the bytes; 3: report. What was got is
 * right when the report says so and not before.
 */
#include <curl/curl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image/fetch.h"
#include "image/report.h"
#include "image/sandbox.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"

#define FETCH_MEMORY (256ull << 20)
#define FETCH_TRIES 4
#define FETCH_PAUSE_MS 250
#define FETCH_PAUSE_MAX_S 30

/* The body arrives: the last moment to refuse it by its headers. */
static int fetch_begin(void *arg, struct err *e)
{
	struct fetch *f = arg;
	const struct http_response *r = &f->response;
	uint64_t total;

	f->skip = 0;
	if (f->got > 0 && r->status == 206 && r->range_from != f->got)
		return err_set(e, EBADMSG, "the registry answered with another range");
	/* no ranges there: what we have comes once more */
	if (f->got > 0 && r->status != 206)
		f->skip = f->got;
	if (!r->has_length)
		return 0;
	total = r->length + (r->status == 206 ? f->got : 0);
	if (total > f->job.max)
		return err_set(e, EBADMSG, "%llu bytes, more than the limit of %llu",
			       (unsigned long long)total, (unsigned long long)f->job.max);
	if (f->job.has_size && total != f->job.size)
		return err_set(e, EBADMSG, "%llu bytes instead of the promised %llu",
			       (unsigned long long)total, (unsigned long long)f->job.size);
	return 0;
}

int fetch_sink(void *arg, const char *data, size_t len, struct err *e)
{
	struct fetch *f = arg;
	uint64_t limit = f->job.has_size ? f->job.size : f->job.max;
	size_t skip = len < f->skip ? len : (size_t)f->skip;

	f->skip -= skip;
	data += skip;
	len -= skip;
	if (len > limit - f->got)
		return err_set(e, EBADMSG, "longer than the promised %llu bytes",
			       (unsigned long long)limit);
	EVP_DigestUpdate(f->sha, data, len);
	f->got += len;
	report_progress(&f->progress, f->got);
	/* when the reader stopped, the digest still tells whether the bytes were to blame */
	if (f->out >= 0 && fd_write_all(f->out, data, len, e) < 0) {
		if (e->code != EPIPE)
			return err_wrap(e, "pass on");
		f->out = -1;
	}
	return 0;
}

static int fetch_check(struct fetch *f, struct err *e)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	f->failure = PULL_CORRUPT;
	if (f->job.has_size && f->got != f->job.size)
		return err_set(e, EBADMSG, "cut short: %llu of %llu bytes",
			       (unsigned long long)f->got, (unsigned long long)f->job.size);
	EVP_DigestFinal_ex(f->sha, raw, &len);
	memcpy(f->digest, "sha256:", 7);
	str_hex(f->digest + 7, raw, len);
	if (f->job.digest[0] && !str_eq(f->job.digest, f->digest))
		return err_set(e, EBADMSG, "the bytes have the digest %s", f->digest);
	if (!f->job.digest[0] && f->response.digest && !str_eq(f->response.digest, f->digest))
		return err_set(e, EBADMSG, "the bytes have the digest %s, not the announced one",
			       f->digest);
	f->failure = PULL_OK;
	return 0;
}

/* The first line of what the registry says about its refusal. */
static char *registry_words(const struct http_response *r)
{
	struct err ignored = { 0 };
	auto_json *root = NULL;
	const struct json *errors = NULL;
	const char *message = NULL;

	if (!r->body.text || json_parse(r->body.text, r->body.len, &root, &ignored) < 0 ||
	    json_get_array(root, "errors", &errors, &ignored) <= 0 ||
	    json_get_text(errors->first, "message", &message, &ignored) <= 0)
		return mem_strdup("");
	message = message ?: "";
	return str_escape(message, strlen(message), 100);
}

static int refused(struct fetch *f, struct err *e)
{
	const struct http_response *r = &f->response;
	auto_free char *words = registry_words(r);
	const char *colon = words[0] ? ": " : "";

	switch (r->status) {
	case 401:
	case 403:
		f->failure = PULL_DENIED;
		return err_set(e, EACCES, "access denied (%ld)%s%s", r->status, colon, words);
	case 404:
		f->failure = PULL_NOT_FOUND;
		return err_set(e, ENOENT, "not found%s%s", colon, words);
	default:
		f->failure = PULL_UNAVAILABLE;
		return err_set(e, EPROTO, "the registry answers %ld%s%s", r->status, colon, words);
	}
}

static void pause_ms(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static int get_once(struct fetch *f, const struct fetch_source *source, const char *url,
		    struct err *e)
{
	struct http_request request = {
		.url = url,
		.accept = f->job.accept,
		.authorization = f->authorization,
		.from = f->got,
		.begin = fetch_begin,
		.sink = fetch_sink,
		.arg = f,
	};

	if (http_follow(&f->http, &request, &f->response, e) < 0) {
		f->failure = f->response.failure;
		return -e->code;
	}
	if (f->response.status != 401 || f->asked)
		return 0;
	f->asked = true;
	if (fetch_authorize(f, source, e) < 0)
		return -e->code;
	if (!f->authorization)
		return 0;
	request.authorization = f->authorization;
	if (http_follow(&f->http, &request, &f->response, e) < 0) {
		f->failure = f->response.failure;
		return -e->code;
	}
	return 0;
}

/* Tries again what may pass: a broken connection (from where it broke), 429, 5xx. */
static int get(struct fetch *f, const struct fetch_source *source, struct err *e)
{
	auto_free char *url = fetch_url(f, source);
	uint64_t before;

	f->asked = false;
	f->failure = PULL_FAILED;
	for (int try = 1;; try++) {
		uint64_t wait_ms = (uint64_t)FETCH_PAUSE_MS << try;
		long status;
		int r;

		before = f->got;
		r = get_once(f, source, url, e);
		status = f->response.status;
		if (r == 0 && status >= 200 && status <= 299)
			return 0;
		if (f->got > before + (1u << 20))
			try = 1;
		if (try >= FETCH_TRIES || (r < 0 && !f->response.broken))
			return r < 0 ? r : refused(f, e);
		if (r == 0 && status != 429 && status < 500)
			return refused(f, e);
		/* an expired token is asked for again */
		f->asked = false;
		if (f->response.retry_after_s > FETCH_PAUSE_MAX_S)
			return r < 0 ? r : refused(f, e);
		if (f->response.retry_after_s)
			wait_ms = f->response.retry_after_s * 1000ull;
		pause_ms(wait_ms);
	}
}

/* When a connection breaks for good in the middle, that is a body cut short. */
static int get_and_check(struct fetch *f, const struct fetch_source *source, struct err *e)
{
	int r = fetch_is_layout(source) ? fetch_layout(f, source, e) : get(f, source, e);

	if (r < 0) {
		if (f->failure == PULL_UNAVAILABLE && f->got > 0) {
			f->failure = PULL_CORRUPT;
			return err_set(e, EBADMSG, "cut short after %llu bytes",
				       (unsigned long long)f->got);
		}
		return -e->code;
	}
	return fetch_check(f, e);
}

static int fetch_run(struct fetch *f, struct err *e)
{
	auto_str said = { 0 };

	if (f->job.nsources == 0)
		return err_set(e, EINVAL, "no source");
	for (size_t i = 0; i < f->job.nsources; i++) {
		const struct fetch_source *source = &f->job.sources[i];

		fetch_use_token(f, source);
		if (get_and_check(f, source, e) == 0) {
			f->source = source;
			return 0;
		}
		str_printf(&said, "%s%s: %s", said.len ? "; " : "", source->name, e->msg);
		/* what was passed on cannot be taken back */
		if (f->got > 0)
			break;
	}
	return err_set(e, e->code, "%s", said.text);
}

static int fetch_confine(struct err *e)
{
	if (sandbox_limits(64, FETCH_MEMORY, e) < 0 || sandbox_caps(0, e) < 0)
		return -e->code;
	return sandbox_no_writes(e);
}

static void report_success(struct fetch *f)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "digest", f->digest);
	json_out_uint(&o, "size", f->got);
	json_out_text(&o, "content_type", f->response.content_type ?: "");
	json_out_text(&o, "source", f->source->name);
	json_out_text(&o, "token", f->token ?: "");
	json_out_end(&o);
	report_ok(o.s.text);
}

int main(void)
{
	struct fetch f = { .out = 1 };
	struct err e = { 0 };
	int r;

	log_init("berth-fetch");
	signal(SIGPIPE, SIG_IGN);
	f.failure = PULL_FAILED;
	f.sha = EVP_MD_CTX_new();
	if (!f.sha || EVP_DigestInit_ex(f.sha, EVP_sha256(), NULL) != 1)
		r = err_set(&e, ENOMEM, "prepare sha256");
	else if (fetch_read_job(&f.job, &e) < 0)
		r = err_wrap(&e, "job");
	else if (fetch_confine(&e) < 0)
		r = err_wrap(&e, "confine");
	else if (http_init(&f.http, f.job.stall_ms, &e) < 0)
		r = -e.code;
	else
		r = fetch_run(&f, &e);
	if (r < 0)
		report_failure(f.failure, &e);
	else
		report_success(&f);
	http_done(&f.http);
	return r < 0;
}
