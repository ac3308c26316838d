/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client's connection to a shim; see shimlink.h. */
#include "cri/shimlink.h"

#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proto.h"
#include "lib/str.h"

struct request {
	struct list node;
	struct shimlink *link;
	uint32_t type, id;
	char *body; /* until it is sent */
	int fds[MSG_FDS_MAX];
	size_t nfds;
	struct ev_source timer;
	bool unsent; /* and never will be */
	shimlink_answer *on_answer; /* NULL: forgotten */
	void *arg;
};

struct watch {
	shimlink_exec_end *on_end;
	void *arg;
};

static void request_free(struct request *r)
{
	for (size_t i = 0; i < r->nfds; i++)
		fd_close(&r->fds[i]);
	ev_remove(&r->timer);
	list_remove(&r->node);
	free(r->body);
	free(r);
}

static void request_end(struct request *r, struct msg *m, const struct json *body,
			const struct err *e)
{
	shimlink_answer *on_answer = r->on_answer;
	void *arg = r->arg;

	request_free(r);
	if (on_answer)
		on_answer(arg, m, body, e);
}

static void on_timeout(void *arg)
{
	struct request *r = arg;
	struct err e = { 0 };

	if (r->unsent)
		err_set(&e, ECONNRESET, "the pod's shim is gone");
	else
		err_set(&e, ETIMEDOUT, "the pod's shim does not answer");
	request_end(r, NULL, NULL, &e);
}

static void fail_all(struct list *requests, const struct err *e)
{
	while (!list_empty(requests))
		request_end(list_entry(requests->next, struct request, node), NULL, NULL, e);
}

static void disconnect(struct shimlink *l, const struct err *e)
{
	ev_remove(&l->source);
	fd_close(&l->sock);
	l->nqueue = 0;
	fail_all(&l->waiting, e);
	fail_all(&l->queue, e);
	while (l->execs.count) {
		map_for_each(entry, &l->execs) {
			struct watch *w = map_remove(&l->execs, entry->key);

			w->on_end(w->arg, NULL);
			free(w);
			break;
		}
	}
}

static void on_reap(void *arg)
{
	struct shimlink *l = arg;
	struct err e = { 0 };

	err_set(&e, ECONNRESET, "the pod's shim is gone");
	disconnect(l, &e);
	l->on_death(l->arg);
}

/* Reported outside of the caller's stack. */
static void broken(struct shimlink *l)
{
	struct err e = { 0 };

	ev_set_events(&l->source, 0, &e);
	ev_mark(&l->reap);
}

static void send_queue(struct shimlink *l)
{
	struct err e = { 0 };

	while (!list_empty(&l->queue)) {
		struct request *r = list_entry(l->queue.next, struct request, node);

		e.code = 0;
		if (msg_send(l->sock, r->type, r->id, r->body, r->fds, r->nfds, &e) < 0) {
			if (e.code != EAGAIN)
				broken(l);
			return;
		}
		for (size_t i = 0; i < r->nfds; i++)
			fd_close(&r->fds[i]);
		r->nfds = 0;
		free(mem_take(&r->body));
		list_remove(&r->node);
		list_add_tail(&l->waiting, &r->node);
		l->nqueue--;
	}
	ev_set_events(&l->source, EPOLLIN, &e);
}

static struct request *find_waiting(struct shimlink *l, uint32_t id)
{
	list_for_each(r, &l->waiting, struct request, node)
		if (r->id == id)
			return r;
	return NULL;
}

static void take_answer(struct shimlink *l, struct msg *m, const struct json *body)
{
	struct request *r = find_waiting(l, m->h.id);
	struct err e = { 0 };
	const char *text = NULL;
	int code = EIO;

	if (!r)
		return; /* it came after its deadline */
	if (m->h.type == PROTO_OK) {
		request_end(r, m, body, &e);
		return;
	}
	json_get_int(body, "errno", &code, &e);
	json_get_text(body, "message", &text, &e);
	err_set(&e, code > 0 ? code : EIO, "%s", text ?: "failed without a word");
	request_end(r, NULL, NULL, &e);
}

static void take_event(struct shimlink *l, const struct msg *m, const struct json *body)
{
	const char *exec = NULL;
	struct err e = { 0 };
	struct watch *w;

	if (m->h.type != SHIM_EVENT_EXEC_EXIT) {
		l->on_event(l->arg, m->h.type, body);
		return;
	}
	json_get_text(body, "exec", &exec, &e);
	w = exec ? map_remove(&l->execs, exec) : NULL;
	if (w)
		w->on_end(w->arg, body);
	free(w);
}

