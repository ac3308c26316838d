/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SPDY/3.1 as Kubernetes clients speak it, the server's side: bytes in,
 * events out; commands in, bytes out. No sockets here. The peer opens every
 * stream and keeps no flow-control windows: TCP alone holds it back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/str.h"

#define SPDY_DICTIONARY 1423 /* bytes */
#define SPDY_CONTROL_MAX 20480 /* bytes of a control frame's body */
#define SPDY_SETTINGS_MAX 32 /* entries */
#define SPDY_HEADERS_MAX 100 /* in one block */
#define SPDY_BLOCK_MAX 65536 /* bytes of a block, inflated */
#define SPDY_STREAMS_MAX 512 /* open at once */

enum spdy_type {
	SPDY_SYN_STREAM = 1,
	SPDY_SYN_REPLY = 2,
	SPDY_RST_STREAM = 3,
	SPDY_SETTINGS = 4,
	SPDY_PING = 6,
	SPDY_GOAWAY = 7,
	SPDY_HEADERS = 8,
	SPDY_WINDOW_UPDATE = 9,
};

enum spdy_reset {
	SPDY_PROTOCOL_ERROR = 1,
	SPDY_INVALID_STREAM = 2,
	SPDY_REFUSED = 3,
	SPDY_CANCEL = 5,
	SPDY_INTERNAL_ERROR = 6,
};

#define SPDY_FIN 1 /* frame flag: the sender's last frame of the stream */

struct spdy_header {
	const char *name; /* lower case */
	const char *value; /* several values: only the first */
};

/* Name's value, NULL when absent. */
const char *spdy_header_find(const struct spdy_header *h, size_t count, const char *name);

struct spdy_events {
	/* A stream was opened; answer it by spdy_reply() or spdy_reset(). */
	void (*opened)(void *arg, uint32_t stream, const struct spdy_header *h, size_t count);
	/* Payload, as it comes; returns how much was taken. Less stops the reading until
	 * spdy_feed() is called again with the rest. */
	size_t (*data)(void *arg, uint32_t stream, const uint8_t *data, size_t len);
	/* The peer sends no more on this stream. */
	void (*finished)(void *arg, uint32_t stream);
	/* The peer drops the stream, both ways. */
	void (*reset)(void *arg, uint32_t stream, uint32_t status);
	/* The peer opens no more streams. */
	void (*goaway)(void *arg);
};

struct spdy_zlib;

struct spdy {
	const struct spdy_events *on;
	void *arg;
	struct str *out; /* what is to be sent is added here; the caller's */
	struct spdy_zlib *zlib; /* owned; one stream each way for the connection's life */
	uint8_t head[8];
	size_t have; /* of head */
	uint8_t *body; /* owned; of a control frame */
	size_t got; /* of the body */
	uint32_t left; /* of a data frame's payload */
	bool in_data;
	uint32_t last_stream;
};

void spdy_dictionary(unsigned char out[static SPDY_DICTIONARY]);

int spdy_init(struct spdy *s, const struct spdy_events *on, void *arg, struct str *out,
	      struct err *e);
void spdy_done(struct spdy *s);

/* Returns how many bytes were taken, or an error after which the connection is to be closed by
 * spdy_goaway(). */
ssize_t spdy_feed(struct spdy *s, const void *data, size_t len, struct err *e);

/* The answer to an opened stream: nothing may be sent on it before. */
int spdy_reply(struct spdy *s, uint32_t stream, struct err *e);
void spdy_data(struct spdy *s, uint32_t stream, const void *data, size_t len, bool fin);
void spdy_reset(struct spdy *s, uint32_t stream, uint32_t status);
/* The very last frame: the peer reads nothing after it. status 0: all is well. */
void spdy_goaway(struct spdy *s, uint32_t status);

/*
 * The header blocks (cri/spdy_headers.c). inflate() gives an array that
 * points into memory owned by z, until the next call.
 */
int spdy_zlib_new(struct spdy_zlib **ret, struct err *e);
void spdy_zlib_free(struct spdy_zlib *z);
int spdy_zlib_inflate(struct spdy_zlib *z, const uint8_t *block, size_t len,
		      struct spdy_header **ret, size_t *ret_count, struct err *e);
/* Compresses a plain block behind out. */
int spdy_zlib_deflate(struct spdy_zlib *z, const uint8_t *plain, size_t len, struct str *out,
		      struct err *e);
