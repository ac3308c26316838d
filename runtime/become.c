/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/become.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/lsm.h"
#include "runtime/notify.h"
#include "runtime/passwd.h"
#include "runtime/place.h"
#include "runtime/tty.h"

#define BECOME_FEW 64 /* variables that are compared each with each */
#define BECOME_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void become_reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int become_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * A waiting container must not hold its engine's pipes and sockets open, so
 * everything is closed that is not on the list.
 */
static void become_close_others(const struct birth *b)
{
	int keep[SPEC_NS_COUNT + 16];
	size_t n = 0;
	int next = 3 + b->preserve_fds;

	keep[n++] = b->sync;
	keep[n++] = b->listener;
	keep[n++] = b->rootfs;
	keep[n++] = b->target;
	keep[n++] = b->timens;
	keep[n++] = b->root;
	keep[n++] = b->rdt[0];
	keep[n++] = b->rdt[1];
	keep[n++] = b->engine->proc;
	keep[n++] = log_fd();
	for (int i = 0; i < 3; i++)
		keep[n++] = b->stdio[i];
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		keep[n++] = b->ns[i];
	qsort(keep, n, sizeof(keep[0]), become_compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < next)
			continue;
		if (keep[i] > next)
			close_range((unsigned int)next, (unsigned int)keep[i] - 1, 0);
		next = keep[i] + 1;
	}
	close_range((unsigned int)next, UINT_MAX, 0);
}

int become_guarded(struct birth *b, struct err *e)
{
	struct pollfd parent = { .fd = b->sync };

	/* nobody in the container may look into us, and so get at the host */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become undumpable");
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (poll(&parent, 1, 0) > 0 && parent.revents & POLLHUP)
		_exit(1); /* it was gone before we could ask to be told */
	return 0;
}

int become_clean(struct birth *b, struct err *e)
{
	if (become_guarded(b, e) < 0)
		return -e->code;
	become_reset_signals();
	become_close_others(b);
	umask(0);
	/* what the cpuset allows is the container's, not what its engine was bound to */
	if (place_cpus(b->spec ? NULL : b->process->cpus_final, e) < 0)
		return err_wrap(e, "process.execCPUAffinity.final");
	return 0;
}

int become_look_around(struct birth *b, struct err *e)
{
	struct stat st;

	fd_close(&b->null);
	fd_close(&b->self);
	fd_close(&b->label);
	b->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (b->null < 0 || fstat(b->null, &st) < 0)
		return err_set(e, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV, "/dev/null is not the null device");
	b->self = openat(b->engine->proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->self < 0)
		return err_set(e, errno, "open /proc/self");
	return lsm_open(b->process, b->self, &b->label, e);
}

int become_keyring(struct birth *b, struct err *e)
{
	char name[80];

	if (b->no_new_keyring)
		return 0;
	snprintf(name, sizeof(name), "_ses.%.64s", b->id);
	if (lsm_label_keys(b->process, b->self, true, e) < 0)
		return -e->code;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS)
		return err_set(e, errno, "make a session keyring");
	return lsm_label_keys(b->process, b->self, false, e);
}

int become_oom_score(struct birth *b, struct err *e)
{
	auto_fd int fd = -1;
	char text[16];
	int len;

	if (!b->process->has_oom_score_adj)
		return 0;
	if (path_open_beneath(b->self, "oom_score_adj", O_WRONLY, &fd, e) < 0)
		return -e->code;
	len = snprintf(text, sizeof(text), "%d", b->process->oom_score_adj);
	if (write(fd, text, (size_t)len) == len)
		return 0;
	if (!b->lenient || errno != EACCES)
		return err_set(e, errno, "process.oomScoreAdj %s", text);
	log_warn("container %s: oom_score_adj %s cannot be set without CAP_SYS_RESOURCE", b->id,
		 text);
	return 0;
}

