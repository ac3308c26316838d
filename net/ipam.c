/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ipam.h"

#include <stdlib.h>

#include "lib/mem.h"

/* indexes a range has for pods and gateway; an IPv4 range keeps its broadcast address free */
static uint32_t ipam_range_places(const struct cidr *range)
{
	uint32_t n = cidr_size(range);

	if (range->ip.family == AF_INET && n != UINT32_MAX)
		n = n > 1 ? n - 1 : 0;
	return n < IPAM_PLACES_MAX ? n : IPAM_PLACES_MAX;
}

int ipam_init(struct ipam *m, const struct cidr *ranges, size_t count, struct err *e)
{
	struct ipam new = { .places = IPAM_PLACES_MAX, .cursor = IPAM_FIRST };
	char text[CIDR_TEXT_MAX];

	if (count == 0)
		return err_set(e, EINVAL, "no pod range");
	for (size_t i = 0; i < count; i++) {
		struct cidr *mine = ranges[i].ip.family == AF_INET ? &new.range4 : &new.range6;
		uint32_t n = ipam_range_places(&ranges[i]);

		if (mine->ip.family)
			return err_set(e, EINVAL, "pod range %s: a second one of its family",
				       cidr_text(&ranges[i], text));
		if (n <= IPAM_FIRST)
			return err_set(e, EINVAL, "pod range %s: too small",
				       cidr_text(&ranges[i], text));
		*mine = ranges[i];
		if (n < new.places)
			new.places = n;
	}
	new.bits = mem_alloc((new.places + 7) / 8);
	*m = new;
	return 0;
}

void ipam_done(struct ipam *m)
{
	free(m->bits);
	*m = (struct ipam){ 0 };
}

static bool ipam_is_taken(const struct ipam *m, uint32_t i)
{
	return m->bits[i / 8] >> i % 8 & 1;
}

bool ipam_claim(struct ipam *m, uint32_t index)
{
	if (index < IPAM_FIRST || index >= m->places || ipam_is_taken(m, index))
		return false;
	m->bits[index / 8] |= (uint8_t)(1u << index % 8);
	m->taken++;
	return true;
}

int ipam_take(struct ipam *m, uint32_t *ret_index, struct err *e)
{
	char text[CIDR_TEXT_MAX];

	for (uint32_t n = IPAM_FIRST; n < m->places; n++) {
		uint32_t i = m->cursor;

		m->cursor = i + 1 < m->places ? i + 1 : IPAM_FIRST;
		if (ipam_claim(m, i)) {
			*ret_index = i;
			return 0;
		}
	}
	return err_set(e, ENOSPC, "pod range %s: all %u addresses are taken",
		       cidr_text(m->range4.ip.family ? &m->range4 : &m->range6, text), m->taken);
}

void ipam_release(struct ipam *m, uint32_t index)
{
	if (index < IPAM_FIRST || index >= m->places || !ipam_is_taken(m, index))
		return;
	m->bits[index / 8] &= (uint8_t) ~(1u << index % 8);
	m->taken--;
}
