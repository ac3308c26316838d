/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/schema.h"
#include "lib/stamp.h"
#include "lib/str.h"
#include "runtime/filter.h"

#define STATE_FILE_MAX (4u << 20)

/* A damaged file must not have us signal or remove what was never the container's. */
static int state_check(void *state, struct err *e)
{
	const struct state *s = state;
	const char *path = s->cgroup_path;

	if (s->pid < 0)
		return err_set(e, EBADMSG, "pid: %d is none", s->pid);
	if (path && (path[0] != '/' || !path[strspn(path, "/")]))
		return err_set(e, EBADMSG, "cgroup: %.64s is no path of a container", path);
	if (s->under && (!s->rootfs || s->rootfs[0] != '/' || !s->rootfs[strspn(s->rootfs, "/")]))
		return err_set(e, EBADMSG, "rootfs: no path of a container");
	if (s->rdt.group && !str_eq(s->rdt.group, ".") && rdt_check_clos(s->rdt.group, e) < 0)
		return err_wrap(e, "rdt");
	return 0;
}

#define AT(member) SCHEMA_AT(struct state, member)
static const struct schema_row state_rows[] = {
	{ "id", SCHEMA_STRING, AT(name) },
	{ "bundle", SCHEMA_STRING, AT(bundle) },
	{ "rootfs", SCHEMA_STRING, AT(rootfs) },
	{ "created", SCHEMA_STRING, AT(created) },
	{ "owner", SCHEMA_UINT, AT(owner) },
	{ "pid", SCHEMA_INT, AT(pid) },
	{ "pidStart", SCHEMA_UINT, AT(pid_start) },
	{ "cgroup", SCHEMA_STRING, AT(cgroup_path) },
	{ "userns", SCHEMA_BOOL, AT(userns) },
	{ "timens", SCHEMA_BOOL, AT(timens) },
	{ "sharedPids", SCHEMA_BOOL, AT(shared_pids) },
	{ "sharedMounts", SCHEMA_BOOL, AT(shared_mounts) },
	{ "under", SCHEMA_UINT, AT(under) },
	{ "rdt", SCHEMA_STRING, AT(rdt.group) },
	{ "rdtOwn", SCHEMA_BOOL, AT(rdt.own) },
	{ "rdtMonitored", SCHEMA_BOOL, AT(rdt.monitored) },
	{ "common", SCHEMA_BOOL, AT(common) },
	{ "annotations", SCHEMA_RAW, AT(annotations) },
	{ "hooks", SCHEMA_STRING, AT(hooks) },
	{ "" },
};
static const struct schema state_schema = { .rows = state_rows, .check = state_check };

void state_init(struct state *s)
{
	*s = (struct state){ .dir = -1 };
}

void state_done(struct state *s)
{
	fd_close(&s->dir);
	schema_done(&state_schema, s);
	state_init(s);
}

static char *state_now(void)
{
	struct timespec now;
	char text[STAMP_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	stamp_utc(text, &now);
	return mem_strdup(text);
}

int state_create(int root, const char *id, struct state *ret, struct err *e)
{
	struct state s;

	state_init(&s);
	if (!id_oci_valid(id))
		return err_set(e, EINVAL, "container id is not made of letters, digits and _+-.");
	if (mkdirat(root, id, 0700) < 0)
		return err_set(e, errno,
			       errno == EEXIST ? "container with id exists: %s"
					       : "make state of %s",
			       id);
	s.dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s.dir < 0 || flock(s.dir, LOCK_EX | LOCK_NB) < 0) {
		err_set(e, errno, "lock state of %s", id);
		fd_close(&s.dir);
		unlinkat(root, id, AT_REMOVEDIR);
		return -e->code;
	}
	s.name = mem_strdup(id);
	s.created = state_now();
	s.owner = getuid();
	*ret = s;
	return 0;
}

int state_write(const struct state *s, struct err *e)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	schema_write(&state_schema, s, &o);
	json_out_end(&o);
	return path_replace(s->dir, "state.json", o.s.text, o.s.len, 0600, PATH_FAST, e);
}

static int state_read(struct state *s, struct err *e)
{
	auto_free char *text = NULL;
	auto_json *json = NULL;
	size_t len;

	if (path_read(s->dir, "state.json", STATE_FILE_MAX, &text, &len, e) < 0)
		return e->code == ENOENT ? 0 : -e->code; /* a create that was killed at once */
	if (json_parse(text, len, &json, e) < 0 || schema_read(&state_schema, json, "", s, e) < 0)
		return err_wrap(e, "state.json");
	return 0;
}

