/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a block device holds, by its first bytes. */
#pragma once

#include "lib/err.h"

enum blk_content {
	BLK_EMPTY, /* nothing but zeros at its start */
	BLK_EXT4, /* unmounted in order */
	BLK_EXT4_DIRTY, /* with a journal to replay or errors to mend */
	BLK_FOREIGN,
};

int blk_probe(const char *dev, enum blk_content *ret, struct err *e);
