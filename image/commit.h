/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes a pull durable, in children of crid: unpacked layers are
 * finished, synced and moved into place; then manifests, config and names are
 * written. A power cut leaves either nothing of it that counts, or all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "image/store_state.h"
#include "image/worker.h"
#include "lib/err.h"

#define COMMIT_BATCH 16

struct commit_layer {
	char *stage; /* name below staging/ */
	char *done; /* the DONE record */
	size_t index; /* in the chain */
};

struct commit {
	struct store *store;
	int sync_fd; /* opened on the store before the first write: carries its write errors */
	char *const *chain; /* of the image */
	struct commit_layer layers[COMMIT_BATCH];
	size_t n;
};

/* c must stay until the worker ended. */
int commit_start(struct worker *w, const struct commit *c, void (*on_end)(void *arg), void *arg,
		 struct err *e);

struct publish_blob {
	char digest[DIGEST_LEN + 1];
	const char *data;
	size_t len;
};

struct publish {
	struct store *store;
	struct publish_blob blobs[3]; /* index, manifest, config */
	size_t nblobs;
	struct name *names;
	size_t nnames;
	const char *id;
};

int publish_start(struct worker *w, const struct publish *p, void (*on_end)(void *arg), void *arg,
		  struct err *e);

/*
 * finish.c, in the child: what the unpacker could not do itself, for one layer
 * of the batch. Those below it are in place or earlier in the batch.
 */
int finish_layer(const struct commit *c, size_t nth, int layers_fd, int staging_fd, struct err *e);
