/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's side of a container's birth and start. */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/devices.h"
#include "cgroups/limits.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/spawn.h"
#include "lib/str.h"
#include "runtime/birth.h"
#include "runtime/engine.h"
#include "runtime/engine_int.h"
#include "runtime/hooks.h"
#include "runtime/lsm.h"
#include "runtime/mntns.h"
#include "runtime/ns.h"
#include "runtime/notify.h"
#include "runtime/place.h"
#include "runtime/seccomp.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

/* What lives while a container is made. */
struct create {
	struct engine *en;
	const struct engine_create *args;
	struct container c;
	struct birth birth;
	struct limits limits;
	struct device_rules devices;
	int cgroups_made; /* folders to take back on failure */
	int rdt; /* resctrl; -1: not asked for */
	bool rdt_made;
	int sync; /* our end */
	bool entered; /* the cgroup may have a process of ours */
	bool hooked; /* hooks have begun */
};

/* The next child's pid namespace is pidns; ours is kept for the way back. */
static int engine_lend(struct engine *en, int pidns, struct err *e)
{
	if (en->pidns < 0)
		en->pidns = openat(en->proc, "self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (en->pidns < 0)
		return err_set(e, errno, "open /proc/self/ns/pid");
	return ns_pid_for_children(pidns, e);
}

int engine_clone(struct engine *en, unsigned long flags, int cgroup, int pidns, pid_t *ret_pid,
		 int *ret_pidfd, struct err *e)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | flags,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	struct err back = { 0 };
	int code;
	pid_t pid;

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (pidns >= 0 && engine_lend(en, pidns, e) < 0)
		return -e->code;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	code = errno;
	if (pid == 0)
		return 0;
	/*
	 * It was ours a moment ago, so this cannot fail; if it did, children would go astray. Root
	 * of a user namespace may not come back: for him an exec is the last child.
	 */
	if (pidns >= 0 && ns_pid_for_children(en->pidns, &back) < 0 && !ns_in_user(en->proc))
		log_error("come back to our pid namespace: %s", err_text(&back));
	if (pid < 0)
		return err_set(e, code, "clone");
	*ret_pid = pid;
	return 1;
}

void engine_reap(pid_t pid, int *pidfd)
{
	if (*pidfd < 0 || pid <= 0)
		return;
	spawn_end(*pidfd);
	fd_close(pidfd);
}

static int create_check(struct create *cr, struct err *e)
{
	const struct engine_create *a = cr->args;
	const struct spec *s = a->spec;

	if (!id_oci_valid(a->id))
		return err_set(e, EINVAL, "container id is not made of letters, digits and _+-.");
	if (a->bundle[0] != '/')
		return err_set(e, EINVAL, "bundle %s: not absolute", a->bundle);
	if (!s->has_process)
		return err_set(e, EINVAL, "config.json: process: missing");
	if (s->cgroups_path && strchr(s->cgroups_path, ':'))
		return err_set(e, ENOTSUP,
			       "config.json: linux.cgroupsPath: the systemd form is not "
			       "implemented");
	if (s->rdt.given && rdt_open(&cr->rdt, e) < 0)
		return err_wrap(e, "config.json: linux.intelRdt");
	if (lsm_check_mounts(s, e) < 0)
		return err_wrap(e, "config.json");
	return lsm_check(&s->process, e);
}

static char *create_annotations(const struct spec *s)
{
	auto_json_out o = { 0 };

	if (!s->annotations || s->annotations->count == 0)
		return NULL;
	json_out_json(&o, NULL, s->annotations);
	return json_out_take(&o);
}

/* Where mounts of its own will lie that do not go with a namespace. */
static int create_under(struct create *cr, struct err *e)
{
	const struct engine_create *a = cr->args;

	if (!cr->c.shared_mounts)
		return 0;
	if (a->rootfs >= 0)
		cr->c.rootfs = mem_strdup(a->bundle);
	else
		cr->c.rootfs = path_join(a->bundle, a->spec->root_path);
	return mntns_under(a->spec, cr->c.rootfs, &cr->c.under, e);
}

