/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ExecSync: what probes call. Output is collected up to a limit and thrown
 * away above it; the answer comes with the program's end, whoever else holds
 * its output open. A program that does not exist is an exit code, as a shell
 * would have it: an RPC error would make a probe say nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cri/api/api.pb-c.h"
#include "cri/crid.h"
#include "cri/exec.h"
#include "cri/method.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

/* bytes of both outputs together: what fits into one message that kubelet accepts */
#define OUTPUT_MAX (GRPC_MESSAGE_MAX - 4096)
#define OUTPUT_ALL_MAX (64u << 20) /* of all commands that run at once ... */
#define OUTPUT_SURE 65536 /* ... of which each may have this much, whatever the others do */
#define CHUNK 65536
#define DRAIN_MS 1000 /* for output after the program's end */
#define TIMEOUT_MAX_S (INT64_MAX / 1000)

struct output {
	struct exec_sync *owner;
	int fd; /* -1: ended */
	struct ev_source source;
	struct str text;
};

struct exec_sync {
	struct crid *crid;
	struct call *call; /* NULL: answered */
	struct exec *exec; /* NULL: over */
	struct output out, err;
	struct ev_source drain;
	int code;
};

static void output_stop(struct output *o)
{
	if (o->fd < 0)
		return;
	ev_remove(&o->source);
	fd_close(&o->fd);
}

static void sync_free(struct exec_sync *s)
{
	output_stop(&s->out);
	output_stop(&s->err);
	s->crid->exec_output -= s->out.text.len + s->err.text.len;
	str_done(&s->out.text);
	str_done(&s->err.text);
	ev_remove(&s->drain);
	free(s);
}

static void reply(struct exec_sync *s)
{
	Cri__ExecSyncResponse answer = CRI__EXEC_SYNC_RESPONSE__INIT;

	answer.stdout.data = (uint8_t *)s->out.text.text;
	answer.stdout.len = s->out.text.len;
	answer.stderr.data = (uint8_t *)s->err.text.text;
	answer.stderr.len = s->err.text.len;
	answer.exit_code = s->code;
	call_reply(s->call, &answer.base);
	sync_free(s);
}

static size_t room(const struct exec_sync *s)
{
	size_t have = s->out.text.len + s->err.text.len;
	size_t max = s->crid->exec_output < OUTPUT_ALL_MAX ? OUTPUT_MAX : OUTPUT_SURE;

	return have < max ? max - have : 0;
}

/* Reads what is there; false at the end. */
static bool output_read(struct output *o)
{
	struct exec_sync *s = o->owner;
	char buf[CHUNK];
	ssize_t n = read(o->fd, buf, sizeof(buf));
	size_t take;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	take = (size_t)n < room(s) ? (size_t)n : room(s);
	str_add_mem(&o->text, buf, take);
	s->crid->exec_output += take;
	return n > 0;
}

static void on_output(void *arg, uint32_t events)
{
	struct output *o = arg;
	struct exec_sync *s = o->owner;

	(void)events;
	if (output_read(o))
		return;
	output_stop(o);
	if (!s->exec && s->out.fd < 0 && s->err.fd < 0)
		reply(s);
}

static void on_drain(void *arg)
{
	reply(arg);
}

static void on_started(void *arg, const struct err *e)
{
	struct exec_sync *s = arg;

	if (!e)
		return;
	s->exec = NULL;
	s->code = exec_shell_code(e);
	if (s->code < 0) {
		call_fail_err(s->call, e);
		sync_free(s);
		return;
	}
	s->crid->exec_output -= s->err.text.len;
	str_printf(&s->err.text, "%s\n", err_text(e));
	s->crid->exec_output += s->err.text.len;
	reply(s);
}

static void on_ended(void *arg, int code, bool timed_out, const struct err *e)
{
	struct exec_sync *s = arg;
	const Cri__ExecSyncRequest *r = (const void *)s->call->request;

	s->exec = NULL;
	if (e || timed_out) {
		if (e)
			call_fail_err(s->call, e);
		else
			call_fail(s->call, GRPC_DEADLINE_EXCEEDED,
				  "command timed out: no end within %lld s", (long long)r->timeout);
		sync_free(s);
		return;
	}
	s->code = code;
	if (s->out.fd < 0 && s->err.fd < 0)
		reply(s);
	else
		ev_timer_set(&s->drain, DRAIN_MS);
}

static const struct exec_owner owner = { on_started, on_ended };

/* Nobody waits: the session has nothing to run for. */
static void on_gone(struct call *call)
{
	struct exec_sync *s = call->arg;

	if (s->exec)
		exec_drop(s->exec, 0);
	call_fail(call, GRPC_CANCELLED, "cancelled");
	sync_free(s);
}

static int open_output(struct exec_sync *s, struct output *o, int *ret_write, struct err *e)
{
	int fds[2];

	if (fd_pipe(fds, 0, e) < 0)
		return -e->code;
	o->owner = s;
	o->fd = fds[0];
	*ret_write = fds[1];
	if (fd_set_nonblock(o->fd, true, e) < 0)
		return -e->code;
	return ev_add_fd(&s->call->crid->ev, &o->source, o->fd, EPOLLIN, on_output, o, e);
}

static int begin(struct exec_sync *s, struct ctr *ctr, struct err *e)
{
	const Cri__ExecSyncRequest *r = (const void *)s->call->request;
	auto_fd int out = -1, err = -1;

	if (open_output(s, &s->out, &out, e) < 0 || open_output(s, &s->err, &err, e) < 0)
		return -e->code;
	return exec_begin(ctr, r->cmd, r->n_cmd, false, (int[3]){ -1, out, err },
			  (uint64_t)r->timeout * 1000, &owner, s, &s->exec, e);
}

static bool check(struct call *call, struct ctr *ctr)
{
	const Cri__ExecSyncRequest *r = (const void *)call->request;

	if (!r->container_id[0])
		call_fail(call, GRPC_INVALID_ARGUMENT, "container_id is empty");
	else if (!r->n_cmd || !r->cmd[0][0])
		call_fail(call, GRPC_INVALID_ARGUMENT, "cmd is empty");
	else if (r->timeout < 0 || r->timeout > TIMEOUT_MAX_S)
		call_fail(call, GRPC_INVALID_ARGUMENT, "timeout %lld", (long long)r->timeout);
	else if (!ctr)
		call_fail(call, GRPC_NOT_FOUND, "container %.64s is not known", r->container_id);
	else if (ctr->state != CTR_RUNNING)
		call_fail(call, GRPC_FAILED_PRECONDITION, "container %s is not running", ctr->id);
	else
		return true;
	return false;
}

void svc_exec_sync(struct call *call)
{
	const Cri__ExecSyncRequest *r = (const void *)call->request;
	struct ctr *ctr = ctr_find(call->crid, r->container_id);
	struct exec_sync *s;
	struct err e = { 0 };

	if (!check(call, ctr))
		return;
	s = mem_alloc(sizeof(*s));
	s->crid = call->crid;
	s->call = call;
	s->out.fd = s->err.fd = -1;
	ev_add_timer(&call->crid->ev, &s->drain, on_drain, s);
	call->arg = s;
	call->on_gone = on_gone;
	call->stage = "the command's end";
	if (begin(s, ctr, &e) < 0) {
		call_fail_err(call, &e);
		sync_free(s);
	}
}
