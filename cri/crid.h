/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's CRI daemon: one loop, one context. Crash-only: what it knows is
 * in records on disk and in the shims; starting is recovering.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/conf.h"
#include "lib/ev.h"
#include "lib/list.h"
#include "lib/map.h"

#define CRID_RUN "/run/berth"
#define CRID_STATE "/var/lib/berth"
#define CRID_SOCKET CRID_RUN "/cri.sock"
#define CRID_CGROUP_ROOT "/sys/fs/cgroup"

struct h2;
struct store;
struct network;
struct stream;

struct crid {
	struct ev ev;
	struct conf conf;
	const char *libexec; /* folder of the helper binaries */
	bool warn_missing_controllers; /* cri.missing_controllers=warn */
	int run; /* CRID_RUN */
	int records; /* CRID_STATE/records */
	int cgroup; /* the node's cgroup root */
	int cgroup_shims; /* /berth/shims: shims are born below it */
	int cgroup_jobs; /* /berth/crid/jobs: throwaway children */
	struct h2 *h2;
	struct store *store; /* image/store.h */
	struct network *network; /* cri/network.h */
	struct stream *stream; /* cri/stream.h: the streaming server */
	struct map pods; /* id -> struct pod */
	struct map pod_keys; /* key of idempotence -> struct pod */
	struct map ctrs; /* id -> struct ctr */
	struct map ctr_keys;
	bool loaded; /* the records are read and the shims asked */
	struct list held; /* calls that came before that */
	bool recursive_read_only; /* probed at start */
	struct ev_source signals;
};

/* Unix time in nanoseconds. */
int64_t crid_now_ns(void);
