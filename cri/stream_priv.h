/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the parts of the streaming server. */
#pragma once

#include "cri/spdy.h"
#include "cri/stream.h"
#include "cri/stream_http.h"
#include "cri/ws.h"
#include "lib/list.h"
#include "lib/str.h"

#define STREAM_HEAD_MS 10000 /* for the request's head */
#define STREAM_OPEN_MS 30000 /* for all streams of an exec, for the second of a pair */
#define STREAM_LINGER_MS 5000 /* from our last byte to the peer's */
#define STREAM_IDLE_MS (4 * 3600 * 1000) /* without a byte either way */
#define STREAM_CHAN_MAX 65536 /* bytes received and not taken, a channel */
#define STREAM_OUT_HIGH (256 * 1024) /* bytes to be sent: descriptors are read no more */
#define STREAM_CHUNK 32768 /* bytes of one read */

struct stream {
	struct ev *ev;
	const struct stream_backend *backend;
	void *arg;
	int listener;
	struct ev_source source;
	int spare; /* descriptor given up to turn a client away when there is no other */
	char address[80]; /* as in URLs */
	struct stream_tokens tokens;
	struct list conns;
	size_t nconns;
};

struct stream_conn;
struct stream_pump;

/* One stream of a connection. */
struct stream_chan {
	struct list node; /* in the connection */
	struct stream_conn *conn;
	uint32_t id; /* SPDY stream, or channel of a websocket */
	struct str in; /* received, not taken yet */
	bool in_end; /* the peer sends no more */
	bool out_end; /* we send no more */
	bool deaf; /* what comes is thrown away */
	/* Something was added to in, or in_end became true. */
	void (*on_in)(void *arg);
	/* The peer dropped it. NULL: as in_end. */
	void (*on_reset)(void *arg);
	void *arg;
};

enum conn_phase {
	CONN_HEAD, /* waiting for the request */
	CONN_OPEN,
	CONN_FLUSH, /* writing what is left, then the end */
	CONN_LINGER, /* waiting for the peer's end */
	CONN_DEAD, /* freed at the end of the round */
};

/* What a connection carries. */
struct conn_use {
	/* SPDY: a stream was opened. */
	void (*opened)(void *arg, uint32_t id, const struct spdy_header *h, size_t count);
	/* The peer or the connection has gone: free everything of it. */
	void (*gone)(void *arg);
};

struct stream_conn {
	struct list node; /* in the server */
	struct stream *server;
	int fd;
	struct ev_source source;
	uint32_t events; /* of source */
	struct ev_source timer; /* of the phase; while open: idleness */
	struct ev_source work; /* end of the round: feed, flush, free */
	enum conn_phase phase;
	uint64_t active_ms;
	struct str in; /* received, not taken by the wire yet */
	bool stalled; /* a channel is full: nothing is read */
	struct str out;
	struct str frames; /* of the tunnelled SPDY, on their way into a websocket */
	struct stream_head head;
	struct spdy spdy;
	struct ws ws;
	struct stream_chan *ws_chan; /* of the message that is coming in */
	bool ws_deaf; /* it goes to no channel */
	int ws_control; /* bytes had of a channel-close message; -1: it is none */
	struct list chans;
	struct list pumps;
	size_t nchans;
	const struct conn_use *use;
	void *use_arg;
};

/* Connections (cri/stream_conn.c) */
void conn_new(struct stream *server, int fd);
void conn_free(struct stream_conn *c);
/* Everything was said: the last frames, then the end. status 0: all is well. */
void conn_finish(struct stream_conn *c, int status);
/* Its output has room for what descriptors bring. */
bool conn_has_room(const struct stream_conn *c);
struct stream_chan *conn_chan(struct stream_conn *c, uint32_t id);

/* SPDY: also answers the peer. */
struct stream_chan *chan_new(struct stream_conn *c, uint32_t id, void (*on_in)(void *arg),
			     void *arg);
void chan_free(struct stream_chan *ch);
void chan_send(struct stream_chan *ch, const void *data, size_t len);
/* No more from us; once. */
void chan_end(struct stream_chan *ch);
/* Bytes of in were taken, or it became deaf: reading may go on. */
void chan_took(struct stream_chan *ch, size_t len);
void chan_deafen(struct stream_chan *ch);

/* Descriptors (cri/stream_pump.c) */
struct stream_pump {
	struct list node; /* in the connection */
	struct stream_conn *conn;
	struct stream_chan *chan; /* never NULL */
	int fd; /* owned, non-blocking */
	struct ev_source source;
	uint32_t events; /* of source; 0: it is not in the loop */
	bool reads; /* fd to channel */
	bool writes; /* channel to fd */
	bool socket; /* the end of one direction is shutdown(2) */
	/* A direction ended (reads or writes became false); error: errno of a failed fd or 0. */
	void (*on_end)(void *arg, int error);
	void *arg;
};

/* Takes fd. */
void pump_start(struct stream_pump *p, struct stream_chan *ch, int fd, bool reads, bool writes,
		bool is_socket, void (*on_end)(void *arg, int error), void *arg);
void pump_stop(struct stream_pump *p);
/* The channel has something, or ended. */
void pump_chan(struct stream_pump *p);
/* Room in the connection came or went. */
void pump_update(struct stream_pump *p);
static inline bool pump_on(const struct stream_pump *p)
{
	return p->fd >= 0;
}

/* What a request becomes once the connection is upgraded; takes r. */
void session_start(struct stream_conn *c, struct stream_request *r);
void forward_start(struct stream_conn *c, struct stream_request *r);
