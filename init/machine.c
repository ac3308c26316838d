/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/init.h"
#include "init/kmod.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/log.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"

#define RESCUE_MS 10000
#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const struct api_mount {
	const char *path;
	const char *type;
	unsigned int modes;
	uint64_t attr;
	struct mnt_option options[3];
} api_mounts[] = {
	{ "/proc", "proc", INIT_INITRAMFS | INIT_MACHINE, SAFE, { { 0 } } },
	{ "/sys", "sysfs", INIT_INITRAMFS | INIT_MACHINE, SAFE, { { 0 } } },
	{ "/dev",
	  "devtmpfs",
	  INIT_INITRAMFS | INIT_MACHINE,
	  MOUNT_ATTR_NOSUID,
	  { { "mode", "0755" } } },
	{ "/run",
	  "tmpfs",
	  INIT_INITRAMFS | INIT_MACHINE,
	  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	  { { "mode", "0755" }, { "size", "20%" } } },
	{ "/dev/pts",
	  "devpts",
	  INIT_MACHINE,
	  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
	  { { "mode", "0620" }, { "gid", "5" }, { "ptmxmode", "0666" } } },
	{ "/dev/shm",
	  "tmpfs",
	  INIT_MACHINE,
	  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	  { { "mode", "1777" } } },
	{ "/dev/mqueue", "mqueue", INIT_MACHINE, SAFE, { { 0 } } },
	{ "/tmp", "tmpfs", INIT_MACHINE, SAFE, { { "mode", "1777" }, { "size", "20%" } } },
	{ INIT_CGROUP,
	  "cgroup2",
	  INIT_MACHINE,
	  SAFE,
	  { { "nsdelegate", NULL }, { "memory_recursiveprot", NULL } } },
	{ "/sys/fs/bpf", "bpf", INIT_MACHINE, SAFE, { { "mode", "0700" } } },
	{ "/sys/kernel/security", "securityfs", INIT_MACHINE, SAFE, { { 0 } } },
};

