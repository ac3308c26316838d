/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An exec or attach: waits for the client's streams, begins, pumps, and says
 * how it ended. All output is on its way before the status is.
 */
#include "cri/stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"

#define DRAIN_MS 2000 /* what others keep open after the program's end is not waited for longer */

enum role {
	ROLE_STDIN, /* in the order of a websocket's channels */
	ROLE_STDOUT,
	ROLE_STDERR,
	ROLE_ERROR,
	ROLE_RESIZE,
	ROLES,
};

static const char *const role_names[ROLES] = {
	[ROLE_STDIN] = "stdin", [ROLE_STDOUT] = "stdout", [ROLE_STDERR] = "stderr",
	[ROLE_ERROR] = "error", [ROLE_RESIZE] = "resize",
};

struct stream_session {
	struct stream_conn *conn;
	struct stream_request *request;
	struct stream_chan *chans[ROLES]; /* NULL: not there */
	struct stream_pump in, out, err;
	void *handle; /* the backend's */
	bool begun, started, ended;
	int code;
	struct err why; /* code 0: nothing went wrong */
	struct ev_source timer; /* for the streams to come, then for the drain */
};

static bool wanted(const struct stream_session *s, enum role role)
{
	const struct stream_request *r = s->request;

	switch (role) {
	case ROLE_STDIN:
		return r->in;
	case ROLE_STDOUT:
		return r->out;
	case ROLE_STDERR:
		return r->err && !r->terminal;
	case ROLE_ERROR:
		return true;
	case ROLE_RESIZE:
		return r->terminal && s->conn->head.version >= 3;
	case ROLES:
		break;
	}
	return false;
}

/* The end ------------------------------------------------------------------ */

static void status_json(struct json_out *o, const struct stream_session *s)
{
	char code[16];

	json_out_object(o, NULL);
	json_out_object(o, "metadata");
	json_out_end(o);
	json_out_text(o, "status", s->why.code || s->code ? "Failure" : "Success");
	if (s->why.code) {
		json_out_text(o, "message", err_text(&s->why));
		json_out_text(o, "reason", "InternalError");
		json_out_object(o, "details");
		json_out_array(o, "causes");
		json_out_object(o, NULL);
		json_out_text(o, "message", err_text(&s->why));
		json_out_end(o);
		json_out_end(o);
		json_out_end(o);
		json_out_int(o, "code", 500);
	} else if (s->code) {
		snprintf(code, sizeof(code), "%d", s->code);
		json_out_text(o, "message", "command terminated with a non-zero exit code");
		json_out_text(o, "reason", "NonZeroExitCode");
		json_out_object(o, "details");
		json_out_array(o, "causes");
		json_out_object(o, NULL);
		json_out_text(o, "reason", "ExitCode");
		json_out_text(o, "message", code);
		json_out_end(o);
		json_out_end(o);
		json_out_end(o);
	}
	json_out_end(o);
}

static void send_status(struct stream_session *s)
{
	struct stream_chan *ch = s->chans[ROLE_ERROR];
	auto_json_out o = { 0 };
	auto_str text = { 0 };

	if (!ch)
		return;
	if (s->conn->head.version >= 4) {
		status_json(&o, s);
		chan_send(ch, o.s.text, o.s.len);
	} else if (s->why.code) {
		str_printf(&text, "%s", err_text(&s->why));
		chan_send(ch, text.text, text.len);
	} else if (s->code) {
		str_printf(&text, "command terminated with exit code %d", s->code);
		chan_send(ch, text.text, text.len);
	}
	chan_end(ch);
}

static void finish(struct stream_session *s)
{
	pump_stop(&s->in);
	pump_stop(&s->out);
	pump_stop(&s->err);
	if (s->chans[ROLE_STDOUT])
		chan_end(s->chans[ROLE_STDOUT]);
	if (s->chans[ROLE_STDERR])
		chan_end(s->chans[ROLE_STDERR]);
	send_status(s);
	conn_finish(s->conn, 0);
}