static void create_describe(struct create *cr)
{
	const struct spec *s = cr->args->spec;

	cr->c.id = mem_strdup(cr->args->id);
	cr->c.bundle = mem_strdup(cr->args->bundle);
	cr->c.cgroup_path = engine_cgroup_path(cr->en, s, cr->args->id);
	cr->c.annotations = create_annotations(s);
	cr->c.hooks = hooks_save(s);
	cr->c.lenient = cr->args->missing_controllers_warn;
	cr->c.userns = s->ns[SPEC_NS_USER].given;
	cr->c.timens = s->ns[SPEC_NS_TIME].given;
	cr->c.shared_pids = spec_shares(s, SPEC_NS_PID);
	cr->c.shared_mounts = spec_shares(s, SPEC_NS_MOUNT);
	rdt_plan(&s->rdt, cr->args->id, &cr->c.rdt);
	cr->c.common = s->common;
}

char *engine_cgroup_path(const struct engine *en, const struct spec *s, const char *id)
{
	auto_free char *own = NULL;
	struct err ignored = { 0 };
	char *slash;

	if (s->cgroups_path)
		return mem_printf("%s%s", s->cgroups_path[0] == '/' ? "" : "/", s->cgroups_path);
	if (!ns_in_user(en->proc) || cgroup_of(getpid(), &own, &ignored) < 0)
		return mem_printf("/berth-oci-%s", id);
	slash = strrchr(own, '/');
	return mem_printf("%.*s/berth-oci-%s", slash ? (int)(slash - own) : 0, own, id);
}

/* Everything that can be refused before there is something to undo. */
static int create_prepare(struct create *cr, struct err *e)
{
	const struct spec *s = cr->args->spec;

	if (create_check(cr, e) < 0)
		return -e->code;
	create_describe(cr);
	if (create_under(cr, e) < 0)
		return -e->code;
	if (limits_parse(s->resources, &cr->limits, e) < 0 ||
	    devices_parse(s->resources, &cr->devices, e) < 0 ||
	    seccomp_compile(s->seccomp, seccomp_has_x32(), &cr->c.filter, e) < 0)
		return err_wrap(e, "config.json");
	if (netdevs_read(s, &cr->birth.netdevs, e) < 0)
		return -e->code;
	return ns_open(s, cr->birth.ns, e);
}

/* Who may make cgroups in the container: its user, where it sees its own cgroup and may write. */
static uid_t create_delegate(const struct spec *s)
{
	const struct spec_namespace *ns = &s->ns[SPEC_NS_CGROUP];

	for (size_t i = 0; ns->given && !ns->path && i < s->mount_count; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (!str_starts(m->type, "cgroup") || m->flags & MS_RDONLY)
			continue;
		return s->ns[SPEC_NS_USER].given ? stage_outside(&s->uid_maps, s->process.uid)
						 : s->process.uid;
	}
	return (uid_t)-1;
}

/* Root of a user namespace loads no program, but there he can open no device that is not his. */
static int create_devices(struct create *cr, struct err *e)
{
	auto_fd int prog = -1;
	int r = devices_load(&cr->devices, &prog, e);

	if (r == -EPERM && ns_in_user(cr->en->proc)) {
		*e = (struct err){ 0 };
		return 0;
	}
	return r < 0 ? r : devices_attach(cr->c.cgroup, prog, e);
}

/* Where nothing is delegated to us a container that asks for nothing stays in our cgroup. */
static int create_without(struct create *cr, struct err *e)
{
	bool asked = cr->args->spec->cgroups_path ||
		     (cr->limits.count > 0 && !cr->args->missing_controllers_warn);

	if (asked || (e->code != EACCES && e->code != EPERM && e->code != EROFS) ||
	    !ns_in_user(cr->en->proc))
		return -e->code;
	log_debug("container %s: no cgroup of its own: %s", cr->c.id, err_text(e));
	*e = (struct err){ 0 };
	free(mem_take(&cr->c.cgroup_path));
	return 0;
}

