/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/blk.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"

static uint32_t blk_le(const unsigned char *p, int bytes)
{
	uint32_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | p[bytes];
	return n;
}

/* By the superblock at 1024: magic 0x38, state 0x3a (1: clean), incompatible features 0x60 (4:
 * replay the journal). */
int blk_probe(const char *dev, enum blk_content *ret, struct err *e)
{
	static const unsigned char zeros[4096];
	unsigned char head[4096];
	const unsigned char *super = head + 1024;
	auto_fd int fd = open(dev, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s", dev);
	if (pread(fd, head, sizeof(head), 0) != sizeof(head))
		return err_set(e, errno ?: EIO, "read %s", dev);
	if (memcmp(head, zeros, sizeof(head)) == 0)
		*ret = BLK_EMPTY;
	else if (blk_le(super + 0x38, 2) != 0xef53)
		*ret = BLK_FOREIGN;
	else if (blk_le(super + 0x3a, 2) == 1 && !(blk_le(super + 0x60, 4) & 4))
		*ret = BLK_EXT4;
	else
		*ret = BLK_EXT4_DIRTY;
	return 0;
}
