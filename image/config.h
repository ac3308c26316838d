/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The config document of an image: how to run it, and the layers it stands on. */
#pragma once

#include <stddef.h>

#include "image/ref.h"
#include "image/store.h"
#include "lib/err.h"

struct config {
	struct image_config run;
	char (*diff_ids)[DIGEST_LEN + 1]; /* of the uncompressed layers, bottom first */
	char **chain; /* chain ids as hex digits, NULL at the end */
	size_t nlayers;
};

void config_done(struct config *c);
#define auto_config __attribute__((cleanup(config_done))) struct config

/* -EBADMSG when malformed, -ENOTSUP for another platform. */
int config_parse(const char *text, size_t len, struct config *ret, struct err *e);

/* For whoever takes .run out of a config. */
void image_config_done(struct image_config *c);
/* Frees a vector and its texts; fine on NULL. */
void texts_free(char **texts);
