/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/map.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "lib/mem.h"

#define HOLE UINT32_MAX

/* SipHash-1-3: keys come from outside, so the hash is keyed */
static uint64_t map_rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void map_sipround(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = map_rotl(v[1], 13) ^ v[0];
	v[0] = map_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = map_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = map_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = map_rotl(v[1], 17) ^ v[2];
	v[2] = map_rotl(v[2], 32);
}

static uint64_t map_hash(const struct map *m, const char *key)
{
	size_t len = strlen(key);
	uint64_t k[2], word;
	uint64_t v[4];

	memcpy(k, m->seed, sizeof(k));
	v[0] = k[0] ^ 0x736f6d6570736575;
	v[1] = k[1] ^ 0x646f72616e646f6d;
	v[2] = k[0] ^ 0x6c7967656e657261;
	v[3] = k[1] ^ 0x7465646279746573;
	for (size_t at = 0; at <= len; at += 8) {
		size_t n = len - at < 8 ? len - at : 8;

		word = n < 8 ? (uint64_t)len << 56 : 0;
		memcpy(&word, key + at, n);
		v[3] ^= word;
		map_sipround(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		map_sipround(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->len; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->slots);
	*m = (struct map){ 0 };
}

/* The slot that holds key, or the free one where it would go. */
static size_t map_slot(const struct map *m, const char *key)
{
	size_t at = map_hash(m, key) & (m->nslots - 1);

	while (m->slots[at]) {
		unsigned int index = m->slots[at];

		if (index != HOLE && strcmp(m->entries[index - 1].key, key) == 0)
			break;
		at = (at + 1) & (m->nslots - 1);
	}
	return at;
}

/* Squeezes the holes out and gives at least half of the slots free. */
static void map_rebuild(struct map *m)
{
	size_t live = 0;

	for (size_t i = 0; i < m->len; i++) {
		if (m->entries[i].key)
			m->entries[live++] = m->entries[i];
	}
	if (m->len > live)
		memset(m->entries + live, 0, (m->len - live) * sizeof(*m->entries));
	m->len = live;
	free(m->slots);
	m->nslots = 16;
	while (m->nslots < (live + 1) * 4)
		m->nslots *= 2;
	m->slots = mem_array(m->nslots, sizeof(*m->slots));
	for (size_t i = 0; i < live; i++)
		m->slots[map_slot(m, m->entries[i].key)] = (unsigned int)i + 1;
}

void *map_get(const struct map *m, const char *key)
{
	unsigned int index;

	if (m->count == 0)
		return NULL;
	index = m->slots[map_slot(m, key)];
	return index ? m->entries[index - 1].value : NULL;
}

void *map_set(struct map *m, const char *key, void *value)
{
	size_t slot;

	if (!m->nslots && getrandom(m->seed, sizeof(m->seed), GRND_NONBLOCK) < 0)
		memset(m->seed, 0x5a, sizeof(m->seed));
	if ((m->len + 1) * 2 > m->nslots)
		map_rebuild(m);
	slot = map_slot(m, key);
	if (m->slots[slot]) {
		struct map_entry *entry = &m->entries[m->slots[slot] - 1];
		void *old = entry->value;

		entry->value = value;
		return old;
	}
	mem_grow(&m->entries, &m->room, m->len + 1, sizeof(*m->entries));
	m->entries[m->len] = (struct map_entry){ mem_strdup(key), value };
	m->slots[slot] = (unsigned int)++m->len;
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, const char *key)
{
	struct map_entry *entry;
	size_t slot;
	void *old;

	if (m->count == 0)
		return NULL;
	slot = map_slot(m, key);
	if (!m->slots[slot])
		return NULL;
	entry = &m->entries[m->slots[slot] - 1];
	old = entry->value;
	free(entry->key);
	*entry = (struct map_entry){ 0 };
	m->slots[slot] = HOLE;
	m->count--;
	return old;
}
