/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/boot.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "init/ctlsock.h"
#include "init/init.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

/* /proc/self/ns/pid of the first pid namespace (PROC_PID_INIT_INO) */
#define INITIAL_PID_NS "pid:[4026531836]"

enum init_mode boot_probe(void)
{
	char link[64] = "";
	struct statfs fs;

	/* without /proc nobody prepared anything: the kernel started us */
	if (readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
	    strcmp(link, INITIAL_PID_NS) != 0)
		return INIT_CONTAINER;
	if (statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC))
		return INIT_INITRAMFS;
	return INIT_MACHINE;
}

/* Every service inherits the limits; a node needs many descriptors. */
static int boot_limits(void *ctx, struct err *e)
{
	(void)ctx;
	return fd_raise_limit(1048576, e);
}

static int boot_run_folder(void *ctx, struct err *e)
{
	(void)ctx;
	return path_mkdirs("/run/berth", 0711, e);
}

/* The machine's line is the kernel's; a pid namespace gets its own by environment or argv. */
static int boot_line(void *ctx, struct err *e)
{
	struct init *in = ctx;
	struct str line = { 0 };

	if (in->mode != INIT_CONTAINER)
		return path_read(AT_FDCWD, "/proc/cmdline", CONF_TEXT_MAX, &in->boot_line, NULL, e);
	str_add(&line, getenv("BERTH_BOOT_LINE") ?: "");
	for (char **word = in->words; *word; word++)
		str_printf(&line, " \"%s\"", *word);
	in->boot_line = str_take(&line);
	return 0;
}

static int boot_conf_again(void *ctx, struct err *e)
{
	struct init *in = ctx;
	uint64_t faults;

	if (conf_load(CONF_PATH, &in->conf, e) < 0 ||
	    conf_u64(&in->conf, "init.faults", FAULTS_A_MINUTE, &faults, e) < 0)
		return -e->code;
	keep_limit(&in->keep, faults);
	return 0;
}

/* A damaged file or line does not stop the boot: what is whole is used. */
static int boot_conf(void *ctx, struct err *e)
{
	struct init *in = ctx;
	auto_conf source = { 0 };
	auto_free char *json = NULL;
	int r = conf_load(CONF_SOURCE_PATH, &source, e);

	if (conf_merge(&source, in->boot_line ?: "", &json, e) < 0) {
		r = -e->code;
		if (conf_merge(&source, "", &json, &(struct err){ 0 }) < 0)
			return r;
	}
	if (path_replace(AT_FDCWD, CONF_PATH, json, strlen(json), 0644, PATH_FAST, e) < 0)
		return -e->code;
	return boot_conf_again(in, e) < 0 ? -e->code : r;
}

/* PID 1 leaves the root: a cgroup with processes can have no controllers for its children. */
static int boot_cgroups(void *ctx, struct err *e)
{
	static const char *const folders[] = { "berth/shims", "berth/jobs", "berth/init" };
	struct init *in = ctx;

	if (cgroup_open_root(INIT_CGROUP, &in->cgroup, e) < 0)
		return -e->code;
	for (size_t i = 0; i < 3; i++) {
		auto_fd int dir = -1;

		if (cgroup_create(in->cgroup, folders[i], 0, &dir, NULL, e) < 0 ||
		    (i == 2 && cgroup_move(dir, 0, e) < 0))
			return -e->code;
	}
	return 0;
}

/* In a row of its own: a container may be given less than everything. */
static int boot_controllers(void *ctx, struct err *e)
{
	struct init *in = ctx;
	auto_fd int berth = -1;

	if (cgroup_open(in->cgroup, "berth/jobs", &in->jobs.dir, e) < 0 ||
	    cgroup_open(in->cgroup, "berth", &berth, e) < 0 ||
	    cgroup_enable(in->cgroup, ~0u, e) < 0)
		return -e->code;
	return cgroup_enable(berth, CGROUP_USUAL, e);
}

