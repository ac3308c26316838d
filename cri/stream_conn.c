/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client's connection: the HTTP head, then SPDY or a websocket, whose
 * streams are channels here. Callbacks only note what happened; the end of the
 * round feeds what waited, sends, and frees.
 */
#include "cri/stream_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

#define READ_MAX 65536 /* bytes of one read */

static const struct spdy_events spdy_events;
static const struct ws_events ws_events;

/* Channels ----------------------------------------------------------------- */

struct stream_chan *conn_chan(struct stream_conn *c, uint32_t id)
{
	list_for_each(ch, &c->chans, struct stream_chan, node)
		if (ch->id == id)
			return ch;
	return NULL;
}

/* SPDY frames go out as they are, or as the payload of websocket messages. */
static void wrap_frames(struct stream_conn *c)
{
	if (c->head.wire != STREAM_TUNNEL || !c->frames.len)
		return;
	ws_message(&c->ws, NULL, 0, c->frames.text, c->frames.len);
	str_drop(&c->frames, c->frames.len);
}

struct stream_chan *chan_new(struct stream_conn *c, uint32_t id, void (*on_in)(void *arg),
			     void *arg)
{
	struct stream_chan *ch = mem_alloc(sizeof(*ch));
	struct err e = { 0 };

	ch->conn = c;
	ch->id = id;
	ch->on_in = on_in;
	ch->arg = arg;
	list_add_tail(&c->chans, &ch->node);
	c->nchans++;
	if (c->head.wire != STREAM_WS && spdy_reply(&c->spdy, id, &e) < 0)
		log_error("stream: %s", err_text(&e));
	wrap_frames(c);
	ev_mark(&c->work);
	return ch;
}

void chan_free(struct stream_chan *ch)
{
	struct stream_conn *c = ch->conn;

	if (c->ws_chan == ch) {
		c->ws_chan = NULL;
		c->ws_deaf = true;
	}
	list_remove(&ch->node);
	c->nchans--;
	str_done(&ch->in);
	free(ch);
	if (c->stalled)
		ev_mark(&c->work);
}

void chan_send(struct stream_chan *ch, const void *data, size_t len)
{
	struct stream_conn *c = ch->conn;
	uint8_t number = (uint8_t)ch->id;

	if (ch->out_end || c->phase != CONN_OPEN)
		return;
	if (c->head.wire == STREAM_WS)
		ws_message(&c->ws, &number, 1, data, len);
	else
		spdy_data(&c->spdy, ch->id, data, len, false);
	wrap_frames(c);
	ev_mark(&c->work);
}

void chan_end(struct stream_chan *ch)
{
	struct stream_conn *c = ch->conn;

	if (ch->out_end || c->phase != CONN_OPEN)
		return;
	ch->out_end = true;
	if (c->head.wire == STREAM_WS) /* it has no half-close towards the client */
		return;
	spdy_data(&c->spdy, ch->id, "", 0, true);
	wrap_frames(c);
	ev_mark(&c->work);
}

void chan_took(struct stream_chan *ch, size_t len)
{
	str_drop(&ch->in, len);
	if (ch->conn->stalled)
		ev_mark(&ch->conn->work);
}

void chan_deafen(struct stream_chan *ch)
{
	ch->deaf = true;
	chan_took(ch, ch->in.len);
}

/* Returns what was taken. */
static size_t chan_put(struct stream_chan *ch, const uint8_t *data, size_t len)
{
	size_t room = STREAM_CHAN_MAX - ch->in.len;

	if (ch->deaf || ch->in_end)
		return len;
	if (len > room)
		len = room;
	if (!len)
		return 0;
	str_add_mem(&ch->in, data, len);
	ch->on_in(ch->arg);
	return len;
}

static void chan_in_end(struct stream_chan *ch)
{
	if (ch->in_end)
		return;
	ch->in_end = true;
	ch->on_in(ch->arg);
}

