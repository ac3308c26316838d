/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/mem.h"

/* what the callbacks of one exchange need */
struct exchange {
	struct http *h;
	const struct http_request *request;
	struct http_response *response;
	bool begun;
	struct err err; /* why a callback refused */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void http_response_done(struct http_response *r)
{
	free(r->content_type);
	free(r->digest);
	free(r->location);
	for (size_t i = 0; i < r->nchallenges; i++)
		free(r->challenges[i]);
	str_done(&r->body);
	*r = (struct http_response){ 0 };
}

int http_init(struct http *h, uint32_t stall_ms, struct err *e)
{
	*h = (struct http){ .stall_ms = stall_ms };
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(h->curl = curl_easy_init()))
		return err_set(e, ENOMEM, "start libcurl");
	return 0;
}

void http_done(struct http *h)
{
	if (h->curl)
		curl_easy_cleanup(h->curl);
	h->curl = NULL;
}

static void take_status(struct http_response *r, const char *line)
{
	const char *blank = strchr(line, ' ');

	/* the headers of a 100 or of an earlier answer do not count */
	r->status = blank ? strtol(blank, NULL, 10) : 0;
}

static void take_range(struct http_response *r, const char *value)
{
	unsigned long long from;

	if (sscanf(value, "bytes %llu-", &from) == 1)
		r->range_from = from;
}

static void take_header(struct http_response *r, const char *name, const char *value)
{
	uint32_t seconds;

	if (strcasecmp(name, "content-type") == 0) {
		auto_free char *type = mem_strndup(value, strcspn(value, "; \t"));

		mem_replace(&r->content_type, type);
	} else if (strcasecmp(name, "docker-content-digest") == 0) {
		mem_replace(&r->digest, value);
	} else if (strcasecmp(name, "location") == 0) {
		mem_replace(&r->location, value);
	} else if (strcasecmp(name, "www-authenticate") == 0) {
		if (r->nchallenges < HTTP_CHALLENGES)
			r->challenges[r->nchallenges++] = mem_strdup(value);
	} else if (strcasecmp(name, "retry-after") == 0) {
		if (str_to_u32(value, &seconds) == 0)
			r->retry_after_s = seconds;
	} else if (strcasecmp(name, "content-length") == 0) {
		r->has_length = str_to_u64(value, &r->length) == 0;
	} else if (strcasecmp(name, "content-range") == 0) {
		take_range(r, value);
	}
}

static size_t on_header(char *data, size_t one, size_t len, void *arg)
{
	struct exchange *x = arg;
	auto_free char *line = NULL;
	char *colon, *value, *end;

	(void)one;
	x->response->header_bytes += len;
	if (x->response->header_bytes > HTTP_HEADERS_MAX) {
		err_set(&x->err, EBADMSG, "headers of more than %u bytes", HTTP_HEADERS_MAX);
		return 0;
	}
	line = mem_strndup(data, strnlen(data, len));
	end = line + strlen(line);
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (str_starts(line, "HTTP/")) {
		take_status(x->response, line);
		return len;
	}
	colon = strchr(line, ':');
	if (!colon)
		return len;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	take_header(x->response, line, value);
	return len;
}

static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
	struct exchange *x = arg;
	uint64_t before;
	int r = 0;

	(void)one;
	x->h->window_bytes += len;
	if (x->response->status < 200 || x->response->status > 299) {
		size_t room = HTTP_ERROR_BODY_MAX - x->response->body.len;

		str_add_mem(&x->response->body, data, len < room ? len : room);
		return len;
	}
	before = now_ms();
	if (!x->begun && x->request->begin)
		r = x->request->begin(x->request->arg, &x->err);
	x->begun = true;
	if (r == 0)
		r = x->request->sink(x->request->arg, data, len, &x->err);
	x->h->sink_ms += now_ms() - before;
	return r == 0 ? len : 0;
}

/* Called about once a second, also when nothing comes. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct http *h = arg;
	uint64_t now = now_ms();
	uint64_t waited = now - h->window_ms - h->sink_ms;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	if (now - h->window_ms < h->sink_ms || waited < h->stall_ms)
		return 0;
	if (h->window_bytes * 1000 / waited < HTTP_RATE_MIN) {
		h->stalled = true;
		return 1;
	}
	h->window_ms = now;
	h->window_bytes = h->sink_ms = 0;
	return 0;
}

static struct curl_slist *request_headers(const struct http_request *request)
{
	struct curl_slist *list = NULL;
	auto_free char *accept = request->accept ? mem_printf("Accept: %s", request->accept) : NULL;
	auto_free char *authorization =
		request->authorization ? mem_printf("Authorization: %s", request->authorization)
				       : NULL;

	if (accept)
		list = curl_slist_append(list, accept);
	if (authorization)
		list = curl_slist_append(list, authorization);
	return curl_slist_append(list, "Expect:");
}

static void set_options(struct exchange *x, struct curl_slist *headers, char *curl_error)
{
	CURL *c = x->h->curl;
	uint32_t connect_ms = x->h->stall_ms < HTTP_CONNECT_MS ? x->h->stall_ms : HTTP_CONNECT_MS;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, x->request->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "berth");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 512L << 10);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_error);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x->h);
	if (x->request->from) {
		/* not CURLOPT_RESUME_FROM: that one insists on a 206 */
		auto_free char *range = mem_printf("%llu-", (unsigned long long)x->request->from);

		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
	if (x->request->form)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->request->form);
}

