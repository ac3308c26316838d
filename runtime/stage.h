/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container in another user namespace, with idmapped mounts or with links
 * of the host is born in two stages: a go-between with the host's rights opens what the container
 * will not be allowed to, enters the namespaces that are joined and clones
 * the first process as a child of the engine.
 */
#pragma once

#include <stdbool.h>

#include "lib/err.h"
#include "runtime/birth.h"

bool stage_needed(const struct spec *s);

/* Returns in the first process only; at once where no second stage is needed. */
int stage_birth(struct birth *b, struct err *e);

/* The host's number of an id of the container; -1: it has none, or we do not know. */
uid_t stage_outside(const struct spec_maps *maps, uid_t id);

/* Root of the user namespace, when all that takes the host's root was opened. */
int stage_root(struct birth *b, struct err *e);
