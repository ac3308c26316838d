/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the store: what it knows, and what pulls do to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "image/config.h"
#include "image/ref.h"
#include "image/store.h"
#include "image/worker.h"
#include "lib/id.h"
#include "lib/list.h"
#include "lib/map.h"

#define STORE_RECORD_VERSION 1

/* An unpacked layer on disk; gone from there when nobody uses it. */
struct layer {
	char *hex; /* chain id */
	uint64_t bytes;
	uint64_t inodes;
	unsigned int users; /* images and pulls */
	bool busy; /* not there yet: a pull is making it */
};

/* One reference that somebody pulled. */
struct name {
	char *ref; /* canonical text */
	char *file; /* in images/ */
	char target[DIGEST_LEN + 1]; /* what the reference stood for: an index or a manifest */
	char manifest[DIGEST_LEN + 1];
	uint64_t size; /* compressed bytes of the image */
	struct image *image;
};

/* Somebody who waits until the trash that is there now is gone. */
struct trash_wait {
	struct list node;
	store_removed *done;
	void *arg;
};

struct store {
	struct ev *ev;
	char *root;
	int root_fd, layers_fd, images_fd, blobs_fd, staging_fd, trash_fd;
	struct list images;
	struct list removed; /* nameless images that are held */
	struct map layers; /* hex: struct layer */
	struct map names; /* canonical text: struct name */
	struct map pinned; /* digests of blobs that pulls need, counted */
	struct list pulls; /* struct pull, told when something they may wait for is over */
	bool publishing; /* one pull at a time writes names */
	struct store_usage usage;
	char run[ID_LEN + 1]; /* sets what this process stages and discards apart */
	uint64_t serial;
	struct worker trash;
	struct ev_source trash_retry;
	struct list trash_now; /* waiting for the child that runs */
	struct list trash_next; /* for the one after it */
};

/* store.c: memory */
struct layer *store_layer(struct store *s, const char *hex); /* NULL when unknown */
struct layer *store_layer_add(struct store *s, const char *hex);
/* Nobody uses it any more: the caller moves it to the trash. */
void store_layer_forget(struct store *s, struct layer *l);
/* A fresh image; every layer of its config must be there and gets one user more. */
struct image *store_image_add(struct store *s, const char *id, struct config *config,
			      const char *config_json);
struct image *store_image(struct store *s, const char *id); /* also a removed one */
/* Points a reference to an image; an old target loses the name. */
void store_name_set(struct store *s, const struct name *value, struct image *image);
/* Rebuilds the lists of names an image shows. */
void store_image_rename(struct store *s, struct image *image);

/* store_disk.c */
int store_load(struct store *s, struct err *e);
/* The record of a reference as JSON, and its file; the caller frees both. */
char *store_record(const struct name *n, const char *id);
char *store_file(const char *ref);
/* Reads and checks a config of the store; the caller frees *ret_json. */
int store_read_config(struct store *s, const char *id, struct config *ret, char **ret_json,
		      struct err *e);
/* A blob of the store, checked against its digest; -ENOENT when absent. */
int store_read_blob(struct store *s, const char *digest, char **ret, size_t *ret_len,
		    struct err *e);

/* store_remove.c */
/* Moves an entry of a folder of the store away; absent is fine. */
void store_discard(struct store *s, int dirfd, const char *name);
/* done is called when what is in the trash now is gone; NULL: just empty it. */
void store_empty_trash(struct store *s, store_removed *done, void *arg);
void store_trash_retry(void *arg);
/* A layer loses a user; the last one takes it away. */
void store_layer_drop(struct store *s, struct layer *l);
void store_image_free(struct image *image);
/* Removes a blob that no name, no held image and no pull needs. */
void store_blob_drop(struct store *s, const char *digest);
void store_blob_pin(struct store *s, const char *digest);
void store_blob_unpin(struct store *s, const char *digest);
/* An image that lost its names: gone, or kept for its holds. */
void store_image_drop(struct store *s, struct image *image);