/* What libcurl's answer means. Texts of others are cut to what is fit to print. */
static int explain(struct exchange *x, CURLcode code, const char *curl_error, struct err *e)
{
	struct http_response *r = x->response;
	const char *text = curl_error[0] ? curl_error : curl_easy_strerror(code);
	auto_free char *shown = str_escape(text, strlen(text), 160);

	r->failure = PULL_UNAVAILABLE;
	if (x->h->stalled) {
		r->failure = PULL_STALLED;
		return err_set(e, ETIMEDOUT, "less than %d bytes a second for %u s", HTTP_RATE_MIN,
			       x->h->stall_ms / 1000);
	}
	if (x->err.code) {
		r->failure = x->err.code == EBADMSG ? PULL_CORRUPT : PULL_FAILED;
		*e = x->err;
		return -e->code;
	}
	switch ((int)code) {
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
		r->broken = true;
		return err_set(e, ECONNRESET, "%s", shown);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, EHOSTUNREACH, "%s", shown);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, ETIMEDOUT, "%s", shown);
	case CURLE_COULDNT_CONNECT:
		return err_set(e, ECONNREFUSED, "%s", shown);
	default:
		return err_set(e, EPROTO, "%s", shown);
	}
}

int http_run(struct http *h, const struct http_request *request, struct http_response *ret,
	     struct err *e)
{
	struct exchange x = { .h = h, .request = request, .response = ret };
	struct curl_slist *headers = request_headers(request);
	char curl_error[CURL_ERROR_SIZE] = "";
	CURLcode code;

	http_response_done(ret);
	h->window_ms = now_ms();
	h->window_bytes = h->sink_ms = 0;
	h->stalled = false;
	set_options(&x, headers, curl_error);
	code = curl_easy_perform(h->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return explain(&x, code, curl_error, e);
	/* an empty body never called the sink */
	if (!x.begun && ret->status >= 200 && ret->status <= 299 && request->begin &&
	    request->begin(request->arg, e) < 0) {
		ret->failure = e->code == EBADMSG ? PULL_CORRUPT : PULL_FAILED;
		return -e->code;
	}
	return 0;
}

/* The parts of a URL that decide who gets to see credentials. */
struct origin {
	char *scheme;
	char *host;
	char *port;
};

static void origin_done(struct origin *o)
{
	curl_free(o->scheme);
	curl_free(o->host);
	curl_free(o->port);
}

static int origin_of(CURLU *url, struct origin *ret, struct err *e)
{
	char *user = NULL;

	if (curl_url_get(url, CURLUPART_SCHEME, &ret->scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &ret->host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return err_set(e, EBADMSG, "malformed address");
	if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK) {
		curl_free(user);
		return err_set(e, EBADMSG, "address with a user name");
	}
	return 0;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
	return str_eq(a->scheme, b->scheme) && strcasecmp(a->host, b->host) == 0 &&
	       str_eq(a->port, b->port);
}

/* Moves url to location (which may be relative); says whether the origin is still the same. */
static int redirect(CURLU *url, const char *location, bool *ret_same, struct err *e)
{
	struct origin from = { 0 }, to = { 0 };
	int r = origin_of(url, &from, e);

	if (r == 0 && curl_url_set(url, CURLUPART_URL, location, 0) != CURLUE_OK)
		r = err_set(e, EBADMSG, "redirect to a malformed address");
	if (r == 0)
		r = origin_of(url, &to, e);
	if (r == 0 && !str_eq(to.scheme, "https") &&
	    !(str_eq(to.scheme, "http") && str_eq(from.scheme, "http")))
		r = err_set(e, EBADMSG, "redirect from %s to %.16s", from.scheme, to.scheme);
	if (r == 0)
		*ret_same = same_origin(&from, &to);
	origin_done(&from);
	origin_done(&to);
	return r;
}

static bool is_redirect(const struct http_response *r)
{
	return r->location && (r->status == 301 || r->status == 302 || r->status == 303 ||
			       r->status == 307 || r->status == 308);
}

static int follow(struct http *h, CURLU *url, struct http_request *request,
		  struct http_response *ret, struct err *e)
{
	for (int i = 0;; i++) {
		char *text = NULL;
		bool same = true;
		int r;

		if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
			return err_set(e, EINVAL, "malformed address");
		request->url = text;
		r = http_run(h, request, ret, e);
		curl_free(text);
		if (r < 0 || !is_redirect(ret))
			return r;
		if (i == HTTP_REDIRECTS_MAX)
			r = err_set(e, EBADMSG, "more than %d redirects", HTTP_REDIRECTS_MAX);
		else
			r = redirect(url, ret->location, &same, e);
		if (r < 0) {
			ret->failure = PULL_CORRUPT;
			return r;
		}
		if (!same)
			request->authorization = NULL;
	}
}

int http_follow(struct http *h, const struct http_request *request, struct http_response *ret,
		struct err *e)
{
	struct http_request copy = *request;
	CURLU *url = curl_url();
	int r;

	ret->failure = PULL_FAILED;
	if (!url || curl_url_set(url, CURLUPART_URL, request->url, 0) != CURLUE_OK)
		r = err_set(e, EINVAL, "malformed address");
	else
		r = follow(h, url, &copy, ret, e);
	curl_url_cleanup(url);
	return r;
}
