/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.json of the OCI runtime-spec, checked and in C types, read by tables
 * (lib/schema.h). Strings point into the JSON tree, which the spec owns. What
 * is not implemented is refused by the path of its field; what the spec says
 * to ignore is ignored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/schema.h"
#include "runtime/rdt.h"

#define SPEC_TEXT_MAX (8u << 20) /* bytes of config.json */
#define SPEC_MOUNTS_MAX 4096
#define SPEC_ARGS_MAX 65536
#define SPEC_GROUPS_MAX 65536
#define SPEC_RLIMITS_MAX 16
#define SPEC_MAPS_MAX 340 /* lines of a uid_map */
#define SPEC_NETDEVS_MAX 1024
#define SPEC_CPUS_MAX 8192 /* more than any kernel has */
#define SPEC_NODES_MAX 1024 /* memory nodes: as many as a kernel can have */
#define SPEC_VERSION "1.3.0" /* newest runtime-spec we know */

/* The five sets, a bit a capability. */
struct spec_caps {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

struct spec_rlimit {
	int resource; /* RLIMIT_* */
	struct rlimit value;
};

struct spec_scheduler {
	bool given;
	uint32_t policy; /* SCHED_* */
	uint64_t flags; /* SCHED_FLAG_* */
	int nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns */
};

/* The process object: the container's own or an exec's. */
struct spec_process {
	struct json *json; /* owned; NULL inside a struct spec */
	bool terminal;
	unsigned short rows, columns; /* 0: not given */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t group_count;
	mode_t umask;
	const char **args; /* owned vector, NULL at the end */
	size_t arg_count;
	const char **env; /* owned vector */
	size_t env_count;
	const char *cwd;
	struct spec_caps caps; /* without a capabilities member none at all */
	struct spec_rlimit *rlimits; /* owned */
	size_t rlimit_count;
	bool no_new_privileges;
	bool has_oom_score_adj;
	int oom_score_adj;
	const char *apparmor; /* NULL: none */
	const char *selinux; /* NULL: none */
	struct spec_scheduler scheduler;
	bool has_io_priority;
	unsigned int io_class, io_priority; /* IOPRIO_CLASS_*, 0 to 7 */
	const char *cpus_initial, *cpus_final; /* of an exec; lists, NULL: none */
};

enum spec_ns {
	SPEC_NS_USER, /* in the order in which they are joined */
	SPEC_NS_IPC,
	SPEC_NS_UTS,
	SPEC_NS_NET,
	SPEC_NS_PID,
	SPEC_NS_CGROUP,
	SPEC_NS_TIME,
	SPEC_NS_MOUNT,
	SPEC_NS_COUNT,
};

struct spec_namespace {
	bool given;
	const char *path; /* NULL: a new one */
};

/* As config.json lists them. */
struct spec_namespace_row {
	enum spec_ns type;
	const char *path;
};

struct spec_map {
	uint32_t inside, outside, size;
};

struct spec_maps {
	struct spec_map *rows; /* owned */
	size_t count;
};

/* A mount's option words, sorted out. */
struct spec_mount {
	const char *destination; /* absolute, inside the rootfs */
	const char *type; /* "" for a bind mount without one */
	const char *source; /* NULL: none */
	bool bind, recursive_bind;
	unsigned long flags; /* MS_* for mount(2), without MS_BIND and MS_REC */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* of the mount alone */
	uint64_t rec_set, rec_clear; /* MOUNT_ATTR_* of the whole tree (rro and so on) */
	unsigned long propagation; /* MS_SHARED and so on; 0: not given */
	bool propagation_recursive;
	bool copy_up;
	bool idmap, idmap_recursive; /* without maps: those of the container's user namespace */
	struct spec_maps uid_maps, gid_maps;
	char *data; /* owned; the words for the file system, with commas; NULL: none */
};

/* How far a clock of the time namespace is ahead of the host's. */
struct spec_offset {
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_device {
	const char *path;
	char type; /* 'c', 'b', 'p' */
	unsigned int major, minor;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* A link of the host that the container gets. */
struct spec_netdev {
	const char *from, *to; /* its names outside and inside; from is the key, so it is first */
};

struct spec_hook {
	const char *path;
	const char **args; /* owned vector; NULL: the path alone */
	const char **env; /* owned vector; NULL: inherited */
	int timeout_s; /* 0: the engine's own limit */
};

enum spec_hook_kind {
	SPEC_PRESTART,
	SPEC_CREATE_RUNTIME,
	SPEC_CREATE_CONTAINER,
	SPEC_START_CONTAINER,
	SPEC_POSTSTART,
	SPEC_POSTSTOP,
	SPEC_HOOK_KINDS,
};

struct spec_hooks {
	struct spec_hook *rows; /* owned */
	size_t count;
};

/* What holds for every process of a container, execs too. */
struct spec_common {
	bool has_personality;
	unsigned long personality;
	bool has_memory_policy, has_memory_nodes;
	unsigned int memory_mode, memory_flags; /* MPOL_*, MPOL_F_* */
	unsigned long memory_nodes[SPEC_NODES_MAX / (8 * sizeof(unsigned long))];
};

struct spec {
	struct json *json; /* owned */
	const char *version;
	const char *hostname; /* NULL: none */
	const char *domainname;
	const char *root_path; /* as written: relative to the bundle, or absolute */
	bool root_readonly;
	bool has_process;
	struct spec_process process;
	struct spec_mount *mounts; /* owned */
	size_t mount_count;
	struct spec_hooks hooks[SPEC_HOOK_KINDS];
	const struct json *annotations; /* object of texts or NULL */
	struct spec_namespace_row *ns_rows; /* owned */
	size_t ns_row_count;
	struct spec_namespace ns[SPEC_NS_COUNT];
	struct spec_maps uid_maps, gid_maps; /* of the user namespace, as the host counts */
	bool has_offsets;
	struct spec_offset monotonic, boottime;
	struct spec_device *devices; /* owned */
	size_t device_count;
	struct spec_netdev *netdevs; /* owned */
	size_t netdev_count;
	struct rdt_spec rdt;
	const char *mount_label; /* NULL: none */
	const char *cgroups_path; /* NULL: none given */
	const struct json *resources; /* object or NULL: cgroups/limits.h reads it */
	const struct json *seccomp; /* object or NULL: runtime/seccomp.h reads it */
	const struct json *sysctl; /* object of texts or NULL */
	const char **masked, **readonly; /* owned vectors; NULL: none */
	unsigned long root_propagation; /* MS_SHARED and so on, with MS_REC; 0: not given */
	struct spec_common common;
};

/* What is read of config.json, for who wants to know its fields. */
extern const struct schema spec_schema;

/* Reads and checks config.json of the bundle. */
int spec_load(int bundle, struct spec *ret, struct err *e);
int spec_parse(const char *text, size_t len, struct spec *ret, struct err *e);
void spec_done(struct spec *s);
/* Whether a mount asks for other owners than its source has. */
bool spec_has_idmaps(const struct spec *s);
/* Whether the container gets no new namespace of this kind: others are in it too. */
bool spec_shares(const struct spec *s, enum spec_ns ns);
#define auto_spec __attribute__((cleanup(spec_done))) struct spec

/* A process object alone: of an exec. */
int spec_process_parse(const char *text, size_t len, struct spec_process *ret, struct err *e);
/* From a node of a tree that outlives *ret; errors begin with "process". */
int spec_process_read(const struct json *node, struct spec_process *ret, struct err *e);
void spec_process_done(struct spec_process *p);
#define auto_spec_process __attribute__((cleanup(spec_process_done))) struct spec_process
