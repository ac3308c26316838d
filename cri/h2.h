/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gRPC server: HTTP/2 by nghttp2 on connections of one loop. It bounds
 * what a connection may hold (requests collected, answers not fetched) and
 * what it may provoke (streams opened and reset, control frames unanswered).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cri/grpc.h"
#include "cri/method.h"
#include "lib/ev.h"
#include "lib/list.h"

#define H2_CONNS_MAX 1024
#define H2_STREAMS_MAX 256 /* open at once on a connection */
#define H2_HEADERS_MAX 16384 /* bytes of names and values of a request */
#define H2_CALLS_MAX 4096 /* at work at once, abandoned ones included */
#define H2_HELD_MAX (64u << 20) /* bytes of requests and answers in memory, all connections */
#define H2_CONN_HELD_MAX (32u << 20) /* of one connection */
#define H2_BUFFER 65536 /* bytes of one read or write */
#define H2_RESETS_BURST 1000 /* streams a client may reset at once ... */
#define H2_RESETS_PER_S 50 /* ... and on average */
#define H2_MESSAGE_TEXT_MAX 4096 /* bytes of a grpc-message */

struct h2 {
	struct crid *crid;
	struct ev *ev;
	const struct method *(*find)(const char *path);
	int listener;
	struct ev_source accept;
	struct ev_source resume; /* after a pause for want of descriptors */
	struct list conns;
	size_t nconns;
	size_t ncalls;
	size_t held; /* bytes */
	uint8_t *buf; /* of H2_BUFFER bytes, for one read or write at a time */
};

struct h2_stream;

void h2_init(struct h2 *h2, struct ev *ev, struct crid *crid,
	     const struct method *(*find)(const char *path));
void h2_done(struct h2 *h2);

/* Listens on a unix socket, mode 0600. */
int h2_listen(struct h2 *h2, const char *path, struct err *e);
/* Serves a connected socket, which it owns from here. */
int h2_add(struct h2 *h2, int fd, struct err *e);

/* A call's answer: data (owned by the stream from here) is a framed message, or NULL. */
void h2_answer(struct h2_stream *s, void *data, size_t len, enum grpc_code code, const char *text);
/* A call was freed: answered, or given up after its client went. */
void h2_call_ended(struct h2 *h2);
