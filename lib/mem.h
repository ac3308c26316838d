/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that aborts when it is out: limits before the allocation protect,
 * not branches after it. PID 1 allocates at boot only.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

static inline void mem_freep(void *p)
{
	free(*(void **)p);
}

/* Memory freed at the end of its scope; initialize it. */
#define auto_free __attribute__((cleanup(mem_freep)))

/* Zeroed memory. Aborts when out of memory, as all below. */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_array(size_t count, size_t size)
	__attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *mem_realloc(void *old, size_t size) __attribute__((alloc_size(2), returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
void *mem_memdup(const void *data, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Grows *array (of elements of size bytes) to hold at least need; *room counts elements. */
void mem_grow(void *array, size_t *room, size_t need, size_t size);

/* Returns *p and leaves NULL in it. */
#define mem_take(p)                        \
	({                                 \
		__auto_type taken_ = *(p); \
		*(p) = NULL;               \
		taken_;                    \
	})

/* Frees *p and puts text (or NULL) there, copied. */
void mem_replace(char **p, const char *text);