static int create_cgroup(struct create *cr, struct err *e)
{
	bool lenient = cr->args->missing_controllers_warn;
	uid_t owner = create_delegate(cr->args->spec);
	bool busy = false;
	bool frozen = false;

	if (cgroup_create(cr->en->cgroup_root, cr->c.cgroup_path,
			  lenient ? 0 : limits_need(&cr->limits), &cr->c.cgroup, &cr->cgroups_made,
			  e) < 0)
		return create_without(cr, e);
	if (cr->cgroups_made == 0) {
		if (cgroup_populated(cr->c.cgroup, &busy, e) < 0 ||
		    cgroup_is_frozen(cr->c.cgroup, &frozen, e) < 0)
			return -e->code;
		if (busy || frozen)
			return err_set(e, EBUSY, "cgroup %s %s", cr->c.cgroup_path,
				       busy ? "has processes" : "is frozen");
	}
	if (limits_apply(cr->c.cgroup, &cr->limits, lenient, e) < 0 || create_devices(cr, e) < 0 ||
	    (owner != 0 && owner != (uid_t)-1 && cgroup_delegate(cr->c.cgroup, owner, e) < 0))
		return err_wrap(e, "cgroup %s", cr->c.cgroup_path);
	return 0;
}

static int create_rdt(struct create *cr, struct err *e)
{
	if (cr->rdt < 0)
		return 0;
	if (rdt_make(cr->rdt, &cr->args->spec->rdt, &cr->c.rdt, cr->c.id, &cr->rdt_made, e) < 0 ||
	    rdt_open_tasks(cr->rdt, &cr->c.rdt, cr->c.id, cr->birth.rdt, e) < 0)
		return err_wrap(e, "linux.intelRdt");
	return 0;
}

static void create_fill_birth(struct create *cr, int sync)
{
	const struct engine_create *a = cr->args;
	struct birth *b = &cr->birth;

	b->engine = cr->en;
	b->id = cr->c.id;
	b->bundle_path = cr->c.bundle;
	b->annotations = cr->c.annotations;
	b->cgroup_path = cr->c.cgroup_path;
	b->spec = a->spec;
	b->process = &a->spec->process;
	b->common = &a->spec->common;
	b->filter = cr->c.filter;
	memcpy(b->stdio, a->stdio, sizeof(b->stdio));
	b->preserve_fds = a->preserve_fds;
	b->staged = stage_needed(a->spec) || (b->ns[SPEC_NS_PID] >= 0 && ns_in_user(cr->en->proc));
	b->adopt = a->adopt;
	b->plain_console = a->plain_console;
	b->look_early = a->look_early;
	b->no_pivot = a->no_pivot;
	b->no_new_keyring = a->no_new_keyring;
	b->lenient = a->missing_controllers_warn;
	b->sync = sync;
	b->listener = a->listener;
	b->rootfs = a->rootfs;
}

static int create_clone(struct create *cr, struct err *e)
{
	int pair[2];
	int r;

	if (sync_pair(pair, e) < 0)
		return -e->code;
	create_fill_birth(cr, pair[1]);
	r = engine_clone(cr->en, cr->birth.staged ? 0 : ns_clone_flags(cr->args->spec),
			 cr->c.cgroup, cr->birth.staged ? -1 : cr->birth.ns[SPEC_NS_PID],
			 &cr->c.pid, &cr->c.pidfd, e);
	if (r == 0)
		birth_container(&cr->birth);
	close(pair[1]);
	cr->sync = pair[0];
	cr->entered = r > 0;
	return r < 0 ? err_wrap(e, "container %s", cr->c.id) : 0;
}

static struct hooks_state create_state(const struct create *cr)
{
	return (struct hooks_state){
		.id = cr->c.id,
		.status = "creating",
		.pid = cr->c.pid,
		.bundle = cr->c.bundle,
		.annotations = cr->c.annotations,
	};
}

static int create_run_hooks(struct create *cr, struct err *e)
{
	const struct spec *s = cr->args->spec;
	const struct hooks_state state = create_state(cr);
	const struct hooks_way way = { .cwd = cr->c.bundle };

	if (hooks_run(s->hooks, SPEC_PRESTART, &state, &way, e) < 0 ||
	    hooks_run(s->hooks, SPEC_CREATE_RUNTIME, &state, &way, e) < 0)
		return -e->code;
	return sync_send(cr->sync, SYNC_GO, NULL, -1, e);
}

/* How long the hooks that the child runs itself may take on top. */
static int create_patience(const struct spec *s, enum spec_hook_kind kind)
{
	int ms = ENGINE_BIRTH_MS;

	for (size_t i = 0; i < s->hooks[kind].count; i++)
		ms += 1000 * (s->hooks[kind].rows[i].timeout_s ?: HOOKS_TIMEOUT_S);
	return ms;
}