/* An exec is over with its program and its output; an attach with the output alone. */
static void check_end(struct stream_session *s)
{
	bool open = s->out.reads || s->err.reads;

	if (s->request->kind == STREAM_ATTACH && !s->ended && !open && s->started &&
	    (s->request->out || s->request->err))
		s->ended = true;
	if (!s->ended)
		return;
	if (!open)
		finish(s);
	else if (!ev_timer_armed(&s->timer))
		ev_timer_set(&s->timer, DRAIN_MS);
}

static void fail(struct stream_session *s, const struct err *e)
{
	s->why = *e;
	s->ended = true;
	finish(s);
}

/* Streams ------------------------------------------------------------------ */

static void on_stdin(void *arg)
{
	struct stream_session *s = arg;

	pump_chan(&s->in);
}

/* {"Width":80,"Height":24}, one after the other */
static void on_resize(void *arg)
{
	struct stream_session *s = arg;
	struct stream_chan *ch = s->chans[ROLE_RESIZE];
	char *end;

	if (!s->started) /* there is nothing yet that has a size */
		return;
	while (ch->in.len && (end = memchr(ch->in.text, '}', ch->in.len))) {
		size_t len = (size_t)(end + 1 - ch->in.text);
		auto_json *size = NULL;
		uint32_t width = 0, height = 0;
		struct err e = { 0 };

		if (json_parse(ch->in.text, len, &size, &e) == 0 &&
		    json_get_u32(size, "Width", &width, &e) == 1 &&
		    json_get_u32(size, "Height", &height, &e) == 1 && width <= UINT16_MAX &&
		    height <= UINT16_MAX)
			s->conn->server->backend->resize(s->conn->server->arg, s->handle, width,
							 height);
		chan_took(ch, len);
	}
	if (ch->in.len > 256) /* no size is that long */
		chan_deafen(ch);
}

static void on_nothing(void *arg)
{
	(void)arg;
}

/* A program that closed its input or output still runs. */
static void on_stdin_end(void *arg, int error)
{
	struct stream_session *s = arg;

	(void)error;
	pump_stop(&s->in);
}

static void on_output_end(void *arg, int error)
{
	struct stream_session *s = arg;

	(void)error;
	if (pump_on(&s->out) && !s->out.reads) {
		pump_stop(&s->out);
		chan_end(s->chans[ROLE_STDOUT]);
	}
	if (pump_on(&s->err) && !s->err.reads) {
		pump_stop(&s->err);
		chan_end(s->chans[ROLE_STDERR]);
	}
	check_end(s);
}

/* Beginning ---------------------------------------------------------------- */

/* Our end is made non-blocking; the program gets its end as it is. */
static int make_pipe(bool wish, bool ours_reads, int *ret_ours, int *ret_theirs, struct err *e)
{
	int fds[2];

	*ret_ours = *ret_theirs = -1;
	if (!wish)
		return 0;
	if (fd_pipe(fds, 0, e) < 0)
		return -e->code;
	*ret_ours = fds[ours_reads ? 0 : 1];
	*ret_theirs = fds[ours_reads ? 1 : 0];
	return fd_set_nonblock(*ret_ours, true, e);
}

