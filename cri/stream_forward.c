/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port forwards: any number of TCP connections over one client connection,
 * each a pair of channels for data and for an error text. Trouble with one
 * ends that pair alone.
 */
#include "cri/stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

#define REST_MS 10000 /* for the client to end its direction after the pod ended its own */

struct forward {
	struct stream_conn *conn;
	struct stream_request *request;
	struct list pairs;
};

struct stream_pair {
	struct list node;
	struct forward *forward;
	char id[24]; /* what joins the two */
	int port;
	struct stream_chan *data, *error;
	struct stream_pump pump;
	void *handle; /* of the backend's connect; NULL: at rest */
	struct ev_source timer;
	struct ev_source work; /* frees it outside of its channels' callbacks */
	bool done;
};

static void pair_free(struct stream_pair *p)
{
	struct stream *server = p->forward->conn->server;

	pump_stop(&p->pump);
	ev_remove(&p->timer);
	ev_remove(&p->work);
	if (p->handle)
		server->backend->drop_connect(server->arg, p->handle);
	if (p->data)
		chan_free(p->data);
	if (p->error)
		chan_free(p->error);
	list_remove(&p->node);
	free(p);
}

static void free_later(void *arg)
{
	pair_free(arg);
}

/* The client's handler waits for the end of both. */
static void pair_end(struct stream_pair *p, const char *text)
{
	if (p->done)
		return;
	p->done = true;
	pump_stop(&p->pump);
	if (p->data)
		chan_end(p->data);
	if (p->error && text)
		chan_send(p->error, text, strlen(text));
	if (p->error)
		chan_end(p->error);
	ev_mark(&p->work);
}

/* A direction ended, in order or not: what the other side can be told is an end. */
static void on_pump_end(void *arg, int error)
{
	struct stream_pair *p = arg;

	if (error)
		log_debug("stream: forward to port %d: %s", p->port, strerror(error));
	if (error || (!p->pump.reads && !p->pump.writes)) {
		pair_end(p, NULL);
		return;
	}
	if (!p->pump.reads) {
		/* clients stop here and only then end their own direction */
		chan_end(p->data);
		chan_end(p->error);
		ev_timer_set(&p->timer, REST_MS);
	}
}

static void on_data_in(void *arg)
{
	struct stream_pair *p = arg;

	pump_chan(&p->pump);
}

static void on_data_reset(void *arg)
{
	pair_end(arg, NULL);
}

static void on_nothing(void *arg)
{
	(void)arg;
}

static void on_timer(void *arg)
{
	struct stream_pair *p = arg;

	pair_end(p, p->data && p->error ? NULL : "the other stream of the pair did not come");
}

static void pair_begin(struct stream_pair *p)
{
	struct stream *server = p->forward->conn->server;

	ev_timer_cancel(&p->timer);
	server->backend->connect(server->arg, p, p->forward->request, p->port, &p->handle);
}

void stream_connected(struct stream_pair *p, int fd, const struct err *e)
{
	auto_fd int sock = fd;
	auto_str text = { 0 };
	struct err why = { 0 };

	p->handle = NULL;
	if (p->done)
		return;
	if (e || fd_set_nonblock(sock, true, &why) < 0) {
		str_printf(&text, "forward to port %d: %s", p->port, err_text(e ? e : &why));
		pair_end(p, text.text);
		return;
	}
	pump_start(&p->pump, p->data, fd_take(&sock), true, true, true, on_pump_end, p);
}

static struct stream_pair *pair_new(struct forward *f, const char *id, int port)
{
	struct stream_pair *p = mem_alloc(sizeof(*p));
	struct ev *ev = f->conn->server->ev;

	p->forward = f;
	p->port = port;
	p->pump.fd = -1;
	str_copy(p->id, sizeof(p->id), id);
	list_add_tail(&f->pairs, &p->node);
	ev_add_timer(ev, &p->timer, on_timer, p);
	ev_add_work(ev, &p->work, free_later, p);
	return p;
}

static struct stream_pair *pair_find(struct forward *f, const char *id)
{
	list_for_each(p, &f->pairs, struct stream_pair, node)
		if (!p->done && str_eq(p->id, id))
			return p;
	return NULL;
}

static void add_data(struct stream_pair *p, uint32_t id)
{
	p->data = chan_new(p->forward->conn, id, on_data_in, p);
	p->data->on_reset = on_data_reset;
}

static void add_error(struct stream_pair *p, uint32_t id)
{
	p->error = chan_new(p->forward->conn, id, on_nothing, p);
	p->error->deaf = true;
}

/* Without a request id the data stream is the one after the error stream. */
static void name_pair(const char *given, uint32_t id, bool data, char ret[static 24])
{
	if (given && strlen(given) < 22)
		snprintf(ret, 24, "r%s", given);
	else
		snprintf(ret, 24, "s%u", data ? id - 2 : id);
}

static void opened(void *arg, uint32_t id, const struct spdy_header *h, size_t count)
{
	struct forward *f = arg;
	const char *type = spdy_header_find(h, count, "streamtype");
	const char *port = spdy_header_find(h, count, "port");
	bool data = type && str_eq(type, "data");
	uint32_t number = 0;
	struct stream_pair *p;
	char name[24];

	if (!type || (!data && !str_eq(type, "error")) || !port || str_to_u32(port, &number) < 0 ||
	    number < 1 || number > 65535) {
		spdy_reset(&f->conn->spdy, id, SPDY_PROTOCOL_ERROR);
		return;
	}
	name_pair(spdy_header_find(h, count, "requestid"), id, data, name);
	p = pair_find(f, name);
	if (p && (data ? p->data : p->error)) {
		spdy_reset(&f->conn->spdy, id, SPDY_REFUSED);
		return;
	}
	if (!p) {
		p = pair_new(f, name, (int)number);
		ev_timer_set(&p->timer, STREAM_OPEN_MS);
	}
	if (data)
		add_data(p, id);
	else
		add_error(p, id);
	if (p->data && p->error)
		pair_begin(p);
}

static void gone(void *arg)
{
	struct forward *f = arg;

	list_for_each(p, &f->pairs, struct stream_pair, node)
		pair_free(p);
	stream_request_free(f->request);
	free(f);
}

static const struct conn_use use = {
	.opened = opened,
	.gone = gone,
};

/* A websocket has two channels for each port of the request: each begins with the port. */
static void open_ports(struct forward *f)
{
	for (size_t i = 0; i < f->request->nports && 2 * i + 1 < 255; i++) {
		int port = f->request->ports[i];
		uint8_t le[2] = { port & 0xff, port >> 8 };
		char name[24];
		struct stream_pair *p;

		snprintf(name, sizeof(name), "p%zu", i);
		p = pair_new(f, name, port);
		add_data(p, 2 * i);
		add_error(p, 2 * i + 1);
		chan_send(p->data, le, sizeof(le));
		chan_send(p->error, le, sizeof(le));
		pair_begin(p);
	}
}

void forward_start(struct stream_conn *c, struct stream_request *r)
{
	struct forward *f = mem_alloc(sizeof(*f));

	f->conn = c;
	f->request = r;
	list_init(&f->pairs);
	c->use = &use;
	c->use_arg = f;
	if (c->head.wire == STREAM_WS)
		open_ports(f);
}
