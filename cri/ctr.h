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
#include "cri/pod.h"
#include "lib/id.h"
#include "lib/list.h"

enum ctr_state {
	CTR_CREATING, /* not shown */
	CTR_CREATED,
	CTR_RUNNING,
	CTR_EXITED,
	CTR_REMOVING, /* not shown */
};

/* The user as looked up in the container's own passwd and group files. */
struct ctr_user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplemental, owned */
	size_t ngroups;
	char *home; /* from passwd; NULL when not there */
};

struct ctr {
	struct crid *crid;
	struct pod *pod;
	char id[ID_LEN + 1];
	char *key; /* of idempotence: POD ID/NAME/ATTEMPT */
	Cri__ContainerConfig *config; /* owned; metadata, image and linux are never NULL */
	char *image_id; /* sha256:HEX of the image's config */
	char *image_ref; /* what ContainerStatus.image_ref shows: the id too */
	struct ctr_user user;
	int stop_signal; /* effective: of the config, else of the image, else SIGTERM */
	char *log_path; /* absolute; NULL when there is no log */
	char *cgroup; /* path below the node's cgroup root: CGROUP_PARENT/ID */
	enum ctr_state state;
	bool starting;
	pid_t pid; /* of its first process while CREATED or RUNNING */
	int64_t created_at, started_at, finished_at; /* Unix time, ns */
	int exit_code;
	char *reason; /* Completed, Error, OOMKilled, StartError...; NULL before the end */
	char *message;
	struct list pod_node;
	/* ready-made list entry: a packed Container */
	void *entry;
	size_t entry_len;
	struct ctr_work *work; /* create, start, stop, remove in progress; NULL when at rest */
};

const char *ctr_state_name(enum ctr_state state);

/* By id or unique prefix; removing and creating ones are not found. NULL when absent. */
struct ctr *ctr_find(struct crid *crid, const char *id);

/* Writes the record and renews the list entry after a change. */
void ctr_changed(struct ctr *ctr);

/* The path of a file of the container below /run/berth/ctrs/ID; the caller frees it. */
char *ctr_path(const struct ctr *ctr, const char *name);

/* The shim's word that it ended. */
void ctr_exited(struct ctr *ctr, const struct json *exit);
/* Its end when nobody can tell more: the shim died, the node rebooted. */
void ctr_lost(struct ctr *ctr, const char *reason, const char *message);

void ctr_load_all(struct crid *crid);
void ctr_free(struct ctr *ctr);
