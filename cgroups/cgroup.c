/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroups/events.h"
#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define CGROUP_DEPTH_MAX 64
#define CGROUP_TRIES 50
#define CGROUP_RACES 10 /* lost in a row, to one who removes */
#define CGROUP_PROCS_MAX (4u << 20) /* bytes of cgroup.procs */

static const struct cgroup_name {
	const char *name;
	unsigned int bit;
} cgroup_names[] = {
	{ "cpu", CGROUP_CPU },	     { "cpuset", CGROUP_CPUSET }, { "io", CGROUP_IO },
	{ "memory", CGROUP_MEMORY }, { "pids", CGROUP_PIDS },	  { "hugetlb", CGROUP_HUGETLB },
	{ "rdma", CGROUP_RDMA },     { "misc", CGROUP_MISC },
};

#define CGROUP_NAMES (sizeof(cgroup_names) / sizeof(cgroup_names[0]))

unsigned int cgroup_controller(const char *name)
{
	for (size_t i = 0; i < CGROUP_NAMES; i++) {
		if (str_eq(cgroup_names[i].name, name))
			return cgroup_names[i].bit;
	}
	return 0;
}

int cgroup_open_root(const char *path, int *ret_fd, struct err *e)
{
	auto_fd int fd = open(path ?: "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0 || fstatfs(fd, &st) < 0)
		return err_set(e, errno, "open %s", path ?: "/sys/fs/cgroup");
	if (st.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(e, ENOTSUP, "%s is not a cgroup v2 mount", path ?: "/sys/fs/cgroup");
	*ret_fd = fd_take(&fd);
	return 0;
}

/* The path without leading slashes; NULL when it has a "..". */
static const char *cgroup_relative(const char *path)
{
	size_t len;

	for (const char *p = path; *p; p += len) {
		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return NULL;
	}
	path += strspn(path, "/");
	return *path ? path : ".";
}

int cgroup_open(int root, const char *path, int *ret_fd, struct err *e)
{
	const char *rel = cgroup_relative(path);

	if (!rel)
		return err_set(e, EINVAL, "cgroup path %s has a ..", path);
	if (path_open_beneath(root, rel, O_RDONLY | O_DIRECTORY, ret_fd, e) < 0)
		return err_wrap(e, "cgroup");
	return 0;
}

/* The bits of a blank-separated list of names. */
static int cgroup_read_names(int dir, const char *file, unsigned int *ret, struct err *e)
{
	char line[512];
	char *rest = line;
	char *word;

	if (path_read_line(dir, file, line, sizeof(line), e) < 0)
		return -e->code;
	*ret = 0;
	while ((word = str_field(&rest, " ")))
		*ret |= cgroup_controller(word);
	return 0;
}

int cgroup_enable(int dir, unsigned int need, struct err *e)
{
	unsigned int offered = 0;
	unsigned int enabled;
	unsigned int missing;
	auto_str words = { 0 };
	struct err ignored = { 0 };

	if (cgroup_read_names(dir, "cgroup.subtree_control", &enabled, e) < 0)
		return -e->code;
	missing = ~enabled & (CGROUP_USUAL | need);
	if (missing && cgroup_read_names(dir, "cgroup.controllers", &offered, e) < 0)
		return -e->code;
	missing &= offered;
	if (missing == 0)
		return 0;
	for (size_t i = 0; i < CGROUP_NAMES; i++) {
		if (missing & cgroup_names[i].bit)
			str_printf(&words, "%s+%s", words.len ? " " : "", cgroup_names[i].name);
	}
	if (path_write(dir, "cgroup.subtree_control", words.text, &ignored) == 0)
		return 0;
	/* all or none was refused: one by one, so that what can be had is had */
	for (size_t i = 0; i < CGROUP_NAMES; i++) {
		char word[16];

		if (!(missing & cgroup_names[i].bit))
			continue;
		snprintf(word, sizeof(word), "+%s", cgroup_names[i].name);
		if (path_write(dir, "cgroup.subtree_control", word, &ignored) < 0 &&
		    (need & cgroup_names[i].bit))
			return err_set(e, ignored.code, "enable controller %s",
				       cgroup_names[i].name);
	}
	return 0;
}

static int cgroup_descend(int *dir, const char *name, int *made, struct err *e)
{
	bool is_new = mkdirat(*dir, name, 0755) == 0;
	int next;

	if (!is_new && errno != EEXIST)
		return err_set(e, errno, "make cgroup");
	if (path_open_beneath(*dir, name, O_RDONLY | O_DIRECTORY, &next, e) < 0) {
		if (is_new)
			unlinkat(*dir, name, AT_REMOVEDIR);
		return -e->code;
	}
	*made = is_new ? *made + 1 : 0;
	close(*dir);
	*dir = next;
	return 0;
}

static int cgroup_create_once(int root, const char *path, unsigned int need, int *ret_fd,
			      int *ret_made, struct err *e)
{
	const char *rel = cgroup_relative(path);
	auto_fd int dir = -1;
	size_t done = 0; /* bytes of rel that exist now */
	int made = 0;
	int r = 0;

	if (!rel || str_eq(rel, "."))
		return err_set(e, EINVAL, "%s is no path for a new cgroup", path);
	if (path_open_beneath(root, ".", O_RDONLY | O_DIRECTORY, &dir, e) < 0)
		return -e->code;
	while (r == 0 && rel[done]) {
		size_t begin = done + strspn(rel + done, "/");
		size_t len = strcspn(rel + begin, "/");
		auto_free char *name = mem_strndup(rel + begin, len);

		if (len > 0 && !str_eq(name, "."))
			r = cgroup_enable(dir, need, e);
		if (r == 0 && len > 0 && !str_eq(name, "."))
			r = cgroup_descend(&dir, name, &made, e);
		if (r == 0)
			done = begin + len;
	}
	if (r < 0) {
		auto_free char *prefix = mem_strndup(rel, done);

		cgroup_remove_made(root, prefix, made);
		return err_wrap(e, "cgroup %s", path);
	}
	*ret_fd = fd_take(&dir);
	if (ret_made)
		*ret_made = made;
	return 0;
}

int cgroup_create(int root, const char *path, unsigned int need, int *ret_fd, int *ret_made,
		  struct err *e)
{
	/* one above it may be empty, and be removed by who made it while we are on the way down */
	for (int i = 1;; i++) {
		int r = cgroup_create_once(root, path, need, ret_fd, ret_made, e);

		if ((r != -ENOENT && r != -ENODEV) || i == CGROUP_RACES)
			return r;
		*e = (struct err){ 0 }; /* of a try that does not count */
	}
}

int cgroup_kill(int dir, struct err *e)
{
	return path_write(dir, "cgroup.kill", "1", e);
}

static int cgroup_procs_add(int dir, int depth, pid_t **pids, size_t *count, size_t *room,
			    struct err *e)
{
	auto_free char *text = NULL;
	char *rest;
	char *line;
	DIR *d;
	struct dirent *entry;
	int fd;
	int r = 0;

	if (depth > CGROUP_DEPTH_MAX)
		return err_set(e, ELOOP, "read cgroup: too deep");
	if (path_read(dir, "cgroup.procs", CGROUP_PROCS_MAX, &text, NULL, e) < 0)
		return e->code == ENODEV || e->code == ENOENT ? 0 : -e->code;
	rest = text;
	while ((line = str_field(&rest, "\n"))) {
		int pid;

		if (str_to_int(line, &pid) < 0 || pid <= 0)
			continue;
		mem_grow(pids, room, *count + 1, sizeof(**pids));
		(*pids)[(*count)++] = pid;
	}
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		fd_close(&fd);
		return 0; /* it vanished meanwhile */
	}
	while (r == 0 && (entry = readdir(d))) {
		auto_fd int sub = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		sub = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			r = cgroup_procs_add(sub, depth + 1, pids, count, room, e);
	}
	closedir(d);
	return r;
}

int cgroup_procs(int dir, pid_t **ret, size_t *ret_count, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t count = 0;
	size_t room = 0;

	if (cgroup_procs_add(dir, 0, &pids, &count, &room, e) < 0)
		return err_wrap(e, "list processes of the cgroup");
	*ret = mem_take(&pids);
	*ret_count = count;
	return 0;
}

/*
 * Frozen, no process of the cgroup can be born or go away, so no number in
 * the list can meanwhile belong to somebody else.
 */
int cgroup_signal(int dir, int signal, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t count = 0;
	bool frozen = false;
	struct err ignored = { 0 };
	int r;

	if (signal == SIGKILL && path_exists(dir, "cgroup.kill"))
		return cgroup_kill(dir, e);
	if (cgroup_is_frozen(dir, &frozen, &ignored) == 0 && !frozen)
		cgroup_freeze(dir, true, 500, &ignored);
	r = cgroup_procs(dir, &pids, &count, e);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (kill(pids[i], signal) < 0 && errno != ESRCH)
			r = err_set(e, errno, "signal process %d", pids[i]);
	}
	if (!frozen)
		cgroup_freeze(dir, false, 0, &ignored);
	return r;
}

