/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server with nghttp2's client at the other end of a socket pair, and raw bytes for the abuse.
 */
#include "test.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cri/api/api.pb-c.h"
#include "cri/h2.h"
#include "cri/method.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"

/* The service under test ----------------------------------------------------------- */

static struct call *kept; /* of Hold */
static int gone;

static void run_echo(struct call *call)
{
	const Cri__VersionRequest *q = (const void *)call->request;
	Cri__VersionResponse r = CRI__VERSION_RESPONSE__INIT;

	r.version = q->version;
	call_reply(call, &r.base);
}

static void run_fail(struct call *call)
{
	call_fail(call, GRPC_NOT_FOUND, "no \"%s\" at 100%%", "thing");
}

static void on_gone(struct call *call)
{
	(void)call;
	gone++;
}

static void run_hold(struct call *call)
{
	kept = call;
	call->on_gone = on_gone;
	call->stage = "a test";
}

static void run_large(struct call *call)
{
	size_t len = 4u << 20;
	auto_free char *data = mem_alloc(len);

	call_reply_packed(call, data, len);
}

#define METHOD(name_, run_)                                                                  \
	{                                                                                    \
		.service = "S", .name = name_, .request = &cri__version_request__descriptor, \
		.response = &cri__version_response__descriptor, .run = run_                  \
	}
static const struct method methods[] = {
	METHOD("Echo", run_echo),   METHOD("Fail", run_fail), METHOD("Hold", run_hold),
	METHOD("Large", run_large), METHOD("Missing", NULL),
};

static const struct method *find(const char *path)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (str_starts(path, "/S/") && str_eq(path + 3, methods[i].name))
			return &methods[i];
	return NULL;
}

/* The client ------------------------------------------------------------------------- */

struct answer {
	char http[8];
	char status[8];
	char text[512];
	struct str data;
	uint32_t error; /* of the stream */
	bool closed;
};

struct rig {
	struct ev ev;
	struct h2 h2;
	int fd;
	nghttp2_session *session;
	struct answer answers[64]; /* by stream id / 2 */
	uint32_t goaway;
	bool got_goaway, eof;
	int pings;
	const uint8_t *body;
	size_t body_len;
};

static struct answer *answer_of(struct rig *r, int32_t id)
{
	return &r->answers[(id / 2) % 64];
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
		     size_t nlen, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct answer *a = answer_of(arg, frame->hd.stream_id);

