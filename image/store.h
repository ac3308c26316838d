/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image store: what is on disk, and the same in memory.
 *
 *	blobs/sha256/HEX	manifests and configs
 *	layers/HEX/fs		an unpacked layer, HEX is its chain id
 *	layers/HEX/DONE		its record; without it the layer does not exist
 *	images/NAME		one record a reference; NAME is for people
 *	staging/ trash/		emptied at start
 *
 * Reads never touch the disk. Work that may block (syncfs, deletion) is done
 * by children of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "lib/list.h"

struct store;

struct image_label {
	char *key;
	char *value;
};

/* What the image's config says about running it. Vectors end with NULL and are never NULL. */
struct image_config {
	char **env; /* "NAME=value" */
	char **entrypoint;
	char **cmd;
	char **volumes; /* paths */
	char **exposed_ports; /* "80/tcp" */
	char *working_dir; /* texts: "" when the config has none */
	char *user; /* "1000", "name", "uid:gid", ... */
	char *stop_signal; /* "SIGTERM", "15" or "" */
	struct image_label *labels;
	size_t nlabels;
};

struct image {
	struct list node; /* in store_images() */
	char *id; /* "sha256:HEX": digest of the config */
	char **repo_tags; /* "host/path:tag", NULL at the end */
	char **repo_digests; /* "host/path@sha256:HEX" of what was asked for (an index as such) */
	uint64_t size; /* compressed bytes: manifest, config and layers */
	struct image_config config;
	char **layers; /* chain ids as hex digits, bottom first, NULL at the end */
	size_t nlayers;
	char *config_json; /* the config blob as it is */
	unsigned int holds; /* store_hold() */
	bool removed; /* nameless, kept for its holds only; not listed */
};

/*
 * Opens (and makes) the store at root, adopts what is whole, moves the rest
 * to the trash, which a child empties. One bad record is logged and skipped.
 */
int store_open(struct ev *ev, const char *root, struct store **ret, struct err *e);
void store_close(struct store *s);

/* The listed images: list_for_each(i, store_images(s), struct image, node). */
const struct list *store_images(const struct store *s);

/*
 * By id ("sha256:HEX", "HEX" or a unique prefix of at least 6 digits) or by
 * any reference (untagged means latest); NULL when there is none. Valid until
 * the loop's next round unless held.
 */
const struct image *store_find(const struct store *s, const char *text);

/*
 * Keeps an image's config and layers from removal, by id, also when the image
 * lost its names meanwhile: one hold a container (or image volume), taken
 * again after a start, released when the container is removed.
 */
int store_hold(struct store *s, const char *id, const struct image **ret, struct err *e);
void store_release(struct store *s, const struct image *image);

/* Call once after a start, when all holds are taken: layers and blobs nobody names go. */
void store_sweep(struct store *s);

/*
 * Folder of a layer, for overlay's lowerdir: store_layers_fd() is
 * "layers", and a layer is "HEX/fs" below it. In overlay's order the top layer
 * comes first. A long list fits mount(2) through short links to these.
 */
int store_layers_fd(const struct store *s);
const char *store_root(const struct store *s);

/*
 * Removes an image with all its names, by any of them; absent is fine. It is
 * unlisted when this returns; done (may be NULL) is called from the loop when
 * the space is free again (held layers stay) or with the error.
 */
typedef void store_removed(void *arg, const struct err *e);
void store_remove(struct store *s, const char *text, store_removed *done, void *arg);

/* Bytes and inodes of all layers and blobs; kept up to date, costs nothing. */
struct store_usage {
	uint64_t bytes;
	uint64_t inodes;
};
struct store_usage store_usage(const struct store *s);
