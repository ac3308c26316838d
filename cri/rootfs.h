/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's root: an overlay of its image's layers and a folder of its
 * own, as a mount that is attached nowhere. Made in a child: disks may stall.
 */
#pragma once

#include <stddef.h>

#include "lib/err.h"

struct rootfs {
	const char *layers; /* path of the store's "layers" */
	char *const *chain; /* hex digits, bottom first */
	size_t count;
	const char *active; /* path of the container's own folder, to be made */
};

/* The layers alone, read-only, as a folder of the host: the layer itself when there is one, else an
 * overlay mounted on target (made if missing). The caller frees the path and unmounts target. */
int rootfs_tree(const struct rootfs *r, const char *target, char **ret_path, struct err *e);

/* -ENOSPC and the like from the disk; E2BIG: more layers than the kernel's options hold. */
int rootfs_make(const struct rootfs *r, int *ret_fd, struct err *e);
