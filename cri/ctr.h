/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers: the object, its record on disk, and the work that creates,
 * starts, stops and removes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cri/api/api.pb-c.h"
#include "cri/bundle.h"
#include "cri/flow.h"
#include "cri/pod.h"
#include "lib/json_out.h"
#include "lib/id.h"
#include "lib/list.h"

struct image;

enum ctr_state {
	CTR_CREATING, /* not shown */
	CTR_CREATED,
	CTR_RUNNING,
	CTR_EXITED,
	CTR_REMOVING, /* not shown */
};

#define CTR_RECORD_VERSION 1
#define CTR_MESSAGE_MAX 4096 /* bytes of why it ended */

/* A mount whose source is an image's tree. */
struct ctr_volume {
	size_t mount; /* index in config->mounts */
	char *id; /* of the image */
	const struct image *image; /* held; NULL when it is gone */
	char *path; /* the tree (or what image_sub_path names in it), once it is there */
};

struct ctr {
	struct crid *crid;
	struct pod *pod;
	char id[ID_LEN + 1];
	char *key; /* of idempotence: POD ID/NAME/ATTEMPT */
	Cri__ContainerConfig *config; /* owned; metadata and image are never NULL */
	char *image_id; /* sha256:HEX of the image's config: image_ref and image_id of the interface
			 */
	const struct image *image; /* held; NULL when it is gone */
	struct bundle_user user;
	int stop_signal; /* effective: of the config, else of the image, else SIGTERM */
	char *log_path; /* absolute; NULL when there is no log */
	char *cgroup; /* path below the node's cgroup root: CGROUP_PARENT/ID */
	enum ctr_state state;
	pid_t pid; /* of its first process while CREATED or RUNNING */
	int64_t created_at, started_at, finished_at; /* Unix time, ns */
	int exit_code;
	char *reason; /* Completed, Error, OOMKilled, StartError...; NULL before the end */
	char *message;
	struct list pod_node;
	/* ready-made list entry: a packed Container */
	void *entry;
	size_t entry_len;

	struct flow flow; /* create, start, remove */
	struct ctr_volume *volumes;
	size_t nvolumes;
	int rootfs; /* detached mount, between its making and the shim's taking; -1 */
	bool want_removal;
	bool hidden; /* being removed, and was never shown: it does not come back if that fails */
	bool seen; /* its shim knows it, after a restart */
	struct list create_calls, start_calls, stop_calls, remove_calls; /* struct call, node */
	struct ev_source stop_timer;
	uint64_t stop_ms; /* of a stop that waits for the start */
	uint64_t kill_at_ms; /* the SIGKILL of a stop; 0: none is due */
	bool killed; /* sent; the end is waited for */
};

const char *ctr_state_name(enum ctr_state state);

/* A new object in CTR_CREATING, in the maps and the pod's list; config is taken over. */
struct ctr *ctr_new(struct pod *pod, const char *id, Cri__ContainerConfig *config);
char *ctr_key(const struct pod *pod, const Cri__ContainerConfig *config);

/* By id or unique prefix; removing and creating ones are not found. NULL when absent. */
struct ctr *ctr_find(struct crid *crid, const char *id);

/* Writes the record and renews the list entry after a change. */
int ctr_record(struct ctr *ctr, struct err *e);
void ctr_changed(struct ctr *ctr);

/* The path of a file of the container below /run/berth/ctrs/ID; the caller frees it. */
char *ctr_path(const struct ctr *ctr, const char *name);

/* Image volumes: found and held before anything is made; mounted in the child that prepares the
 * root; unmounted with the container. -EREMOTEIO with kubelet's own words for what cannot be. */
int ctr_volumes_find(struct ctr *ctr, struct err *e);
int ctr_volumes_mount(struct ctr *ctr, struct err *e);
void ctr_volumes_put(const struct ctr *ctr, struct json_out *out);
int ctr_volumes_take(struct ctr *ctr, const struct json *volumes, struct err *e);
int ctr_volumes_unmount(const char *id, struct err *e);
void ctr_volumes_done(struct ctr *ctr);

/* Work: the calls in the lists are answered at its end. */
void ctr_create(struct ctr *ctr);
void ctr_start(struct ctr *ctr);
/* Signals it, and kills it after timeout_ms; a shorter time shortens a stop under way. */
void ctr_stop(struct ctr *ctr, uint64_t timeout_ms);
/* Kills and removes it when the work under way is done. */
void ctr_want_removal(struct ctr *ctr);
/* Looks what is to be done next: at the end of any work. */
void ctr_next(struct ctr *ctr);

/* The shim's word that it ended. */
void ctr_exited(struct ctr *ctr, const struct json *exit);
/* Its end when nobody can tell more: the shim died, the node rebooted. */
void ctr_lost(struct ctr *ctr, const char *reason, const char *message);
/* Its end by what the shim has written down before it died; else lost. */
void ctr_ended_unseen(struct ctr *ctr, const char *message);
/* Its program could not be started. */
void ctr_start_failed(struct ctr *ctr, const char *message);

/* "SIGTERM", "TERM", "15", "RTMIN+3"; 0 when it is none. */
int ctr_signal(const char *text);

/* {"uid", "gid", "groups"} */
int ctr_read_user(struct bundle_user *u, const struct json *user, struct err *e);

/* Steps of its flows: SIGKILL for what the shim left of it, and its cgroup's end; its folder. */
int ctr_end_processes(void *ctx, struct err *e);
int ctr_remove_folder(void *ctx, struct err *e);
int ctr_unrecord(void *ctx, struct err *e);

/* It is gone, nothing is left: its callers are told. e: why, when it was not asked for. */
void ctr_gone(struct ctr *ctr, const struct err *e);

void ctr_load_all(struct crid *crid);
/* What was half made or half removed goes, once the pod's shim was asked or is known to be gone. */
void ctr_recover(struct pod *pod);
/* Out of the maps now, freed at the end of the round. */
void ctr_bury(struct ctr *ctr);
void ctr_free(struct ctr *ctr);
