/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/init.h"
#include "lib/id.h"
#include "lib/kmod.h"
#include "lib/log.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"
#include "lib/sysctl.h"

#define RESCUE_MS 10000
#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* What moved here from the initramfs stays. A kernel without one of them is odd, not broken. */
int machine_mounts(void *ctx, struct err *e)
{
	static const struct mnt_row mounts[] = {
		{ "/proc", "proc", SAFE, NULL },
		{ "/sys", "sysfs", SAFE, NULL },
		{ "/dev", "devtmpfs", MS_NOSUID, "mode=0755" },
		{ "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%" },
		{ "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666" },
		{ "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
		{ "/dev/mqueue", "mqueue", SAFE, NULL },
		{ "/tmp", "tmpfs", SAFE, "mode=1777,size=20%" },
		{ INIT_CGROUP, "cgroup2", SAFE, "nsdelegate,memory_recursiveprot" },
		{ "/sys/kernel/security", "securityfs", SAFE, NULL },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	struct init *in = ctx;
	/* the initramfs does with the first four */
	size_t count = in->mode == INIT_INITRAMFS ? 4 : sizeof(mounts) / sizeof(mounts[0]);

	if (mnt_rows(mounts, count, e) < 0)
		return -e->code;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			return err_set(e, errno, "link %s", links[i][1]);
	}
	return 0;
}

/*
 * From here lines go to the kernel's log, and by their level to the console. The next life goes on
 * with the descriptor: it may begin where /dev and /proc have moved to the root, and itself not.
 */
int machine_kmsg(void *ctx, struct err *e)
{
	int *fd = &((struct init *)ctx)->kept.kmsg;
	bool again = *fd >= 0;

	if (!again)
		*fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (*fd < 0)
		return err_set(e, errno, "open /dev/kmsg");
	log_to(*fd);
	if (again)
		return 0;
	/* else the kernel drops all but ten lines in five seconds */
	return path_write(AT_FDCWD, "/proc/sys/kernel/printk_devkmsg", "on\n", e);
}

int machine_modules(void *ctx, struct err *e)
{
	(void)ctx;
	return kmod_load_list("berth.list", e);
}

/* The image's /etc is the lower layer; what is written to it lives until the next boot. */
int machine_etc(void *ctx, struct err *e)
{
	(void)ctx;
	if (mnt_is_mount("/etc"))
		return 0;
	if (path_mkdirs("/run/berth/etc/upper", 0755, e) < 0 ||
	    path_mkdirs("/run/berth/etc/work", 0755, e) < 0)
		return -e->code;
	if (mount("overlay", "/etc", "overlay", MS_NOSUID | MS_NODEV,
		  "lowerdir=/etc,upperdir=/run/berth/etc/upper,workdir=/run/berth/etc/work,"
		  "metacopy=off,redirect_dir=off,index=off,xino=off") == 0)
		return 0;
	return err_set(e, errno, "mount overlay on /etc");
}

int machine_identity(void *ctx, struct err *e)
{
	struct init *in = ctx;
	char id[34];
	char name[65];

	if (id_machine("/var/lib/berth/machine-id", id, e) < 0)
		return err_wrap(e, "machine id");
	snprintf(name, sizeof(name), "berth-%.8s", id);
	if (!str_copy(name, sizeof(name), conf_text(&in->conf, "node.hostname", name)))
		return err_set(e, EINVAL, "node.hostname: over 64 bytes");
	if (sethostname(name, strlen(name)) < 0)
		return err_set(e, errno, "set host name %s", name);
	strcat(id, "\n");
	if (path_replace(AT_FDCWD, "/etc/machine-id", id, 33, 0444, PATH_FAST, e) < 0)
		return -e->code;
	return path_replace(AT_FDCWD, "/etc/hostname", name, strlen(name), 0444, PATH_FAST, e);
}

int machine_sysctls(void *ctx, struct err *e)
{
	(void)ctx;
	return sysctl_load("/etc/berth/sysctls", e);
}

/* kubelet and volume plug-ins rely on mounts that reach other namespaces. */
int machine_share(void *ctx, struct err *e)
{
	int r = mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);

	(void)ctx;
	return r < 0 ? err_set(e, errno, "share mounts") : 0;
}

static void machine_on_rescue_end(void *arg)
{
	shutdown_begin(arg, SHUTDOWN_REBOOT, "the boot failed");
}

void machine_rescue(struct init *in)
{
	struct err e = { 0 };
	bool shell = false;

	conf_bool(&in->conf, "boot.shell", false, &shell, &e);
	if (shell && in->mode == INIT_MACHINE && in->cgroup >= 0) {
		log_error("boot: failed; the debug shell is on the serial line");
		if (services_load(in, &e) < 0 || services_start(in, &e) < 0)
			log_error("boot: %s", err_text(&e));
		return;
	}
	log_error("boot: failed; rebooting in %d s", RESCUE_MS / 1000);
	ev_add_timer(&in->ev, &in->rescue_end, machine_on_rescue_end, in);
	ev_timer_set(&in->rescue_end, RESCUE_MS);
}