/* SPDY --------------------------------------------------------------------- */

static void on_opened(void *arg, uint32_t stream, const struct spdy_header *h, size_t count)
{
	struct stream_conn *c = arg;

	if (c->nchans >= SPDY_STREAMS_MAX || c->phase != CONN_OPEN)
		spdy_reset(&c->spdy, stream, SPDY_REFUSED);
	else
		c->use->opened(c->use_arg, stream, h, count);
	wrap_frames(c);
	ev_mark(&c->work);
}

static size_t on_data(void *arg, uint32_t stream, const uint8_t *data, size_t len)
{
	struct stream_chan *ch = conn_chan(arg, stream);

	return ch ? chan_put(ch, data, len) : len;
}

static void on_finished(void *arg, uint32_t stream)
{
	struct stream_chan *ch = conn_chan(arg, stream);

	if (ch)
		chan_in_end(ch);
}

static void on_reset(void *arg, uint32_t stream, uint32_t status)
{
	struct stream_chan *ch = conn_chan(arg, stream);

	(void)status;
	if (!ch)
		return;
	ch->out_end = true;
	if (ch->on_reset)
		ch->on_reset(ch->arg);
	else
		chan_in_end(ch);
}

/* It only says that no more streams come; the client closes when it has what it wants. */
static void on_goaway(void *arg)
{
	(void)arg;
}

static const struct spdy_events spdy_events = {
	.opened = on_opened,
	.data = on_data,
	.finished = on_finished,
	.reset = on_reset,
	.goaway = on_goaway,
};

/* Websocket ---------------------------------------------------------------- */

#define CHANNEL_CLOSE 255 /* v5: the next byte names the channel that the client closes */

static void pick_channel(struct stream_conn *c, uint8_t number)
{
	c->ws_control = number == CHANNEL_CLOSE && c->head.version >= 5 ? 0 : -1;
	c->ws_chan = conn_chan(c, number);
	c->ws_deaf = !c->ws_chan;
}

static size_t take_close(struct stream_conn *c, const uint8_t *data, size_t len)
{
	struct stream_chan *ch = len && c->ws_control == 0 ? conn_chan(c, data[0]) : NULL;

	c->ws_control += len ? 1 : 0;
	if (ch)
		chan_in_end(ch);
	return len;
}

static size_t on_ws_data(void *arg, const uint8_t *data, size_t len, bool first)
{
	struct stream_conn *c = arg;
	size_t taken = 0;
	ssize_t n;
	struct err e = { 0 };

	if (c->head.wire == STREAM_TUNNEL) {
		n = spdy_feed(&c->spdy, data, len, &e);
		wrap_frames(c);
		if (n >= 0)
			return (size_t)n;
		log_info("stream: %s", err_text(&e));
		conn_finish(c, SPDY_PROTOCOL_ERROR);
		return len;
	}
	if (first && len) {
		pick_channel(c, data[0]);
		taken = 1;
	}
	if (c->ws_control >= 0)
		return taken + take_close(c, data + taken, len - taken);
	if (c->ws_deaf || !c->ws_chan)
		return len;
	return taken + chan_put(c->ws_chan, data + taken, len - taken);
}

static void on_message_end(void *arg)
{
	(void)arg;
}

static void on_ws_closed(void *arg)
{
	struct stream_conn *c = arg;

	conn_finish(c, 0);
}

static const struct ws_events ws_events = {
	.data = on_ws_data,
	.message_end = on_message_end,
	.closed = on_ws_closed,
};

/* Life --------------------------------------------------------------------- */

bool conn_has_room(const struct stream_conn *c)
{
	return c->phase == CONN_OPEN && c->out.len < STREAM_OUT_HIGH;
}

static void drop_use(struct stream_conn *c)
{
	const struct conn_use *use = c->use;

	c->use = NULL;
	if (use)
		use->gone(c->use_arg);
}

