/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/stage.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "runtime/become.h"
#include "runtime/dev.h"
#include "runtime/engine_int.h"
#include "runtime/mounts.h"
#include "runtime/ns.h"
#include "runtime/sync.h"

bool stage_needed(const struct spec *s)
{
	return s->ns[SPEC_NS_USER].given || spec_has_idmaps(s) || s->netdev_count > 0;
}

static pid_t stage_clone(uint64_t flags, int exit_signal, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | flags,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = (uint64_t)exit_signal,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* A user namespace that nobody lives in: the kernel takes mappings of a mount from one. */
static int stage_userns(struct birth *b, const struct spec_maps *uids, const struct spec_maps *gids,
			int *ret_fd, struct err *e)
{
	auto_free char *path = NULL;
	int pidfd = -1;
	pid_t pid = stage_clone(CLONE_NEWUSER, SIGCHLD, &pidfd);
	int fd = -1;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	if (pid < 0)
		return err_set(e, errno, "make a user namespace");
	path = mem_printf("%d/ns/user", pid);
	if (ns_write_maps(b->engine->proc, pid, uids, gids, e) == 0) {
		fd = openat(b->engine->proc, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			err_set(e, errno, "open a user namespace");
	}
	engine_reap(pid, &pidfd);
	if (fd < 0)
		return -e->code;
	*ret_fd = fd;
	return 0;
}

static int stage_idmap(struct birth *b, const struct spec_mount *m, int mount, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	const struct spec *s = b->spec;
	auto_fd int userns = -1;
	int r;

	if (m->uid_maps.count)
		r = stage_userns(b, &m->uid_maps, &m->gid_maps, &userns, e);
	else if (b->ns[SPEC_NS_USER] >= 0)
		r = fd_dup(b->ns[SPEC_NS_USER], &userns, e);
	else
		r = stage_userns(b, &s->uid_maps, &s->gid_maps, &userns, e);
	if (r < 0)
		return r;
	attr.userns_fd = (uint64_t)userns;
	if (mount_setattr(mount, "", AT_EMPTY_PATH | (m->idmap_recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) < 0)
		return err_set(e, errno, "idmap");
	return 0;
}

/* Here a path of the host still leads to what the host's root sees. */
static int stage_source(struct birth *b, const struct spec_mount *m, int *fd, struct err *e)
{
	bool shared = m->propagation == MS_SHARED && !b->spec->ns[SPEC_NS_USER].given;

	if (mounts_open_source(b, m, fd, e) < 0 ||
	    (!shared && mnt_set(*fd, 0, 0, MS_SLAVE, true, e) < 0))
		return -e->code;
	return m->idmap ? stage_idmap(b, m, *fd, e) : 0;
}

static int stage_sources(struct birth *b, struct err *e)
{
	const struct spec *s = b->spec;

	b->bundle = open(b->bundle_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->bundle < 0)
		return err_set(e, errno, "open bundle %s", b->bundle_path);
	mounts_no_sources(b);
	for (size_t i = 0; i < s->mount_count; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (m->bind && !(m->flags & MS_REMOUNT) &&
		    stage_source(b, m, &b->sources[i], e) < 0)
			return err_wrap(e, "mounts[%zu] %s", i, m->destination);
	}
	return 0;
}

uid_t stage_outside(const struct spec_maps *maps, uid_t id)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct spec_map *m = &maps->rows[i];

		if (id >= m->inside && id - m->inside < m->size)
			return m->outside + (id - m->inside);
	}
	return (uid_t)-1;
}

static int stage_stdio(struct birth *b, struct err *e)
{
	uid_t owner = stage_outside(&b->spec->uid_maps, b->process->uid);

	for (int i = 0; i < 3 && owner != (uid_t)-1 && !b->process->terminal; i++) {
		if (b->stdio[i] >= 0 && become_own(b->stdio[i], owner, e) < 0)
			return -e->code;
	}
	return 0;
}

/* The go-between's last words are who came after it. */
static int stage_second(struct birth *b, struct err *e)
{
	int pidfd = -1;
	struct sync answer;
	pid_t pid;

	if (b->ns[SPEC_NS_PID] >= 0 && ns_pid_for_children(b->ns[SPEC_NS_PID], e) < 0)
		return -e->code;
	if (ns_join_user(b->ns[SPEC_NS_USER], e) < 0)
		return -e->code;
	pid = stage_clone(CLONE_PARENT | ns_clone_flags(b->spec), 0, &pidfd);
	if (pid < 0)
		return err_set(e, errno, "clone into the new namespaces");
	if (pid > 0) {
		if (sync_send_born(b->sync, pid, pidfd, e) == 0)
			_exit(0);
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		return -e->code;
	}
	if (become_guarded(b, e) < 0)
		return -e->code;
	if (sync_recv(b->sync, -1, &answer, NULL, e) <= 0 || answer.type != SYNC_GO)
		_exit(1); /* the engine knows why */
	return become_look_around(b, e);
}

int stage_birth(struct birth *b, struct err *e)
{
	if (!b->staged)
		return 0;
	if (become_raise_limits(b, e) < 0 || stage_stdio(b, e) < 0 || stage_sources(b, e) < 0 ||
	    dev_open(b, e) < 0)
		return -e->code;
	return stage_second(b, e);
}

int stage_root(struct birth *b, struct err *e)
{
	return b->spec->ns[SPEC_NS_USER].given ? become_root(b, e) : 0;
}
