/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child's side: from clone3 to execve. The engine fills struct birth
 * before it clones; the child never returns. What fails is told over sync.
 */
#pragma once

#include <stdbool.h>

#include "lib/err.h"
#include "runtime/engine.h"
#include "runtime/filter.h"
#include "runtime/netdev.h"
#include "runtime/spec.h"

struct birth {
	/* from the engine */
	const struct engine *engine;
	const char *id;
	const char *bundle_path; /* for hooks */
	const char *annotations; /* for hooks */
	const char *cgroup_path; /* as in struct container */
	const struct spec *spec; /* NULL: an exec in a container that is there */
	const struct spec_process *process;
	const struct spec_common *common; /* NULL: nothing of it */
	const struct filter *filter; /* NULL: none */
	int stdio[3];
	int preserve_fds;
	struct netdevs netdevs; /* what linux.netDevices had */
	bool staged; /* it takes a go-between to be born: stage.h */
	bool userns; /* exec: the container has a user namespace */
	int timens; /* exec: the container's time namespace; -1: ours */
	bool adopt, no_pivot, no_new_keyring, lenient, plain_console, look_early;
	int sync; /* our end of the pair; closed by execve */
	int rdt[2]; /* rdt_open_tasks() */
	int listener; /* -1: the start comes over sync */
	int rootfs; /* detached mount, -1: root.path below bundle */
	int ns[SPEC_NS_COUNT]; /* to be joined, or -1 */
	int target; /* exec: pidfd of a process of the container, or -1 */
	pid_t target_pid;
	unsigned long target_flags; /* exec: which of its namespaces */
	int root; /* the container's root folder, O_PATH; before an exec has joined it: -1, or where
		     joining does not lead */

	/* made on the way, in our own mount namespace */
	int bundle; /* descriptor of the folder */
	int null; /* the host's null device */
	int self; /* the host's view of /proc/self */
	int label; /* where the security label for execve is written; -1: none wanted */
	int *sources; /* owned: a descriptor a mount, -1 where none was opened yet */
	int *devices; /* owned: the host's nodes where none can be made, see dev_open(); NULL: none
		       */
	int slave; /* of the terminal; -1: none */
	bool hook_failed; /* of the start */
	bool confined; /* rights and filter are those of the container's process */
	bool chdir_later; /* only the user may enter cwd */
	const char *program; /* what is executed */
	const char **env; /* with HOME, each name once */
};

#define BIRTH_INIT                                                                                \
	{                                                                                         \
		.stdio = { -1, -1, -1 }, .sync = -1, .rdt = { -1, -1 }, .listener = -1,           \
		.rootfs = -1, .bundle = -1, .null = -1, .ns = { -1, -1, -1, -1, -1, -1, -1, -1 }, \
		.target = -1, .timens = -1, .self = -1, .label = -1, .root = -1, .slave = -1      \
	}

void birth_container(struct birth *b) __attribute__((noreturn));
void birth_exec(struct birth *b) __attribute__((noreturn));
