/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between our processes: SOCK_SEQPACKET, one header and one JSON
 * body a message, descriptors by SCM_RIGHTS. lib/proto.h has the types.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define MSG_BODY_MAX 65536 /* bytes */
#define MSG_FDS_MAX 8

struct msg_header {
	uint32_t type;
	uint32_t length; /* of the body */
	uint32_t id; /* of the request; an answer carries the same */
};

struct msg {
	struct msg_header h;
	char body[MSG_BODY_MAX + 1]; /* NUL-terminated */
	int fds[MSG_FDS_MAX]; /* owned by the receiver; close with msg_done() */
	size_t nfds;
};

/* Closes descriptors nobody took. */
void msg_done(struct msg *m);
#define auto_msg __attribute__((cleanup(msg_done))) struct msg

/* Sends one message; -EAGAIN when the peer's queue is full (non-blocking socket). fds stay the
 * caller's. */
int msg_send(int sock, uint32_t type, uint32_t id, const char *body, const int *fds, size_t nfds,
	     struct err *e);

/* Receives one message: 1, or 0 at end of file. Wrong lengths are -EPROTO. */
int msg_recv(int sock, struct msg *ret, struct err *e);

/* A listening SEQPACKET socket at path (mode 0600; an old one is replaced). */
int msg_listen(const char *path, int *ret_fd, struct err *e);
int msg_accept(int listener, int *ret_fd, struct err *e);
int msg_connect(const char *path, int *ret_fd, struct err *e);
