/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cri/stream.h"
#include "cri/stream_http.h"
#include "lib/fd.h"
#include "lib/mem.h"

static struct stream_request *request(enum stream_kind kind)
{
	struct stream_request *r = mem_alloc(sizeof(*r));

	r->kind = kind;
	r->id = mem_strdup("c0");
	r->out = true;
	return r;
}

static void a_token_is_good_once_for_its_kind(void **state)
{
	struct ev ev;
	struct stream_tokens t;
	struct err e = { 0 };
	char token[STREAM_TOKEN_LEN + 1], other[STREAM_TOKEN_LEN + 1];
	struct stream_request *r = request(STREAM_EXEC);

	(void)state;
	assert_int_equal(ev_init(&ev, &e), 0);
	stream_tokens_init(&t, &ev);
	assert_int_equal(stream_tokens_add(&t, r, token, &e), 0);
	assert_int_equal(strlen(token), STREAM_TOKEN_LEN);
	assert_int_equal(stream_tokens_add(&t, request(STREAM_ATTACH), other, &e), 0);
	assert_string_not_equal(token, other);
	assert_null(stream_tokens_take(&t, STREAM_ATTACH, token));
	assert_null(stream_tokens_take(&t, STREAM_EXEC, ""));
	assert_null(stream_tokens_take(&t, STREAM_EXEC, "x"));
	assert_ptr_equal(stream_tokens_take(&t, STREAM_EXEC, token), r);
	assert_null(stream_tokens_take(&t, STREAM_EXEC, token));
	stream_request_free(r);
	stream_tokens_done(&t);
	ev_done(&ev);
}

static void tokens_are_counted(void **state)
{
	struct ev ev;
	struct stream_tokens t;
	struct err e = { 0 };
	char token[STREAM_TOKEN_LEN + 1];
	struct stream_request *r = request(STREAM_EXEC);

	(void)state;
	assert_int_equal(ev_init(&ev, &e), 0);
	stream_tokens_init(&t, &ev);
	for (int i = 0; i < STREAM_TOKENS_MAX; i++)
		assert_int_equal(stream_tokens_add(&t, request(STREAM_EXEC), token, &e), 0);
	assert_int_equal(stream_tokens_add(&t, r, token, &e), -EAGAIN);
	stream_request_free(stream_tokens_take(&t, STREAM_EXEC, token));
	assert_int_equal(stream_tokens_add(&t, r, token, &e), 0);
	stream_tokens_done(&t);
	ev_done(&ev);
}

static int head(const char *text, struct stream_head *ret)
{
	struct err e = { 0 };
	int r = stream_head_read(text, strlen(text), ret, &e);

	return r < 0 ? e.code : 0;
}

#define TOKEN "0123456789abcdef0123456789abcdef"
#define SPDY_HEAD "Connection: upgrade\r\nUpgrade: SPDY/3.1\r\n"
#define WS_HEAD                                                     \
	"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void the_head_names_token_and_protocol(void **state)
{
	struct stream_head h;

	(void)state;
	assert_int_equal(head("POST /exec/" TOKEN "?x=y HTTP/1.1\r\nHost: a\r\n" SPDY_HEAD
			      "X-Stream-Protocol-Version: v9.channel.k8s.io , v4.channel.k8s.io\r\n"
			      "x-stream-protocol-version: channel.k8s.io\r\n"
			      "Content-Length: 0\r\n\r\n",
			      &h),
			 0);
	assert_int_equal(h.kind, STREAM_EXEC);
	assert_string_equal(h.token, TOKEN);
	assert_string_equal(h.protocol, "v4.channel.k8s.io");
	assert_int_equal(h.version, 4);
	assert_int_equal(h.wire, STREAM_SPDY);
	assert_int_equal(head("GET /portforward/" TOKEN " HTTP/1.1\r\n" WS_HEAD
			      "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n",
			      &h),
			 0);
	assert_int_equal(h.wire, STREAM_TUNNEL);
	assert_string_equal(h.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_int_equal(head("GET /attach/" TOKEN " HTTP/1.1\r\n" WS_HEAD
			      "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
			      &h),
			 0);
	assert_int_equal(h.wire, STREAM_WS);
	assert_int_equal(h.version, 5);
}

static void odd_heads_get_their_status(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ "nonsense\r\n\r\n", 400 },
		{ "GET / HTTP/2\r\n\r\n", 400 },
		{ "GET /\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\n\r\n", 405 },
		{ "GET / HTTP/1.1\r\nno colon\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n: empty\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 0 },
		{ "GET /exec/" TOKEN TOKEN " HTTP/1.1\r\n\r\n", 0 },
	};
	struct stream_head h;
	auto_free char *many = mem_alloc(STREAM_HEAD_MAX + 1);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(head(rows[i].text, &h), rows[i].status);
	assert_string_equal(h.token, "");
	memset(many, 'x', STREAM_HEAD_MAX);
	assert_int_equal(stream_head_whole(many, 100), 0);
	assert_int_equal(stream_head_whole(many, STREAM_HEAD_MAX), -EMSGSIZE);
	assert_int_equal(stream_head_whole("a\r\n\r\nrest", 9), 5);
}

