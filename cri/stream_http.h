/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one HTTP/1.1 exchange in front of a stream: the head of a request with
 * a token, checked for the upgrade it asks for, and our answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cri/stream_token.h"
#include "lib/err.h"
#include "lib/str.h"

#define STREAM_HEAD_MAX 16384 /* bytes of the request's head */

enum stream_wire {
	STREAM_SPDY, /* SPDY/3.1 */
	STREAM_WS, /* WebSocket, a channel a byte */
	STREAM_TUNNEL, /* SPDY/3.1 inside WebSocket */
};

struct stream_head {
	enum stream_kind kind;
	char token[STREAM_TOKEN_LEN + 1]; /* "" when it cannot be one */
	bool upgrade; /* it asks for one of ours */
	enum stream_wire wire;
	char protocol[64]; /* chosen among the client's; "" when none is known */
	bool protocol_asked;
	char accept[32]; /* of the websocket's key */
	/* What is said of streams by the protocol: */
	int version; /* of channel.k8s.io: 1 to 5 */
};

/* Length of the head with its empty line, 0 while it is not whole, -EMSGSIZE over the limit. */
ssize_t stream_head_whole(const char *data, size_t len);

/* Reads a whole head. An error's code is the HTTP status to answer with. */
int stream_head_read(const char *data, size_t len, struct stream_head *ret, struct err *e);

/* The answer that ends the exchange: status 4xx or 5xx with a text. */
void stream_head_refuse(struct str *out, int status, const char *text);
/* 101, or 400 and 403 when the head asks for nothing that we know: then it returns false. */
bool stream_head_answer(const struct stream_head *h, struct str *out);
