/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gRPC server; see h2.h. nghttp2 speaks HTTP/2 and holds to its own limits
 * (resets, continuations, unanswered control frames); this file turns a
 * stream into a call, and a call's answer into headers, data and trailers.
 */
#include "cri/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cri/pbcheck.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"

#define PATH_MAX_BYTES 128 /* longer than every method's */
#define READS_A_ROUND 8

struct h2_conn {
	struct list node;
	struct h2 *h2;
	int fd;
	struct ev_source source;
	struct ev_source flush; /* work: send what was queued in this round */
	nghttp2_session *session;
	struct list streams;
	size_t held; /* bytes of requests and answers */
	uint8_t *out; /* what the socket did not take */
	size_t out_len, out_off;
	bool dead; /* to be freed at the end of the round */
};

struct h2_stream {
	struct list node;
	struct h2_conn *conn;
	int32_t id;
	struct call *call; /* NULL before the request is whole and after its answer */
	char path[PATH_MAX_BYTES];
	size_t headers; /* bytes so far */
	uint64_t timeout_ms;
	int http_error; /* the answer is this HTTP status instead of gRPC's */
	bool post, grpc, encoded, bad_timeout;
	bool answered; /* what else comes is dropped */
	bool whole; /* the client has sent everything */
	struct grpc_body body;
	size_t body_held;
	uint8_t *answer;
	size_t answer_len, answer_off;
};

static void hold(struct h2_conn *c, size_t bytes)
{
	c->held += bytes;
	c->h2->held += bytes;
}

static void unhold(struct h2_conn *c, size_t bytes)
{
	c->held -= bytes;
	c->h2->held -= bytes;
}

static bool is_full(const struct h2_conn *c)
{
	return c->held > H2_CONN_HELD_MAX || c->h2->held > H2_HELD_MAX;
}

static void drop_body(struct h2_stream *s)
{
	grpc_body_done(&s->body);
	unhold(s->conn, s->body_held);
	s->body_held = 0;
}

static void drop_answer(struct h2_stream *s)
{
	unhold(s->conn, s->answer_len);
	free(mem_take(&s->answer));
	s->answer_len = 0;
}

static void stream_free(struct h2_stream *s)
{
	struct call *call = mem_take(&s->call);

	if (call)
		call_gone(call);
	drop_body(s);
	drop_answer(s);
	list_remove(&s->node);
	free(s);
}

/* Answers ------------------------------------------------------------------ */

static nghttp2_nv header(const char *name, const char *value)
{
	/* nghttp2 copies both */
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
			     .value = (uint8_t *)(uintptr_t)value,
			     .namelen = strlen(name),
			     .valuelen = strlen(value) };
}

static void send_status_only(struct h2_stream *s, int status)
{
	char text[8];
	nghttp2_nv nv[1];

	snprintf(text, sizeof(text), "%d", status);
	nv[0] = header(":status", text);
	nghttp2_submit_response(s->conn->session, s->id, nv, 1, NULL);
}

static void send_failure(struct h2_stream *s, enum grpc_code code, const char *text)
{
	char number[8];
	auto_str encoded = { 0 };
	nghttp2_nv nv[5];
	size_t n = 0;

	snprintf(number, sizeof(number), "%d", code);
	grpc_percent_encode(&encoded, text, H2_MESSAGE_TEXT_MAX);
	nv[n++] = header(":status", "200");
	nv[n++] = header("content-type", "application/grpc");
	nv[n++] = header("grpc-status", number);
	nv[n++] = header("grpc-message", encoded.text ?: "");
	if (s->encoded)
		nv[n++] = header("grpc-accept-encoding", "identity");
	nghttp2_submit_response(s->conn->session, s->id, nv, n, NULL);
}

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
			   uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	nghttp2_nv trailer = header("grpc-status", "0");
	size_t n = s->answer_len - s->answer_off;

	(void)arg;
	if (n > room)
		n = room;
	memcpy(buf, s->answer + s->answer_off, n);
	s->answer_off += n;
	if (s->answer_off < s->answer_len)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(session, id, &trailer, 1) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	drop_answer(s);
	return (ssize_t)n;
}

static void send_answer(struct h2_stream *s)
{
	nghttp2_data_provider provider = { .source.ptr = s, .read_callback = read_answer };
	nghttp2_nv nv[2];

	nv[0] = header(":status", "200");
	nv[1] = header("content-type", "application/grpc");
	nghttp2_submit_response(s->conn->session, s->id, nv, 2, &provider);
}

