/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The methods that hand out streaming URLs, and what the streaming server
 * finds behind them: the shims' execs, attaches and connections.
 */
#include "cri/stream_svc.h"

#include <errno.h>
#include <string.h>

#include "cri/api/api.pb-c.h"
#include "cri/crid.h"
#include "cri/exec.h"
#include "cri/method.h"
#include "cri/stream.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/proto.h"
#include "lib/str.h"

#define ATTACH_MS 30000 /* for the shim to answer */
#define CONNECT_MS 30000
#define HANGUP_MS 10000 /* from the hang-up of an exec without a client to its kill */
#define PORTS_MAX 128

/* The backend -------------------------------------------------------------- */

/* Behind a session: an exec, or an attach to a container. */
struct behind {
	struct crid *crid;
	struct stream_session *session;
	struct exec *exec; /* NULL: an attach, or over */
	char ctr[ID_LEN + 1]; /* of an attach */
	char pod[ID_LEN + 1];
	bool asked; /* of an attach: an answer is to come */
	struct ev_source later; /* work: an error found at once is told at the end of the round */
	struct err why;
};

static void on_exec_started(void *arg, const struct err *e)
{
	struct behind *b = arg;

	if (e)
		b->exec = NULL;
	stream_started(b->session, e);
}

static void on_exec_ended(void *arg, int code, bool timed_out, const struct err *e)
{
	struct behind *b = arg;

	(void)timed_out;
	b->exec = NULL;
	stream_ended(b->session, code, e);
}

static const struct exec_owner exec_owner = { on_exec_started, on_exec_ended };

static void on_attached(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct behind *b = arg;

	(void)m;
	(void)body;
	b->asked = false;
	stream_started(b->session, e->code ? e : NULL);
}

static void on_later(void *arg)
{
	struct behind *b = arg;

	stream_started(b->session, &b->why);
}

static int begin_attach(struct behind *b, struct ctr *ctr, const int fds[3], struct err *e)
{
	auto_json_out o = { 0 };
	int list[3];
	size_t n = 0;

	if (ctr->state != CTR_RUNNING && ctr->state != CTR_CREATED)
		return err_set(e, ESRCH, "container %s is not running", ctr->id);
	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", ctr->id);
	json_out_bool(&o, "stdin", fds[0] >= 0);
	json_out_bool(&o, "stdout", fds[1] >= 0);
	json_out_bool(&o, "stderr", fds[2] >= 0);
	json_out_end(&o);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			list[n++] = fds[i];
	b->asked = true;
	shimlink_request(&ctr->pod->shim, SHIM_ATTACH, o.s.text, list, n, ATTACH_MS, on_attached,
			 b);
	return 0;
}

static void begin(void *arg, struct stream_session *s, const struct stream_request *r,
		  const int fds[3], void **ret_handle)
{
	struct crid *crid = arg;
	struct ctr *ctr = ctr_find(crid, r->id);
	struct behind *b = mem_alloc(sizeof(*b));

	b->crid = crid;
	b->session = s;
	ev_add_work(&crid->ev, &b->later, on_later, b);
	*ret_handle = b;
	if (!ctr) {
		err_set(&b->why, ENOENT, "container %.64s is gone", r->id);
		ev_mark(&b->later);
		return;
	}
	str_copy(b->ctr, sizeof(b->ctr), ctr->id);
	str_copy(b->pod, sizeof(b->pod), ctr->pod->id);
	if ((r->kind == STREAM_EXEC ? exec_begin(ctr, r->args, r->nargs, r->terminal, fds, 0,
						 &exec_owner, b, &b->exec, &b->why)
				    : begin_attach(b, ctr, fds, &b->why)) < 0)
		ev_mark(&b->later);
}

/* The pod of an object that outlives its pod; NULL when that is gone. */
static struct pod *pod_of(struct crid *crid, const char *id)
{
	return map_get(&crid->pods, id);
}

