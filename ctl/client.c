/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/client.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

#define FRAME 5 /* bytes before a message: compressed flag, length */
#define WINDOW (16 << 20) /* bytes the server may send before we confirm */
#define TEXT_MAX 4096

struct client {
	int sock;
	nghttp2_session *session;
	int32_t stream; /* of the call that runs */
	struct str request;
	size_t sent; /* of request */
	struct str answer; /* framed */
	char *message; /* owned; of the last refusal */
	int http_status;
	int code; /* gRPC's; -1: none came */
	bool done;
	uint32_t stream_error; /* HTTP/2's */
};

static const char *const code_names[] = {
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
};

const char *client_code_name(int code)
{
	if (code < 0 || (size_t)code >= sizeof(code_names) / sizeof(*code_names))
		return "UNKNOWN";
	return code_names[code];
}

const char *client_message(const struct client *c)
{
	return c->message ? c->message : "";
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

void client_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		int high = *text == '%' ? hex(text[1]) : -1;
		int low = high >= 0 ? hex(text[2]) : -1;

		if (low >= 0 && (high | low)) {
			*out++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = 0;
}

/* What nghttp2 tells ------------------------------------------------------- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t namelen, const uint8_t *value, size_t valuelen, uint8_t flags,
		     void *user)
{
	struct client *c = user;
	auto_free char *key = mem_strndup((const char *)name, namelen);
	auto_free char *text = mem_strndup((const char *)value, valuelen);

	(void)session;
	(void)flags;
	if (frame->hd.stream_id != c->stream)
		return 0;
	if (str_eq(key, ":status")) {
		str_to_int(text, &c->http_status);
	} else if (str_eq(key, "grpc-status")) {
		str_to_int(text, &c->code);
	} else if (str_eq(key, "grpc-message")) {
		client_decode(text);
		mem_replace(&c->message, text);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t len, void *user)
{
	struct client *c = user;

	(void)session;
	(void)flags;
	if (stream != c->stream)
		return 0;
	if (c->answer.len + len > FRAME + CLIENT_ANSWER_MAX)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	str_add_mem(&c->answer, data, len);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	struct client *c = user;

	(void)session;
	if (stream == c->stream) {
		c->done = true;
		c->stream_error = error;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t len,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct client *c = user;
	size_t rest = c->request.len - c->sent;

	(void)session;
	(void)stream;
	(void)source;
	if (len > rest)
		len = rest;
	memcpy(buf, c->request.text + c->sent, len);
	c->sent += len;
	if (c->sent == c->request.len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

/* The connection ----------------------------------------------------------- */

static int connect_to(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	auto_fd int fd = -1;

	if (!str_copy(to.sun_path, sizeof(to.sun_path), path))
		return err_set(e, ENAMETOOLONG, "connect to %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "make a socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, errno, "connect to %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

static int start_session(struct client *c, struct err *e)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
	};
	nghttp2_session_callbacks *callbacks;
	int r;

	if (nghttp2_session_callbacks_new(&callbacks))
		return err_set(e, ENOMEM, "start HTTP/2");
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	r = nghttp2_session_client_new(&c->session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	if (r || nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 1) ||
	    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW))
		return err_set(e, ENOMEM, "start HTTP/2");
	return 0;
}

int client_open(const char *path, struct client **ret, struct err *e)
{
	struct client *c = mem_alloc(sizeof(*c));

	c->sock = -1;
	if (connect_to(path, &c->sock, e) < 0 || start_session(c, e) < 0) {
		client_close(c);
		return -e->code;
	}
	*ret = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->session)
		nghttp2_session_del(c->session);
	fd_close(&c->sock);
	str_done(&c->request);
	str_done(&c->answer);
	free(c->message);
	free(c);
}

