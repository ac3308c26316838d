/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/verity.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/id.h"

#define VERITY_BLOCK 4096
#define SECTOR 512

struct verity_request {
	struct dm_ioctl io;
	struct dm_target_spec target;
	char table[512];
};

static int verity_ioctl(int control, unsigned long command, uint32_t flags,
			struct verity_request *rq, struct err *e)
{
	rq->io.version[0] = 4;
	rq->io.data_size = sizeof(*rq);
	rq->io.data_start = offsetof(struct verity_request, target);
	rq->io.flags = flags;
	rq->io.dev = 0; /* an answer fills it; a request is by name or by number */
	if (ioctl(control, command, &rq->io) < 0)
		return err_set(e, errno, "verity device %s", rq->io.name);
	return 0;
}

static int verity_blocks(const char *data, uint64_t *ret, struct err *e)
{
	auto_fd int fd = open(data, O_RDONLY | O_CLOEXEC);
	uint64_t bytes;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return err_set(e, errno, "size of %s", data);
	*ret = bytes / VERITY_BLOCK;
	return 0;
}

int verity_open(const char *name, const char *data, const char *hash, const char *root_hash,
		char ret_dev[static VERITY_DEV_MAX], struct err *e)
{
	auto_fd int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	struct verity_request rq = { .target.target_type = "verity" };
	uint64_t blocks;

	if (control < 0)
		return err_set(e, errno, "open /dev/mapper/control");
	if (!id_valid(root_hash))
		return err_set(e, EINVAL, "root hash: not 64 hex digits");
	if (verity_blocks(data, &blocks, e) < 0)
		return -e->code;
	snprintf(rq.io.name, sizeof(rq.io.name), "%s", name);
	/* left by a PID 1 that fell in the middle */
	verity_ioctl(control, DM_DEV_REMOVE, 0, &rq, &(struct err){ 0 });
	if (verity_ioctl(control, DM_DEV_CREATE, DM_READONLY_FLAG, &rq, e) < 0)
		return err_wrap(e, "create");
	rq.io.target_count = 1;
	rq.target.length = blocks * (VERITY_BLOCK / SECTOR);
	snprintf(rq.table, sizeof(rq.table), "1 %s %s %d %d %llu 0 sha256 %s -", data, hash,
		 VERITY_BLOCK, VERITY_BLOCK, (unsigned long long)blocks, root_hash);
	if (verity_ioctl(control, DM_TABLE_LOAD, DM_READONLY_FLAG, &rq, e) < 0)
		return err_wrap(e, "load");
	/* resume: the table goes live */
	if (verity_ioctl(control, DM_DEV_SUSPEND, 0, &rq, e) < 0)
		return err_wrap(e, "start");
	snprintf(ret_dev, VERITY_DEV_MAX, "/dev/dm-%u", minor(rq.io.dev));
	return 0;
}