	(void)s;
	(void)flags;
	(void)nlen;
	(void)len;
	if (str_eq((const char *)name, ":status"))
		str_copy(a->http, sizeof(a->http), (const char *)value);
	if (str_eq((const char *)name, "grpc-status"))
		str_copy(a->status, sizeof(a->status), (const char *)value);
	if (str_eq((const char *)name, "grpc-message"))
		str_copy(a->text, sizeof(a->text), (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *arg)
{
	(void)s;
	(void)flags;
	str_add_mem(&answer_of(arg, id)->data, data, len);
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
	(void)s;
	answer_of(arg, id)->closed = true;
	answer_of(arg, id)->error = code;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	struct rig *r = arg;

	(void)s;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		r->got_goaway = true;
		r->goaway = frame->goaway.error_code;
	}
	if (frame->hd.type == NGHTTP2_PING)
		r->pings++;
	return 0;
}

static int setup(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	nghttp2_session_callbacks *cb;
	struct err e = { 0 };
	int pair[2];

	log_set_level(LOG_ERR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	assert_int_equal(ev_init(&r->ev, &e), 0);
	h2_init(&r->h2, &r->ev, NULL, find);
	assert_int_equal(h2_add(&r->h2, pair[0], &e), 0);
	r->fd = pair[1];
	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_client_new(&r->session, cb, r);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(r->session, 0, NULL, 0);
	kept = NULL;
	gone = 0;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	if (kept)
		call_fail(kept, GRPC_CANCELLED, "over");
	h2_done(&r->h2);
	assert_int_equal(r->h2.held, 0);
	assert_int_equal(r->h2.ncalls, 0);
	assert_int_equal(r->h2.nconns, 0);
	nghttp2_session_del(r->session);
	fd_close(&r->fd);
	ev_done(&r->ev);
	for (size_t i = 0; i < 64; i++)
		str_done(&r->answers[i].data);
	free(r);
	return 0;
}

static void serve(struct rig *r)
{
	struct err e = { 0 };

	for (int i = 0; i < 3; i++)
		assert_int_equal(ev_round(&r->ev, 0, &e), 0);
}

static bool write_all(struct rig *r, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = send(r->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			serve(r);
			continue;
		}
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Moves everything that wants to be moved, both ways. */
static void pump(struct rig *r)
{
	char buf[65536];

	for (int quiet = 0; quiet < 3 && !r->eof;) {
		const uint8_t *out;
		ssize_t n = nghttp2_session_mem_send(r->session, &out);

		quiet = n > 0 ? 0 : quiet + 1;
		if (n > 0 && !write_all(r, out, (size_t)n))
			r->eof = true;
		serve(r);
		while ((n = recv(r->fd, buf, sizeof(buf), 0)) > 0) {
			quiet = 0;
			if (nghttp2_session_mem_recv(r->session, (uint8_t *)buf, (size_t)n) < 0)
				r->eof = true;
			serve(r);
		}
		if (n == 0)
			r->eof = true;
	}
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t room, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct rig *r = arg;
	size_t n = r->body_len < room ? r->body_len : room;

	(void)s;
	(void)id;
	(void)source;
	memcpy(buf, r->body, n);
	r->body += n;
	r->body_len -= n;
	if (!r->body_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

#define NV(name_, value_)                                                           \
	{                                                                           \
		.name = (uint8_t *)(uintptr_t)(name_), .namelen = strlen(name_),    \
		.value = (uint8_t *)(uintptr_t)(value_), .valuelen = strlen(value_) \
	}

struct ask {
	const char *path, *method, *type;
	const char *extra, *value; /* one more header */
	const void *body;
	size_t len;
};

static struct answer *request(struct rig *r, struct ask q)
{
	nghttp2_nv nv[] = {
		NV(":method", q.method ?: "POST"),
		NV(":scheme", "http"),
		NV(":path", q.path),
		NV(":authority", "localhost"),
		NV("content-type", q.type ?: "application/grpc"),
		NV("te", "trailers"),
		NV(q.extra ?: "x-nothing", q.value ?: "y"),
	};
	nghttp2_data_provider provider = { .read_callback = read_body };
	int32_t id;

	r->body = q.body;
	r->body_len = q.len;
	id = nghttp2_submit_request(r->session, NULL, nv, sizeof(nv) / sizeof(nv[0]), &provider,
				    NULL);
	assert_true(id > 0);
	pump(r);
	return answer_of(r, id);
}

static const uint8_t hello[] = { 0, 0, 0, 0, 4, 0x0a, 2, 'h', 'i' };
#define HELLO .body = hello, .len = sizeof(hello)

/* Manners ------------------------------------------------------------------------------ */

static void a_call_is_answered_with_message_and_trailers(void **state)
{
	struct answer *a = request(*state, (struct ask){ .path = "/S/Echo", HELLO });

	assert_string_equal(a->http, "200");
	assert_string_equal(a->status, "0");
	assert_int_equal(a->data.len, sizeof(hello));
	assert_memory_equal(a->data.text, hello, sizeof(hello));
	assert_true(a->closed);
}

static void a_failure_is_told_in_trailers_alone(void **state)
{
	struct answer *a = request(*state, (struct ask){ .path = "/S/Fail", HELLO });

	assert_string_equal(a->http, "200");
	assert_string_equal(a->status, "5");
	assert_string_equal(a->text, "no \"thing\" at 100%25");
	assert_int_equal(a->data.len, 0);
}

static void what_is_not_there_is_unimplemented(void **state)
{
	struct rig *r = *state;

	assert_string_equal(request(r, (struct ask){ .path = "/S/Nothing", HELLO })->status, "12");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Missing", HELLO })->status, "12");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .extra = "grpc-encoding",
						     .value = "gzip",
						     HELLO })
				    ->status,
			    "12");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .extra = "grpc-encoding",
						     .value = "identity",
						     HELLO })
				    ->status,
			    "0");
}