static int flush(struct client *c, struct err *e)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->session, &data)) > 0) {
		while (n > 0) {
			ssize_t sent = send(c->sock, data, (size_t)n, MSG_NOSIGNAL);

			if (sent < 0 && errno == EINTR)
				continue;
			if (sent < 0)
				return err_set(e, errno, "send the request");
			data += sent;
			n -= sent;
		}
	}
	return n < 0 ? err_set(e, EPROTO, "send the request: %s", nghttp2_strerror((int)n)) : 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int receive(struct client *c, uint64_t due_ms, struct err *e)
{
	struct pollfd p = { .fd = c->sock, .events = POLLIN };
	uint64_t now = now_ms();
	uint8_t buf[65536];
	ssize_t n;

	if (now >= due_ms || poll(&p, 1, (int)(due_ms - now)) == 0)
		return err_set(e, ETIMEDOUT, "wait for the answer");
	n = recv(c->sock, buf, sizeof(buf), 0);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return err_set(e, errno, "receive the answer");
	if (n == 0)
		return err_set(e, ECONNRESET, "the server closed the connection");
	n = nghttp2_session_mem_recv(c->session, buf, (size_t)n);
	return n < 0 ? err_set(e, EPROTO, "the answer: %s", nghttp2_strerror((int)n)) : 0;
}

/* One call ----------------------------------------------------------------- */

static void frame_request(struct client *c, const ProtobufCMessage *request)
{
	size_t len = protobuf_c_message_get_packed_size(request);
	uint8_t frame[FRAME] = { 0, len >> 24, len >> 16, len >> 8, len };
	auto_free uint8_t *data = mem_alloc(len + 1);

	str_drop(&c->request, c->request.len);
	str_drop(&c->answer, c->answer.len);
	str_add_mem(&c->request, frame, FRAME);
	protobuf_c_message_pack(request, data);
	str_add_mem(&c->request, data, len);
	c->sent = 0;
	c->code = -1;
	c->http_status = 0;
	c->done = false;
	c->stream_error = 0;
	mem_replace(&c->message, NULL);
}

#define HEADER(name, value)                                                                \
	{                                                                                  \
		(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), \
			strlen(value), NGHTTP2_NV_FLAG_NONE                                \
	}

static int submit(struct client *c, const char *service, const char *method, uint64_t timeout_ms,
		  struct err *e)
{
	auto_free char *path = mem_printf("/runtime.v1.%s/%s", service, method);
	auto_free char *timeout = mem_printf("%llum", (unsigned long long)timeout_ms);
	nghttp2_nv headers[] = {
		HEADER(":method", "POST"),
		HEADER(":scheme", "http"),
		HEADER(":path", path),
		HEADER(":authority", "localhost"),
		HEADER("content-type", "application/grpc"),
		HEADER("te", "trailers"),
		HEADER("grpc-timeout", timeout),
		HEADER("user-agent", "berthctl"),
	};
	nghttp2_data_provider body = { .read_callback = read_request };

	c->stream = nghttp2_submit_request(c->session, NULL, headers,
					   sizeof(headers) / sizeof(*headers), &body, NULL);
	if (c->stream < 0)
		return err_set(e, EPROTO, "%s: %s", method, nghttp2_strerror(c->stream));
	return 0;
}

static int unpack(struct client *c, const ProtobufCMessageDescriptor *response,
		  ProtobufCMessage **ret, struct err *e)
{
	const uint8_t *p = (const uint8_t *)c->answer.text;
	size_t len;

	if (c->answer.len < FRAME || p[0])
		return err_set(e, EPROTO, "the answer is no gRPC message");
	len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (len != c->answer.len - FRAME)
		return err_set(e, EPROTO, "the answer is cut");
	*ret = protobuf_c_message_unpack(response, NULL, len, p + FRAME);
	return *ret ? 0 : err_set(e, EPROTO, "the answer is no %s", response->short_name);
}

int client_call(struct client *c, const char *service, const char *method,
		const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
		uint64_t timeout_ms, ProtobufCMessage **ret, struct err *e)
{
	/* the server tells of a deadline by itself; we give up a little later */
	uint64_t due_ms = now_ms() + timeout_ms + 5000;
	int r;

	frame_request(c, request);
	r = submit(c, service, method, timeout_ms, e);
	while (r == 0 && !c->done) {
		r = flush(c, e);
		if (r == 0 && !c->done)
			r = receive(c, due_ms, e);
	}
	if (r < 0)
		return err_wrap(e, "%s", method);
	if (c->code > 0)
		return c->code;
	if (c->code < 0)
		return err_set(e, EPROTO, "%s: no gRPC status (HTTP status %d, stream error %u)",
			       method, c->http_status, c->stream_error);
	r = unpack(c, response, ret, e);
	return r < 0 ? err_wrap(e, "%s", method) : 0;
}
