/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pods (CRI: pod sandboxes): the object, its record on disk, and the work
 * that runs, stops and removes it, one step after the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cri/api/api.pb-c.h"
#include "cri/flow.h"
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

/* What it is to become, whatever work is going on. */
enum pod_goal {
	POD_KEEP,
	POD_STOP,
	POD_REMOVE,
};

#define POD_IPS_MAX 2
#define POD_RECORD_VERSION 1

struct pod {
	struct crid *crid;
	char id[ID_LEN + 1];
	char *key; /* of idempotence: NAMESPACE/NAME/UID/ATTEMPT */
	Cri__PodSandboxConfig *config; /* owned; metadata is never NULL */
	enum pod_state state;
	int64_t created_at; /* Unix time, ns */
	char *cgroup_parent; /* absolute, as seen from the node's cgroup root */
	int cgroup_made; /* so many of its folders are ours to remove */
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

	struct flow flow; /* run, stop or remove */
	enum pod_goal goal;
	struct list run_calls, stop_calls, remove_calls; /* struct call, node: who waits */
	struct ev_source child; /* the shim's first process */
	struct ev_source last; /* work: its last container went */
	bool waits_for_ctrs;
	struct err ctr_err; /* of a container that could not be removed */
	bool unclean; /* not stopped whatever the state says: it ended by itself */
	struct ev_source timer; /* polls for the end of what was killed */
	uint64_t wait_ms, give_up_ms;
	struct list dead_node; /* in crid's dead_pods */
};

/* "READY" etc. */
const char *pod_state_name(enum pod_state state);

/* A new object in POD_CREATING, in the maps; config is taken over. */
struct pod *pod_new(struct crid *crid, const char *id, Cri__PodSandboxConfig *config);
/* The key of a configuration; the caller frees it. */
char *pod_key(const Cri__PodSandboxConfig *config);

/* By id or unique prefix; removing and creating ones are not found. NULL when absent. */
struct pod *pod_find(struct crid *crid, const char *id);

/* Writes the record and renews the list entry after a change. */
int pod_record(struct pod *pod, struct err *e);
void pod_changed(struct pod *pod);

/* Steps of its flows. */
int pod_remove_folder(void *ctx, struct err *e);
int pod_unrecord(void *ctx, struct err *e);

/* Namespace modes as asked for; the interface's defaults where nothing was said. */
Cri__NamespaceMode pod_network_mode(const struct pod *pod);
Cri__NamespaceMode pod_pid_mode(const struct pod *pod);
Cri__NamespaceMode pod_ipc_mode(const struct pod *pod);
Cri__NamespaceOption *pod_namespace_options(const Cri__PodSandboxConfig *config);

/* The path of a file of the pod below /run/berth/pods/ID: "hosts", "resolv.conf", "hostname",
 * "shim.sock", "ns/net", "shm"...; "" for the folder. The caller frees it. */
char *pod_path(const struct pod *pod, const char *name);

/* Begins to run a new pod: its calls are answered at the end. */
void pod_run(struct pod *pod);
/* Connects to the shim and says hello; the flow goes on with the answer. */
int pod_hello(struct pod *pod, struct err *e);
/* Sets what it is to become (a goal is never taken back) and begins when nothing else is at work.
 */
void pod_want(struct pod *pod, enum pod_goal goal);
/* Looks what is to be done next: at the end of any work. */
void pod_next(struct pod *pod);
/* Steps for its flows, each 0 or FLOW_WAIT: SIGKILL for everything of it and the wait for its end;
 * the release of its network. */
int pod_kill(struct pod *pod);
int pod_detach_network(struct pod *pod, struct err *e);
void pod_remove_cgroups(struct pod *pod);
void pod_unmount_shm(const struct pod *pod);
/* It left nothing behind: its callers are told and it goes. */
void pod_gone(struct pod *pod);
/* A container is gone, or its removal failed: the pod's removal may wait for the last. */
void pod_ctr_removed(struct pod *pod, const struct err *e);
/* The pod's shim died by itself. */
void pod_shim_died(void *arg);
void pod_shim_event(void *arg, uint32_t type, const struct json *body);

/* Reads the records. */
void pod_load_all(struct crid *crid);
/* Takes up what is alive, undoes what is half made; then crid_loaded(). */
void pod_recover_all(struct crid *crid);

/* Out of the maps now, freed at the end of the round. */
void pod_bury(struct pod *pod);
void pod_free(struct pod *pod);