/* One message a call: its callback may close the link. */
static void on_sock(void *arg, uint32_t events)
{
	struct shimlink *l = arg;
	auto_msg m;
	auto_json *body = NULL;
	struct err e = { 0 };

	m.nfds = 0;
	if (events & EPOLLOUT)
		send_queue(l);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (msg_recv(l->sock, &m, &e) <= 0) {
		if (e.code != EAGAIN)
			broken(l);
		return;
	}
	if (json_parse(m.body, m.h.length, &body, &e) < 0) {
		log_warn("a shim's message %u: %s", m.h.type, err_text(&e));
		broken(l);
	} else if (m.h.type == PROTO_OK || m.h.type == PROTO_ERROR) {
		take_answer(l, &m, body);
	} else {
		take_event(l, &m, body);
	}
}

void shimlink_init(struct shimlink *l, struct ev *ev)
{
	*l = (struct shimlink){ .ev = ev, .sock = -1 };
	list_init(&l->waiting);
	list_init(&l->queue);
}

int shimlink_open(struct shimlink *l, const char *path,
		  void (*on_event)(void *arg, uint32_t type, const struct json *body),
		  void (*on_death)(void *arg), void *arg, struct err *e)
{
	auto_fd int sock = -1;

	if (msg_connect(path, &sock, e) < 0)
		return -e->code;
	if (fd_set_nonblock(sock, true, e) < 0)
		return -e->code;
	l->on_event = on_event;
	l->on_death = on_death;
	l->arg = arg;
	if (ev_add_fd(l->ev, &l->source, sock, EPOLLIN, on_sock, l, e) < 0)
		return -e->code;
	ev_add_work(l->ev, &l->reap, on_reap, l);
	l->sock = fd_take(&sock);
	return 0;
}

void shimlink_close(struct shimlink *l)
{
	struct err e = { 0 };

	ev_remove(&l->reap);
	err_set(&e, ECANCELED, "the connection to the pod's shim was closed");
	disconnect(l, &e);
	map_done(&l->execs);
}

static struct request *request_new(struct shimlink *l, uint32_t type, shimlink_answer *on_answer,
				   void *arg)
{
	struct request *r = mem_alloc(sizeof(*r));

	r->link = l;
	r->type = type;
	r->id = ++l->next_id ?: ++l->next_id; /* 0 is for events */
	r->on_answer = on_answer;
	r->arg = arg;
	list_init(&r->node);
	ev_add_timer(l->ev, &r->timer, on_timeout, r);
	return r;
}

static int request_keep(struct request *r, const char *body, const int *fds, size_t nfds)
{
	struct err e = { 0 };

	r->body = mem_strdup(body);
	for (size_t i = 0; i < nfds; i++) {
		if (fd_dup(fds[i], &r->fds[i], &e) < 0)
			return -e.code;
		r->nfds++;
	}
	return 0;
}

void shimlink_request(struct shimlink *l, uint32_t type, const char *body, const int *fds,
		      size_t nfds, uint64_t timeout_ms, shimlink_answer *on_answer, void *arg)
{
	struct request *r = request_new(l, type, on_answer, arg);
	struct err e = { 0 };

	if (timeout_ms)
		ev_timer_set(&r->timer, timeout_ms);
	if (shimlink_is_open(l) && list_empty(&l->queue) &&
	    msg_send(l->sock, type, r->id, body, fds, nfds, &e) == 0) {
		list_add_tail(&l->waiting, &r->node);
		return;
	}
	list_add_tail(&l->queue, &r->node);
	if (!shimlink_is_open(l) || (e.code && e.code != EAGAIN) ||
	    l->nqueue >= SHIMLINK_QUEUE_MAX || request_keep(r, body, fds, nfds) < 0) {
		/* a request that cannot be sent fails like one that is not answered, soon */
		list_remove(&r->node);
		list_add_tail(&l->waiting, &r->node);
		r->unsent = true;
		ev_timer_set(&r->timer, 0);
		return;
	}
	l->nqueue++;
	ev_set_events(&l->source, EPOLLIN | EPOLLOUT, &e);
}

void shimlink_forget(struct shimlink *l, void *arg)
{
	list_for_each(r, &l->waiting, struct request, node)
		if (r->arg == arg)
			r->on_answer = NULL;
	list_for_each(r, &l->queue, struct request, node)
		if (r->arg == arg)
			r->on_answer = NULL;
}

void shimlink_watch_exec(struct shimlink *l, const char *exec, shimlink_exec_end *on_end, void *arg)
{
	struct watch *w = mem_alloc(sizeof(*w));

	w->on_end = on_end;
	w->arg = arg;
	free(map_set(&l->execs, exec, w));
}

void shimlink_unwatch_exec(struct shimlink *l, const char *exec)
{
	free(map_remove(&l->execs, exec));
}
