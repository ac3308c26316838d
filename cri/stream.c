/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cri/stream_priv.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

/* "127.0.0.1:0" or "[::1]:0" */
static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
			 struct err *e)
{
	auto_free char *copy = mem_strdup(text);
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	char *colon = strrchr(copy, ':');
	uint32_t port = 0;

	memset(ret, 0, sizeof(*ret));
	if (!colon || str_to_u32(colon + 1, &port) < 0 || port > 65535)
		return err_set(e, EINVAL, "stream address \"%s\" is not ADDRESS:PORT", text);
	*colon = 0;
	if (copy[0] == '[' && str_ends(copy, "]")) {
		copy[strlen(copy) - 1] = 0;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*v6);
		if (inet_pton(AF_INET6, copy + 1, &v6->sin6_addr) == 1)
			return 0;
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(*v4);
		if (inet_pton(AF_INET, copy, &v4->sin_addr) == 1)
			return 0;
	}
	return err_set(e, EINVAL, "stream address \"%s\" is not ADDRESS:PORT", text);
}

/* What is written into URLs: the address with the port that the kernel chose. */
static int name_of(int fd, char *ret, size_t size, struct err *e)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	socklen_t len = sizeof(ss);
	char text[INET6_ADDRSTRLEN];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return err_set(e, errno, "ask for the stream address");
	if (ss.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		snprintf(ret, size, "[%s]:%u", text, ntohs(v6->sin6_port));
	} else {
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		snprintf(ret, size, "%s:%u", text, ntohs(v4->sin_port));
	}
	return 0;
}

/* Out of descriptors: give the spare one up to say so, or the client would wait for ever. */
static void turn_away(struct stream *s)
{
	int fd;

	fd_close(&s->spare);
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warn("stream: out of descriptors, turned a client away");
}

static void on_listener(void *arg, uint32_t events)
{
	struct stream *s = arg;
	int on = 1, fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(s);
		return;
	}
	if (s->nconns >= STREAM_CONNS_MAX) {
		static const char full[] = "HTTP/1.1 503 Service Unavailable\r\n"
					   "Content-Length: 0\r\nConnection: close\r\n\r\n";

		if (send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			log_debug("stream: nobody heard that we are full");
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	conn_new(s, fd);
}

static int listen_at(struct stream *s, const char *address, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = 0;
	int on = 1;

	if (parse_address(address, &ss, &len, e) < 0)
		return -e->code;
	s->listener = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return err_set(e, errno, "make the stream socket");
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* we start beside netd: not even lo need be up yet */
	if (ss.ss_family == AF_INET)
		setsockopt(s->listener, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	else
		setsockopt(s->listener, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (bind(s->listener, (struct sockaddr *)&ss, len) < 0 || listen(s->listener, 64) < 0)
		return err_set(e, errno, "listen at %s", address);
	return name_of(s->listener, s->address, sizeof(s->address), e);
}

int stream_open(struct ev *ev, const char *address, const struct stream_backend *backend, void *arg,
		struct stream **ret, struct err *e)
{
	struct stream *s = mem_alloc(sizeof(*s));

	s->ev = ev;
	s->backend = backend;
	s->arg = arg;
	s->listener = -1;
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	list_init(&s->conns);
	stream_tokens_init(&s->tokens, ev);
	if (listen_at(s, address, e) < 0 ||
	    ev_add_fd(ev, &s->source, s->listener, EPOLLIN, on_listener, s, e) < 0) {
		stream_close(s);
		return -e->code;
	}
	*ret = s;
	return 0;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	ev_remove(&s->source);
	list_for_each(c, &s->conns, struct stream_conn, node)
		conn_free(c);
	stream_tokens_done(&s->tokens);
	fd_close(&s->listener);
	fd_close(&s->spare);
	free(s);
}

int stream_url(struct stream *s, struct stream_request *r, char ret_url[static STREAM_URL_MAX],
	       struct err *e)
{
	char token[STREAM_TOKEN_LEN + 1];
	const char *kind = stream_kind_name(r->kind);
	int result = stream_tokens_add(&s->tokens, r, token, e);

	if (result < 0)
		return result;
	snprintf(ret_url, STREAM_URL_MAX, "http://%s/%s/%s", s->address, kind, token);
	return 0;
}
