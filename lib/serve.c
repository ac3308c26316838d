/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/serve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/msg.h"
#include "lib/proto.h"
#include "lib/str.h"

void serve_add(struct serve_answer *a, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->len, sizeof(a->text) - a->len, fmt, ap);
	va_end(ap);
	if (n > 0 && a->len + (size_t)n < sizeof(a->text))
		a->len += (size_t)n;
}

int serve_text(const char *body, const char *key, char *buf, size_t size, struct err *e)
{
	const char *text = body;
	size_t len;

	if (str_eq(body, "{}"))
		return 0;
	if (!str_starts(text, "{\"") || !str_starts(text += 2, key) ||
	    !str_starts(text += strlen(key), "\":\""))
		return err_set(e, EINVAL, "neither {} nor {'%s':NAME}", key);
	text += 3;
	len = strcspn(text, "\"");
	if (len >= size || !str_eq(text + len, "\"}"))
		return err_set(e, EINVAL, "no name of a %s", key);
	memcpy(buf, text, len);
	buf[len] = '\0';
	return 0;
}

static void serve_close(struct serve_client *c)
{
	int fd = c->source.fd;

	ev_remove(&c->source);
	close(fd);
}

static void serve_on_client(void *arg, uint32_t events)
{
	struct serve_client *c = arg;
	struct msg *m = &c->serve->request;
	struct serve_answer *a = &c->serve->answer;
	struct err e = { 0 };
	uint32_t type = PROTO_OK;

	(void)events;
	a->len = 0;
	a->fd = -1;
	if (msg_recv(c->source.fd, m, &e) <= 0) {
		if (e.code != EAGAIN)
			serve_close(c);
		return;
	}
	msg_done(m); /* no request brings descriptors */
	if (c->serve->call(c->serve->ctx, m->h.type, m->body, a, &e) < 0) {
		type = PROTO_ERROR;
		a->len = 0;
		for (char *p = e.msg; *p; p++)
			*p = *p < ' ' || *p == '"' || *p == '\\' ? '\'' : *p;
		serve_add(a, "{\"errno\":%d,\"message\":\"%s\"}", e.code, e.msg);
	}
	if (msg_send(c->source.fd, type, m->h.id, a->len ? a->text : "{}", &a->fd, a->fd >= 0, &e) <
	    0)
		serve_close(c);
}

static void serve_on_listener(void *arg, uint32_t events)
{
	struct serve *s = arg;
	struct serve_client *c = s->clients;
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	struct err e = { 0 };
	auto_fd int fd = -1;

	(void)events;
	if (msg_accept(s->listener.fd, &fd, &e) < 0)
		return;
	while (c < s->clients + SERVE_CLIENTS && c->source.kind != EV_UNUSED)
		c++;
	if (c == s->clients + SERVE_CLIENTS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid != 0)
		return;
	c->serve = s;
	if (ev_add_fd(s->listener.ev, &c->source, fd, EPOLLIN, serve_on_client, c, &e) == 0)
		fd_take(&fd);
}

int serve_start(struct serve *s, struct ev *ev, const char *path, int *fd, serve_call *call,
		void *ctx, struct err *e)
{
	s->call = call;
	s->ctx = ctx;
	for (struct serve_client *c = s->clients; c < s->clients + SERVE_CLIENTS; c++)
		c->source.kind = EV_UNUSED;
	if (*fd < 0 && msg_listen(path, fd, e) < 0)
		return -e->code;
	return ev_add_fd(ev, &s->listener, *fd, EPOLLIN, serve_on_listener, s, e);
}
