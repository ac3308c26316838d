/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/engine.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/devices.h"
#include "cgroups/limits.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/str.h"
#include "runtime/engine_int.h"
#include "runtime/filter.h"
#include "runtime/hooks.h"
#include "runtime/mntns.h"

#include <linux/mount.h>

#define ENGINE_FREEZE_MS 5000

int engine_init(struct engine *en, const char *cgroup_root, struct err *e)
{
	struct engine made = { cgroup_root ?: "/sys/fs/cgroup", -1, -1, -1 };
	struct statfs st;

	made.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (made.proc < 0 || fstatfs(made.proc, &st) < 0)
		err_set(e, errno, "open /proc");
	else if (st.f_type != PROC_SUPER_MAGIC)
		err_set(e, ENOTSUP, "/proc is not procfs");
	else if (cgroup_open_root(cgroup_root, &made.cgroup_root, e) == 0) {
		*en = made;
		return 0;
	}
	engine_done(&made);
	return -e->code;
}

void engine_done(struct engine *en)
{
	fd_close(&en->cgroup_root);
	fd_close(&en->proc);
	fd_close(&en->pidns);
}

int engine_protect(char **argv, struct err *e)
{
	auto_fd int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	auto_fd int copy = -1;
	struct statfs st;

	if (geteuid() != 0)
		return err_set(e, EPERM, "it takes root, or root of a user namespace");
	if (self < 0 || fstatfs(self, &st) < 0)
		return err_set(e, errno, "open /proc/self/exe");
	if (st.f_flags & ST_RDONLY)
		return 0;
	if (mnt_clone(AT_FDCWD, "/proc/self/exe", false, &copy, e) < 0 ||
	    mnt_set(copy, MOUNT_ATTR_RDONLY, 0, 0, false, e) < 0)
		return err_wrap(e, "protect /proc/self/exe");
	execveat(copy, "", argv, environ, AT_EMPTY_PATH);
	return err_set(e, errno, "exec a read-only copy of /proc/self/exe");
}

void container_init(struct container *c)
{
	*c = (struct container){ .cgroup = -1, .pidfd = -1, .start = -1, .console = -1 };
}

void container_done(struct container *c)
{
	free(c->id);
	free(c->bundle);
	free(c->cgroup_path);
	free(c->annotations);
	free(c->hooks);
	free(c->rootfs);
	rdt_done(&c->rdt);
	filter_free(c->filter);
	fd_close(&c->cgroup);
	fd_close(&c->pidfd);
	fd_close(&c->start);
	fd_close(&c->console);
	container_init(c);
}

int engine_kill(struct engine *en, const struct container *c, int signal, bool all, struct err *e)
{
	int r;

	(void)en;
	if ((all || (signal == SIGKILL && c->shared_pids)) && c->cgroup >= 0)
		return cgroup_signal(c->cgroup, signal, e);
	r = c->pidfd >= 0 ? pidfd_send_signal(c->pidfd, signal, NULL, 0) : -1;
	if (r < 0 && (c->pidfd < 0 || errno == ESRCH))
		return err_set(e, ESRCH, "container not running");
	if (r < 0)
		return err_set(e, errno, "signal container %s", c->id);
	return 0;
}

/* The first process may have gone to another cgroup. */
static void engine_end(const struct container *c)
{
	struct pollfd end = { .fd = c->pidfd, .events = POLLIN };

	if (c->pidfd < 0 || poll(&end, 1, 0) > 0)
		return;
	pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	poll(&end, 1, ENGINE_EMPTY_MS);
}

static int engine_no_cgroup(const struct container *c, struct err *e)
{
	if (!c->cgroup_path)
		return err_set(e, ENOTSUP, "container %s has no cgroup of its own", c->id);
	return err_set(e, ENOENT, "cgroup %s of container %s is gone", c->cgroup_path, c->id);
}

int engine_update(struct engine *en, const struct container *c, const struct json *resources,
		  struct err *e)
{
	auto_limits l = { 0 };
	auto_device_rules rules = { 0 };
	auto_fd int prog = -1;