static void conn_die(struct stream_conn *c)
{
	if (c->phase == CONN_DEAD)
		return;
	c->phase = CONN_DEAD;
	ev_remove(&c->source);
	ev_timer_cancel(&c->timer);
	ev_mark(&c->work);
}

void conn_finish(struct stream_conn *c, int status)
{
	if (c->phase != CONN_OPEN)
		return;
	if (c->head.wire != STREAM_WS)
		spdy_goaway(&c->spdy, (uint32_t)status);
	wrap_frames(c);
	if (c->head.wire != STREAM_SPDY)
		ws_close(&c->ws, status ? WS_PROTOCOL_ERROR : WS_NORMAL);
	c->phase = CONN_FLUSH;
	ev_timer_set(&c->timer, STREAM_OPEN_MS);
	ev_mark(&c->work);
}

static void refuse(struct stream_conn *c, int status, const char *text)
{
	stream_head_refuse(&c->out, status, text);
	c->phase = CONN_FLUSH;
	ev_timer_set(&c->timer, STREAM_LINGER_MS);
}

static void upgrade(struct stream_conn *c, struct stream_request *r)
{
	struct err e = { 0 };

	if (!stream_head_answer(&c->head, &c->out)) {
		stream_request_free(r);
		c->phase = CONN_FLUSH;
		ev_timer_set(&c->timer, STREAM_LINGER_MS);
		return;
	}
	if (c->head.wire != STREAM_WS &&
	    spdy_init(&c->spdy, &spdy_events, c, c->head.wire == STREAM_SPDY ? &c->out : &c->frames,
		      &e) < 0) {
		log_error("stream: %s", err_text(&e));
		stream_request_free(r);
		conn_die(c);
		return;
	}
	if (c->head.wire != STREAM_SPDY)
		ws_init(&c->ws, &ws_events, c, &c->out);
	c->phase = CONN_OPEN;
	ev_timer_set(&c->timer, STREAM_IDLE_MS);
	if (c->head.kind == STREAM_FORWARD)
		forward_start(c, r);
	else
		session_start(c, r);
}

static void read_head(struct stream_conn *c)
{
	ssize_t len = stream_head_whole(c->in.text, c->in.len);
	struct stream_request *r;
	struct err e = { 0 };

	if (len == 0)
		return;
	if (len < 0) {
		refuse(c, 431, "the head of the request is too long");
		return;
	}
	if (stream_head_read(c->in.text, (size_t)len, &c->head, &e) < 0) {
		refuse(c, e.code, e.msg);
		return;
	}
	str_drop(&c->in, (size_t)len);
	r = stream_tokens_take(&c->server->tokens, c->head.kind, c->head.token);
	if (!r)
		refuse(c, 404, "no such stream: a URL is good once and for a minute");
	else
		upgrade(c, r);
}

/* Gives what was received to the wire; what it does not take waits, and the socket with it. */
static void feed(struct stream_conn *c)
{
	struct err e = { 0 };
	ssize_t n;

	if (c->phase == CONN_HEAD && c->in.len)
		read_head(c);
	if (c->phase != CONN_OPEN) {
		if (c->phase != CONN_HEAD)
			str_drop(&c->in, c->in.len);
		c->stalled = false;
		return;
	}
	if (!c->in.len)
		return;
	n = c->head.wire == STREAM_SPDY ? spdy_feed(&c->spdy, c->in.text, c->in.len, &e)
					: ws_feed(&c->ws, c->in.text, c->in.len, &e);
	if (n < 0) {
		log_info("stream: %s", err_text(&e));
		conn_finish(c, SPDY_PROTOCOL_ERROR);
		return;
	}
	str_drop(&c->in, (size_t)n);
	c->stalled = c->in.len > 0;
	if (!c->stalled && c->in.room > STREAM_CHUNK)
		str_done(&c->in);
}