/* Why a birth ended without a word: the kernel or an operator killed it. */
int engine_lost(pid_t pid, int *pidfd, struct err *e)
{
	siginfo_t info = { 0 };

	pidfd_send_signal(*pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)*pidfd, &info, WEXITED) < 0 && errno == EINTR)
		continue;
	fd_close(pidfd);
	if (info.si_code == CLD_EXITED)
		return err_set(e, EIO, "process %d exited with %d", pid, info.si_status);
	return err_set(e, EIO, "process %d was killed by signal %d", pid, info.si_status);
}

/* The go-between has done its part; the container's first process waits for its ids. */
static int create_born(struct create *cr, const struct sync *m, int *pidfd, struct err *e)
{
	const struct spec *s = cr->args->spec;
	const struct spec_namespace *user = &s->ns[SPEC_NS_USER];

	engine_reap(cr->c.pid, &cr->c.pidfd);
	cr->c.pid = m->pid;
	cr->c.pidfd = fd_take(pidfd);
	if (user->given && !user->path &&
	    ns_write_maps(cr->en->proc, m->pid, &s->uid_maps, &s->gid_maps, e) < 0)
		return err_wrap(e, "linux.uidMappings");
	/* what takes the host's rights and cannot be inherited */
	if (netdevs_move(s, cr->en->proc, m->pid, e) < 0 ||
	    (user->given && place_scheduler(&s->process, m->pid, e) < 0))
		return -e->code;
	return sync_send(cr->sync, SYNC_GO, NULL, -1, e);
}

static int create_notify(struct create *cr, int *fd, struct err *e)
{
	const struct hooks_state state = create_state(cr);
	auto_fd int listener = fd_take(fd);

	return notify_send(cr->c.filter, &state, cr->c.pid, listener, e);
}

static int create_talk(struct create *cr, struct err *e)
{
	int patience = create_patience(cr->args->spec, SPEC_CREATE_CONTAINER);

	for (;;) {
		struct sync m;
		int fd = -1;
		int r = sync_recv(cr->sync, patience, &m, &fd, e);

		if (r == 0)
			return engine_lost(cr->c.pid, &cr->c.pidfd, e);
		if (r < 0)
			return r;
		switch (m.type) {
		case SYNC_FAILED:
			*e = m.e;
			return -e->code;
		case SYNC_HOOKS:
			cr->hooked = true;
			if (create_run_hooks(cr, e) < 0)
				return -e->code;
			break;
		case SYNC_CONSOLE:
			fd_close(&cr->c.console);
			cr->c.console = fd;
			break;
		case SYNC_BORN:
			if (create_born(cr, &m, &fd, e) < 0)
				return -e->code;
			break;
		case SYNC_NOTIFY:
			if (create_notify(cr, &fd, e) < 0)
				return -e->code;
			break;
		case SYNC_READY:
			return 0;
		case SYNC_FAILED_HOOK:
		case SYNC_GO:
		case SYNC_START:
			return err_set(e, EPROTO, "an unexpected word of a birth");
		}
	}
}

static void create_undo_cgroup(struct create *cr)
{
	struct err e = { 0 };

	if (cr->c.cgroup < 0)
		return;
	/* hooks of the child may have left something behind */
	if (cr->entered && (cgroup_kill(cr->c.cgroup, &e) < 0 ||
			    cgroup_wait_empty(cr->c.cgroup, ENGINE_EMPTY_MS, &e) < 0))
		log_warn("container %s: %s", cr->c.id, err_text(&e));
	if (cr->cgroups_made > 0 && cgroup_remove(cr->en->cgroup_root, cr->c.cgroup_path, &e) == 0)
		cgroup_remove_made(cr->en->cgroup_root, cr->c.cgroup_path, cr->cgroups_made);
}

static void create_undo(struct create *cr)
{
	struct err e = { 0 };

	engine_reap(cr->c.pid, &cr->c.pidfd);
	if (cr->c.rootfs && mntns_clear(cr->c.rootfs, cr->c.under, &e) < 0)
		log_warn("container %s: %s", cr->c.id, err_text(&e));
	if (cr->rdt >= 0 && cr->c.rdt.group &&
	    rdt_remove(cr->rdt, &cr->c.rdt, cr->c.id, cr->rdt_made, &e) < 0)
		log_warn("container %s: %s", cr->c.id, err_text(&e));
	create_undo_cgroup(cr);
	if (cr->hooked)
		engine_poststop(&cr->c);
}

