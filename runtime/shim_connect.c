/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections into the pod: to 127.0.0.1, then to ::1, for port forwarding. */
#include "runtime/shim.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"

struct connect {
	struct list node;
	struct shim *shim;
	struct shim_reply reply;
	uint16_t port;
	bool v6; /* the second try */
	int code; /* why the first one failed: it tells more */
	int fd;
	struct ev_source source, timer;
};

static void connect_free(struct connect *c)
{
	ev_remove(&c->source);
	ev_remove(&c->timer);
	fd_close(&c->fd);
	list_remove(&c->node);
	c->shim->connect_count--;
	free(c);
}

static void connect_fail(struct connect *c, int code)
{
	struct err e = { 0 };

	err_set(&e, code, "connect to port %u of the pod", c->port);
	shim_answer_error(c->shim, &c->reply, &e);
	connect_free(c);
}

static void connect_done(struct connect *c)
{
	shim_answer(c->shim, &c->reply, NULL, c->fd);
	connect_free(c);
}

static void connect_try(struct connect *c);

static void connect_again(struct connect *c, int code)
{
	if (c->v6) {
		connect_fail(c, c->code);
		return;
	}
	c->v6 = true;
	c->code = code;
	ev_remove(&c->source);
	fd_close(&c->fd);
	connect_try(c);
}

static void connect_on_fd(void *arg, uint32_t events)
{
	struct connect *c = arg;
	socklen_t len = sizeof(int);
	int code = 0;

	(void)events;
	ev_remove(&c->source);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code)
		connect_again(c, code);
	else
		connect_done(c);
}

static void connect_try(struct connect *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = { 0 };
	socklen_t len = sizeof(to.in);
	struct err e = { 0 };

	if (c->v6) {
		to.in6.sin6_family = AF_INET6;
		to.in6.sin6_port = htons(c->port);
		to.in6.sin6_addr = in6addr_loopback;
		len = sizeof(to.in6);
	} else {
		to.in.sin_family = AF_INET;
		to.in.sin_port = htons(c->port);
		to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	if (shim_pod_socket(&c->shim->pod, to.any.sa_family, &c->fd, &e) < 0) {
		connect_again(c, e.code);
		return;
	}
	if (connect(c->fd, &to.any, len) == 0) {
		connect_done(c);
		return;
	}
	if (errno != EINPROGRESS) {
		connect_again(c, errno);
		return;
	}
	if (ev_add_fd(&c->shim->ev, &c->source, c->fd, EPOLLOUT, connect_on_fd, c, &e) < 0)
		connect_fail(c, e.code);
}

static void connect_on_timer(void *arg)
{
	connect_fail(arg, ETIMEDOUT);
}

int shim_connect(struct shim *s, struct shim_call *call, struct err *e)
{
	struct connect *c;

	if (s->connect_count >= SHIM_CONNECTS_MAX)
		return err_set(e, EUSERS, "connect: %d connections are being made",
			       SHIM_CONNECTS_MAX);
	c = mem_alloc(sizeof(*c));
	c->shim = s;
	c->reply = call->reply;
	c->port = (uint16_t)call->r.port;
	c->fd = -1;
	list_add_tail(&s->connects, &c->node);
	s->connect_count++;
	ev_add_timer(&s->ev, &c->timer, connect_on_timer, c);
	ev_timer_set(&c->timer, SHIM_CONNECT_MS);
	connect_try(c);
	return SHIM_LATER;
}

void shim_connect_end_all(struct shim *s)
{
	list_for_each(c, &s->connects, struct connect, node)
		connect_fail(c, ESHUTDOWN);
}
