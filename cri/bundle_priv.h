/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the parts of the bundle writer. */
#pragma once

#include "cri/bundle.h"
#include "lib/json_out.h"

/* The container's security context; NULL when the request has none. */
static inline const Cri__LinuxContainerSecurityContext *bundle_sc(const struct bundle *b)
{
	return b->config->linux ? b->config->linux->security_context : NULL;
}

static inline bool bundle_privileged(const struct bundle *b)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);

	return sc && sc->privileged;
}

/* The pod's namespace options; NULL means all of the pod's own. */
static inline const Cri__NamespaceOption *bundle_pod_ns(const struct bundle *b)
{
	const Cri__LinuxPodSandboxConfig *linux_config = b->pod->linux;

	return linux_config && linux_config->security_context
		       ? linux_config->security_context->namespace_options
		       : NULL;
}

/* Capabilities of the request: five masks. */
struct bundle_caps {
	uint64_t bounding; /* permitted and effective too */
	uint64_t ambient; /* inheritable too */
};

int bundle_caps_find(const struct bundle *b, struct bundle_caps *ret, struct err *e);
/* An array of names below key. */
void bundle_caps_put(struct json_out *o, const char *key, uint64_t mask);

/* "seccomp" of linux, or nothing when unconfined. */
int bundle_seccomp(struct json_out *o, const struct bundle *b, uint64_t bounding, struct err *e);
/* The default profile as an object below key. */
void bundle_seccomp_default(struct json_out *o, const char *key, uint64_t bounding);
/* "apparmorProfile" of the process, or nothing. */
int bundle_apparmor(struct json_out *o, const struct bundle *b, struct err *e);

int bundle_mounts(struct json_out *o, const struct bundle *b, struct err *e);
/* "private", "rslave", "rshared": what the container's root must be for its mounts. */
const char *bundle_root_propagation(const struct bundle *b);

struct bundle_device {
	char *path; /* owned; in the container */
	char type; /* 'c' or 'b' */
	unsigned int major;
	unsigned int minor;
	unsigned int mode;
	uint32_t uid;
	uint32_t gid;
	char access[4]; /* of "rwm" */
};

struct bundle_devices {
	struct bundle_device *list;
	size_t count;
	size_t room;
};

void bundle_devices_done(struct bundle_devices *d);
int bundle_devices_find(const struct bundle *b, struct bundle_devices *ret, struct err *e);
void bundle_devices_put(struct json_out *o, const struct bundle_devices *d);

/* The members of linux.resources that come from limits. r may be NULL. */
int bundle_limits(struct json_out *o, const Cri__LinuxContainerResources *r,
		  const struct bundle_host *host, struct err *e);