/* What moved here from the initramfs stays. */
bool machine_is_mount(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, 0, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int machine_attach(int mount, const char *path, struct err *e)
{
	auto_fd int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (target < 0)
		return err_set(e, errno, "open %s", path);
	if (mnt_attach(mount, target, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

static int machine_mount(const struct api_mount *m, struct err *e)
{
	auto_fd int mount = -1;
	size_t count = 0;

	while (count < 3 && m->options[count].key)
		count++;
	if (machine_is_mount(m->path))
		return 0;
	mkdir(m->path, 0755);
	if (mnt_new(m->type, m->type, m->options, count, m->attr, &mount, e) < 0)
		return err_wrap(e, "%s", m->path);
	return machine_attach(mount, m->path, e);
}

int machine_mounts(void *ctx, struct err *e)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	struct init *in = ctx;

	for (size_t i = 0; i < sizeof(api_mounts) / sizeof(api_mounts[0]); i++) {
		const struct api_mount *m = &api_mounts[i];

		/* a kernel without one of them is an odd kernel, no broken node */
		if ((m->modes & in->mode) && machine_mount(m, e) < 0 && e->code != ENODEV)
			return -e->code;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			return err_set(e, errno, "link %s", links[i][1]);
	}
	return 0;
}

/* From here lines go to the kernel's log and by it, with their level, to the console. */
int machine_kmsg(void *ctx, struct err *e)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	(void)ctx;
	if (fd < 0)
		return err_set(e, errno, "open /dev/kmsg");
	log_to(fd);
	/* else the kernel drops all but ten lines in five seconds */
	return path_write(AT_FDCWD, "/proc/sys/kernel/printk_devkmsg", "on\n", e);
}

int machine_modules(void *ctx, struct err *e)
{
	(void)ctx;
	return kmod_load_list(e);
}

/* The image's /etc is the lower layer; what is written to it lives until the next boot. */
int machine_etc(void *ctx, struct err *e)
{
	static const struct mnt_option options[] = {
		{ "lowerdir", "/etc" },
		{ "upperdir", "/run/berth/etc/upper" },
		{ "workdir", "/run/berth/etc/work" },
		{ "metacopy", "off" },
		{ "redirect_dir", "off" },
		{ "index", "off" },
		{ "xino", "off" },
	};
	auto_fd int mount = -1;

	(void)ctx;
	if (machine_is_mount("/etc"))
		return 0;
	if (path_mkdirs(options[1].value, 0755, e) < 0 ||
	    path_mkdirs(options[2].value, 0755, e) < 0 ||
	    mnt_new("overlay", "overlay", options, sizeof(options) / sizeof(options[0]),
		    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &mount, e) < 0)
		return -e->code;
	return machine_attach(mount, "/etc", e);
}

/* The machine's id outlives a boot when the state does. */
static int machine_id(char ret_id[static 34], struct err *e)
{
	static const char kept[] = "/var/lib/berth/machine-id";
	char id[ID_LEN + 1];

	if (path_read_line(AT_FDCWD, kept, ret_id, 34, e) == 0 &&
	    strspn(ret_id, "0123456789abcdef") == 32 && ret_id[32] == '\0')
		return 0;
	if (id_new(id, e) < 0)
		return -e->code;
	snprintf(ret_id, 34, "%.32s\n", id);
	if (path_replace(AT_FDCWD, kept, ret_id, 33, 0444, PATH_DURABLE, e) < 0)
		return -e->code;
	ret_id[32] = '\0';
	return 0;
}

int machine_identity(void *ctx, struct err *e)
{
	struct init *in = ctx;
	char id[34];
	char name[65];

	if (machine_id(id, e) < 0)
		return err_wrap(e, "machine id");
	snprintf(name, sizeof(name), "berth-%.8s", id);
	if (!str_copy(name, sizeof(name), conf_text(&in->conf, "node.hostname", name)))
		return err_set(e, EINVAL, "node.hostname: over 64 bytes");
	if (sethostname(name, strlen(name)) < 0)
		return err_set(e, errno, "set host name %s", name);
	id[32] = '\n';
	if (path_replace(AT_FDCWD, "/etc/machine-id", id, 33, 0444, PATH_FAST, e) < 0)
		return -e->code;
	return path_replace(AT_FDCWD, "/etc/hostname", name, strlen(name), 0444, PATH_FAST, e);
}

int machine_sysctls(void *ctx, struct err *e)
{
	static const char *const values[][2] = {
		/* kubelet's protectKernelDefaults refuses others */
		{ "vm/overcommit_memory", "1" },
		{ "vm/panic_on_oom", "0" },
		{ "kernel/panic", "10" },
		{ "kernel/panic_on_oops", "1" },
		{ "kernel/keys/root_maxkeys", "1000000" },
		{ "kernel/keys/root_maxbytes", "25000000" },
		/* pods are routed, and there are many of them */
		{ "net/ipv4/ip_forward", "1" },
		{ "net/ipv6/conf/all/forwarding", "1" },
		{ "net/bridge/bridge-nf-call-iptables", "1" },
		{ "net/bridge/bridge-nf-call-ip6tables", "1" },
		{ "net/netfilter/nf_conntrack_max", "1048576" },
		{ "net/ipv4/neigh/default/gc_thresh2", "15360" },
		{ "net/ipv4/neigh/default/gc_thresh3", "16384" },
		{ "net/ipv6/neigh/default/gc_thresh2", "15360" },
		{ "net/ipv6/neigh/default/gc_thresh3", "16384" },
		{ "fs/inotify/max_user_instances", "8192" },
		{ "fs/inotify/max_user_watches", "524288" },
		{ "fs/aio-max-nr", "1048576" },
		{ "vm/max_map_count", "524288" },
		{ "kernel/pid_max", "4194304" },
		/* what no workload needs */
		{ "dev/tty/ldisc_autoload", "0" },
		{ "fs/protected_fifos", "2" },
		{ "fs/protected_regular", "2" },
		{ "fs/suid_dumpable", "0" },
		{ "kernel/kptr_restrict", "2" },
		{ "kernel/dmesg_restrict", "1" },
		{ "kernel/unprivileged_bpf_disabled", "1" },
		{ "net/core/bpf_jit_harden", "2" },
	};
	auto_fd int dir = open("/proc/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	(void)ctx;
	if (dir < 0)
		return err_set(e, errno, "open /proc/sys");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		/* absent: the kernel was built without it, or its module is not loaded */
		if (path_write(dir, values[i][0], values[i][1], e) < 0 && e->code != ENOENT) {
			log_error("boot: sysctl %s", err_text(e));
			r = -e->code;
		}
	}
	return r;
}

/* kubelet and volume plug-ins rely on mounts that reach other namespaces. */
int machine_share(void *ctx, struct err *e)
{
	(void)ctx;
	if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
		return err_set(e, errno, "share mounts");
	return 0;
}

static void machine_on_rescue_end(void *arg)
{
	(void)arg;
	sync();
	reboot(RB_AUTOBOOT);
	log_error("boot: the kernel refuses to reboot: %m");
}

void machine_rescue(struct init *in)
{
	bool shell = false;

	if (in->mode == INIT_MACHINE)
		conf_bool(&in->conf, "boot.shell", false, &shell, &(struct err){ 0 });
	if (shell) {
		log_error("boot: failed; the debug shell is on the serial line");
		return;
	}
	log_error("boot: failed; rebooting in %d s", RESCUE_MS / 1000);
	ev_add_timer(&in->ev, &in->machine.reboot, machine_on_rescue_end, in);
	ev_timer_set(&in->machine.reboot, RESCUE_MS);
}
