/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thin part of gRPC between HTTP/2 and protobuf: status codes, message
 * frames, the deadline header, percent-encoding of the status text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/str.h"

#define GRPC_MESSAGE_MAX (16u << 20) /* bytes; kubelet's client has the same limit */
#define GRPC_FRAME 5 /* bytes: compressed flag, length */

enum grpc_code {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* The code that says best what the error's errno means; GRPC_UNKNOWN when none does. */
enum grpc_code grpc_code_of(const struct err *e);

/* grpc-timeout: 1 to 8 digits and one of n u m S M H; rounded up to milliseconds. */
int grpc_timeout_parse(const char *text, size_t len, uint64_t *ret_ms, struct err *e);

/* Percent-encodes all but printable ASCII without '%'; cuts at max bytes of result. */
void grpc_percent_encode(struct str *out, const char *text, size_t max);

/* The five bytes in front of a message. */
void grpc_frame_put(uint8_t frame[static GRPC_FRAME], size_t len);

/*
 * One message collected from the bytes of a request's body. feed() copies
 * from data; -EPROTO when bytes follow the message, -EMSGSIZE when it is
 * larger than GRPC_MESSAGE_MAX, -EOPNOTSUPP when it is compressed.
 */
struct grpc_body {
	uint8_t frame[GRPC_FRAME];
	size_t have; /* of the frame */
	uint8_t *data; /* owned */
	size_t len; /* of the message, valid with a whole frame */
	size_t got;
	size_t room;
};

int grpc_body_feed(struct grpc_body *b, const uint8_t *data, size_t len, struct err *e);
bool grpc_body_whole(const struct grpc_body *b);
void grpc_body_done(struct grpc_body *b);
