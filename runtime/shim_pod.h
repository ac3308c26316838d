/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod as the shim sees it: pod.json, and the namespaces made from it. They
 * live as long as the shim's descriptors; POD_DIR/ns/NAME leads to these.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/json.h"

#define SHIM_POD_TEXT_MAX 262144 /* bytes of pod.json */
#define SHIM_HOSTNAME_MAX 64
#define SHIM_SYSCTL_MAX 4096 /* bytes of one value */

enum shim_ns {
	SHIM_NS_NET,
	SHIM_NS_IPC,
	SHIM_NS_UTS,
	SHIM_NS_PID,
	SHIM_NS_COUNT,
};

struct shim_pod {
	struct json *json; /* owned; the texts below point into it */
	const char *id;
	const char *hostname; /* NULL: none */
	const struct json *sysctls; /* object of texts, or NULL */
	bool own[SHIM_NS_COUNT]; /* of the pod; for the pid: shared by its containers */
	int ns[SHIM_NS_COUNT]; /* descriptors; -1 where the host's is used */
	int host_net; /* of ours, to come back to */
	pid_t pause; /* 0: none */
	int pause_pidfd; /* -1: none */
};

/* Reads and checks POD_DIR/pod.json. Unknown members are left to others. */
int shim_pod_load(int dir, struct shim_pod *ret, struct err *e);
int shim_pod_parse(const char *text, size_t len, struct shim_pod *ret, struct err *e);
void shim_pod_done(struct shim_pod *pod);

/*
 * The path below /proc of a sysctl that belongs to a namespace of the pod,
 * "sys/net/ipv4/ip_forward". Others are refused by name. The caller frees.
 */
int shim_pod_sysctl_path(const struct shim_pod *pod, const char *name, char **ret, struct err *e);

/*
 * Makes the namespaces with what is set in them and comes back to the
 * caller's own. libexec: folder of berth-pause. On failure some may be left in
 * *pod: the process is to end.
 */
int shim_pod_make(struct shim_pod *pod, const char *libexec, struct err *e);

/* Links POD_DIR/ns/NAME to our descriptors. */
int shim_pod_link(const struct shim_pod *pod, int dir, struct err *e);
void shim_pod_unlink(int dir);

/* A TCP socket in the pod's network namespace, not blocking. */
int shim_pod_socket(const struct shim_pod *pod, int family, int *ret_fd, struct err *e);
