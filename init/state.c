/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state partition: ext4 on /var. What may hang (mke2fs, e2fsck, the mount itself) is a job with
 * a limit. A partition that holds something else is never overwritten.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/init.h"
#include "init/machine.h"
#include "lib/blk.h"
#include "lib/log.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"

#define STATE_FIND_MS 30000
#define STATE_MAKE_MS 120000
#define STATE_CHECK_MS 600000
#define STATE_MOUNT_MS 60000

int machine_find_state(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *label = conf_text(&in->conf, "boot.state", "none");

	if (str_eq(label, "none"))
		return 0;
	return uevent_partition(&in->ev, label, STATE_FIND_MS, in->kept.machine.state_dev, e);
}

static int state_program(struct init *in, const char *const *argv, uint64_t limit_ms, struct err *e)
{
	struct spawn s = SPAWN_INIT;

	s.path = argv[0];
	s.argv = argv;
	s.fds[1] = s.fds[2] = in->kept.kmsg;
	return child_run(&in->jobs, argv[0], &s, limit_ms, e);
}

int machine_check_state(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *dev = in->kept.machine.state_dev;
	const char *const make[] = { "/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L",
				     "berth-state",	 dev,  NULL };
	const char *const check[] = { "/usr/sbin/e2fsck", "-p", dev, NULL };
	enum blk_content kind;
	struct err after = { 0 };
	int r;

	if (!*dev)
		return 0;
	if (blk_probe(dev, &kind, e) < 0)
		return -e->code;
	switch (kind) {
	case BLK_EMPTY:
		log_info("boot: %s is empty: making its file system", dev);
		return state_program(in, make, STATE_MAKE_MS, e);
	case BLK_EXT4_DIRTY:
		log_warn("boot: %s was not unmounted in order: checking it", dev);
		r = state_program(in, check, STATE_CHECK_MS, e);
		/* e2fsck exits 1 when it mended everything: what it left behind decides */
		if (r < 0 && (blk_probe(dev, &kind, &after) < 0 || kind != BLK_EXT4))
			return r;
		return 0;
	case BLK_FOREIGN:
		return err_set(e, EINVAL, "%s holds something that is no ext4", dev);
	case BLK_EXT4:
		break;
	}
	return 0;
}

/* A job: the mount of a dying disk may never come back. */
static int state_mount(void *arg)
{
	const char *dev = arg;
	const char *type = *dev ? "ext4" : "tmpfs";

	if (mount(*dev ? dev : type, "/var", type, MS_NOSUID | MS_NODEV | MS_NOATIME,
		  *dev ? NULL : "mode=0755,size=50%") == 0)
		return 0;
	log_error("boot: mount %s on /var: %m", *dev ? dev : type);
	return 1;
}

int machine_mount_state(void *ctx, struct err *e)
{
	static const struct {
		const char *path;
		mode_t mode;
	} folders[] = {
		{ "/var/lib/berth", 0700 }, { "/var/lib/kubelet", 0750 },
		{ "/var/log/pods", 0755 },  { "/var/log/containers", 0755 },
		{ INIT_LOG_FOLDER, 0755 },  { "/var/tmp", 01777 },
	};
	struct init *in = ctx;
	struct spawn s = SPAWN_INIT;

	s.run = state_mount;
	s.arg = in->kept.machine.state_dev;
	if (!mnt_is_mount("/var") && child_run(&in->jobs, "mount /var", &s, STATE_MOUNT_MS, e) < 0)
		return -e->code;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (path_mkdirs(folders[i].path, 0755, e) < 0)
			return -e->code;
		if (chmod(folders[i].path, folders[i].mode) < 0)
			return err_set(e, errno, "set mode of %s", folders[i].path);
	}
	if (symlink("../run", "/var/run") < 0 && errno != EEXIST)
		return err_set(e, errno, "link /var/run");
	return 0;
}