void h2_answer(struct h2_stream *s, void *data, size_t len, enum grpc_code code, const char *text)
{
	s->call = NULL;
	s->answered = true;
	drop_body(s);
	if (data) {
		s->answer = data;
		s->answer_len = len;
		hold(s->conn, len);
		send_answer(s);
	} else if (s->http_error) {
		send_status_only(s, s->http_error);
	} else {
		send_failure(s, code, text);
	}
	if (!s->conn->dead)
		ev_mark(&s->conn->flush);
}

void h2_call_ended(struct h2 *h2)
{
	h2->ncalls--;
}

/* Requests ----------------------------------------------------------------- */

/* What can be refused before the body is here. */
static void check_headers(struct h2_stream *s)
{
	if (s->headers > H2_HEADERS_MAX)
		s->http_error = 431;
	else if (!s->post)
		s->http_error = 405;
	else if (!s->grpc)
		s->http_error = 415;
	if (s->http_error)
		h2_answer(s, NULL, 0, GRPC_INTERNAL, "");
	else if (s->encoded)
		h2_answer(s, NULL, 0, GRPC_UNIMPLEMENTED, "compressed requests are not supported");
	else if (s->bad_timeout)
		h2_answer(s, NULL, 0, GRPC_INTERNAL, "malformed grpc-timeout");
	else if (!s->conn->h2->find(s->path))
		h2_answer(s, NULL, 0, GRPC_UNIMPLEMENTED, "unknown method");
	else if (is_full(s->conn))
		h2_answer(s, NULL, 0, GRPC_RESOURCE_EXHAUSTED,
			  "too many requests and unread answers in memory");
}

static void dispatch(struct h2_stream *s)
{
	struct h2 *h2 = s->conn->h2;
	const struct method *m = h2->find(s->path);
	ProtobufCMessage *request;
	struct err e = { 0 };
	char text[sizeof(e.msg) + 64];

	if (!grpc_body_whole(&s->body)) {
		h2_answer(s, NULL, 0, GRPC_INTERNAL, "the request's message is cut short");
		return;
	}
	if (!m->run) {
		snprintf(text, sizeof(text), "%s is not implemented", m->name);
		h2_answer(s, NULL, 0, GRPC_UNIMPLEMENTED, text);
		return;
	}
	if (h2->ncalls >= H2_CALLS_MAX) {
		h2_answer(s, NULL, 0, GRPC_RESOURCE_EXHAUSTED, "too many calls at work");
		return;
	}
	if (pbcheck(m->request, s->body.data, s->body.len, &e) < 0) {
		err_wrap(&e, "%s", m->request->short_name);
		h2_answer(s, NULL, 0, GRPC_INVALID_ARGUMENT, e.msg);
		return;
	}
	request = protobuf_c_message_unpack(m->request, NULL, s->body.len, s->body.data);
	if (!request) {
		snprintf(text, sizeof(text), "malformed %s", m->request->short_name);
		h2_answer(s, NULL, 0, GRPC_INVALID_ARGUMENT, text);
		return;
	}
	drop_body(s);
	h2->ncalls++;
	s->call = call_new(h2, m, s, request, s->timeout_ms);
	call_run(s->call);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = mem_alloc(sizeof(*s));
	s->conn = c;
	s->id = frame->hd.stream_id;
	s->timeout_ms = UINT64_MAX;
	list_add_tail(&c->streams, &s->node);
	nghttp2_session_set_stream_user_data(session, s->id, s);
	return 0;
}

static bool value_is(const uint8_t *value, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(value, text, len) == 0;
}

static void take_path(struct h2_stream *s, const uint8_t *value, size_t len)
{
	if (len >= sizeof(s->path))
		len = 0; /* no method of ours */
	memcpy(s->path, value, len);
	s->path[len] = '\0';
}

