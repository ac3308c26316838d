/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/birth.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "runtime/become.h"
#include "runtime/dev.h"
#include "runtime/hooks.h"
#include "runtime/mounts.h"
#include "runtime/ns.h"
#include "runtime/rootfs.h"
#include "runtime/stage.h"
#include "runtime/sync.h"
#include "runtime/sysctl.h"
#include "runtime/tty.h"

static int birth_join(struct birth *b, struct err *e)
{
	return ns_join(b->ns, e);
}

static int birth_time(struct birth *b, struct err *e)
{
	return ns_time_offsets(b->spec, b->self, e);
}

static int birth_open_bundle(struct birth *b, struct err *e)
{
	/* again, by path: a descriptor of the engine's belongs to its mount namespace */
	fd_close(&b->bundle);
	b->bundle = open(b->bundle_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->bundle < 0)
		return err_set(e, errno, "open bundle %s", b->bundle_path);
	return 0;
}

/* After the cgroup was entered: where we are becomes the root that is seen. */
static int birth_cgroup_ns(struct birth *b, struct err *e)
{
	const struct spec_namespace *ns = &b->spec->ns[SPEC_NS_CGROUP];

	if (ns->given && !ns->path && unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "make a cgroup namespace");
	return 0;
}

static int birth_network(struct birth *b, struct err *e)
{
	const struct spec_namespace *ns = &b->spec->ns[SPEC_NS_NET];

	if (ns->given && !ns->path && ns_loopback_up(e) < 0)
		return -e->code;
	return netdevs_restore(b->spec, &b->netdevs, e);
}

static int birth_names(struct birth *b, struct err *e)
{
	const struct spec *s = b->spec;

	if (s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_set(e, errno, "hostname %s", s->hostname);
	if (s->domainname && setdomainname(s->domainname, strlen(s->domainname)) < 0)
		return err_set(e, errno, "domainname %s", s->domainname);
	return 0;
}

static int birth_sysctl(struct birth *b, struct err *e)
{
	return sysctl_apply(b->spec, b->engine->proc, e);
}

/* The engine runs the hooks of its side; ours run the host's programs in these namespaces. */
static int birth_hooks(struct birth *b, struct err *e)
{
	const struct hooks_state state = {
		.id = b->id,
		.status = "creating",
		.pid = getpid(),
		.bundle = b->bundle_path,
		.annotations = b->annotations,
	};
	const struct hooks_way way = { 0 };
	struct sync answer;

	if (!b->spec->hooks[SPEC_PRESTART].count && !b->spec->hooks[SPEC_CREATE_RUNTIME].count &&
	    !b->spec->hooks[SPEC_CREATE_CONTAINER].count)
		return 0;
	/* for ours alone too: it has to know that hooks have begun */
	if (sync_send(b->sync, SYNC_HOOKS, NULL, -1, e) < 0)
		return -e->code;
	if (sync_recv(b->sync, -1, &answer, NULL, e) <= 0 || answer.type != SYNC_GO)
		_exit(1); /* the engine knows why */
	if (fchdir(b->root) < 0)
		return err_set(e, errno, "enter the rootfs");
	return hooks_run(b->spec->hooks, SPEC_CREATE_CONTAINER, &state, &way, e);
}

static int birth_look_early(struct birth *b, struct err *e)
{
	return b->look_early ? become_program(b, e) : 0;
}

/* The rights of the container's process. With no_new_privs the filter comes last. */
static int birth_confine(struct birth *b, struct err *e)
{
	if (b->confined)
		return 0;
	if (become_program(b, e) < 0 || become_user(b, e) < 0 || become_filter(b, e) < 0)
		return -e->code;
	b->confined = true;
	return 0;
}

/* As late as it can be, but for a listener, whom it is up to the create to find. */
static int birth_confine_early(struct birth *b, struct err *e)
{
	return b->filter && b->filter->listener ? birth_confine(b, e) : 0;
}

/*
 * They are the container's own programs, which may look into us: nothing is
 * left here by now that the container's process shall not have.
 */
static int birth_start_hooks(struct birth *b, struct err *e)
{
	const struct hooks_state state = {
		.id = b->id,
		.status = "created",
		.pid = getpid(),
		.bundle = b->bundle_path,
		.annotations = b->annotations,
	};
	const struct spec_scheduler *scheduler = &b->process->scheduler;
	const struct hooks_way way = { .env = b->env };

	if (!b->spec->hooks[SPEC_START_CONTAINER].count)
		return 0;
	if (scheduler->policy == SCHED_DEADLINE && !(scheduler->flags & SCHED_FLAG_RESET_ON_FORK))
		return err_set(e, ENOTSUP,
			       "process.scheduler: with a deadline startContainer hooks cannot be "
			       "run");
	b->hook_failed = hooks_run(b->spec->hooks, SPEC_START_CONTAINER, &state, &way, e) < 0;
	return b->hook_failed ? -e->code : 0;
}

/* The folders of the host that are still open. */
static void birth_leave_host(struct birth *b)
{
	close(b->engine->proc);
	fd_close(&b->self);
	fd_close(&b->bundle);
}

/* Only root of our own user namespace may start us. */
static int birth_accept(int listener, bool userns)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct ucred peer;
		socklen_t len = sizeof(peer);

		if (fd < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, -1);
		if (fd < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (fd < 0)
			return -1;
		/* the host's root has no number in there; the socket's folder is his alone */
		if (userns ||
		    (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0))
			return fd;
		close(fd);
	}
}

