/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A dm-verity device by ioctl: no libcryptsetup, no udev. */
#pragma once

#include "lib/err.h"

#define VERITY_DEV_MAX 32

/*
 * Makes the device NAME over data, whose blocks are checked against the tree
 * on hash and the tree against root_hash (64 hex digits): 4096-byte blocks,
 * sha256, no salt, no superblock. A wrong block reads as EIO. The tree covers
 * the whole of data. ret_dev: "/dev/dm-0".
 */
int verity_open(const char *name, const char *data, const char *hash, const char *root_hash,
		char ret_dev[static VERITY_DEV_MAX], struct err *e);