static void what_is_no_grpc_gets_an_http_status(void **state)
{
	struct rig *r = *state;

	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo", .method = "PUT", HELLO })
				    ->http,
			    "405");
	assert_string_equal(request(r,
				    (struct ask){ .path = "/S/Echo", .type = "text/html", HELLO })
				    ->http,
			    "415");
}

static void a_bad_message_is_refused(void **state)
{
	static const uint8_t cut[] = { 0, 0, 0, 0, 9, 'x' };
	static const uint8_t more[] = { 0, 0, 0, 0, 0, 'x' };
	static const uint8_t garbage[] = { 0, 0, 0, 0, 2, 0x0a, 9 };
	static const uint8_t latin[] = { 0, 0, 0, 0, 3, 0x0a, 1, 0xe9 };
	static const uint8_t large[] = { 0, 0x7f, 0, 0, 0 };
	struct rig *r = *state;
	struct answer *a;

	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .body = cut,
						     .len = sizeof(cut) })
				    ->status,
			    "13");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .body = more,
						     .len = sizeof(more) })
				    ->status,
			    "13");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .body = garbage,
						     .len = sizeof(garbage) })
				    ->status,
			    "3");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo",
						     .body = large,
						     .len = sizeof(large) })
				    ->status,
			    "8");
	a = request(r, (struct ask){ .path = "/S/Echo", .body = latin, .len = sizeof(latin) });
	assert_string_equal(a->status, "3");
	assert_string_equal(a->text, "VersionRequest: version: not UTF-8");
	/* and the connection is as good as before */
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo", HELLO })->status, "0");
}

static void a_deadline_is_told_with_what_was_waited_for(void **state)
{
	struct rig *r = *state;
	struct answer *a =
		request(r,
			(struct ask){
				.path = "/S/Hold", .extra = "grpc-timeout", .value = "1m", HELLO });
	struct err e = { 0 };

	for (int i = 0; i < 100 && !a->closed; i++) {
		assert_int_equal(ev_round(&r->ev, 10, &e), 0);
		pump(r);
	}
	assert_string_equal(a->status, "4");
	assert_string_equal(a->text, "Hold: deadline exceeded while waiting for: a test");
	assert_int_equal(gone, 1);
	assert_true(kept->gone);
	call_fail(kept, GRPC_INTERNAL, "too late"); /* goes nowhere */
	kept = NULL;
}

static void a_cancelled_call_is_told_so_and_its_late_answer_dropped(void **state)
{
	struct rig *r = *state;

	request(r, (struct ask){ .path = "/S/Hold", HELLO });
	assert_non_null(kept);
	nghttp2_submit_rst_stream(r->session, 0, 1, NGHTTP2_CANCEL);
	pump(r);
	assert_int_equal(gone, 1);
	run_echo(kept);
	kept = NULL;
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo", HELLO })->status, "0");
}

static void a_ping_is_answered(void **state)
{
	struct rig *r = *state;

	nghttp2_submit_ping(r->session, 0, NULL);
	pump(r);
	assert_int_equal(r->pings, 1);
}

static void a_large_answer_arrives_whole_and_is_let_go(void **state)
{
	struct rig *r = *state;
	struct answer *a = request(r, (struct ask){ .path = "/S/Large", HELLO });

	assert_string_equal(a->status, "0");
	assert_int_equal(a->data.len, GRPC_FRAME + (4u << 20));
	assert_int_equal(r->h2.held, 0);
}

/* Abuse -------------------------------------------------------------------------------- */

static void unread_answers_are_bounded(void **state)
{
	struct rig *r = *state;
	nghttp2_settings_entry none = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };
	struct answer *a = NULL;

	nghttp2_submit_settings(r->session, 0, &none, 1); /* it asks, and never fetches */
	for (int i = 0; i < 12; i++)
		a = request(r, (struct ask){ .path = "/S/Large", HELLO });
	assert_string_equal(a->status, "8");
	assert_true(r->h2.held < H2_CONN_HELD_MAX + (5u << 20));
}

