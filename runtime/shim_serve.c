/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shim's socket: its clients, requests and answers. */
#include "runtime/shim.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

#define MSG_USUAL 8192 /* bytes; a longer one's memory is given back */

struct client {
	struct list node;
	struct shim *shim;
	int fd;
	struct ev_source source;
	uint64_t serial;
	bool greeted;
};

static void client_free(struct client *c)
{
	ev_remove(&c->source);
	list_remove(&c->node);
	c->shim->client_count--;
	close(c->fd);
	free(c);
}

/* A client that does not take what it is owed is of no use any more. */
static void client_send(struct client *c, uint32_t type, uint32_t id, const char *body, int fd)
{
	struct err e = { 0 };

	if (msg_send(c->fd, type, id, body, &fd, fd >= 0 ? 1 : 0, &e) == 0)
		return;
	if (e.code != EPIPE && e.code != ECONNRESET)
		log_warn("client %llu: %s: it is disconnected", (unsigned long long)c->serial,
			 err_text(&e));
	/* its end is noticed by the loop; who walks over the clients now may go on */
	shutdown(c->fd, SHUT_RDWR);
}

static struct client *client_find(struct shim *s, uint64_t serial)
{
	list_for_each(c, &s->clients, struct client, node) {
		if (c->serial == serial)
			return c;
	}
	return NULL;
}

void shim_answer(struct shim *s, const struct shim_reply *to, const char *body, int fd)
{
	struct client *c = client_find(s, to->client);

	if (c)
		client_send(c, PROTO_OK, to->id, body ?: "{}", fd);
}

void shim_answer_error(struct shim *s, const struct shim_reply *to, const struct err *e)
{
	struct client *c = client_find(s, to->client);
	auto_json_out out = { 0 };

	if (!c)
		return;
	json_out_object(&out, NULL);
	json_out_int(&out, "errno", e->code);
	json_out_text(&out, "message", e->msg);
	json_out_end(&out);
	client_send(c, PROTO_ERROR, to->id, out.s.text, -1);
}

struct shim_reply *shim_reply_keep(const struct shim_reply *reply)
{
	return mem_memdup(reply, sizeof(*reply));
}

void shim_answer_list(struct shim *s, struct list *replies, const struct err *e)
{
	list_for_each(reply, replies, struct shim_reply, node) {
		list_remove(&reply->node);
		if (e && e->code)
			shim_answer_error(s, reply, e);
		else
			shim_answer(s, reply, NULL, -1);
		free(reply);
	}
}

void shim_event(struct shim *s, enum proto_shim type, const char *body)
{
	list_for_each(c, &s->clients, struct client, node) {
		if (c->greeted)
			client_send(c, type, 0, body ?: "{}", -1);
	}
}

/* Requests ----------------------------------------------------------------- */

static int serve_hello(struct shim *s, struct shim_call *call, struct err *e)
{
	struct client *c = client_find(s, call->reply.client);

	if (call->r.version != PROTO_VERSION)
		return err_set(e, EPROTONOSUPPORT, "version %llu of the protocol, this is %d",
			       (unsigned long long)call->r.version, PROTO_VERSION);
	c->greeted = true;
	json_out_int(&call->out, "version", PROTO_VERSION);
	json_out_int(&call->out, "engine", ENGINE_VERSION);
	json_out_int(&call->out, "pid", getpid());
	json_out_int(&call->out, "pause_pid", s->pod.pause);
	call->fd = s->pod.ns[SHIM_NS_NET] >= 0 ? s->pod.ns[SHIM_NS_NET] : s->pod.host_net;
	return 0;
}

static int serve_state(struct shim *s, struct shim_call *call, struct err *e)
{
	(void)e;
	json_out_array(&call->out, "containers");
	list_for_each(ctr, &s->ctrs, struct shim_ctr, node)
		shim_ctr_describe(ctr, &call->out);
	json_out_end(&call->out);
	json_out_int(&call->out, "pause_pid", s->pod.pause);
	return 0;
}

static int serve_resize(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr;

	if (call->r.exec)
		return shim_exec_resize(s, call, e);
	ctr = shim_ctr_find(s, call->r.ctr, e);
	if (!ctr)
		return -e->code;
	return shim_io_resize(&ctr->io, (unsigned short)call->r.width,
			      (unsigned short)call->r.height, e);
}

/* The handlers, in the order of lib/proto.h. */
static const struct handler {
	enum proto_shim type;
	int (*run)(struct shim *s, struct shim_call *call, struct err *e);
	unsigned int fds; /* descriptors that may come with it; -1u: its streams */
	bool makes; /* something new: not while the pod ends */
} handlers[] = {
	{ SHIM_HELLO, serve_hello, 0, false },
	{ SHIM_STATE, serve_state, 0, false },
	{ SHIM_CREATE, shim_ctr_create, 1, true },
	{ SHIM_START, shim_ctr_start, 0, true },
	{ SHIM_KILL, shim_ctr_kill, 0, false },
	{ SHIM_DELETE, shim_ctr_delete, 0, false },
	{ SHIM_EXEC, shim_exec_start, -1u, true },
	{ SHIM_EXEC_KILL, shim_exec_kill, 0, false },
	{ SHIM_ATTACH, shim_ctr_attach, -1u, true },
	{ SHIM_RESIZE, serve_resize, 0, false },
	{ SHIM_REOPEN_LOG, shim_ctr_reopen, 0, false },
	{ SHIM_CONNECT, shim_connect, 0, true },
	{ SHIM_UPDATE, shim_ctr_update, 0, false },
	{ SHIM_SHUTDOWN, shim_ctr_shutdown, 0, false },
};

