/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's root: attached in the new mount namespace, every path of
 * it resolved once inside of it, then used as a descriptor only.
 */
#pragma once

#include <stdbool.h>

#include "lib/err.h"
#include "runtime/birth.h"

/* Cuts the namespace's mounts off the host's and attaches the rootfs: b->root. */
int rootfs_attach(struct birth *b, struct err *e);

/*
 * The place where something will be mounted: O_PATH of path inside root,
 * made as a folder or an empty file when it is missing. A link at its end
 * that leads nowhere is followed inside root. 1: it was made; 0: it was there.
 */
int rootfs_target(int root, const char *path, bool folder, int *ret_fd, struct err *e);

int rootfs_masked(struct birth *b, struct err *e);
int rootfs_readonly_paths(struct birth *b, struct err *e);

/* Makes b->root the root of the namespace and drops the host's mounts. */
int rootfs_pivot(struct birth *b, struct err *e);
/* root.readonly and rootfsPropagation, when nothing is to be made in it any more. */
int rootfs_seal(struct birth *b, struct err *e);
