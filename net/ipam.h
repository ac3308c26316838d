/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pod has which place in the node's ranges. One index serves both
 * families. In memory only: it is built from the pods' leases, so nothing of
 * it can leak. A cursor goes round, so that a freed address rests longest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "net/cidr.h"

#define IPAM_PLACES_MAX 65536
#define IPAM_FIRST 2 /* 0 is the network, 1 the gateway */

struct ipam {
	struct cidr range4, range6; /* family 0: none */
	uint32_t places; /* indexes below this exist */
	uint32_t cursor;
	uint32_t taken;
	uint8_t *bits; /* owned */
};

/* At most one range a family, each with room for one pod; texts as of the configuration. */
int ipam_init(struct ipam *m, const struct cidr *ranges, size_t count, struct err *e);
void ipam_done(struct ipam *m);

/* -ENOSPC naming the range when every place is taken. */
int ipam_take(struct ipam *m, uint32_t *ret_index, struct err *e);
/* Marks a known index; false when it is outside or taken. */
bool ipam_claim(struct ipam *m, uint32_t index);
void ipam_release(struct ipam *m, uint32_t index);
