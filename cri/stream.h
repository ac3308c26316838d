/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The streaming server: exec, attach and port-forward over one TCP port,
 * behind one-time URLs. It pumps bytes between a client's streams and
 * descriptors; what is at their other end is the backend's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cri/stream_token.h"
#include "lib/err.h"
#include "lib/ev.h"

#define STREAM_CONNS_MAX 256
#define STREAM_ADDRESS "127.0.0.1:0" /* cri.stream_address */
#define STREAM_URL_MAX 160 /* bytes */

struct stream;
struct stream_session;
struct stream_pair;

/*
 * Who runs what a stream asks for. None of these may call back before it
 * returns.
 */
struct stream_backend {
	/*
	 * Begins an exec or an attach: fds are stdin's read end and stdout's and
	 * stderr's write ends, -1 when not asked for; they stay the caller's.
	 * Answered by stream_started(), and for an exec then by stream_ended().
	 * ret_handle is given to the calls below.
	 */
	void (*begin)(void *arg, struct stream_session *s, const struct stream_request *r,
		      const int fds[3], void **ret_handle);
	void (*resize)(void *arg, void *handle, unsigned int width, unsigned int height);
	/* The session is over, or its client went away: no more calls, and an exec that still
	 * runs is ended. */
	void (*drop)(void *arg, void *handle);
	/* A TCP connection to a port of the pod; answered by stream_connected(). */
	void (*connect)(void *arg, struct stream_pair *p, const struct stream_request *r, int port,
			void **ret_handle);
	void (*drop_connect)(void *arg, void *handle);
};

/* e NULL: it runs. */
void stream_started(struct stream_session *s, const struct err *e);
/* e NULL: it ended with this exit code. */
void stream_ended(struct stream_session *s, int code, const struct err *e);
/* Takes fd; e NULL: it is connected. */
void stream_connected(struct stream_pair *p, int fd, const struct err *e);

/* address: IPV4:PORT or [IPV6]:PORT, port 0: the kernel's choice. */
int stream_open(struct ev *ev, const char *address, const struct stream_backend *backend, void *arg,
		struct stream **ret, struct err *e);
void stream_close(struct stream *s);

/* Takes r and makes the URL for it; -EAGAIN when too many are out (r stays the caller's). */
int stream_url(struct stream *s, struct stream_request *r, char ret_url[static STREAM_URL_MAX],
	       struct err *e);
