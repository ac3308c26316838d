/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OCI engine: bundle in, container out. The shim calls it in its own
 * process, berth-oci is the command line over it. One thread; no state but
 * what the caller holds; every wait has a limit; all descriptors are
 * close-on-exec, and a container gets only those it is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/json.h"
#include "runtime/spec.h"

#define ENGINE_VERSION 1 /* grows when the engine understands more of config.json */
#define ENGINE_BIRTH_MS 60000 /* from clone to waiting for start, hooks apart */
#define ENGINE_EMPTY_MS 5000 /* from cgroup.kill to an empty cgroup */

struct filter;

/* What a calling process opens once and keeps. */
struct engine {
	const char *cgroup_mount; /* path of the cgroup v2 mount; the caller's */
	int cgroup_root; /* and its descriptor */
	int proc; /* the host's procfs, known to be one */
	int pidns; /* our own pid namespace; -1 until a child is born into another */
};

#define ENGINE_INIT              \
	{                        \
		NULL, -1, -1, -1 \
	}

/* cgroup_root: where cgroup v2 is mounted; NULL: /sys/fs/cgroup. */
int engine_init(struct engine *en, const char *cgroup_root, struct err *e);
void engine_done(struct engine *en);

/*
 * Once, before anything else: a container must not get at the file of this
 * program through /proc. Unless that lies on a read-only mount, as on a node,
 * the program is executed again from a read-only view of it.
 */
int engine_protect(char **argv, struct err *e);

/*
 * A container between create and delete. After engine_create() the caller may
 * read everything and take the console (fd_take). pidfd stays here, for kill
 * and exec; give ev_add_child() a copy of it (fd_dup): the caller reaps. The
 * spec need not outlive the create.
 */
struct container {
	char *id;
	char *bundle; /* path */
	char *cgroup_path; /* from the root of the cgroup v2 mount, absolute; NULL: none of its own
			    */
	int cgroup; /* its descriptor */
	pid_t pid; /* of the container's first process, in our pid namespace */
	int pidfd;
	int start; /* the waiting process's ear; -1 when started or started by somebody else */
	int console; /* pty master when process.terminal, else -1 */
	bool lenient; /* a missing controller or capability is only logged, in exec and update too
		       */
	bool userns; /* the container has a user namespace of its own */
	bool timens; /* and a time namespace */
	bool shared_pids; /* but no pid namespace, so its other processes outlive the first */
	bool shared_mounts; /* nor a mount namespace: mntns.h */
	char *rootfs; /* path of its root folder; NULL unless shared_mounts */
	uint64_t under; /* mntns_under() */
	struct rdt rdt;
	struct spec_common common;
	char *annotations; /* JSON object, NULL: none */
	struct filter *filter; /* compiled seccomp profile, for exec too; NULL: none */
	char *hooks; /* JSON of poststart and poststop, NULL: none */
	bool hook_failed; /* its start did by a hook: it is to be deleted */
	int patience_ms; /* how long a start may take, with the hooks that it runs */
};

struct engine_create {
	const char *id; /* id_oci_valid() */
	const char *bundle; /* absolute path of the folder with config.json */
	const struct spec *spec;
	int rootfs; /* a detached mount (stays the caller's); -1: root.path of the spec */
	int stdio[3]; /* -1: /dev/null; not used when process.terminal; stay the caller's */
	int listener; /* listening SEQPACKET socket to be started by; -1: container.start */
	int preserve_fds; /* this many descriptors from 3 up are inherited */
	bool missing_controllers_warn; /* a limit without its controller or capability: log it */
	bool no_pivot; /* move the rootfs over "/" and chroot: for an initramfs */
	bool no_new_keyring;
	bool look_early; /* a program that is not there fails the create, not the start */
	bool plain_console; /* its terminal adds no carriage returns: the caller relays it to one */
	bool adopt; /* it outlives its parent; else it is killed when the parent dies */
};

#define ENGINE_CREATE_INIT                                            \
	{                                                             \
		.rootfs = -1, .stdio = { -1, -1, -1 }, .listener = -1 \
	}

/*
 * Makes the container; its process waits for the start. On failure nothing is
 * left: no process, no cgroup, no mount; when hooks had begun, those of
 * poststop were run. container_done() frees *ret's memory
 * and descriptors, not the container.
 */
int engine_create(struct engine *en, const struct engine_create *args, struct container *ret,
		  struct err *e);

/*
 * Makes the first process of a restored container, which already runs: into
 * the cgroup c->cgroup; ns has the namespaces with a path (-1: no path).
 */
typedef int engine_bring(void *arg, const struct container *c, const int *ns, pid_t *ret_pid,
			 struct err *e);

/* As engine_create(), but bring() makes the process; stdio and what a birth needs are its matter.
 */
int engine_restore(struct engine *en, const struct engine_create *args, engine_bring *bring,
		   void *arg, struct container *ret, struct err *e);

void container_init(struct container *c);
void container_done(struct container *c);

/*
 * Lets the process run its program: 0 when execve succeeded. Else the error
 * is execve's or a hook's ("exec /no/such: No such file or directory") and the process ends,
 * which after a poststart hook is engine_delete()'s doing; that frees the rest.
 */
int engine_start(struct engine *en, struct container *c, struct err *e);

/* Signals the first process, or every process of the container: also those of one with shared_pids
 * when it is SIGKILL. -ESRCH: "container not running". */
int engine_kill(struct engine *en, const struct container *c, int signal, bool all, struct err *e);

struct engine_exec {
	const struct spec_process *process;
	int stdio[3]; /* -1: /dev/null; not used when process.terminal */
	const char *cgroup; /* name of a sub-cgroup, made when missing; NULL: the container's */
	const char *below; /* or path of one that is there, from the container's on; NULL: none */
	int preserve_fds;
	bool adopt, plain_console; /* as in struct engine_create */
	bool ignore_paused;
};

#define ENGINE_EXEC_INIT                \
	{                               \
		.stdio = { -1, -1, -1 } \
	}

struct exec {
	pid_t pid;
	int pidfd; /* the caller's, who reaps */
	int console; /* pty master when process.terminal, else -1 */
	int cgroup; /* of its own sub-cgroup, else -1; cgroup_kill() ends the whole session */
};

/* Runs a process in the container: 0 when its execve succeeded. */
int engine_exec(struct engine *en, const struct container *c, const struct engine_exec *args,
		struct exec *ret, struct err *e);
/* Kills what is left in an exec's own sub-cgroup and removes it. */
int engine_exec_delete(struct engine *en, const struct container *c, const char *cgroup,
		       struct err *e);

/* New lines for the container's class of service; NULL: as it is. */
int engine_update_rdt(struct engine *en, const struct container *c, const char *l3,
		      const char *bandwidth, struct err *e);

/* Changes limits: an OCI linux.resources object; a value not mentioned stays. */
int engine_update(struct engine *en, const struct container *c, const struct json *resources,
		  struct err *e);

int engine_pause(struct engine *en, const struct container *c, struct err *e);
int engine_resume(struct engine *en, const struct container *c, struct err *e);

/*
 * Kills what lives (cgroup.kill), waits for the cgroup to be empty, removes
 * it, runs poststop hooks (their failure is logged only). May be called again
 * after a failure (-EBUSY: a process does not die). Does not reap.
 */
int engine_delete(struct engine *en, struct container *c, struct err *e);
