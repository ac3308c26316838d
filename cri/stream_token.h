/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One-time tokens of streaming URLs. A token is the only thing that guards
 * the port, so it has 128 random bits, is good once and for a minute, and
 * there is a limit to how many are out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/list.h"
#include "lib/map.h"

#define STREAM_TOKENS_MAX 1000
#define STREAM_TOKEN_LEN 32 /* hex digits */
#define STREAM_TOKEN_MS 60000

enum stream_kind {
	STREAM_EXEC,
	STREAM_ATTACH,
	STREAM_FORWARD,
	STREAM_KINDS,
};

/* "exec", "attach", "portforward" */
const char *stream_kind_name(enum stream_kind kind);

/* What a URL stands for. */
struct stream_request {
	enum stream_kind kind;
	char *id; /* owned; of the container, or of the pod for a forward */
	char **args; /* owned; of an exec */
	size_t nargs;
	bool in, out, err, terminal;
	int *ports; /* owned; of a forward, may be empty */
	size_t nports;
};

void stream_request_free(struct stream_request *r);

struct stream_tokens {
	struct map map; /* token -> entry */
	struct list order; /* oldest first */
	struct ev_source timer;
};

void stream_tokens_init(struct stream_tokens *t, struct ev *ev);
void stream_tokens_done(struct stream_tokens *t);

/* Takes r and writes its token, or -EAGAIN when too many are out (r stays the caller's). */
int stream_tokens_add(struct stream_tokens *t, struct stream_request *r,
		      char ret_token[static STREAM_TOKEN_LEN + 1], struct err *e);
/* The request, which is the caller's now; NULL: no such token, no longer, or of another kind. */
struct stream_request *stream_tokens_take(struct stream_tokens *t, enum stream_kind kind,
					  const char *token);