/* The container's own null device where it has one: its mount is the container's. */
static int become_null(const struct birth *b)
{
	struct err ignored = { 0 };
	struct stat st;
	int fd = -1;

	if (path_open_strict(b->root, "dev/null", O_PATH, &fd, &ignored) < 0)
		return b->null;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
		close(fd);
		return b->null;
	}
	close(fd);
	if (path_open_strict(b->root, "dev/null", O_RDWR | O_NOCTTY, &fd, &ignored) < 0)
		return b->null;
	return fd;
}

int become_own(int fd, uid_t uid, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "stat descriptor %d", fd);
	if (st.st_uid == uid || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
		return 0;
	if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM && errno != EROFS)
		return err_set(e, errno, "own descriptor %d", fd);
	return 0;
}

/* A caller's null device: the container's own does as well, and needs nothing of the host's. */
static bool become_is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

int become_stdio(struct birth *b, struct err *e)
{
	int high[3];
	int null = -1;

	if (log_fd() > STDERR_FILENO)
		close(log_fd());
	log_to(-1);
	if (setsid() < 0)
		return err_set(e, errno, "start a session");
	for (int i = 0; i < 3; i++) {
		int fd = b->slave >= 0 ? b->slave : b->stdio[i];

		if (fd >= 0 && become_is_null(fd))
			fd = -1;
		if (fd < 0 && null < 0)
			null = become_null(b);
		high[i] = i;
		if (fd != i)
			high[i] = fcntl(fd < 0 ? null : fd, F_DUPFD_CLOEXEC, 3 + b->preserve_fds);
		if (high[i] < 0)
			return err_set(e, errno, "place descriptor %d", i);
	}
	for (int i = 0; i < 3; i++) {
		if (high[i] != i) {
			if (dup2(high[i], i) < 0)
				return err_set(e, errno, "place descriptor %d", i);
			close(high[i]);
		}
		if (become_own(i, b->process->uid, e) < 0)
			return -e->code;
	}
	return b->slave >= 0 ? tty_take(STDIN_FILENO, e) : 0;
}

static int become_enter(int fd, const char *cwd, struct err *e)
{
	char where[PATH_MAX];

	if (fchdir(fd) < 0)
		return err_set(e, errno, "process.cwd %s", cwd);
	/* the system call tells what the C library's wrapper might hide */
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0 || where[0] != '/')
		return err_set(e, EXDEV, "process.cwd %s is outside of the container", cwd);
	return 0;
}

int become_cwd(struct birth *b, struct err *e)
{
	const char *cwd = b->process->cwd;
	auto_fd int fd = -1;
	int r = path_open_in(b->root, cwd, O_PATH | O_DIRECTORY, 0, &fd, e);

	/* a container's, not that of an exec */
	if (r == -ENOENT && b->spec)
		r = path_mkdir_in(b->root, cwd, 0755, &fd, e);
	if (r == -EACCES) {
		b->chdir_later = true;
		return 0;
	}
	if (r < 0)
		return err_wrap(e, "process.cwd");
	r = become_enter(fd, cwd, e);
	b->chdir_later = r == -EACCES;
	return b->chdir_later ? 0 : r;
}

static int become_cwd_again(struct birth *b, struct err *e)
{
	auto_fd int fd = -1;

	if (!b->chdir_later)
		return 0;
	if (path_open_in(b->root, b->process->cwd, O_PATH | O_DIRECTORY, 0, &fd, e) < 0)
		return err_wrap(e, "process.cwd");
	return become_enter(fd, b->process->cwd, e);
}

static const char *become_getenv(const struct birth *b, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;

	for (size_t i = 0; i < b->process->env_count; i++) {
		const char *row = b->process->env[i];

		if (strncmp(row, name, len) == 0 && row[len] == '=')
			found = row + len + 1;
	}
	return found;
}

/* name has its '=' */
static bool become_has_few(const char **rows, const char **end, const char *name, size_t len)
{
	for (; rows < end; rows++) {
		if ((*rows)[0] == name[0] && strncmp(*rows, name, len) == 0)
			return true;
	}
	return false;
}

static bool become_has_many(struct map *names, const char *name, size_t len)
{
	auto_free char *key = mem_strndup(name, len);

	return map_set(names, key, names);
}

