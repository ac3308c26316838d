/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pods (CRI: pod sandboxes): the object, its record on disk, and the work
 * that runs, stops and removes it, one step after the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cri/api/api.pb-c.h"
#include "cri/shimlink.h"
#include "lib/id.h"
#include "lib/list.h"

struct crid;
struct call;

enum pod_state {
	POD_CREATING, /* not shown */
	POD_READY,
	POD_NOTREADY,
	POD_REMOVING, /* not shown */
};

#define POD_IPS_MAX 2

struct pod {
	struct crid *crid;
	char id[ID_LEN + 1];
	char *key; /* of idempotence: NAMESPACE/NAME/UID/ATTEMPT */
	Cri__PodSandboxConfig *config; /* owned; metadata, linux and what is in it are never NULL */
	enum pod_state state;
	int64_t created_at; /* Unix time, ns */
	char *cgroup_parent; /* absolute, as seen from the node's cgroup root */
	bool cgroup_made; /* ours to remove */
	bool host_network;
	bool network_up; /* attached, or maybe attached: a detach is due */
	char ips[POD_IPS_MAX][46]; /* INET6_ADDRSTRLEN; "" when unused */
	char *error; /* why it is not ready, when it ended by itself */
	struct shimlink shim;
	int netns; /* descriptor from SHIM_HELLO; -1 */
	int shim_pid;
	int pause_pid; /* 0: none */
	struct list ctrs; /* struct ctr, pod_node */
	/* ready-made list entry: a packed PodSandbox */
	void *entry;
	size_t entry_len;
	struct pod_work *work; /* run, stop or remove in progress; NULL when at rest */
};

/* "READY" etc. */
const char *pod_state_name(enum pod_state state);

/* By id or unique prefix; removing and creating ones are not found. NULL when absent. */
struct pod *pod_find(struct crid *crid, const char *id);

/* Writes the record and renews the list entry after a change. */
void pod_changed(struct pod *pod);

/* PID namespace mode etc. as asked for; POD where nothing was said. */
const Cri__NamespaceOption *pod_namespaces(const struct pod *pod);

/* The path of a file of the pod below /run/berth/pods/ID: "hosts", "resolv.conf", "hostname",
 * "shim.sock", "ns/net"... The caller frees it. */
char *pod_path(const struct pod *pod, const char *name);

/* Reads the records and takes up what is alive. */
void pod_load_all(struct crid *crid);
void pod_free(struct pod *pod);
