/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's side of a further process in a container. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "runtime/birth.h"
#include "runtime/engine.h"
#include "runtime/engine_int.h"
#include "runtime/lsm.h"
#include "runtime/notify.h"
#include "runtime/place.h"
#include "runtime/sync.h"

/* setns by pidfd takes them all at once; the pid namespace is the parent's business */
#define EXEC_NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static int exec_check(const struct container *c, const struct engine_exec *a, struct err *e)
{
	bool frozen = false;

	if (c->pidfd < 0 && c->pid <= 0)
		return err_set(e, ESRCH, "container not running");
	if (a->cgroup && !id_oci_valid(a->cgroup))
		return err_set(e, EINVAL, "%s is no name for a cgroup", a->cgroup);
	if (c->cgroup >= 0 && cgroup_is_frozen(c->cgroup, &frozen, e) < 0)
		return -e->code;
	if (frozen && !a->ignore_paused)
		return err_set(e, EBUSY, "cannot exec in a paused container");
	return lsm_check(a->process, e);
}

/* The container's pid namespace, and through pidfd the others. */
static int exec_open_target(struct engine *en, const struct container *c, int *ret_pidfd,
			    int *ret_pidns, struct err *e)
{
	auto_free char *path = mem_printf("%d/ns/pid", c->pid);
	auto_fd int pidfd = -1;
	int ns;

	if (c->pidfd >= 0 ? fd_dup(c->pidfd, &pidfd, e) < 0 : fd_pidfd(c->pid, &pidfd, e) < 0)
		return -e->code;
	ns = openat(en->proc, path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_set(e, errno == ENOENT ? ESRCH : errno, "container not running");
	*ret_pidfd = fd_take(&pidfd);
	*ret_pidns = ns;
	return 0;
}

/* Its first process is in it from its own execve on, its children at once. */
static int exec_open_time(struct engine *en, const struct container *c, int *ret_fd, struct err *e)
{
	auto_free char *path = mem_printf("%d/ns/time_for_children", c->pid);
	int fd = c->timens ? openat(en->proc, path, O_RDONLY | O_CLOEXEC) : -1;

	if (c->timens && fd < 0)
		return err_set(e, errno == ENOENT ? ESRCH : errno, "container not running");
	*ret_fd = fd;
	return 0;
}

/* In a mount namespace that others have too its root is a folder. */
static int exec_open_root(struct engine *en, const struct container *c, int *ret_fd, struct err *e)
{
	auto_free char *path = mem_printf("%d/root", c->pid);
	int fd = c->shared_mounts ? openat(en->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (c->shared_mounts && fd < 0)
		return err_set(e, errno == ENOENT ? ESRCH : errno, "container not running");
	*ret_fd = fd;
	return 0;
}

static int exec_open_rdt(const struct container *c, int ret[2], struct err *e)
{
	auto_fd int root = -1;

	if (!c->rdt.group)
		return 0;
	return rdt_open(&root, e) < 0 ? -e->code : rdt_open_tasks(root, &c->rdt, c->id, ret, e);
}

static int exec_cgroup_of_init(struct engine *en, const struct container *c, int *fd, struct err *e)
{
	auto_free char *path = NULL;

	fd_close(fd);
	if (cgroup_of(c->pid, &path, e) < 0)
		return -e->code;
	return cgroup_open(en->cgroup_root, path, fd, e);
}

/*
 * The container's cgroup, one below it, or a sub-cgroup of its own: made (or found, it may be
 * used again) without giving it controllers, for the limits are the container's.
 */
static int exec_cgroup(struct engine *en, const struct container *c, const struct engine_exec *a,
		       int *ret_fd, struct err *e)
{
	const char *name = a->cgroup;

	*ret_fd = -1;
	if (!c->cgroup_path && !name && !a->below)
		return 0;
	if (c->cgroup < 0)
		return exec_cgroup_of_init(en, c, ret_fd, e);
	if (a->below)
		return cgroup_open(c->cgroup, a->below, ret_fd, e);
	if (!name)
		return fd_dup(c->cgroup, ret_fd, e);
	if (mkdirat(c->cgroup, name, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make cgroup %s", name);
	return cgroup_open(c->cgroup, name, ret_fd, e);
}

static int exec_notify(const struct container *c, const struct exec *x, int *fd, struct err *e)
{
	const struct hooks_state state = {
		.id = c->id,
		.status = "running",
		.pid = c->pid,
		.bundle = c->bundle,
		.annotations = c->annotations,
	};
	auto_fd int taken = fd_take(fd);

	if (!c->filter || !c->filter->listener)
		return err_set(e, EPROTO, "an unexpected word of a birth");
	return notify_send(c->filter, &state, x->pid, taken, e);
}

static int exec_talk(int sync, const struct container *c, struct exec *x, struct err *e)
{
	for (;;) {
		struct sync m;
		int fd = -1;
		int r = sync_recv(sync, ENGINE_BIRTH_MS, &m, &fd, e);

		if (r <= 0)
			return r;
		switch (m.type) {
		case SYNC_CONSOLE:
			fd_close(&x->console);
			x->console = fd;
			break;
		case SYNC_NOTIFY:
			if (exec_notify(c, x, &fd, e) < 0)
				return -e->code;
			break;
		case SYNC_FAILED:
			*e = m.e;
			return -e->code;
		case SYNC_FAILED_HOOK:
		case SYNC_HOOKS:
		case SYNC_GO:
		case SYNC_BORN:
		case SYNC_READY:
		case SYNC_START:
			return err_set(e, EPROTO, "an unexpected word of a birth");
		}
	}
}

static int exec_clone(struct engine *en, const struct container *c, struct birth *b, int pidns,
		      bool may_move, struct exec *x, struct err *e)
{
	int pair[2];
	int r;

	if (sync_pair(pair, e) < 0)
		return -e->code;
	b->sync = pair[1];
	r = engine_clone(en, 0, x->cgroup, pidns, &x->pid, &x->pidfd, e);
	/* a cgroup that gives controllers to its children takes no processes itself */
	if (r == -EBUSY && may_move && exec_cgroup_of_init(en, c, &x->cgroup, e) == 0)
		r = engine_clone(en, 0, x->cgroup, pidns, &x->pid, &x->pidfd, e);
	if (r == 0)
		birth_exec(b);
	close(pair[1]);
	if (r > 0)
		r = exec_talk(pair[0], c, x, e);
	close(pair[0]);
	if (r < 0)
		engine_reap(x->pid, &x->pidfd);
	return r;
}

/* Born on the CPUs that the process may begin on; its cgroup and its own list come later. */
static int exec_clone_on(struct engine *en, const struct container *c, struct birth *b, int pidns,
			 bool may_move, struct exec *x, struct err *e)
{
	unsigned long cpus[SPEC_CPUS_MAX / (8 * sizeof(unsigned long))];
	const char *initial = b->process->cpus_initial;
	int r;

	if (!initial)
		return exec_clone(en, c, b, pidns, may_move, x, e);
	memset(cpus, 0, sizeof(cpus));
	if (sched_getaffinity(0, sizeof(cpus), (cpu_set_t *)cpus) < 0)
		return err_set(e, errno, "read our CPUs");
	if (place_cpus(initial, e) < 0)
		return err_wrap(e, "process.execCPUAffinity.initial");
	r = exec_clone(en, c, b, pidns, may_move, x, e);
	(void)sched_setaffinity(0, sizeof(cpus), (cpu_set_t *)cpus);
	return r;
}

int engine_exec(struct engine *en, const struct container *c, const struct engine_exec *args,
		struct exec *ret, struct err *e)
{
	struct birth b = BIRTH_INIT;
	struct exec x = { .pidfd = -1, .console = -1, .cgroup = -1 };
	auto_fd int pidns = -1;
	auto_fd int target = -1;
	auto_fd int timens = -1;
	auto_fd int root = -1;
	int rdt[2] = { -1, -1 };
	struct err ignored = { 0 };
	int r;

	if (exec_check(c, args, e) < 0 || exec_open_target(en, c, &target, &pidns, e) < 0 ||
	    exec_open_time(en, c, &timens, e) < 0 || exec_open_root(en, c, &root, e) < 0 ||
	    exec_open_rdt(c, rdt, e) < 0)
		return err_wrap(e, "exec in container %s", c->id);
	b.engine = en;
	b.id = c->id;
	b.bundle_path = c->bundle;
	b.process = args->process;
	b.common = &c->common;
	b.filter = c->filter;
	memcpy(b.stdio, args->stdio, sizeof(b.stdio));
	b.preserve_fds = args->preserve_fds;
	b.adopt = args->adopt;
	b.plain_console = args->plain_console;
	b.lenient = c->lenient;
	b.target = target;
	b.target_pid = c->pid;
	b.target_flags = EXEC_NAMESPACES | (c->userns ? CLONE_NEWUSER : 0);
	b.userns = c->userns;
	b.timens = timens;
	b.root = root;
	memcpy(b.rdt, rdt, sizeof(b.rdt));
	r = exec_cgroup(en, c, args, &x.cgroup, e);
	if (r == 0)
		r = exec_clone_on(en, c, &b, pidns, !args->cgroup && !args->below, &x, e);
	fd_close(&rdt[0]);
	fd_close(&rdt[1]);
	if (r < 0) {
		fd_close(&x.console);
		fd_close(&x.cgroup);
		if (args->cgroup)
			engine_exec_delete(en, c, args->cgroup, &ignored);
		return err_wrap(e, "exec in container %s", c->id);
	}
	if (!args->cgroup)
		fd_close(&x.cgroup);
	*ret = x;
	return 0;
}

int engine_exec_delete(struct engine *en, const struct container *c, const char *cgroup,
		       struct err *e)
{
	auto_free char *path = mem_printf("%s/%s", c->cgroup_path, cgroup);
	auto_fd int dir = -1;
	int r;

	if (!id_oci_valid(cgroup))
		return err_set(e, EINVAL, "%s is no name for a cgroup", cgroup);
	r = cgroup_open(en->cgroup_root, path, &dir, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || cgroup_kill(dir, e) < 0 || cgroup_wait_empty(dir, ENGINE_EMPTY_MS, e) < 0)
		return -e->code;
	return cgroup_remove(en->cgroup_root, path, e);
}