static void resets_without_end_close_the_connection(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < H2_RESETS_BURST + 200 && !r->eof; i++) {
		request(r, (struct ask){ .path = "/S/Hold", HELLO });
		if (kept) {
			nghttp2_submit_rst_stream(r->session, 0, 2 * i + 1, NGHTTP2_CANCEL);
			pump(r);
			call_fail(kept, GRPC_CANCELLED, "over");
			kept = NULL;
		}
	}
	assert_true(r->eof || r->got_goaway);
	assert_int_equal(r->h2.nconns, 0);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
#define PREFACE (sizeof(preface) - 1)

static void continuations_without_end_close_the_connection(void **state)
{
	struct rig *r = *state;
	/* HEADERS of stream 1, no END_HEADERS, a byte of padding in the table: an indexed field */
	static const char headers[] = "\0\0\1\1\0\0\0\0\1\x82";
	static const char more[] = "\0\0\1\x9\0\0\0\0\1\x82";

	write_all(r, preface, PREFACE);
	write_all(r, headers, sizeof(headers) - 1);
	for (int i = 0; i < 1000 && r->h2.nconns; i++) {
		if (!write_all(r, more, sizeof(more) - 1))
			break;
		serve(r);
	}
	assert_int_equal(r->h2.nconns, 0);
}

static void headers_beyond_the_limit_are_refused(void **state)
{
	struct rig *r = *state;
	auto_free char *value = mem_alloc(20001);
	struct answer *a;

	memset(value, 'v', 20000);
	a = request(r,
		    (struct ask){ .path = "/S/Echo", .extra = "x-large", .value = value, HELLO });
	assert_string_equal(a->http, "431");
	assert_string_equal(request(r, (struct ask){ .path = "/S/Echo", HELLO })->status, "0");
}

static void pings_whose_answers_nobody_reads_are_bounded(void **state)
{
	struct rig *r = *state;
	static const char ping[] = "\0\0\x8\6\0\0\0\0\0"
				   "12345678";
	size_t sent = 0;

	write_all(r, preface, PREFACE);
	/* its socket fills up, then it is not read from any more */
	for (int i = 0; i < 200000; i++) {
		ssize_t n = send(r->fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
		if (i % 512 == 0)
			serve(r);
	}
	assert_true(sent < (16u << 20));
	assert_true(r->h2.nconns <= 1);
}

static void another_protocol_closes_the_connection(void **state)
{
	struct rig *r = *state;
	static const char http1[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

	write_all(r, http1, sizeof(http1) - 1);
	serve(r);
	assert_int_equal(r->h2.nconns, 0);
}

static void a_broken_connection_tells_its_calls(void **state)
{
	struct rig *r = *state;

	request(r, (struct ask){ .path = "/S/Hold", HELLO });
	fd_close(&r->fd);
	serve(r);
	assert_int_equal(gone, 1);
	assert_int_equal(r->h2.nconns, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static const struct CMUnitTest tests[] = {
	TEST(a_call_is_answered_with_message_and_trailers),
	TEST(a_failure_is_told_in_trailers_alone),
	TEST(what_is_not_there_is_unimplemented),
	TEST(what_is_no_grpc_gets_an_http_status),
	TEST(a_bad_message_is_refused),
	TEST(a_deadline_is_told_with_what_was_waited_for),
	TEST(a_cancelled_call_is_told_so_and_its_late_answer_dropped),
	TEST(a_ping_is_answered),
	TEST(a_large_answer_arrives_whole_and_is_let_go),
	TEST(unread_answers_are_bounded),
	TEST(resets_without_end_close_the_connection),
	TEST(continuations_without_end_close_the_connection),
	TEST(headers_beyond_the_limit_are_refused),
	TEST(pings_whose_answers_nobody_reads_are_bounded),
	TEST(another_protocol_closes_the_connection),
	TEST(a_broken_connection_tells_its_calls),
};

TEST_MAIN(tests)