int state_load(int root, const char *id, struct state *ret, struct err *e)
{
	struct state s;

	state_init(&s);
	if (!id_oci_valid(id))
		return err_set(e, EINVAL, "container id is not made of letters, digits and _+-.");
	s.dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s.dir < 0)
		return err_set(e, errno,
			       errno == ENOENT ? "container \"%s\" does not exist"
					       : "open state of %s",
			       id);
	if (state_read(&s, e) < 0) {
		state_done(&s);
		return err_wrap(e, "container %s", id);
	}
	mem_replace(&s.name, id);
	*ret = s;
	return 0;
}

int state_remove(int root, const char *id, struct err *e)
{
	return path_remove_tree(root, id, e);
}

/* Field 22 of /proc/PID/stat, behind a name that may hold anything. */
int state_pid_start(pid_t pid, uint64_t *ret)
{
	auto_free char *path = mem_printf("/proc/%d/stat", pid);
	struct err ignored = { 0 };
	char line[1024];
	char *rest;

	if (path_read_line(AT_FDCWD, path, line, sizeof(line), &ignored) < 0)
		return -ESRCH;
	rest = strrchr(line, ')');
	if (!rest || rest[1] != ' ' || strchr("ZX", rest[2]))
		return -ESRCH;
	rest += 2;
	for (int field = 3; field < 22 && rest; field++)
		str_field(&rest, " ");
	if (!rest)
		return -ESRCH;
	return str_to_u64(str_field(&rest, " "), ret) < 0 ? -ESRCH : 0;
}

/* A pidfd of the first process, while it is that one and lives; else -1. */
static int state_open_pid(const struct state *s)
{
	struct err ignored = { 0 };
	auto_fd int fd = -1;
	uint64_t start;

	if (s->pid <= 0 || fd_pidfd(s->pid, &fd, &ignored) < 0 ||
	    state_pid_start(s->pid, &start) < 0 || start != s->pid_start)
		return -1;
	return fd_take(&fd);
}

static bool state_is_locked(const struct state *s)
{
	if (flock(s->dir, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(s->dir, LOCK_UN);
	return false;
}

const char *state_status(const struct engine *en, const struct state *s, int *ret_pidfd)
{
	struct err ignored = { 0 };
	auto_fd int pidfd = state_open_pid(s);
	auto_fd int cgroup = -1;
	bool frozen = false;
	bool alive = pidfd >= 0;

	if (ret_pidfd)
		*ret_pidfd = fd_take(&pidfd);
	if (!alive)
		return s->pid <= 0 && state_is_locked(s) ? "creating" : "stopped";
	if (path_exists(s->dir, STATE_START_SOCKET))
		return "created";
	if (s->cgroup_path &&
	    cgroup_open(en->cgroup_root, s->cgroup_path, &cgroup, &ignored) == 0 &&
	    cgroup_is_frozen(cgroup, &frozen, &ignored) == 0 && frozen)
		return "paused";
	return "running";
}

static int state_common(const struct state *s, struct spec_common *ret, struct err *e)
{
	auto_spec spec = { 0 };

	if (spec_load(s->dir, &spec, e) < 0)
		return -e->code;
	*ret = spec.common;
	return 0;
}

int state_container(const struct engine *en, const struct state *s, struct container *ret,
		    struct err *e)
{
	struct container c;

	container_init(&c);
	c.id = mem_strdup(s->name);
	c.bundle = mem_strdup(s->bundle ?: "");
	c.cgroup_path = s->cgroup_path ? mem_strdup(s->cgroup_path) : NULL;
	c.annotations = s->annotations ? mem_strdup(s->annotations) : NULL;
	c.hooks = s->hooks ? mem_strdup(s->hooks) : NULL;
	c.userns = s->userns;
	c.timens = s->timens;
	c.shared_pids = s->shared_pids;
	c.shared_mounts = s->shared_mounts;
	c.rootfs = s->shared_mounts && s->rootfs ? mem_strdup(s->rootfs) : NULL;
	c.under = s->under;
	c.rdt = (struct rdt){ s->rdt.group ? mem_strdup(s->rdt.group) : NULL, s->rdt.own,
			      s->rdt.monitored };
	if (s->common && state_common(s, &c.common, e) < 0) {
		container_done(&c);
		return -e->code;
	}
	c.pid = s->pid;
	c.pidfd = state_open_pid(s);
	/*
	 * A dead one may have left processes, where it had no pid namespace; one that lives
	 * may have left its cgroup, and somebody removed that.
	 */
	if (c.cgroup_path && cgroup_open(en->cgroup_root, c.cgroup_path, &c.cgroup, e) < 0 &&
	    e->code != ENOENT) {
		container_done(&c);
		return -e->code;
	}
	if (path_exists(s->dir, "seccomp.bpf") &&
	    filter_load(s->dir, "seccomp.bpf", &c.filter, e) < 0) {
		container_done(&c);
		return -e->code;
	}
	*ret = c;
	return 0;
}