static void take_type(struct h2_stream *s, const uint8_t *value, size_t len)
{
	static const char type[] = "application/grpc";
	size_t n = sizeof(type) - 1;

	s->grpc = len >= n && memcmp(value, type, n) == 0 &&
		  (len == n || value_is(value + n, len - n, "+proto") || value[n] == ';');
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	struct err e = { 0 };

	(void)flags;
	(void)arg;
	if (!s || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	s->headers += name_len + len + 32; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
	if (s->headers > H2_HEADERS_MAX || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (value_is(name, name_len, ":method"))
		s->post = value_is(value, len, "POST");
	else if (value_is(name, name_len, ":path"))
		take_path(s, value, len);
	else if (value_is(name, name_len, "content-type"))
		take_type(s, value, len);
	else if (value_is(name, name_len, "grpc-encoding"))
		s->encoded = !value_is(value, len, "identity");
	else if (value_is(name, name_len, "grpc-timeout"))
		s->bad_timeout =
			grpc_timeout_parse((const char *)value, len, &s->timeout_ms, &e) < 0;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t len, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct err e = { 0 };

	(void)flags;
	(void)arg;
	if (!s || s->answered)
		return 0;
	hold(s->conn, len);
	s->body_held += len;
	if (is_full(s->conn)) {
		h2_answer(s, NULL, 0, GRPC_RESOURCE_EXHAUSTED, "too many requests in memory");
		return 0;
	}
	if (grpc_body_feed(&s->body, data, len, &e) < 0)
		h2_answer(s, NULL, 0, e.code == EMSGSIZE ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL,
			  e.msg);
	return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_stream *s;

	(void)arg;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!s)
		return 0;
	s->whole = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		check_headers(s);
	if (s->whole && !s->answered && !s->call)
		dispatch(s);
	return 0;
}

/* An answer that came before the request was whole: tell the client to stop sending. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_stream *s;

	(void)arg;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (s && !s->whole)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)code;
	(void)arg;
	if (s) {
		nghttp2_session_set_stream_user_data(session, id, NULL);
		stream_free(s);
	}
	return 0;
}

/* Connections -------------------------------------------------------------- */

static void conn_free(struct h2_conn *c)
{
	c->dead = true;
	ev_remove(&c->source);
	ev_remove(&c->flush);
	list_for_each(s, &c->streams, struct h2_stream, node)
		stream_free(s);
	nghttp2_session_del(c->session);
	list_remove(&c->node);
	c->h2->nconns--;
	fd_close(&c->fd);
	free(c->out);
	free(c);
}

/* Sends bytes; keeps what the socket does not take. False: the connection is broken. */
static bool conn_write(struct h2_conn *c, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	if (len) {
		c->out = mem_memdup(data, len);
		c->out_len = len;
		c->out_off = 0;
	}
	return true;
}

static bool conn_write_rest(struct h2_conn *c)
{
	auto_free uint8_t *old = mem_take(&c->out);

	return !old || conn_write(c, old + c->out_off, c->out_len - c->out_off);
}

/* One write for the frames of many streams. */
static bool conn_fill(struct h2_conn *c)
{
	uint8_t *buf = c->h2->buf;
	size_t used = 0;

	while (!c->out) {
		const uint8_t *chunk;
		ssize_t n = nghttp2_session_mem_send(c->session, &chunk);

		if (n < 0)
			return false;
		if (used && (n == 0 || used + (size_t)n > H2_BUFFER)) {
			if (!conn_write(c, buf, used))
				return false;
			used = 0;
		}
		if (n == 0)
			break;
		if (c->out) { /* the socket is full: the chunk waits behind the rest */
			c->out = mem_realloc(c->out, c->out_len + (size_t)n);
			memcpy(c->out + c->out_len, chunk, (size_t)n);
			c->out_len += (size_t)n;
			break;
		}
		memcpy(buf + used, chunk, (size_t)n);
		used += (size_t)n;
	}
	return true;
}

/* While a client does not read we do not either: it cannot make us queue more. */
static void conn_flush(void *arg)
{
	struct h2_conn *c = arg;
	struct err e = { 0 };

	if (!c->dead && (!conn_write_rest(c) || !conn_fill(c)))
		c->dead = true;
	if (!c->dead && !c->out && !nghttp2_session_want_read(c->session) &&
	    !nghttp2_session_want_write(c->session))
		c->dead = true;
	if (c->dead) {
		conn_free(c);
		return;
	}
	ev_set_events(&c->source, c->out ? EPOLLOUT : EPOLLIN, &e);
}

static void conn_read(struct h2_conn *c)
{
	uint8_t *buf = c->h2->buf;

	for (int i = 0; i < READS_A_ROUND; i++) {
		ssize_t n = recv(c->fd, buf, H2_BUFFER, MSG_DONTWAIT);
		ssize_t used;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			c->dead = true;
			return;
		}
		used = nghttp2_session_mem_recv(c->session, buf, (size_t)n);
		if (used < 0) {
			log_info("connection closed: %s", nghttp2_strerror((int)used));
			c->dead = true;
			return;
		}
		if ((size_t)n < H2_BUFFER)
			return;
	}
}

