/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client's connection to a pod's shim (lib/proto.h, SHIM_*): requests with
 * a callback and a deadline, events, notice of its death. Nothing here blocks:
 * what the shim's queue does not take waits in ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/json.h"
#include "lib/list.h"
#include "lib/map.h"
#include "lib/msg.h"

#define SHIMLINK_QUEUE_MAX 1024 /* requests not sent yet */

/*
 * The answer to a request, exactly once: e->code is 0 and m is the answer
 * (m->fds may be taken), or e says what went wrong and m is NULL. body is
 * m->body parsed. The callback may free the link by shimlink_close().
 */
typedef void shimlink_answer(void *arg, struct msg *m, const struct json *body,
			     const struct err *e);

/* An exec session's end; body is {"ctr", "exec", "exit", "timed_out"}, or NULL when the shim died.
 */
typedef void shimlink_exec_end(void *arg, const struct json *body);

struct shimlink {
	struct ev *ev;
	int sock; /* -1: not connected */
	struct ev_source source;
	struct ev_source reap; /* work: reports the death outside of a callback's stack */
	struct list waiting; /* requests sent, in order */
	struct list queue; /* requests to send */
	size_t nqueue;
	uint32_t next_id;
	struct map execs; /* exec id -> watcher */
	void (*on_event)(void *arg, uint32_t type, const struct json *body);
	void (*on_death)(void *arg); /* once; every request has been answered by an error before */
	void *arg;
};

/* An empty link: requests on it fail. Before everything else. */
void shimlink_init(struct shimlink *l, struct ev *ev);

/* Connects to the socket; -ECONNREFUSED or -ENOENT when there is no shim. */
int shimlink_open(struct shimlink *l, const char *path,
		  void (*on_event)(void *arg, uint32_t type, const struct json *body),
		  void (*on_death)(void *arg), void *arg, struct err *e);

/* Ends the connection; requests in flight are answered by -ECANCELED. Harmless when closed. */
void shimlink_close(struct shimlink *l);

static inline bool shimlink_is_open(const struct shimlink *l)
{
	return l->sock >= 0;
}

/*
 * Sends a request. body is copied, fds are duplicated when they must wait.
 * timeout_ms 0: no deadline. A late answer is dropped. Never calls back from
 * inside this call.
 */
void shimlink_request(struct shimlink *l, uint32_t type, const char *body, const int *fds,
		      size_t nfds, uint64_t timeout_ms, shimlink_answer *on_answer, void *arg);

/* Forgets the callback of the requests made with arg: their answers go nowhere. */
void shimlink_forget(struct shimlink *l, void *arg);

/* Asks for the end of one exec session; removed when it was told. */
void shimlink_watch_exec(struct shimlink *l, const char *exec, shimlink_exec_end *on_end,
			 void *arg);
void shimlink_unwatch_exec(struct shimlink *l, const char *exec);