static void flush(struct stream_conn *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.text, c->out.len, MSG_NOSIGNAL);

		if (n > 0) {
			str_drop(&c->out, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			conn_die(c);
		return;
	}
	if (c->out.room > STREAM_CHUNK)
		str_done(&c->out);
	if (c->phase == CONN_FLUSH) {
		/* a close with unread bytes would reset what is on its way to the client */
		shutdown(c->fd, SHUT_WR);
		c->phase = CONN_LINGER;
		ev_timer_set(&c->timer, STREAM_LINGER_MS);
	}
}

static void watch(struct stream_conn *c)
{
	uint32_t events = EPOLLRDHUP;
	struct err e = { 0 };

	if (!c->stalled)
		events |= EPOLLIN;
	if (c->out.len)
		events |= EPOLLOUT;
	if (events != c->events)
		ev_set_events(&c->source, events, &e);
	c->events = events;
}

static void on_work(void *arg)
{
	struct stream_conn *c = arg;

	if (c->phase != CONN_DEAD)
		feed(c);
	if (c->phase != CONN_DEAD)
		flush(c);
	if (c->phase >= CONN_FLUSH)
		drop_use(c);
	if (c->phase == CONN_DEAD) {
		conn_free(c);
		return;
	}
	watch(c);
	list_for_each(p, &c->pumps, struct stream_pump, node)
		pump_update(p);
}

static void on_socket(void *arg, uint32_t events)
{
	struct stream_conn *c = arg;
	char buf[READ_MAX];
	ssize_t n;

	c->active_ms = ev_now_ms();
	ev_mark(&c->work);
	/* a client that went away while a channel is full: nobody waits for the rest */
	if (c->stalled && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
		conn_die(c);
		return;
	}
	if (c->stalled || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		return;
	n = recv(c->fd, buf, sizeof(buf), 0);
	if (n > 0 && c->phase < CONN_FLUSH)
		str_add_mem(&c->in, buf, (size_t)n);
	else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_die(c);
}

static void on_timer(void *arg)
{
	struct stream_conn *c = arg;
	uint64_t idle = ev_now_ms() - c->active_ms;

	switch (c->phase) {
	case CONN_HEAD:
		refuse(c, 408, "the request did not come");
		ev_mark(&c->work);
		break;
	case CONN_OPEN:
		if (idle < STREAM_IDLE_MS) {
			ev_timer_set(&c->timer, STREAM_IDLE_MS - idle);
			break;
		}
		log_info("stream: closed after %d s without a byte", STREAM_IDLE_MS / 1000);
		conn_finish(c, 0);
		break;
	case CONN_FLUSH:
	case CONN_LINGER:
	case CONN_DEAD:
		conn_die(c);
		break;
	}
}

void conn_new(struct stream *server, int fd)
{
	struct stream_conn *c = mem_alloc(sizeof(*c));
	struct err e = { 0 };

	c->server = server;
	c->fd = fd;
	c->ws_control = -1;
	list_init(&c->chans);
	list_init(&c->pumps);
	list_add_tail(&server->conns, &c->node);
	server->nconns++;
	ev_add_timer(server->ev, &c->timer, on_timer, c);
	ev_add_work(server->ev, &c->work, on_work, c);
	ev_timer_set(&c->timer, STREAM_HEAD_MS);
	if (ev_add_fd(server->ev, &c->source, fd, EPOLLIN | EPOLLRDHUP, on_socket, c, &e) < 0) {
		log_error("stream: %s", err_text(&e));
		conn_die(c);
	}
}

void conn_free(struct stream_conn *c)
{
	drop_use(c);
	list_for_each(ch, &c->chans, struct stream_chan, node)
		chan_free(ch);
	ev_remove(&c->source);
	ev_remove(&c->timer);
	ev_remove(&c->work);
	fd_close(&c->fd);
	spdy_done(&c->spdy);
	str_done(&c->in);
	str_done(&c->out);
	str_done(&c->frames);
	list_remove(&c->node);
	c->server->nconns--;
	free(c);
}
