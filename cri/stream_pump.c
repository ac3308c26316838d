/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pump between a descriptor and a channel. A pipe whose other end is gone
 * shows EPOLLHUP or EPOLLERR whatever is asked for, so a pump at rest is out
 * of the loop.
 */
#include "cri/stream_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"

static void on_fd(void *arg, uint32_t events);

void pump_update(struct stream_pump *p)
{
	uint32_t events = 0;
	struct err e = { 0 };

	if (!pump_on(p))
		return;
	if (p->reads && conn_has_room(p->conn))
		events |= EPOLLIN;
	if (p->writes && p->chan->in.len)
		events |= EPOLLOUT;
	if (events == p->events)
		return;
	if (!events)
		ev_remove(&p->source);
	else if (p->events ? ev_set_events(&p->source, events, &e) < 0
			   : ev_add_fd(p->conn->server->ev, &p->source, p->fd, events, on_fd, p,
				       &e) < 0)
		log_error("stream: %s", err_text(&e));
	p->events = events;
}

static void end_reads(struct stream_pump *p, int error)
{
	if (!p->reads)
		return;
	p->reads = false;
	p->on_end(p->arg, error);
}

static void end_writes(struct stream_pump *p, int error)
{
	if (!p->writes)
		return;
	p->writes = false;
	chan_deafen(p->chan);
	p->on_end(p->arg, error);
}

static void from_fd(struct stream_pump *p)
{
	char buf[STREAM_CHUNK];
	ssize_t n = read(p->fd, buf, sizeof(buf));

	if (n > 0)
		chan_send(p->chan, buf, (size_t)n);
	else if (n == 0 || errno == EIO) /* a terminal's end */
		end_reads(p, 0);
	else if (errno != EAGAIN && errno != EINTR)
		end_reads(p, errno);
}

/* MSG_NOSIGNAL has no twin for pipes: the process ignores SIGPIPE. */
static void to_fd(struct stream_pump *p)
{
	struct stream_chan *ch = p->chan;

	while (ch->in.len) {
		ssize_t n = write(p->fd, ch->in.text, ch->in.len);

		if (n >= 0) {
			chan_took(ch, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			end_writes(p, errno);
		return;
	}
	if (!ch->in_end)
		return;
	if (p->socket)
		shutdown(p->fd, SHUT_WR);
	end_writes(p, 0);
}

/* The callbacks may stop the pump, never free it before the end of the round. */
static void on_fd(void *arg, uint32_t events)
{
	struct stream_pump *p = arg;

	p->conn->active_ms = ev_now_ms();
	if (p->writes && p->chan->in.len && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		to_fd(p);
	if (pump_on(p) && p->reads && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		from_fd(p);
	pump_update(p);
}

void pump_chan(struct stream_pump *p)
{
	if (!pump_on(p) || !p->writes)
		return;
	to_fd(p);
	pump_update(p);
}

void pump_start(struct stream_pump *p, struct stream_chan *ch, int fd, bool reads, bool writes,
		bool is_socket, void (*on_end)(void *arg, int error), void *arg)
{
	*p = (struct stream_pump){
		.conn = ch->conn,
		.chan = ch,
		.fd = fd,
		.reads = reads,
		.writes = writes,
		.socket = is_socket,
		.on_end = on_end,
		.arg = arg,
	};
	list_add_tail(&ch->conn->pumps, &p->node);
	if (writes && (ch->in.len || ch->in_end))
		to_fd(p);
	pump_update(p);
}

void pump_stop(struct stream_pump *p)
{
	if (!pump_on(p))
		return;
	if (p->events)
		ev_remove(&p->source);
	p->events = 0;
	p->reads = p->writes = false;
	list_remove(&p->node);
	fd_close(&p->fd);
}
