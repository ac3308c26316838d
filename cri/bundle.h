/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kubelet asks for becomes an OCI config.json: a function of the request,
 * the image's config, the user found in the image and what the node can do.
 * Host paths are looked at, which may hang: all of it is run in a child.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "cri/api/api.pb-c.h"
#include "image/store.h"

#define BUNDLE_ACCOUNT_MAX (8u << 20) /* bytes read of an image's passwd or group */
#define BUNDLE_LINE_MAX 65536 /* bytes of one line in them */
#define BUNDLE_GROUPS_MAX 1024 /* supplemental groups */
#define BUNDLE_PROFILE_MAX (1u << 20) /* bytes of a seccomp profile */
#define BUNDLE_DEVICES_MAX 4096

/* Error texts that kubelet compares by prefix; such an error is answered with code UNKNOWN. */
#define BUNDLE_RRO_UNSUPPORTED "RROUnsupported"
#define BUNDLE_IMAGE_MOUNT_FAILED "ImageVolumeMountFailed"

/* What the node can do; found once at start. */
struct bundle_host {
	uint64_t caps; /* bit per capability that crid itself may give */
	bool apparmor; /* the kernel's AppArmor is on */
	bool rro; /* recursive read-only mounts work */
	int oom_score_adj_min; /* -1000, or crid's own value when it may not go below */
	uint64_t nofile_max; /* hard limit of descriptors that crid may give */
	bool hugetlb; /* the cgroup root has that controller */
};

/* controllers_file: cgroup.controllers of the cgroup root. */
int bundle_host_probe(struct bundle_host *ret, const char *controllers_file, struct err *e);

/* Who the program runs as. */
struct bundle_user {
	uint32_t uid;
	uint32_t gid;
	uint32_t *groups; /* owned; what setgroups(2) gets: gid first, then the others, once each */
	size_t ngroups;
	char *home; /* owned; NULL when passwd has none */
};

void bundle_user_done(struct bundle_user *u);
#define auto_bundle_user __attribute__((cleanup(bundle_user_done))) struct bundle_user

/*
 * Finds the user by the request (may be NULL), else by the image; names are
 * looked up in etc/passwd and etc/group below the descriptor rootfs, never
 * outside of it. Also the place that refuses a group without a user.
 */
int bundle_user_find(int rootfs, const Cri__LinuxContainerSecurityContext *sc,
		     const char *image_user, struct bundle_user *ret, struct err *e);

struct bundle {
	const char *id; /* of the container */
	const char *pod_id;
	const Cri__ContainerConfig *config;
	const Cri__PodSandboxConfig *pod; /* as given to RunPodSandbox */
	const struct image_config *image;
	const struct bundle_user *user;
	const struct bundle_host *host;
	const char *pod_dir; /* with ns/{net,ipc,uts,pid}, hosts, hostname, resolv.conf */
	const char *shm; /* source of the pod's /dev/shm; NULL: a tmpfs of the container's own */
	const char *cgroups_path; /* parent/ID */
	const char *target_pid_ns; /* pid namespace file of the TARGET container, else NULL */
	const char *node_name; /* hostname for pods that have none */
	const char *const *image_paths; /* per config->mounts[]: tree of an image mount, else NULL;
					   or NULL */
};

/* The text of config.json; the caller frees it. No side effects; reads only a Localhost seccomp
 * profile and device nodes. */
int bundle_write(const struct bundle *b, char **ret_json, struct err *e);

/*
 * The process object for an exec in a container: its own process of
 * config.json with other arguments. The caller frees the text.
 */
int bundle_exec_process(const struct json *config, char *const *args, size_t nargs, bool terminal,
			char **ret_json, struct err *e);

/* The linux.resources object alone, for SHIM_UPDATE; only what is set. The caller frees it. */
int bundle_resources(const Cri__LinuxContainerResources *r, const struct bundle_host *host,
		     char **ret_json, struct err *e);

/*
 * Checks every bind mount's source on the host: makes a missing folder,
 * refuses propagation that the source cannot have. May hang on a dead network
 * file system: run it in a child with a deadline.
 */
int bundle_check_sources(const Cri__ContainerConfig *config, struct err *e);

/*
 * Writes hosts, hostname and resolv.conf into the pod's folder. resolv.conf is
 * made of dns_config when it says anything, else copied from node_resolv_conf.
 * ip is the pod's first address, NULL for the node's network.
 */
int bundle_pod_files(const char *pod_dir, const Cri__PodSandboxConfig *pod, const char *node_name,
		     const char *ip, const char *node_resolv_conf, struct err *e);
