/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WebSocket (RFC 6455), the server's side: bytes in, events out; no sockets here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/str.h"

#define WS_ACCEPT 29 /* bytes of the answer to a key, with the NUL */
#define WS_CONTROL_MAX 125 /* bytes of a control frame */

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

enum ws_status {
	WS_NORMAL = 1000,
	WS_PROTOCOL_ERROR = 1002,
	WS_INTERNAL = 1011,
};

struct ws_events {
	/* Payload of a message as it comes; first: the message begins here. Returns how much was
	 * taken, as in spdy.h. An empty message comes with len 0. */
	size_t (*data)(void *arg, const uint8_t *data, size_t len, bool first);
	/* A message is complete. */
	void (*message_end)(void *arg);
	/* The peer closes; the answer has been added to out. */
	void (*closed)(void *arg);
};

struct ws {
	const struct ws_events *on;
	void *arg;
	struct str *out; /* the caller's */
	uint8_t head[14];
	size_t have, need; /* of head */
	uint64_t left; /* of the frame's payload */
	uint64_t at; /* payload bytes unmasked so far */
	bool in_payload;
	bool in_message; /* more fragments are to come */
	bool began; /* of the message's first frame: data was told */
	uint8_t control[WS_CONTROL_MAX];
	size_t got; /* of control */
	bool close_sent;
};

/* The value of Sec-WebSocket-Accept for a key. */
void ws_accept(const char *key, char ret[static WS_ACCEPT]);

void ws_init(struct ws *w, const struct ws_events *on, void *arg, struct str *out);

/* Returns how many bytes were taken (data is unmasked in place), or an error after which the
 * connection is to be closed by ws_close(). */
ssize_t ws_feed(struct ws *w, void *data, size_t len, struct err *e);

/* One binary message made of two parts. */
void ws_message(struct ws *w, const void *first, size_t first_len, const void *data, size_t len);
/* Sends a close frame, once. */
void ws_close(struct ws *w, enum ws_status status);
