/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a registry says an image is: an index (manifest list) of manifests for
 * platforms, or a manifest of one config and its layers. OCI and Docker
 * schema 2. Malformed is -EBADMSG, what we do not take is -ENOTSUP.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "image/ref.h"
#include "lib/err.h"

#define MANIFEST_MAX (4u << 20) /* bytes of a manifest, an index or a config */
#define MANIFEST_LAYERS_MAX 250 /* below overlay's 500 */
#define MANIFEST_ENTRIES_MAX 1000
#define MANIFEST_LAYER_MAX (1ull << 40) /* compressed bytes of one layer */

struct descriptor {
	char digest[DIGEST_LEN + 1];
	uint64_t size;
	char *media_type; /* owned */
};

struct manifest_entry {
	struct descriptor desc;
	char *os; /* owned, NULL without a platform */
	char *arch;
	char *variant; /* "" without one */
};

enum manifest_kind {
	MANIFEST_IMAGE,
	MANIFEST_INDEX,
};

struct manifest {
	enum manifest_kind kind;
	struct descriptor config; /* of an image */
	struct descriptor *layers;
	size_t nlayers;
	struct manifest_entry *entries; /* of an index */
	size_t nentries;
};

void manifest_done(struct manifest *m);
#define auto_manifest __attribute__((cleanup(manifest_done))) struct manifest

/* For the Accept header: every type manifest_parse() takes. */
extern const char manifest_accept[];

/* content_type: as the registry said, or NULL for a blob of our own store. */
int manifest_parse(const char *text, size_t len, const char *content_type, struct manifest *ret,
		   struct err *e);

/* The entry of an index for this machine; -ENOTSUP names what there is. */
int manifest_choose(const struct manifest *m, const struct descriptor **ret, struct err *e);

/* The architecture of this build in OCI's words. */
const char *manifest_arch(void);
