/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's CRI daemon: one loop, one context. Crash-only: what it knows is
 * in records on disk and in the shims; starting is recovering.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/resource.h>

#include "cri/bundle.h"
#include "image/pull.h"
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
struct stats_samples;

struct crid {
	struct ev ev;
	struct conf conf;
	const char *libexec; /* folder of the helper binaries */
	int run; /* CRID_RUN */
	int records; /* CRID_STATE/records */
	int active; /* CRID_STATE/active: upper folders of containers */
	int cgroup; /* the node's cgroup root */
	int cgroup_shims; /* /berth/shims: shims are born below it */
	int cgroup_crid; /* /berth/crid */
	int cgroup_jobs; /* /berth/crid/jobs: throwaway children */
	int cgroup_net; /* /berth/crid/net: the network worker */
	struct h2 *h2;
	struct store *store; /* image/store.h */
	struct network *network; /* cri/network.h */
	struct stream *stream; /* cri/stream.h: the streaming server */
	struct stats_samples *samples; /* cri/stats.h */
	struct map pods; /* id -> struct pod */
	struct map pod_keys; /* key of idempotence -> struct pod */
	struct map ctrs; /* id -> struct ctr */
	struct map ctr_keys;
	bool loaded; /* the records are read and the shims asked */
	struct list held; /* calls that came before that */
	bool warn_missing_controllers; /* cri.missing_controllers=warn */
	struct bundle_host host; /* what the node can do, probed at start */
	struct pull_setup pull;
	size_t exec_output; /* bytes of output that running ExecSyncs hold */
	unsigned int pulls; /* so many were begun */
	struct pull_mirror *mirrors; /* owned, with their texts */
	struct rlimit nofile; /* as we were started: what children get */
	char *hostname;
	char *cgroup_parent; /* for pods that name none */
	int64_t started_at;
	struct ev_source bury; /* work: frees what ended in this round */
	struct list jobs; /* children at work, job.c's */
	struct list dead_pods, dead_ctrs;
	int recovering; /* pods whose shims were asked and have not answered */
	struct ev_source load_timer;
	bool emptying, trash_again; /* a child empties active/trash; more came meanwhile */
	struct ev_source signals;
};

/* Serves until a signal says otherwise. */
int crid_serve(struct err *e);

/* Runs the calls that came before the records were loaded. */
void crid_loaded(struct crid *crid);

/* Moves active/ID into the trash, which a child empties. */
int crid_trash(struct crid *crid, const char *id, struct err *e);

/* The text of an error; EREMOTEIO marks one that is complete: another program's words. */
const char *crid_why(const struct err *e);

/* Unix time in nanoseconds. */
int64_t crid_now_ns(void);