/* Waits until the file of cgroup.events says so; timeout_ms 0 does not wait. */
static int cgroup_wait(int dir, bool (*reached)(const struct events *now, bool want), bool want,
		       int timeout_ms, struct err *e)
{
	auto_fd int fd = -1;
	uint64_t end = ev_now_ms() + (uint64_t)timeout_ms;

	if (events_open(dir, &fd, e) < 0)
		return -e->code;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		struct events now;
		uint64_t at = ev_now_ms();

		if (events_read(fd, &now, e) < 0)
			return -e->code;
		if (reached(&now, want))
			return 0;
		if (at >= end)
			return -EBUSY;
		if (poll(&p, 1, (int)(end - at)) < 0 && errno != EINTR)
			return err_set(e, errno, "wait for the cgroup");
	}
}

static bool cgroup_frozen_is(const struct events *now, bool want)
{
	/* an empty cgroup never reports itself frozen */
	return now->frozen == want || (want && !now->populated);
}

static bool cgroup_populated_is(const struct events *now, bool want)
{
	return now->populated == want;
}

int cgroup_freeze(int dir, bool frozen, int timeout_ms, struct err *e)
{
	int r;

	if (path_write(dir, "cgroup.freeze", frozen ? "1" : "0", e) < 0)
		return -e->code;
	if (timeout_ms == 0)
		return 0;
	r = cgroup_wait(dir, cgroup_frozen_is, frozen, timeout_ms, e);
	if (r == -EBUSY)
		return err_set(e, EBUSY, "%s cgroup: not done in %d ms", frozen ? "freeze" : "thaw",
			       timeout_ms);
	return r;
}