static void begin(struct stream_session *s)
{
	struct stream *server = s->conn->server;
	auto_fd int in = -1, out = -1, err = -1, their_in = -1, their_out = -1, their_err = -1;
	struct err e = { 0 };

	s->begun = true;
	ev_timer_cancel(&s->timer);
	if (make_pipe(wanted(s, ROLE_STDIN), false, &in, &their_in, &e) < 0 ||
	    make_pipe(wanted(s, ROLE_STDOUT), true, &out, &their_out, &e) < 0 ||
	    make_pipe(wanted(s, ROLE_STDERR), true, &err, &their_err, &e) < 0) {
		fail(s, &e);
		return;
	}
	if (in >= 0)
		pump_start(&s->in, s->chans[ROLE_STDIN], fd_take(&in), false, true, false,
			   on_stdin_end, s);
	if (out >= 0)
		pump_start(&s->out, s->chans[ROLE_STDOUT], fd_take(&out), true, false, false,
			   on_output_end, s);
	if (err >= 0)
		pump_start(&s->err, s->chans[ROLE_STDERR], fd_take(&err), true, false, false,
			   on_output_end, s);
	server->backend->begin(server->arg, s, s->request,
			       (int[3]){ their_in, their_out, their_err }, &s->handle);
}

void stream_started(struct stream_session *s, const struct err *e)
{
	if (e) {
		fail(s, e);
		return;
	}
	s->started = true;
	if (s->chans[ROLE_RESIZE])
		on_resize(s); /* what came before the start, as the first size does */
	check_end(s);
}

void stream_ended(struct stream_session *s, int code, const struct err *e)
{
	s->code = code;
	if (e)
		s->why = *e;
	s->ended = true;
	check_end(s);
}

static void add_role(struct stream_session *s, enum role role, uint32_t id)
{
	void (*on_in)(void *arg) = role == ROLE_STDIN	 ? on_stdin
				   : role == ROLE_RESIZE ? on_resize
							 : on_nothing;

	s->chans[role] = chan_new(s->conn, id, on_in, s);
	if (role != ROLE_STDIN && role != ROLE_RESIZE)
		s->chans[role]->deaf = true;
}

static void begin_when_whole(struct stream_session *s)
{
	for (enum role role = 0; role < ROLES; role++)
		if (wanted(s, role) && !s->chans[role])
			return;
	begin(s);
}

static void opened(void *arg, uint32_t id, const struct spdy_header *h, size_t count)
{
	struct stream_session *s = arg;
	const char *type = spdy_header_find(h, count, "streamtype");
	enum role role = 0;

	while (role < ROLES && (!type || !str_eq(type, role_names[role])))
		role++;
	if (role == ROLES || s->begun || s->chans[role]) {
		spdy_reset(&s->conn->spdy, id, role == ROLES ? SPDY_PROTOCOL_ERROR : SPDY_REFUSED);
		return;
	}
	add_role(s, role, id);
	begin_when_whole(s);
}

static void on_timer(void *arg)
{
	struct stream_session *s = arg;
	struct err e = { 0 };

	if (s->begun && !conn_has_room(s->conn)) {
		ev_timer_set(&s->timer, DRAIN_MS); /* it is the client that is slow */
		return;
	}
	if (s->begun) {
		finish(s); /* somebody else keeps the output open */
		return;
	}
	err_set(&e, ETIMEDOUT, "wait for the client's streams");
	fail(s, &e);
}

static void gone(void *arg)
{
	struct stream_session *s = arg;
	struct stream *server = s->conn->server;

	pump_stop(&s->in);
	pump_stop(&s->out);
	pump_stop(&s->err);
	ev_remove(&s->timer);
	if (s->handle)
		server->backend->drop(server->arg, s->handle);
	stream_request_free(s->request);
	free(s);
}

static const struct conn_use use = {
	.opened = opened,
	.gone = gone,
};

void session_start(struct stream_conn *c, struct stream_request *r)
{
	struct stream_session *s = mem_alloc(sizeof(*s));

	s->conn = c;
	s->request = r;
	s->in.fd = s->out.fd = s->err.fd = -1;
	c->use = &use;
	c->use_arg = s;
	ev_add_timer(c->server->ev, &s->timer, on_timer, s);
	ev_timer_set(&s->timer, STREAM_OPEN_MS);
	if (c->head.wire != STREAM_WS)
		return;
	for (enum role role = 0; role < ROLES; role++)
		if (wanted(s, role))
			add_role(s, role, role);
	begin_when_whole(s);
}
