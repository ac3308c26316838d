/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside a pull. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/commit.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/pull.h"
#include "image/ref.h"
#include "image/store_state.h"
#include "image/worker.h"
#include "lib/list.h"

#define PULL_PARALLEL 3 /* layers of one image under way */
#define PULL_INDEX_DEPTH 3
#define PULL_UNDO_MS 10000 /* a child that does not die is not waited for any longer */
#define PULL_COMMIT_MS 600000
#define PULL_INFLATE_MIN (8ull << 30) /* a layer may always inflate to this much, */
#define PULL_INFLATE_RATIO 200 /* or to so many times its size */
#define PULL_PIPE_BYTES (256 << 10)

/* A manifest, index or config: bytes with their digest. */
struct document {
	char *data;
	size_t len;
	char digest[DIGEST_LEN + 1];
	bool fresh; /* not in the store before */
};

/* The download of one document. */
struct download {
	struct worker worker;
	struct ev_source source;
	int fd;
	struct str body;
};

enum layer_state {
	LAYER_WANTED, /* not begun, or another pull is at it */
	LAYER_RUNNING,
	LAYER_STAGED,
	LAYER_COMMITTING,
	LAYER_THERE,
};

struct layer_pull {
	struct pull *p;
	size_t index;
	enum layer_state state;
	struct worker fetch, inflate, unpack;
	char *stage; /* below staging/, while it exists */
	struct layer *layer; /* claimed (busy) or used */
	uint64_t bytes, inodes;
};

struct pull {
	struct list node; /* in store->pulls */
	const struct pull_setup *setup;
	struct store *store;
	struct ref ref;
	char *name; /* canonical text */
	char *user, *password, *identity_token, *registry_token; /* NULL when absent */
	int cgroup;
	pull_done *done; /* NULL: cancelled, or already told */
	void *arg;
	void (*ended)(void *arg); /* of a cancelled one */
	void *ended_arg;
	struct ev_source work;
	struct ev_source undo_limit;
	size_t step;
	bool begun;
	bool undoing;
	bool emptying; /* the trash, as the last step of the undoing */
	enum pull_failure failure;
	struct err err;
	/* what the registry said */
	char *source; /* that had the manifest */
	char *token;
	struct download download;
	struct document top, inner, config_doc; /* inner: behind an index */
	char *top_type;
	struct manifest manifest;
	struct descriptor chosen; /* from an index */
	int depth;
	struct config config;
	/* layers */
	struct layer_pull *layers;
	size_t nlayers;
	int sync_fd;
	struct commit commit;
	struct worker committer; /* of layers, then of names */
	struct publish publish;
	bool publishing;
	struct name names[2];
	size_t nnames;
};

/* pull.c: the end of the round looks what is to be done. */
void pull_mark(void *pull);
/* The cause of a failure; the first one counts. Returns -code. */
int pull_fail(struct pull *p, enum pull_failure failure, const struct err *e);
enum pull_failure pull_failure_of(int code);

/* pull_job.c: the text for berth-fetch; -E2BIG when it fits no pipe. The caller frees it. */
struct pull_wish {
	const char *kind; /* "manifests" or "blobs" */
	const char *ref; /* tag or digest */
	const char *digest; /* or NULL */
	bool has_size;
	uint64_t size, max;
};
char *pull_job(const struct pull *p, const struct pull_wish *wish);
/* Starts berth-fetch with out as its output (taken). */
int pull_start_fetch(struct pull *p, struct worker *w, const struct pull_wish *wish, int out,
		     void (*on_end)(void *arg), void *arg, struct err *e);
/* Fills in what all helpers have in common and starts one. */
int pull_start_helper(struct pull *p, struct worker *w, struct spawn *s, const char *program,
		      const char *const *argv, void (*on_end)(void *arg), void *arg, struct err *e);

/* pull_layer.c: as a step of the pull */
int layers_begin(struct pull *p, struct err *e);
int layers_poll(struct pull *p, struct err *e);
/* Kills what runs; true when nothing runs any more. */
bool layers_stop(struct pull *p);
/* Staged layers go to the trash, used ones lose this user. */
void layers_done(struct pull *p);
