/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"

static void child_path(const struct child *c, char path[static 32], const char *file)
{
	snprintf(path, 32, "%d%s", (int)(c - c->all->child), file);
}

static void child_finish(struct child *c, int status)
{
	child_done *done = c->done;

	ev_remove(&c->limit);
	c->done = NULL;
	if (done)
		done(c->arg, status);
}

static void child_on_limit(void *arg)
{
	struct child *c = arg;
	char path[32];

	log_warn("%s: killed at its limit", c->name);
	child_path(c, path, "/cgroup.kill");
	if (c->all->dir < 0 || path_write(c->all->dir, path, "1", &(struct err){ 0 }) < 0)
		kill(c->pid, SIGKILL);
	child_finish(c, -ETIMEDOUT);
}

/* A cgroup that was killed once kills who is born into it (6.14): each child gets a new one. */
static int child_cgroup(struct child *c)
{
	char path[32];

	child_path(c, path, "");
	unlinkat(c->all->dir, path, AT_REMOVEDIR);
	mkdirat(c->all->dir, path, 0755);
	return openat(c->all->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int child_start(struct children *all, const char *name, struct spawn *s, uint64_t limit_ms,
		child_done *done, void *arg, struct err *e)
{
	struct child *c = all->child;
	auto_fd int cgroup = -1;

	while (c < all->child + CHILDREN_MAX && c->pid)
		c++;
	if (c == all->child + CHILDREN_MAX)
		return err_set(e, EBUSY, "%s: %d children hang", name, CHILDREN_MAX);
	*c = (struct child){ .all = all, .name = name, .done = done, .arg = arg };
	s->early = 1;
	s->cgroup = cgroup = all->dir >= 0 ? child_cgroup(c) : -1;
	if (spawn(s, &c->pid, NULL, e) < 0) {
		c->pid = 0;
		return err_wrap(e, "%s", name);
	}
	ev_add_timer(all->ev, &c->limit, child_on_limit, c);
	ev_timer_set(&c->limit, limit_ms);
	return 0;
}

static void child_note_status(void *arg, int status)
{
	*(int *)arg = status;
}

int child_run(struct children *all, const char *name, struct spawn *s, uint64_t limit_ms,
	      struct err *e)
{
	int status = -EINPROGRESS;

	if (child_start(all, name, s, limit_ms, child_note_status, &status, e) < 0)
		return -e->code;
	while (status == -EINPROGRESS) {
		if (ev_round(all->ev, -1, e) < 0)
			return -e->code;
	}
	if (status < 0)
		return err_set(e, -status, "%s", name);
	if (status > 0)
		return err_set(e, EIO, "%s: exit status %d", name, status);
	return 0;
}

bool children_reaped(struct children *all, pid_t pid, int status)
{
	for (struct child *c = all->child; c < all->child + CHILDREN_MAX; c++) {
		if (c->pid != pid)
			continue;
		c->pid = 0;
		child_finish(c, status);
		return true;
	}
	return false;
}