static void create_free(struct create *cr)
{
	ns_close(cr->birth.ns);
	limits_done(&cr->limits);
	devices_done(&cr->devices);
	netdevs_done(&cr->birth.netdevs);
	fd_close(&cr->birth.rdt[0]);
	fd_close(&cr->birth.rdt[1]);
}

int engine_create(struct engine *en, const struct engine_create *args, struct container *ret,
		  struct err *e)
{
	struct create cr = { .en = en, .args = args, .birth = BIRTH_INIT, .rdt = -1, .sync = -1 };
	int r;

	container_init(&cr.c);
	r = create_prepare(&cr, e);
	if (r == 0)
		r = create_cgroup(&cr, e);
	if (r == 0)
		r = create_rdt(&cr, e);
	if (r == 0)
		r = create_clone(&cr, e);
	if (r == 0)
		r = create_talk(&cr, e);
	create_free(&cr);
	if (r < 0)
		create_undo(&cr);
	fd_close(&cr.rdt);
	if (r < 0) {
		fd_close(&cr.sync);
		container_done(&cr.c);
		return r;
	}
	if (args->listener < 0)
		cr.c.start = fd_take(&cr.sync);
	fd_close(&cr.sync);
	cr.c.patience_ms = create_patience(args->spec, SPEC_START_CONTAINER);
	*ret = cr.c;
	return 0;
}

int engine_restore(struct engine *en, const struct engine_create *args, engine_bring *bring,
		   void *arg, struct container *ret, struct err *e)
{
	struct create cr = { .en = en, .args = args, .birth = BIRTH_INIT, .rdt = -1, .sync = -1 };
	int r;

	container_init(&cr.c);
	r = create_prepare(&cr, e);
	if (r == 0)
		r = create_cgroup(&cr, e);
	if (r == 0)
		r = create_rdt(&cr, e);
	if (r == 0) {
		cr.entered = true;
		r = bring(arg, &cr.c, cr.birth.ns, &cr.c.pid, e);
	}
	if (r == 0)
		r = rdt_enter(cr.birth.rdt, cr.c.pid, e);
	if (r == 0)
		r = fd_pidfd(cr.c.pid, &cr.c.pidfd, e);
	/* its clocks go on where they stood, which takes a namespace */
	cr.c.timens = true;
	create_free(&cr);
	if (r < 0)
		create_undo(&cr);
	fd_close(&cr.rdt);
	if (r < 0) {
		container_done(&cr.c);
		return r;
	}
	*ret = cr.c;
	return 0;
}

/* Until the connection ends, by execve or with the process. */
static int start_talk(struct container *c, struct err *e)
{
	for (;;) {
		struct sync m;
		int r = sync_recv(c->start, c->patience_ms ?: ENGINE_BIRTH_MS, &m, NULL, e);

		if (r <= 0)
			return r;
		if (m.type == SYNC_HOOKS) {
			/* each has a limit, which who has only the record does not know */
			c->patience_ms = c->patience_ms ?: -1;
			continue;
		}
		c->hook_failed = m.type == SYNC_FAILED_HOOK;
		*e = m.type == SYNC_FAILED || c->hook_failed ? m.e
							     : (struct err){ EPROTO, "start" };
		/* it said its last word: who asks next finds it stopped */
		poll(&(struct pollfd){ .fd = c->pidfd, .events = POLLIN }, 1, ENGINE_EMPTY_MS);
		return -e->code;
	}
}

int engine_start(struct engine *en, struct container *c, struct err *e)
{
	const struct hooks_state state = {
		.id = c->id,
		.status = "running",
		.pid = c->pid,
		.bundle = c->bundle,
		.annotations = c->annotations,
	};
	int r;

	(void)en;
	if (c->start < 0)
		return err_set(e, EINVAL, "container %s is not waiting to be started", c->id);
	r = sync_send(c->start, SYNC_START, NULL, -1, e);
	if (r == -EPIPE || r == -ECONNRESET)
		err_set(e, ESRCH, "cannot start a container that has stopped");
	if (r == 0)
		r = start_talk(c, e);
	fd_close(&c->start);
	if (r < 0)
		return -e->code;
	r = hooks_run_saved(c->hooks, SPEC_POSTSTART, &state, e);
	c->hook_failed = r < 0;
	return r;
}