/* A server whose execs end at once with 7, and whose connects fail. -------- */

struct bench {
	struct ev ev;
	struct stream *stream;
	struct stream_session *session;
	struct ev_source work;
	int fds[3];
	int begun, dropped;
	int client;
	struct str got;
};

static void answer(void *arg)
{
	struct bench *b = arg;

	stream_started(b->session, NULL);
	if (write(b->fds[1], "out", 3) != 3)
		fail();
	fd_close(&b->fds[1]);
	stream_ended(b->session, 7, NULL);
}

static void begin(void *arg, struct stream_session *s, const struct stream_request *r,
		  const int fds[3], void **ret_handle)
{
	struct bench *b = arg;
	struct err e = { 0 };

	(void)r;
	b->begun++;
	b->session = s;
	assert_int_equal(fds[0], -1);
	assert_int_equal(fd_dup(fds[1], &b->fds[1], &e), 0);
	*ret_handle = b;
	ev_mark(&b->work);
}

static void resize(void *arg, void *handle, unsigned int width, unsigned int height)
{
	(void)arg;
	(void)handle;
	(void)width;
	(void)height;
}

static void drop(void *arg, void *handle)
{
	struct bench *b = arg;

	assert_ptr_equal(handle, b);
	b->dropped++;
}

static const struct stream_backend backend = { .begin = begin, .resize = resize, .drop = drop };

static int setup(void **state)
{
	struct bench *b = mem_alloc(sizeof(*b));
	struct err e = { 0 };

	*state = b;
	b->client = b->fds[0] = b->fds[1] = b->fds[2] = -1;
	if (ev_init(&b->ev, &e) < 0)
		return -1;
	ev_add_work(&b->ev, &b->work, answer, b);
	return stream_open(&b->ev, "127.0.0.1:0", &backend, b, &b->stream, &e);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	stream_close(b->stream);
	ev_remove(&b->work);
	ev_done(&b->ev);
	fd_close(&b->client);
	fd_close(&b->fds[1]);
	str_done(&b->got);
	free(b);
	return 0;
}

