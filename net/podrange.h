/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which ranges the node's pods live in: net.pod_cidrs of the configuration,
 * else what kubelet said last (kept in STATE/network), else private ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "net/cidr.h"

#define PODRANGE_STATE "/var/lib/berth"
#define PODRANGE_MAX 2 /* one a family */

struct podrange {
	struct cidr ranges[PODRANGE_MAX];
	size_t count;
	bool fixed; /* by the configuration: kubelet's word does not count */
};

/* A wrong setting is an error naming the key; a damaged record counts as none. */
int podrange_load(const struct conf *conf, const char *state_dir, struct podrange *ret,
		  struct err *e);

/* Reads "RANGE,RANGE"; "" has none. */
int podrange_parse(const char *text, struct podrange *ret, struct err *e);
bool podrange_equal(const struct podrange *a, const struct podrange *b);

/* Keeps kubelet's word. Not synced: kubelet says it again after its own restart. */
int podrange_save(const struct podrange *r, const char *state_dir, struct err *e);