	(void)en;
	if (c->cgroup < 0)
		return engine_no_cgroup(c, e);
	if (limits_parse(resources, &l, e) < 0 || devices_parse(resources, &rules, e) < 0)
		return -e->code;
	if (limits_apply(c->cgroup, &l, c->lenient, e) < 0)
		return err_wrap(e, "update container %s", c->id);
	if (!json_get(resources, "devices"))
		return 0;
	if (devices_load(&rules, &prog, e) < 0 || devices_replace(c->cgroup, prog, e) < 0)
		return err_wrap(e, "update container %s", c->id);
	return 0;
}

int engine_update_rdt(struct engine *en, const struct container *c, const char *l3,
		      const char *bandwidth, struct err *e)
{
	auto_fd int root = -1;

	(void)en;
	if (!c->rdt.group)
		return err_set(e, EINVAL, "container %s was made without linux.intelRdt", c->id);
	if (rdt_open(&root, e) < 0 || rdt_update(root, &c->rdt, l3, bandwidth, e) < 0)
		return err_wrap(e, "update container %s", c->id);
	return 0;
}

int engine_pause(struct engine *en, const struct container *c, struct err *e)
{
	struct err ignored = { 0 };

	(void)en;
	if (c->cgroup < 0)
		return engine_no_cgroup(c, e);
	if (cgroup_freeze(c->cgroup, true, ENGINE_FREEZE_MS, e) == 0)
		return 0;
	(void)cgroup_freeze(c->cgroup, false, 0, &ignored);
	return err_wrap(e, "pause container %s", c->id);
}

int engine_resume(struct engine *en, const struct container *c, struct err *e)
{
	(void)en;
	if (c->cgroup < 0)
		return engine_no_cgroup(c, e);
	if (cgroup_freeze(c->cgroup, false, ENGINE_FREEZE_MS, e) < 0)
		return err_wrap(e, "resume container %s", c->id);
	return 0;
}

/* Every process dies; the cgroup goes. Absent is fine. */
static int engine_empty(struct engine *en, const struct container *c, struct err *e)
{
	auto_fd int dir = -1;
	int r = c->cgroup_path ? cgroup_open(en->cgroup_root, c->cgroup_path, &dir, e) : -ENOENT;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = cgroup_kill(dir, e);
	if (r < 0 && r != -ENODEV && r != -ENOENT)
		return r;
	if (cgroup_wait_empty(dir, ENGINE_EMPTY_MS, e) < 0)
		return -e->code;
	return cgroup_remove(en->cgroup_root, c->cgroup_path, e);
}

/* What it has outside of its cgroup. */
static int engine_clear(const struct container *c, struct err *e)
{
	auto_fd int root = -1;

	if (c->rootfs && mntns_clear(c->rootfs, c->under, e) < 0)
		return -e->code;
	if (c->rdt.group &&
	    (rdt_open(&root, e) < 0 || rdt_remove(root, &c->rdt, c->id, false, e) < 0))
		return -e->code;
	return 0;
}

void engine_poststop(struct container *c)
{
	const struct hooks_state state = {
		.id = c->id,
		.status = "stopped",
		.bundle = c->bundle,
		.annotations = c->annotations,
	};
	struct err e = { 0 };

	if (hooks_run_saved(c->hooks, SPEC_POSTSTOP, &state, &e) < 0)
		log_warn("container %s: %s", c->id, err_text(&e));
	free(mem_take(&c->hooks));
}

int engine_delete(struct engine *en, struct container *c, struct err *e)
{
	if (engine_empty(en, c, e) < 0)
		return err_wrap(e, "delete container %s", c->id);
	engine_end(c);
	if (engine_clear(c, e) < 0)
		return err_wrap(e, "delete container %s", c->id);
	fd_close(&c->start);
	fd_close(&c->console);
	engine_poststop(c);
	return 0;
}