/* Sends text to the server and runs the loop until it closes; what came is in got. */
static void converse(struct bench *b, const char *url, const char *text, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *colon = strrchr(url, ':');
	struct err e = { 0 };
	char buf[4096];
	ssize_t n = -1;

	str_drop(&b->got, b->got.len);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(colon + 1));
	fd_close(&b->client);
	b->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(b->client, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(write(b->client, text, len), len);
	for (int i = 0; i < 2000 && n != 0; i++) {
		assert_true(ev_round(&b->ev, 5, &e) >= 0);
		n = recv(b->client, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			str_add_mem(&b->got, buf, (size_t)n);
	}
	assert_int_equal(n, 0);
}

static void converse_at(struct bench *b, const char *url, const char *more)
{
	auto_free char *head_text =
		mem_printf("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n", strchr(url + 7, '/'), more);

	converse(b, url, head_text, strlen(head_text));
}

static void a_url_works_once(void **state)
{
	struct bench *b = *state;
	char url[STREAM_URL_MAX];
	struct err e = { 0 };

	assert_int_equal(stream_url(b->stream, request(STREAM_EXEC), url, &e), 0);
	assert_true(strncmp(url, "http://127.0.0.1:", 17) == 0);
	converse_at(b, url, "");
	assert_non_null(strstr(b->got.text, "HTTP/1.1 400 "));
	converse_at(b, url, "");
	assert_non_null(strstr(b->got.text, "HTTP/1.1 404 "));
	assert_int_equal(stream_url(b->stream, request(STREAM_EXEC), url, &e), 0);
	converse_at(b, url, SPDY_HEAD);
	assert_non_null(strstr(b->got.text, "HTTP/1.1 400 "));
	assert_int_equal(stream_url(b->stream, request(STREAM_EXEC), url, &e), 0);
	converse_at(b, url, SPDY_HEAD "X-Stream-Protocol-Version: v9\r\n");
	assert_non_null(strstr(b->got.text, "HTTP/1.1 403 "));
	assert_non_null(strstr(b->got.text,
			       "\r\nX-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io\r\n"));
	assert_int_equal(b->begun, 0);
}

static void an_exec_over_a_websocket_ends_with_its_status(void **state)
{
	struct bench *b = *state;
	char url[STREAM_URL_MAX];
	struct err e = { 0 };

	assert_int_equal(stream_url(b->stream, request(STREAM_EXEC), url, &e), 0);
	converse_at(b, url, WS_HEAD "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n");
	assert_non_null(strstr(b->got.text, "HTTP/1.1 101 "));
	assert_non_null(memmem(b->got.text, b->got.len, "\x82\4\1out", 6));
	assert_non_null(memmem(b->got.text, b->got.len, "\"NonZeroExitCode\"", 17));
	assert_non_null(memmem(b->got.text, b->got.len, "\"message\":\"7\"", 13));
	assert_memory_equal(b->got.text + b->got.len - 4, "\x88\2\x03\xe8", 4);
	assert_int_equal(b->dropped, 1);
}

static void garbage_after_the_upgrade_ends_it(void **state)
{
	struct bench *b = *state;
	char url[STREAM_URL_MAX];
	struct err e = { 0 };

	assert_int_equal(stream_url(b->stream, request(STREAM_EXEC), url, &e), 0);
	converse_at(b, url,
		    SPDY_HEAD "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
			      "GET / HTTP/1.1\r\n");
	assert_non_null(strstr(b->got.text, "HTTP/1.1 101 "));
	/* GOAWAY, protocol error */
	assert_memory_equal(b->got.text + b->got.len - 16, "\x80\3\0\7\0\0\0\x8\0\0\0\0\0\0\0\1",
			    16);
	assert_int_equal(b->begun, 0);
}

static void addresses_are_checked(void **state)
{
	struct ev ev;
	struct stream *s = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ev_init(&ev, &e), 0);
	assert_int_equal(stream_open(&ev, "localhost:0", &backend, NULL, &s, &e), -EINVAL);
	assert_int_equal(stream_open(&ev, "127.0.0.1", &backend, NULL, &s, &e), -EINVAL);
	assert_int_equal(stream_open(&ev, "127.0.0.1:70000", &backend, NULL, &s, &e), -EINVAL);
	assert_int_equal(stream_open(&ev, "[::x]:1", &backend, NULL, &s, &e), -EINVAL);
	ev_done(&ev);
}

static int listen_without_addresses(const char *address)
{
	struct ev ev;
	struct stream *s;
	struct err e = { 0 };

	if (unshare(CLONE_NEWNET) < 0 || ev_init(&ev, &e) < 0)
		return 8;
	if (stream_open(&ev, address, &backend, NULL, &s, &e) < 0)
		return 9;
	stream_close(s);
	ev_done(&ev);
	return 0;
}

/* At boot crid starts beside netd, which brings lo up. */
static void it_listens_before_the_address_is_there(void **state)
{
	static const char *const addresses[] = { "127.0.0.1:0", "[::1]:0" };
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(listen_without_addresses(addresses[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_token_is_good_once_for_its_kind),
	cmocka_unit_test(tokens_are_counted),
	cmocka_unit_test(the_head_names_token_and_protocol),
	cmocka_unit_test(odd_heads_get_their_status),
	cmocka_unit_test_setup_teardown(a_url_works_once, setup, teardown),
	cmocka_unit_test_setup_teardown(an_exec_over_a_websocket_ends_with_its_status, setup,
					teardown),
	cmocka_unit_test_setup_teardown(garbage_after_the_upgrade_ends_it, setup, teardown),
	cmocka_unit_test(addresses_are_checked),
	cmocka_unit_test(it_listens_before_the_address_is_there),
};

TEST_MAIN(tests)