int cgroup_is_frozen(int dir, bool *ret, struct err *e)
{
	char line[8];

	if (path_read_line(dir, "cgroup.freeze", line, sizeof(line), e) < 0)
		return -e->code;
	*ret = line[0] == '1';
	return 0;
}

int cgroup_populated(int dir, bool *ret, struct err *e)
{
	auto_fd int fd = -1;
	struct events now;

	if (events_open(dir, &fd, e) < 0 || events_read(fd, &now, e) < 0)
		return -e->code;
	*ret = now.populated;
	return 0;
}

int cgroup_wait_empty(int dir, int timeout_ms, struct err *e)
{
	int r = cgroup_wait(dir, cgroup_populated_is, false, timeout_ms, e);

	if (r == -EBUSY)
		return err_set(e, EBUSY, "cgroup still has processes after %d ms", timeout_ms);
	/* removed by somebody else is empty too */
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

int cgroup_move(int dir, pid_t pid, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	if (path_write(dir, "cgroup.procs", text, e) < 0)
		return err_wrap(e, "move to cgroup");
	return 0;
}

/* A folder whose last process is just leaving answers EBUSY for a moment. */
static int cgroup_rmdir(int dir, const char *name, int tries)
{
	struct pollfd none = { .fd = -1 };

	for (int i = 0; unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT; i++) {
		if (errno != EBUSY || i + 1 >= tries)
			return -errno;
		poll(&none, 1, 1 + i / 10);
	}
	return 0;
}

static int cgroup_remove_below(int dir, int depth, int tries, struct err *e)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!d || depth > CGROUP_DEPTH_MAX) {
		r = err_set(e, d ? ELOOP : errno, "list cgroup");
		if (d)
			closedir(d);
		else
			fd_close(&copy);
		return r;
	}
	while (r == 0 && (entry = readdir(d))) {
		auto_fd int sub = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		sub = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			continue;
		r = cgroup_remove_below(sub, depth + 1, tries, e);
		if (r == 0) {
			r = cgroup_rmdir(dir, entry->d_name, tries);
			if (r < 0)
				err_set(e, -r, "remove cgroup %s", entry->d_name);
		}
	}
	closedir(d);
	return r;
}