static int serve_check_fds(const struct handler *h, const struct shim_call *call, struct err *e)
{
	const struct shim_request *r = &call->r;
	size_t streams = (size_t)r->input + (size_t)r->output + (size_t)r->error_output;

	if (r->type == SHIM_EXEC && !r->process)
		streams++; /* the file with its text */
	if (h->fds == -1u && call->nfds != streams)
		return err_set(e, EINVAL, "%s: %zu descriptors for %zu streams", r->name,
			       call->nfds, streams);
	if (h->fds != -1u && call->nfds > h->fds)
		return err_set(e, EINVAL, "%s: %zu descriptors, at most %u", r->name, call->nfds,
			       h->fds);
	return 0;
}

static int serve_run(struct shim *s, struct shim_call *call, const struct client *c, struct err *e)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		const struct handler *h = &handlers[i];

		if (h->type != call->r.type)
			continue;
		if (!c->greeted && h->type != SHIM_HELLO)
			return err_set(e, EPROTO, "%s: hello comes first", call->r.name);
		if ((s->closing || s->leaving) && h->makes)
			return err_set(e, ESHUTDOWN, "%s: the pod ends", call->r.name);
		if (serve_check_fds(h, call, e) < 0)
			return -e->code;
		return h->run(s, call, e);
	}
	return err_set(e, ENOSYS, "unknown request %u", call->r.type);
}

static void serve_request(struct shim *s, struct client *c, struct msg *m)
{
	struct shim_call call = {
		.reply = { .client = c->serial, .id = m->h.id },
		.fds = m->fds,
		.nfds = m->nfds,
		.fd = -1,
	};
	struct err e = { 0 };
	int r;

	json_out_object(&call.out, NULL);
	r = shim_request_parse(m->h.type, m->body, m->h.length, &call.r, &e);
	if (r == 0) {
		r = serve_run(s, &call, c, &e);
		log_debug("request %s: %s", call.r.name, r < 0 ? err_text(&e) : "done");
		shim_request_done(&call.r);
	}
	json_out_end(&call.out);
	if (r < 0)
		shim_answer_error(s, &call.reply, &e);
	else if (r != SHIM_LATER)
		shim_answer(s, &call.reply, call.out.s.text, call.fd);
	if (call.fd_owned)
		fd_close(&call.fd);
	json_out_done(&call.out);
	msg_done(m);
}

/* One message a turn: a client that floods gets no more than its share. */
static void client_on_fd(void *arg, uint32_t events)
{
	struct client *c = arg;
	struct shim *s = c->shim;
	struct err e = { 0 };
	int r = msg_recv(c->fd, s->msg, &e);

	(void)events;
	if (r > 0) {
		bool big = s->msg->h.length > MSG_USUAL;

		serve_request(s, c, s->msg);
		if (big)
			madvise(s->msg, sizeof(*s->msg), MADV_DONTNEED);
		return;
	}
	if (r < 0 && (e.code == EAGAIN || e.code == EINTR))
		return;
	if (e.code == EPROTO)
		log_warn("client %llu: %s: it is disconnected", (unsigned long long)c->serial,
			 err_text(&e));
	shim_exec_client_gone(s, c->serial);
	client_free(c);
}

/* Clients ------------------------------------------------------------------ */

static int client_check(const struct shim *s, int fd, struct err *e)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return err_set(e, errno, "who connects");
	if (cred.uid != 0)
		return err_set(e, EACCES, "a connection of user %u", cred.uid);
	if (s->client_count >= SHIM_CLIENTS_MAX)
		return err_set(e, EUSERS, "more than %d clients", SHIM_CLIENTS_MAX);
	return 0;
}

static void serve_on_accept(void *arg, uint32_t events)
{
	struct shim *s = arg;
	struct err e = { 0 };
	struct client *c;
	int fd;

	(void)events;
	if (msg_accept(s->listener, &fd, &e) < 0)
		return;
	if (client_check(s, fd, &e) < 0) {
		log_warn("%s: refused", err_text(&e));
		close(fd);
		return;
	}
	c = mem_alloc(sizeof(*c));
	c->shim = s;
	c->fd = fd;
	c->serial = ++s->last_client;
	list_add_tail(&s->clients, &c->node);
	s->client_count++;
	if (ev_add_fd(&s->ev, &c->source, fd, EPOLLIN, client_on_fd, c, &e) < 0) {
		log_error("%s", err_text(&e));
		client_free(c);
	}
}

int shim_serve(struct shim *s, struct err *e)
{
	return ev_add_fd(&s->ev, &s->accept, s->listener, EPOLLIN, serve_on_accept, s, e);
}

void shim_serve_done(struct shim *s)
{
	ev_remove(&s->accept);
	list_for_each(c, &s->clients, struct client, node)
		client_free(c);
}

/* The end ------------------------------------------------------------------ */

static void kill_pause(struct shim *s)
{
	if (s->pod.pause_pidfd < 0)
		return;
	ev_remove(&s->pause); /* which closes the descriptor */
	s->pod.pause_pidfd = -1;
	kill(s->pod.pause, SIGKILL);
	while (waitpid(s->pod.pause, NULL, 0) < 0 && errno == EINTR)
		;
	s->pod.pause = 0;
}

void shim_closed(struct shim *s, const struct err *e)
{
	if (e && e->code) {
		s->closing = false;
		shim_answer_list(s, &s->shutdowns, e);
		return;
	}
	if (s->ctr_count > 0)
		return;
	kill_pause(s);
	shim_pod_unlink(s->dir);
	unlinkat(s->dir, "shim.sock", 0);
	shim_answer_list(s, &s->shutdowns, NULL);
	ev_stop(&s->ev, 0);
}
