/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rings of text lines in memory that processes share by descriptor: one process writes, any number
 * read, and what was written outlives its writer. Old lines make room for new ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define RING_NAME_MAX 32
#define RING_SIZE 65536 /* bytes of lines in one ring */

struct ring; /* of the shared memory */

/* New memory with count rings: its size is sealed, its descriptor close-on-exec. */
int ring_new(size_t count, int *ret_fd, struct err *e);

/* Maps the rings of a descriptor; unmapped at exit. */
int ring_map(int fd, bool writable, struct ring **ret, size_t *ret_count, struct err *e);

/* One ring of those mapped, NULL past the end. */
struct ring *ring_at(struct ring *rings, size_t i);

/* text ends with a newline. */
void ring_add(struct ring *r, const char *text, size_t len);
void ring_set_name(struct ring *r, const char *name);
const char *ring_name(const struct ring *r, char buf[static RING_NAME_MAX]);

/* The whole lines it holds; the caller frees. */
char *ring_text(const struct ring *r);