static int cgroup_remove_tries(int root, const char *path, int tries, struct err *e)
{
	const char *rel = cgroup_relative(path);
	auto_fd int dir = -1;
	int r;

	if (!rel || str_eq(rel, "."))
		return err_set(e, EINVAL, "remove cgroup %s", path);
	/* one try: folders below it are EBUSY too, and no waiting helps against them */
	if (unlinkat(root, rel, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	r = cgroup_open(root, path, &dir, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (cgroup_remove_below(dir, 0, tries, e) < 0)
		return err_wrap(e, "cgroup %s", path);
	r = cgroup_rmdir(root, rel, tries);
	if (r < 0)
		return err_set(e, -r, "remove cgroup %s", path);
	return 0;
}

int cgroup_remove(int root, const char *path, struct err *e)
{
	return cgroup_remove_tries(root, path, CGROUP_TRIES, e);
}

int cgroup_remove_now(int root, const char *path, struct err *e)
{
	return cgroup_remove_tries(root, path, 1, e);
}

void cgroup_remove_made(int root, const char *path, int count)
{
	auto_free char *copy = NULL;
	const char *rel = cgroup_relative(path);

	if (!rel || str_eq(rel, "."))
		return;
	copy = mem_strdup(rel);
	for (int i = 0; i < count; i++) {
		char *slash;

		while ((slash = strrchr(copy, '/')) && slash[1] == '\0')
			*slash = '\0';
		/* EBUSY as long as it has other children: no waiting helps */
		if (unlinkat(root, copy, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return;
		slash = strrchr(copy, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

int cgroup_of(pid_t pid, char **ret, struct err *e)
{
	char path[32];
	auto_free char *text = NULL;
	char *rest;
	char *line;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (path_read(AT_FDCWD, path, 1u << 16, &text, NULL, e) < 0)
		return -e->code;
	rest = text;
	while ((line = str_field(&rest, "\n"))) {
		if (str_starts(line, "0::/")) {
			*ret = mem_strdup(line + 3);
			return 0;
		}
	}
	return err_set(e, ENOENT, "process %d has no cgroup v2", pid);
}

int cgroup_delegate(int dir, uid_t owner, struct err *e)
{
	auto_free char *names = NULL;
	struct err ignored = { 0 };
	const char *name;
	char *rest;

	if (path_read(AT_FDCWD, "/sys/kernel/cgroup/delegate", 1u << 16, &names, NULL, &ignored) <
	    0)
		mem_replace(&names, "cgroup.procs\ncgroup.threads\ncgroup.subtree_control");
	if (fchown(dir, owner, (gid_t)-1) < 0)
		return err_set(e, errno, "own the cgroup");
	rest = names;
	while ((name = str_field(&rest, "\n"))) {
		/* the list is of all that there may be */
		if (*name && fchownat(dir, name, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return err_set(e, errno, "own %s", name);
	}
	return 0;
}
