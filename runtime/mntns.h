/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container in a mount namespace that others have too: the engine's own, or
 * one that it joins. Its root is changed with chroot(2), and what is mounted
 * for it in the engine's own is taken away again when the container goes.
 */
#pragma once

#include <stdint.h>

#include "lib/err.h"
#include "runtime/spec.h"

/*
 * Before anything is mounted: the id of the mount that rootfs, a path, lies on
 * (statx(2)), by which mntns_clear() will know what came later. 0: nothing
 * will have to be cleared.
 */
int mntns_under(const struct spec *s, const char *rootfs, uint64_t *ret_under, struct err *e);

/* Unmounts what is mounted over rootfs since then; all of it gone already is fine. */
int mntns_clear(const char *rootfs, uint64_t under, struct err *e);
