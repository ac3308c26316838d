/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shim of a pod: holds its namespaces, runs its containers by the engine
 * in its own process, keeps their output and their ends. Its clients come and
 * go; lib/proto.h says what they ask.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/ev.h"
#include "lib/id.h"
#include "lib/json_out.h"
#include "lib/list.h"
#include "lib/msg.h"
#include "runtime/engine.h"
#include "runtime/shim_copy.h"
#include "runtime/shim_io.h"
#include "runtime/shim_pod.h"
#include "runtime/shim_request.h"

#define SHIM_CLIENTS_MAX 64
#define SHIM_CTRS_MAX                                                              \
	128 /* containers of a pod, ended ones included: SHIM_STATE fits a message \
	     */
#define SHIM_EXECS_MAX 128 /* sessions of a container at one time */
#define SHIM_CONNECTS_MAX 256 /* at one time */
#define SHIM_WAITERS_MAX 8 /* requests that wait for the same end */
#define SHIM_DELETE_MS 10000 /* from SIGKILL to an empty cgroup */
#define SHIM_FLUSH_MS                                                              \
	2000 /* a terminal's reader that takes nothing holds an exec's end so long \
	      */
#define SHIM_CONNECT_MS 5000

struct shim {
	struct ev ev;
	struct engine engine;
	struct shim_pod pod;
	struct shim_pump pump;
	int dir; /* POD_DIR */
	int listener;
	struct ev_source accept, signals, pause;
	struct list clients, ctrs, connects;
	unsigned int client_count, ctr_count, connect_count;
	uint64_t last_client; /* serial number */
	struct msg *msg; /* a page or two of it are used */
	int oom_score_adj; /* of who started us: ours is not for containers */
	struct list shutdowns; /* who waits for the end of all */
	bool closing; /* by a request: nothing new is made */
	bool leaving; /* by a signal: ends with the last container */
};

/* Who is to be answered: a client that is gone by then is not missed. */
struct shim_reply {
	struct list node; /* for who keeps it */
	uint64_t client; /* 0: nobody */
	uint32_t id;
};

/* A request on its way through its handler. */
struct shim_call {
	struct shim_request r;
	struct shim_reply reply;
	int *fds; /* a handler takes what it uses */
	size_t nfds;
	struct json_out out; /* the answer's members; the object is open */
	int fd; /* the answer's descriptor; -1: none; stays the handler's unless fd_owned */
	bool fd_owned;
};

/* What a handler returns when it answers later. */
#define SHIM_LATER 1

/* shim_serve.c */
int shim_serve(struct shim *s, struct err *e);
void shim_serve_done(struct shim *s);
/* body NULL: {}; fd -1: none. */
void shim_answer(struct shim *s, const struct shim_reply *to, const char *body, int fd);
void shim_answer_error(struct shim *s, const struct shim_reply *to, const struct err *e);
/* A copy to answer later; freed by shim_answer_list(). */
struct shim_reply *shim_reply_keep(const struct shim_reply *reply);
/* Answers all of a list with {} or the error and empties it. */
void shim_answer_list(struct shim *s, struct list *replies, const struct err *e);
void shim_event(struct shim *s, enum proto_shim type, const char *body);
/* Every container is gone, or one does not go: ends a shutdown. */
void shim_closed(struct shim *s, const struct err *e);

/* shim_ctr.c ----------------------------------------------------------------- */

enum shim_ctr_state {
	SHIM_CREATED,
	SHIM_RUNNING,
	SHIM_EXITED,
};

struct shim_exit {
	int code; /* 128 + signal for a signal */
	int signal; /* 0: none */
	int64_t at; /* ns */
	bool oom;
	const char *reason;
};

struct shim_ctr {
	struct list node;
	struct shim *shim;
	char id[ID_LEN + 1];
	int bundle;
	struct container c;
	enum shim_ctr_state state;
	int oom_score_adj; /* for its execs too */
	int64_t created_at, started_at; /* ns */
	struct ev_source child;
	struct shim_exit exit;
	struct shim_io io;
	struct list execs;
	unsigned int exec_count;
	uint64_t slots[SHIM_EXECS_MAX / 64]; /* sub-cgroups in use by an exec */
	uint64_t littered[SHIM_EXECS_MAX / 64]; /* whose exec ended and left processes */
	struct list reopens; /* who waits for the log */
	/* its deletion */
	struct list deletes; /* who waits for it */
	struct ev_source retry;
	bool deleting;
	struct err failure; /* why it is deleted: a failed start, told to who waits */
	uint64_t deadline; /* ms */
	uint64_t delay; /* ms, grows */
};

int64_t shim_now(void);
struct shim_ctr *shim_ctr_find(struct shim *s, const char *id, struct err *e);
int shim_ctr_create(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_start(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_kill(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_delete(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_attach(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_reopen(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_update(struct shim *s, struct shim_call *call, struct err *e);
int shim_ctr_shutdown(struct shim *s, struct shim_call *call, struct err *e);
void shim_ctr_describe(const struct shim_ctr *ctr, struct json_out *o);
bool shim_ctr_any_runs(const struct shim *s);

/* From what waitid says of an ended child. */
void shim_exit_set(struct shim_exit *ret, int code, int status, bool oom);
void shim_exit_write(const struct shim_exit *exit, struct json_out *o, const char *key);

/* shim_exec.c ---------------------------------------------------------------- */

struct shim_exec {
	struct list node;
	struct shim_ctr *ctr;
	char id[ID_LEN + 1];
	uint64_t client; /* whose it is */
	pid_t pid;
	int pidfd;
	int cgroup; /* of its own; -1: none could be made */
	int slot; /* of its cgroup; -1: none */
	int console; /* -1: none */
	struct ev_source child, timer;
	struct shim_copy in, out;
	bool ended; /* only its output is waited for */
	bool timed_out;
	bool killed; /* its cgroup was, and is of no use any more */
	struct shim_exit exit;
	uint64_t flushed; /* bytes of output when the timer was set */
};

int shim_exec_start(struct shim *s, struct shim_call *call, struct err *e);
int shim_exec_kill(struct shim *s, struct shim_call *call, struct err *e);
int shim_exec_resize(struct shim *s, struct shim_call *call, struct err *e);
/* Nobody has a use for its sessions any more: they are hung up, and killed when that is not enough.
 */
void shim_exec_client_gone(struct shim *s, uint64_t client);
/* The container is gone: every session of it ended. */
void shim_exec_end_all(struct shim_ctr *ctr);

/* shim_connect.c ------------------------------------------------------------- */

int shim_connect(struct shim *s, struct shim_call *call, struct err *e);
void shim_connect_end_all(struct shim *s);