/* Of several with one name the last one, where it stands; what has no name as it is. */
static const char **become_env(const struct birth *b, bool home, const char **end)
{
	bool few = b->process->env_count <= BECOME_FEW;
	const char **begin = end;
	auto_map names = { 0 };

	for (size_t i = b->process->env_count; i-- > 0;) {
		const char *row = b->process->env[i];
		const char *value = strchr(row, '=');
		size_t len = value ? (size_t)(value - row) + 1 : 0;

		if (!home && str_starts(row, "HOME="))
			continue;
		if (value && (few ? become_has_few(begin, end, row, len)
				  : become_has_many(&names, row, len)))
			continue;
		*--begin = row;
	}
	return begin;
}

static void become_home(struct birth *b)
{
	const char *home = become_getenv(b, "HOME");
	bool has = home && *home;
	/* filled from behind; the NULL at the end is there */
	const char **rows = mem_array(b->process->env_count + 2, sizeof(*rows));
	const char **end = rows + b->process->env_count + has;

	b->env = become_env(b, has, end);
	if (!has) {
		auto_free char *found = passwd_home(b->root, b->process->uid);

		*end = mem_printf("HOME=%s", found ?: "/");
	}
}

/* As execve() says it of root; what the user may not is told when it is executed. */
static int become_check_program(const char *path, const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode) || !(st->st_mode & 0111))
		return err_set(e, EACCES, "exec %s", path);
	return 0;
}

static bool become_is_program(int root, const char *path)
{
	struct err ignored = { 0 };
	auto_fd int fd = -1;
	struct stat st;

	return path_open(root, path, &fd, &ignored) == 0 && fstat(fd, &st) == 0 &&
	       become_check_program(path, &st, &ignored) == 0;
}

/* A path from the working folder, where we are unless only the user may go there. */
static int become_look_relative(const struct birth *b, const char *path, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	auto_fd int fd = -1;
	struct stat st;

	if (b->chdir_later)
		return 0;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0 && errno == EACCES)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "exec %s", path);
	return become_check_program(path, &st, e);
}