static int boot_controllers_again(void *ctx, struct err *e)
{
	int r = boot_controllers(ctx, e);

	kept_end_jobs(ctx);
	return r;
}

#define CHART_PATH "/run/berth/boot.notes"

void boot_chart_save(const struct init *in)
{
	struct err e = { 0 };

	if (chart_save(&in->kept.chart, CHART_PATH, &e) < 0)
		log_warn("boot: keep the chart: %s", err_text(&e));
}

static int boot_chart_take(void *ctx, struct err *e)
{
	return chart_take(&((struct init *)ctx)->kept.chart, CHART_PATH, e);
}

#define BOTH (INIT_INITRAMFS | INIT_MACHINE)
#define ALL (INIT_INITRAMFS | INIT_NODE)

static const struct boot_step boot_steps[] = {
	{ { "chart", boot_chart_take, NULL }, INIT_MACHINE, false, NULL },
	{ { "mounts", machine_mounts, NULL }, BOTH, true, NULL },
	{ { "kernel log", machine_kmsg, NULL }, BOTH, false, machine_kmsg },
	{ { "limits", boot_limits, NULL }, INIT_NODE, false, NULL },
	{ { "run folder", boot_run_folder, NULL }, ALL, true, NULL },
	{ { "boot line", boot_line, NULL }, ALL, false, boot_line },
	{ { "configuration", boot_conf, NULL }, ALL, false, boot_conf_again },
	{ { "cgroups", boot_cgroups, NULL }, INIT_NODE, true, boot_cgroups },
	{ { "controllers", boot_controllers, NULL }, INIT_NODE, false, boot_controllers_again },
	{ { "modules", machine_modules, NULL }, BOTH, false, NULL },
	{ { "root partition", machine_find_root, NULL }, INIT_INITRAMFS, true, NULL },
	{ { "root verity", machine_verify_root, NULL }, INIT_INITRAMFS, true, NULL },
	{ { "root file system", machine_mount_root, NULL }, INIT_INITRAMFS, true, NULL },
	{ { "switch root", machine_switch_root, NULL }, INIT_INITRAMFS, true, NULL },
	{ { "state partition", machine_find_state, NULL }, INIT_MACHINE, true, NULL },
	{ { "state check", machine_check_state, NULL }, INIT_MACHINE, true, NULL },
	{ { "state mount", machine_mount_state, NULL }, INIT_MACHINE, true, NULL },
	{ { "extensions", machine_extensions, NULL }, INIT_MACHINE, false, NULL },
	{ { "etc", machine_etc, NULL }, INIT_MACHINE, true, NULL },
	{ { "identity", machine_identity, NULL }, INIT_MACHINE, false, NULL },
	{ { "sysctls", machine_sysctls, NULL }, INIT_MACHINE, false, NULL },
	{ { "shared mounts", machine_share, NULL }, INIT_MACHINE, true, NULL },
	{ { "services", services_load, NULL }, INIT_NODE, false, services_load },
	{ { "control socket", ctlsock_start, NULL }, INIT_NODE, false, ctlsock_start },
	{ { "supervision", services_start, NULL }, INIT_NODE, true, services_start },
};

bool boot_run(struct init *in)
{
	size_t i = 0;

	for (; i < sizeof(boot_steps) / sizeof(boot_steps[0]); i++) {
		const struct boot_step *row = &boot_steps[i];
		struct err e = { 0 };
		uint64_t begin = step_now_us();
		bool done = i < in->kept.step;
		int r;

		if (!(row->modes & in->mode) || (done && !row->again))
			continue;
		if (done) {
			r = row->again(in, &e);
		} else {
			in->kept.step = i;
			kept_save(in);
			r = step_run(&row->step, 1, in, &e);
			chart_note(&in->kept.chart, row->step.name, begin, r < 0 ? -r : 0);
		}
		if (r == 0)
			continue;
		log_error("boot: %s", err_text(&e));
		if (row->needed)
			return false;
	}
	in->kept.step = i;
	return true;
}