static void on_conn(void *arg, uint32_t events)
{
	struct h2_conn *c = arg;

	if (events & EPOLLIN)
		conn_read(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		c->dead = true;
	ev_mark(&c->flush);
}

static int session_new(struct h2_conn *c)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADERS_MAX },
	};
	nghttp2_session_callbacks *cb;
	nghttp2_option *option;
	int r;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		abort();
	if (nghttp2_option_new(&option) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_stream_reset_rate_limit(option, H2_RESETS_BURST, H2_RESETS_PER_S);
	r = nghttp2_session_server_new2(&c->session, cb, c, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(cb);
	if (r == 0)
		r = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
					    sizeof(settings) / sizeof(settings[0]));
	return r;
}

int h2_add(struct h2 *h2, int fd, struct err *e)
{
	struct h2_conn *c = mem_alloc(sizeof(*c));

	c->h2 = h2;
	c->fd = fd;
	list_init(&c->streams);
	if (session_new(c) != 0)
		abort(); /* out of memory */
	list_add_tail(&h2->conns, &c->node);
	h2->nconns++;
	ev_add_work(h2->ev, &c->flush, conn_flush, c);
	if (ev_add_fd(h2->ev, &c->source, fd, EPOLLIN, on_conn, c, e) < 0) {
		conn_free(c);
		return err_wrap(e, "serve a connection");
	}
	ev_mark(&c->flush);
	return 0;
}

/* The listener ----------------------------------------------------------------- */

#define PAUSE_MS 200 /* without descriptors: do not spin on the listener */

static void on_resume(void *arg)
{
	struct h2 *h2 = arg;
	struct err e = { 0 };

	ev_set_events(&h2->accept, EPOLLIN, &e);
}

static void pause_accept(struct h2 *h2)
{
	struct err e = { 0 };

	log_warn("connection refused: %s", strerror(errno));
	ev_set_events(&h2->accept, 0, &e);
	ev_timer_set(&h2->resume, PAUSE_MS);
}

static void on_accept(void *arg, uint32_t events)
{
	struct h2 *h2 = arg;
	struct err e = { 0 };
	int fd = accept4(h2->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accept(h2);
		return;
	}
	if (h2->nconns >= H2_CONNS_MAX) {
		log_warn("connection refused: %d are open", H2_CONNS_MAX);
		close(fd);
		return;
	}
	if (h2_add(h2, fd, &e) < 0)
		log_warn("%s", err_text(&e));
}

void h2_init(struct h2 *h2, struct ev *ev, struct crid *crid,
	     const struct method *(*find)(const char *path))
{
	*h2 = (struct h2){ .crid = crid, .ev = ev, .find = find, .listener = -1 };
	h2->buf = mem_alloc(H2_BUFFER);
	list_init(&h2->conns);
}

int h2_listen(struct h2 *h2, const char *path, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, errno, "listen on %s: socket", path);
	if (!str_copy(addr.sun_path, sizeof(addr.sun_path), path))
		return err_set(e, ENAMETOOLONG, "listen on %s", path);
	unlink(path);
	/* the mode is the socket's before anybody can connect */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, 0600) < 0 || listen(fd, SOMAXCONN) < 0)
		return err_set(e, errno, "listen on %s", path);
	if (ev_add_fd(h2->ev, &h2->accept, fd, EPOLLIN, on_accept, h2, e) < 0)
		return err_wrap(e, "listen on %s", path);
	ev_add_timer(h2->ev, &h2->resume, on_resume, h2);
	h2->listener = fd_take(&fd);
	return 0;
}

void h2_done(struct h2 *h2)
{
	list_for_each(c, &h2->conns, struct h2_conn, node)
		conn_free(c);
	ev_remove(&h2->accept);
	ev_remove(&h2->resume);
	fd_close(&h2->listener);
	free(mem_take(&h2->buf));
}