int become_program(struct birth *b, struct err *e)
{
	const char *name = b->process->args[0];
	const char *path = become_getenv(b, "PATH") ?: BECOME_PATH;
	auto_fd int fd = -1;
	struct stat st;

	if (b->program)
		return 0;
	become_home(b);
	if (name[0] == '/') {
		/* looked at here for one reason: a magic link would run what is not the container's
		 */
		if (path_open(b->root, name, &fd, e) < 0)
			return err_set(e, e->code, "exec %s", name);
		if (fstat(fd, &st) < 0)
			return err_set(e, errno, "exec %s", name);
		if (become_check_program(name, &st, e) < 0)
			return -e->code;
		b->program = name;
		return 0;
	}
	if (strchr(name, '/')) {
		if (become_look_relative(b, name, e) < 0)
			return -e->code;
		b->program = name;
		return 0;
	}
	while (*path) {
		size_t len = strcspn(path, ":");
		char *full = mem_printf("%.*s/%s", (int)len, path, name);

		if (full[0] == '/' && become_is_program(b->root, full)) {
			b->program = full;
			return 0;
		}
		free(full);
		path += len + (path[len] == ':');
	}
	return err_set(e, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

int become_placed(struct birth *b, struct err *e)
{
	if ((b->common && place_common(b->common, e) < 0) || place_io_priority(b->process, e) < 0 ||
	    rdt_enter(b->rdt, 0, e) < 0)
		return -e->code;
	fd_close(&b->rdt[0]);
	fd_close(&b->rdt[1]);
	/* hooks of a container are still to be forked, which a deadline forbids */
	return b->spec ? 0 : place_scheduler(b->process, 0, e);
}

int become_raise_limits(struct birth *b, struct err *e)
{
	(void)e;
	for (size_t i = 0; (b->staged || b->userns) && i < b->process->rlimit_count; i++) {
		const struct spec_rlimit *r = &b->process->rlimits[i];
		struct rlimit now;

		/* what fails here is told when the limit is set */
		if (getrlimit((__rlimit_resource_t)r->resource, &now) == 0 &&
		    now.rlim_max < r->value.rlim_max) {
			now.rlim_max = r->value.rlim_max;
			(void)setrlimit((__rlimit_resource_t)r->resource, &now);
		}
	}
	return 0;
}

int become_root(struct birth *b, struct err *e)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_set(e, errno, "become root of the user namespace");
	/* a change of ids resets it */
	return become_guarded(b, e);
}

static int become_rlimits(const struct birth *b, struct err *e)
{
	for (size_t i = 0; i < b->process->rlimit_count; i++) {
		const struct spec_rlimit *r = &b->process->rlimits[i];
		struct rlimit now;

		if (setrlimit((__rlimit_resource_t)r->resource, &r->value) == 0)
			continue;
		if (!b->lenient || errno != EPERM)
			return err_set(e, errno, "process.rlimits[%zu]", i);
		/* as far as it goes without CAP_SYS_RESOURCE */
		if (getrlimit((__rlimit_resource_t)r->resource, &now) == 0) {
			now.rlim_cur =
				r->value.rlim_cur < now.rlim_max ? r->value.rlim_cur : now.rlim_max;
			setrlimit((__rlimit_resource_t)r->resource, &now);
		}
	}
	return 0;
}

static int become_ids(const struct birth *b, struct err *e)
{
	const struct spec_process *p = b->process;

	/* with the capability it is the user namespace of somebody who may set none */
	if (setgroups(p->group_count, p->groups) < 0 &&
	    (errno != EPERM || p->group_count > 0 || !caps_has(CAP_SETGID)))
		return err_set(e, errno, "set groups");
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return err_set(e, errno, "set group %u", p->gid);
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return err_set(e, errno, "set user %u", p->uid);
	/* a change of ids resets both */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become undumpable");
	prctl(PR_SET_PDEATHSIG, b->adopt ? 0 : SIGKILL, 0, 0, 0);
	return 0;
}

/* What the program shall have, before a filter that may not know of close_range(2). */
static int become_fds(struct birth *b, struct err *e)
{
	for (int fd = 3; fd < 3 + b->preserve_fds; fd++)
		fcntl(fd, F_SETFD, 0);
	/* sync stays until execve closes it: that is how the engine knows */
	if (close_range((unsigned int)(3 + b->preserve_fds), UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
		return err_set(e, errno, "close descriptors");
	return 0;
}

/*
 * A filter without no_new_privs needs CAP_SYS_ADMIN, which may go with the
 * next call; with it the filter comes last, so that it need not allow what
 * we still do.
 */
int become_user(struct birth *b, struct err *e)
{
	const struct spec_process *p = b->process;

	if (become_fds(b, e) < 0)
		return -e->code;
	/* in a user namespace that was the engine's business */
	if (b->spec && !b->spec->ns[SPEC_NS_USER].given && place_scheduler(p, 0, e) < 0)
		return -e->code;
	if (become_rlimits(b, e) < 0 || caps_bound(&p->caps, e) < 0)
		return -e->code;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "keep capabilities");
	if (become_ids(b, e) < 0 || become_cwd_again(b, e) < 0 || caps_raise(e) < 0 ||
	    lsm_write(p, b->label, e) < 0)
		return -e->code;
	umask(p->umask);
	if (b->filter && !p->no_new_privileges && notify_install(b->filter, b->sync, e) < 0)
		return -e->code;
	if (caps_apply(&p->caps, e) < 0)
		return -e->code;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "keep capabilities no longer");
	if (!p->no_new_privileges)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "set no_new_privs");
	return 0;
}

int become_filter(struct birth *b, struct err *e)
{
	if (!b->filter || !b->process->no_new_privileges)
		return 0;
	return notify_install(b->filter, b->sync, e);
}

int become_exec(struct birth *b, struct err *e)
{
	execve(b->program, (char *const *)(uintptr_t)b->process->args,
	       (char *const *)(uintptr_t)b->env);
	return err_set(e, errno, "exec %s", b->program);
}
