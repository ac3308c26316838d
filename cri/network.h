/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crid's side of the pod network: jobs for the network worker, one in its
 * hands at a time. The worker is spawned, killed at a job's deadline,
 * respawned, and given the job again; all of it on crid's loop, nothing blocks.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/ev.h"
#include "lib/list.h"

struct network;

struct network_options {
	const struct conf *conf; /* net.pod_cidrs, net.masquerade, net.no_masquerade */
	const char *const *argv; /* of the worker; NULL: /proc/self/exe net */
	int cgroup; /* of the worker, e.g. /berth/crid/net; -1: ours. Stays the caller's */
	const char *pods_dir; /* NULL: PODNET_DIR */
	const char *state_dir; /* keeps kubelet's pod CIDR; NULL: /var/lib/berth */
	uint64_t deadline_ms; /* of one try of a job; 0: 15 s */
};

struct network_port {
	const char *protocol; /* "tcp", "udp", "sctp" */
	const char *host_ip; /* NULL or "": any */
	uint16_t host_port, container_port;
};

struct network_pod {
	const char *id;
	int netns; /* duplicated */
	const struct network_port *ports;
	size_t nports;
	bool prefer6; /* the pod's first address is its IPv6 one */
};

struct network_addresses {
	char text[2][INET6_ADDRSTRLEN]; /* the pod's first address first */
	size_t count;
};

/*
 * Called once a job, never from inside the call that began it. e is NULL or
 * why it failed; addresses is set for a good attach and lives for the call.
 */
typedef void network_done_fn(void *arg, const struct network_addresses *addresses,
			     const struct err *e);

/*
 * Spawns the worker and configures it; ready later. pods, npods: all pods that
 * live; everything of others is removed before the first job.
 */
int network_start(struct ev *ev, const struct network_options *o, const char *const *pods,
		  size_t npods, struct network **ret, struct err *e);
/* Kills the worker and forgets the jobs without calling back; pods keep their network. NULL is
 * fine. */
void network_free(struct network *net);

/* After a failed attach nothing is left, detach is harmless; after success detach is due. */
int network_attach(struct network *net, const struct network_pod *pod, network_done_fn *done,
		   void *arg, struct err *e);
/* Before the pod's namespace goes, or after; before PODS/ID is removed. Waits for the pod's attach.
 */
int network_detach(struct network *net, const char *pod, network_done_fn *done, void *arg,
		   struct err *e);
/* The jobs of arg still run, but nobody is called any more. */
void network_forget(struct network *net, void *arg);

/*
 * UpdateRuntimeConfig: a comma list of CIDRs, one a family; "" is fine and
 * changes nothing. Kept over restarts; net.pod_cidrs of the node's
 * configuration wins over it.
 */
int network_set_pod_cidr(struct network *net, const char *cidrs, struct err *e);

/* CRI's NetworkReady; ret_why (may be NULL) lives until the next round. */
bool network_ready(const struct network *net, const char **ret_why);
/* The worker's process id, 0 while there is none (for status and tests). */
int network_worker_pid(const struct network *net);

/* The addresses of an attached pod from its record: for a crid that was restarted. */
int network_lookup(struct network *net, const char *pod, struct network_addresses *ret,
		   struct err *e);
