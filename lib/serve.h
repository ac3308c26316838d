/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers requests of lib/msg.h on a socket that is root's alone. Nothing is allocated; who does
 * not read its answers, and who comes when all places are taken, loses the connection.
 */
#pragma once

#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/msg.h"

#define SERVE_CLIENTS 8

struct serve_answer {
	char text[16384];
	size_t len;
	int fd; /* goes with it, stays the caller's; -1: none */
};

void serve_add(struct serve_answer *a, const char *fmt, ...) PRINTF(2, 3);

/* A body is {} (then buf stays) or {"KEY":"TEXT"} as lib/json_out.h writes it. */
int serve_text(const char *body, const char *key, char *buf, size_t size, struct err *e);

/* Fills the answer (an empty one is {}); an error becomes PROTO_ERROR. */
typedef int serve_call(void *ctx, uint32_t type, const char *body, struct serve_answer *a,
		       struct err *e);

struct serve {
	struct ev_source listener;
	serve_call *call;
	void *ctx;
	struct msg request; /* here and not on the stack: it is big, and little of it is touched */
	struct serve_answer answer;
	struct serve_client {
		struct serve *serve;
		struct ev_source source;
	} clients[SERVE_CLIENTS];
};

/* *fd: the listener, whom it belongs to; -1: a new one at path. */
int serve_start(struct serve *s, struct ev *ev, const char *path, int *fd, serve_call *call,
		void *ctx, struct err *e);