static void resize(void *arg, void *handle, unsigned int width, unsigned int height)
{
	struct crid *crid = arg;
	struct behind *b = handle;
	struct pod *pod = pod_of(crid, b->pod);
	auto_json_out o = { 0 };

	if (b->exec) {
		exec_resize(b->exec, width, height);
		return;
	}
	if (!pod)
		return;
	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", b->ctr);
	json_out_uint(&o, "width", width);
	json_out_uint(&o, "height", height);
	json_out_end(&o);
	shimlink_request(&pod->shim, SHIM_RESIZE, o.s.text, NULL, 0, ATTACH_MS, NULL, NULL);
}

static void drop(void *arg, void *handle)
{
	struct crid *crid = arg;
	struct behind *b = handle;
	struct pod *pod = pod_of(crid, b->pod);

	if (b->exec)
		exec_drop(b->exec, HANGUP_MS);
	if (b->asked && pod)
		shimlink_forget(&pod->shim, b);
	ev_remove(&b->later);
	free(b);
}

struct connecting {
	struct stream_pair *pair;
	char pod[ID_LEN + 1];
	struct ev_source later;
};

static void connecting_end(struct connecting *c, int fd, const struct err *e)
{
	struct stream_pair *pair = c->pair;

	ev_remove(&c->later);
	free(c);
	stream_connected(pair, fd, e);
}

static void on_connected(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct err none = { 0 };

	(void)body;
	if (!e->code && m->nfds == 1) {
		connecting_end(arg, fd_take(&m->fds[0]), NULL);
		return;
	}
	if (!e->code)
		err_set(&none, EPROTO, "the shim gave no connection");
	connecting_end(arg, -1, e->code ? e : &none);
}

static void on_no_pod(void *arg)
{
	struct err e = { 0 };

	err_set(&e, ENOENT, "the pod is gone");
	connecting_end(arg, -1, &e);
}

static void connect_port(void *arg, struct stream_pair *p, const struct stream_request *r, int port,
			 void **ret_handle)
{
	struct crid *crid = arg;
	struct pod *pod = pod_of(crid, r->id);
	struct connecting *c = mem_alloc(sizeof(*c));
	auto_json_out o = { 0 };

	c->pair = p;
	*ret_handle = c;
	ev_add_work(&crid->ev, &c->later, on_no_pod, c);
	if (!pod || pod->state != POD_READY) {
		ev_mark(&c->later);
		return;
	}
	str_copy(c->pod, sizeof(c->pod), pod->id);
	json_out_object(&o, NULL);
	json_out_int(&o, "port", port);
	json_out_end(&o);
	shimlink_request(&pod->shim, SHIM_CONNECT, o.s.text, NULL, 0, CONNECT_MS, on_connected, c);
}

static void drop_connect(void *arg, void *handle)
{
	struct crid *crid = arg;
	struct connecting *c = handle;
	struct pod *pod = pod_of(crid, c->pod);

	if (pod)
		shimlink_forget(&pod->shim, c);
	ev_remove(&c->later);
	free(c);
}

static const struct stream_backend backend = {
	.begin = begin,
	.resize = resize,
	.drop = drop,
	.connect = connect_port,
	.drop_connect = drop_connect,
};

int stream_svc_open(struct crid *crid, struct err *e)
{
	const char *address = conf_text(&crid->conf, "cri.stream_address", STREAM_ADDRESS);

	return stream_open(&crid->ev, address, &backend, crid, &crid->stream, e);
}

/* The methods -------------------------------------------------------------- */

/* Takes r; answers the call when that fails, and returns false. */
static bool make_url(struct call *call, struct stream_request *r,
		     char ret_url[static STREAM_URL_MAX])
{
	struct err e = { 0 };

	if (stream_url(call->crid->stream, r, ret_url, &e) == 0)
		return true;
	stream_request_free(r);
	if (e.code == EAGAIN)
		call_fail(call, GRPC_RESOURCE_EXHAUSTED, "%s", e.msg);
	else
		call_fail_err(call, &e);
	return false;
}

static struct stream_request *request_new(enum stream_kind kind, const char *id, bool in, bool out,
					  bool err, bool terminal)
{
	struct stream_request *r = mem_alloc(sizeof(*r));

	r->kind = kind;
	r->id = mem_strdup(id);
	r->in = in;
	r->out = out;
	r->err = err;
	r->terminal = terminal;
	return r;
}

