/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Map from text to pointer; keys are copied, values belong to the caller.
 * Iteration is in order of insertion, as long as nothing was removed.
 */
#pragma once

#include <stddef.h>

struct map_entry {
	char *key; /* NULL: unused or removed */
	void *value;
};

struct map {
	struct map_entry *entries; /* in order of insertion, with holes */
	size_t len; /* used entries, holes included */
	size_t room;
	size_t count; /* live entries */
	unsigned int *slots; /* open addressing: index + 1 into entries; 0 free */
	size_t nslots; /* a power of two */
	unsigned char seed[16];
};

void map_done(struct map *m);
#define auto_map __attribute__((cleanup(map_done))) struct map

/* NULL when absent. */
void *map_get(const struct map *m, const char *key);
/* Adds or replaces; value must not be NULL. Returns the value replaced, or NULL. */
void *map_set(struct map *m, const char *key, void *value);
/* Returns the value removed, or NULL. */
void *map_remove(struct map *m, const char *key);

/* The map must not change inside, except that the current entry may be removed. */
#define map_for_each(entry, m)                                                                 \
	for (struct map_entry *entry = (m)->entries; entry && entry < (m)->entries + (m)->len; \
	     entry++)                                                                          \
		if (!entry->key) {                                                             \
		} else
