/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the initramfs to the root: find it, mount it, start again as its PID 1. And extensions. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "init/init.h"
#include "init/machine.h"
#include "lib/kmod.h"
#include "lib/log.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"
#include "lib/verity.h"

#define ROOT_LIMIT_MS 30000
#define NEW_ROOT "/sysroot"
#define EXTENSION_NAME_MAX 36 /* of a GPT name */

int machine_find_root(void *ctx, struct err *e)
{
	struct init *in = ctx;

	return uevent_partition(&in->ev, conf_text(&in->conf, "boot.root", "berth-root"),
				ROOT_LIMIT_MS, in->kept.machine.root_dev, e);
}

static int root_mount(const char *dev, const char *path, struct err *e)
{
	int r = mount(dev, path, "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);

	return r < 0 ? err_set(e, errno, "mount %s on %s", dev, path) : 0;
}

/* With boot.verity the root is what that hash says, or it is not mounted. */
int machine_verify_root(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *root_hash = conf_text(&in->conf, "boot.verity", NULL);
	char tree[UEVENT_DEV_MAX], verified[VERITY_DEV_MAX];

	if (!root_hash)
		return 0;
	kmod_load_list("verity.list", &(struct err){ 0 }); /* none: it is built in */
	if (uevent_partition(&in->ev, conf_text(&in->conf, "boot.hash", "berth-hash"),
			     ROOT_LIMIT_MS, tree, e) < 0 ||
	    verity_open("root", in->kept.machine.root_dev, tree, root_hash, verified, e) < 0)
		return -e->code;
	snprintf(in->kept.machine.root_dev, sizeof(in->kept.machine.root_dev), "%s", verified);
	return 0;
}

int machine_mount_root(void *ctx, struct err *e)
{
	struct init *in = ctx;

	return mnt_is_mount(NEW_ROOT) ? 0 : root_mount(in->kept.machine.root_dev, NEW_ROOT, e);
}

static int root_extend(struct init *in, const char *label, struct err *e)
{
	char dev[UEVENT_DEV_MAX], path[128];

	if (strchr(label, '/') || label[0] == '.' || strlen(label) > EXTENSION_NAME_MAX)
		return err_set(e, EINVAL, "no name for an extension");
	snprintf(path, sizeof(path), EXTENSIONS "/%s", label);
	if (mnt_is_mount(path))
		return 0;
	if (uevent_partition(&in->ev, label, ROOT_LIMIT_MS, dev, e) < 0 ||
	    path_mkdirs(path, 0755, e) < 0)
		return -e->code;
	return root_mount(dev, path, e);
}

int machine_extensions(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *label;
	int r = 0;

	for (size_t n = 0; (label = conf_nth(&in->conf, "boot.extension", n)); n++) {
		if (root_extend(in, label, e) < 0) {
			err_wrap(e, "extension %.64s", label);
			log_error("boot: %s", err_text(e));
			r = -e->code;
		}
	}
	return r;
}

int machine_switch_root(void *ctx, struct err *e)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run", NULL };
	static const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/",
					    "TERM=linux", NULL };
	static char path[] = "/sbin/init";
	struct init *in = ctx;
	uint64_t begin = step_now_us();

	keep_log_fault(&in->fault); /* the root's life is a first one, and cannot tell */
	if (mnt_switch_root(NEW_ROOT, moved, e) < 0)
		return -e->code;
	chart_note(&in->kept.chart, "switch root", begin, 0);
	boot_chart_save(in);
	/* words[-1] is our argv[0]; the kernel's words go on to the root's PID 1 */
	in->words[-1] = path;
	execve(path, in->words - 1, (char *const *)(uintptr_t)envp);
	return err_set(e, errno, "start %s", path);
}