/* What exec and attach have in common; NULL: the call was answered. */
static struct ctr *find_running(struct call *call, const char *id, bool in, bool out, bool err,
				bool terminal)
{
	struct ctr *ctr = ctr_find(call->crid, id);

	if (!id[0])
		call_fail(call, GRPC_INVALID_ARGUMENT, "container_id is empty");
	else if (terminal && err)
		call_fail(call, GRPC_INVALID_ARGUMENT, "tty and stderr cannot both be true");
	else if (!in && !out && !err)
		call_fail(call, GRPC_INVALID_ARGUMENT,
			  "one of stdin, stdout and stderr must be set");
	else if (!ctr)
		call_fail(call, GRPC_NOT_FOUND, "container %.64s is not known", id);
	else if (ctr->state != CTR_RUNNING)
		call_fail(call, GRPC_FAILED_PRECONDITION, "container %s is not running", ctr->id);
	else
		return ctr;
	return NULL;
}

void svc_exec(struct call *call)
{
	const Cri__ExecRequest *q = (const void *)call->request;
	Cri__ExecResponse answer = CRI__EXEC_RESPONSE__INIT;
	struct stream_request *r;
	struct ctr *ctr;
	char url[STREAM_URL_MAX];

	ctr = find_running(call, q->container_id, q->stdin, q->stdout, q->stderr, q->tty);
	if (!ctr)
		return;
	if (!q->n_cmd || !q->cmd[0][0]) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "cmd is empty");
		return;
	}
	r = request_new(STREAM_EXEC, ctr->id, q->stdin, q->stdout, q->stderr, q->tty);
	r->args = mem_array(q->n_cmd, sizeof(*r->args));
	for (size_t i = 0; i < q->n_cmd; i++)
		r->args[r->nargs++] = mem_strdup(q->cmd[i]);
	if (!make_url(call, r, url))
		return;
	answer.url = url;
	call_reply(call, &answer.base);
}

void svc_attach(struct call *call)
{
	const Cri__AttachRequest *q = (const void *)call->request;
	Cri__AttachResponse answer = CRI__ATTACH_RESPONSE__INIT;
	struct ctr *ctr;
	char url[STREAM_URL_MAX];

	ctr = find_running(call, q->container_id, q->stdin, q->stdout, q->stderr, q->tty);
	if (!ctr)
		return;
	if (!make_url(call,
		      request_new(STREAM_ATTACH, ctr->id, q->stdin, q->stdout, q->stderr, q->tty),
		      url))
		return;
	answer.url = url;
	call_reply(call, &answer.base);
}

static bool check_ports(struct call *call, const Cri__PortForwardRequest *q)
{
	if (q->n_port > PORTS_MAX) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "more than %d ports", PORTS_MAX);
		return false;
	}
	for (size_t i = 0; i < q->n_port; i++)
		if (q->port[i] < 1 || q->port[i] > 65535) {
			call_fail(call, GRPC_INVALID_ARGUMENT, "port %d", (int)q->port[i]);
			return false;
		}
	return true;
}

void svc_port_forward(struct call *call)
{
	const Cri__PortForwardRequest *q = (const void *)call->request;
	Cri__PortForwardResponse answer = CRI__PORT_FORWARD_RESPONSE__INIT;
	struct pod *pod = pod_find(call->crid, q->pod_sandbox_id);
	struct stream_request *r;
	char url[STREAM_URL_MAX];

	if (!q->pod_sandbox_id[0]) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "pod_sandbox_id is empty");
		return;
	}
	if (!pod) {
		call_fail(call, GRPC_NOT_FOUND, "pod %.64s is not known", q->pod_sandbox_id);
		return;
	}
	if (pod->state != POD_READY) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "pod %s is not ready", pod->id);
		return;
	}
	if (!check_ports(call, q))
		return;
	r = request_new(STREAM_FORWARD, pod->id, false, false, false, false);
	r->ports = mem_array(q->n_port + 1, sizeof(*r->ports));
	for (size_t i = 0; i < q->n_port; i++)
		r->ports[r->nports++] = q->port[i];
	if (!make_url(call, r, url))
		return;
	answer.url = url;
	call_reply(call, &answer.base);
}