/*
 * Ready. From here on the engine may be gone: then the one who starts us
 * connects to the listener; without one, the engine's end means our end.
 */
static int birth_wait(struct birth *b, struct err *e)
{
	struct sync m;
	int r;

	if (b->adopt)
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (sync_send(b->sync, SYNC_READY, NULL, -1, e) < 0)
		return -e->code;
	birth_leave_host(b);
	if (b->listener >= 0) {
		fd_close(&b->sync);
		b->sync = birth_accept(b->listener, b->spec->ns[SPEC_NS_USER].given);
		fd_close(&b->listener);
	}
	r = b->sync >= 0 ? sync_recv(b->sync, -1, &m, NULL, e) : 0;
	if (r <= 0 || m.type != SYNC_START)
		_exit(1);
	/* here, as a filter may come before them */
	if (b->spec->hooks[SPEC_START_CONTAINER].count)
		return sync_send(b->sync, SYNC_HOOKS, NULL, -1, e);
	return 0;
}

static int birth_join_container(struct birth *b, struct err *e)
{
	int r = setns(b->target, (int)b->target_flags);

	/* root of a user namespace may not even join those of the host that he is in */
	if (r < 0 && errno == EPERM)
		r = setns(b->target,
			  (int)ns_of_others(b->engine->proc, b->target_pid, b->target_flags));
	if (r < 0)
		return err_set(e, errno, "join the container's namespaces");
	if (b->timens >= 0 && setns(b->timens, CLONE_NEWTIME) < 0)
		return err_set(e, errno, "join the container's time namespace");
	if (b->root >= 0 && (fchdir(b->root) < 0 || chroot(".") < 0))
		return err_set(e, errno, "enter the container's root");
	fd_close(&b->target);
	fd_close(&b->timens);
	fd_close(&b->root);
	if (b->userns && become_root(b, e) < 0)
		return -e->code;
	birth_leave_host(b);
	b->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->root < 0)
		return err_set(e, errno, "open the container's root");
	return 0;
}

static int birth_terminal(struct birth *b, struct err *e)
{
	auto_fd int master = -1;

	if (!b->process->terminal)
		return 0;
	if (tty_open(b->root, b->process->rows, b->process->columns, &master, &b->slave, e) < 0 ||
	    (b->plain_console && tty_set_plain(master, e) < 0))
		return -e->code;
	return sync_send(b->sync, SYNC_CONSOLE, NULL, master, e);
}

/* clang-format off */

/* The life of a container's first process, in the order of the rows. */
static int (*const birth_container_steps[])(struct birth *b, struct err *e) = {
	become_clean,
	birth_join,
	become_look_around,
	become_oom_score,
	become_placed,
	stage_birth,
	birth_open_bundle,
	birth_time,
	mounts_open_shared,
	rootfs_attach,
	stage_root,
	become_keyring,
	birth_cgroup_ns,
	birth_network,
	birth_names,
	birth_sysctl,
	mounts_apply,
	dev_make,
	birth_hooks,
	rootfs_masked,
	rootfs_readonly_paths,
	rootfs_pivot,
	become_cwd,
	mounts_seal,
	rootfs_seal,
	become_stdio,
	birth_look_early,
	birth_confine_early,
	birth_wait,
	birth_confine,
	birth_start_hooks,
	become_exec,
};

static int (*const birth_exec_steps[])(struct birth *b, struct err *e) = {
	become_clean,
	become_look_around,
	become_keyring,
	become_oom_score,
	become_placed,
	become_raise_limits,
	birth_join_container,
	birth_terminal,
	become_stdio,
	become_cwd,
	birth_confine,
	become_exec,
};

/* clang-format on */

static void __attribute__((noreturn)) birth_fail(struct birth *b, struct err *e)
{
	struct err ignored = { 0 };

	/* in a namespace that the engine is not in, nobody else takes it away */
	if (b->ns[SPEC_NS_MOUNT] >= 0 && b->root >= 0 && fchdir(b->root) == 0)
		(void)umount2(".", MNT_DETACH);
	(void)sync_send(b->sync, b->hook_failed ? SYNC_FAILED_HOOK : SYNC_FAILED, e, -1, &ignored);
	_exit(1);
}

void birth_container(struct birth *b)
{
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(birth_container_steps) / sizeof(birth_container_steps[0]);
	     i++) {
		if (birth_container_steps[i](b, &e) < 0)
			break;
	}
	birth_fail(b, &e);
}

void birth_exec(struct birth *b)
{
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(birth_exec_steps) / sizeof(birth_exec_steps[0]); i++) {
		if (birth_exec_steps[i](b, &e) < 0)
			break;
	}
	birth_fail(b, &e);
}
