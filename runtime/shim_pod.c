/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/shim_pod.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/id.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"

static const struct ns_row {
	const char *name;
	const char *own; /* the word that gives the pod one of its own */
	const char *other; /* words that do not */
	const char *other2;
	int flag;
} ns_rows[SHIM_NS_COUNT] = {
	[SHIM_NS_NET] = { "net", "new", "host", NULL, CLONE_NEWNET },
	[SHIM_NS_IPC] = { "ipc", "new", "host", NULL, CLONE_NEWIPC },
	[SHIM_NS_UTS] = { "uts", "new", "host", NULL, CLONE_NEWUTS },
	[SHIM_NS_PID] = { "pid", "shared", "none", "host", CLONE_NEWPID },
};

/* pod.json ----------------------------------------------------------------- */

static int pod_parse_namespaces(struct shim_pod *pod, struct err *e)
{
	const struct json *namespaces = NULL;

	if (json_get_object(pod->json, "namespaces", &namespaces, e) < 0)
		return -e->code;
	for (int i = 0; i < SHIM_NS_COUNT; i++) {
		const struct ns_row *row = &ns_rows[i];
		const char *word;

		if (json_need_text(namespaces, row->name, &word, e) < 0)
			return err_wrap(e, "namespaces");
		pod->own[i] = str_eq(word, row->own);
		if (!pod->own[i] && !str_eq(word, row->other) &&
		    !(row->other2 && str_eq(word, row->other2)))
			return err_set(e, EINVAL, "namespaces: %s: unknown word %s", row->name,
				       word);
	}
	return 0;
}

static int pod_parse_sysctls(struct shim_pod *pod, struct err *e)
{
	if (json_get_object(pod->json, "sysctls", &pod->sysctls, e) < 0)
		return -e->code;
	json_each(entry, pod->sysctls) {
		auto_free char *path = NULL;

		if (shim_pod_sysctl_path(pod, entry->key, &path, e) < 0)
			return -e->code;
		if (entry->type != JSON_STRING || strlen(entry->text) > SHIM_SYSCTL_MAX)
			return err_set(e, EINVAL,
				       "sysctl %s: the value must be a text of at most "
				       "%d bytes",
				       entry->key, SHIM_SYSCTL_MAX);
	}
	return 0;
}

int shim_pod_parse(const char *text, size_t len, struct shim_pod *ret, struct err *e)
{
	struct shim_pod pod = { .ns = { -1, -1, -1, -1 }, .host_net = -1, .pause_pidfd = -1 };

	if (json_parse(text, len, &pod.json, e) < 0)
		return -e->code;
	if (json_need_text(pod.json, "id", &pod.id, e) < 0 || pod_parse_namespaces(&pod, e) < 0 ||
	    json_get_text(pod.json, "hostname", &pod.hostname, e) < 0 ||
	    pod_parse_sysctls(&pod, e) < 0)
		goto undo;
	if (pod.hostname && pod.hostname[0] == '\0')
		pod.hostname = NULL;
	if (!id_valid(pod.id))
		err_set(e, EINVAL, "id: not 64 hex digits");
	else if (pod.hostname && strlen(pod.hostname) > SHIM_HOSTNAME_MAX)
		err_set(e, EINVAL, "hostname: longer than %d bytes", SHIM_HOSTNAME_MAX);
	else if (pod.hostname && !pod.own[SHIM_NS_UTS])
		err_set(e, EINVAL, "hostname: the host's name would change");
	else {
		*ret = pod;
		return 0;
	}
undo:
	json_free(pod.json);
	return -e->code;
}

int shim_pod_load(int dir, struct shim_pod *ret, struct err *e)
{
	auto_free char *text = NULL;
	size_t len;

	if (path_read(dir, "pod.json", SHIM_POD_TEXT_MAX, &text, &len, e) < 0 ||
	    shim_pod_parse(text, len, ret, e) < 0)
		return err_wrap(e, "pod.json");
	return 0;
}

void shim_pod_done(struct shim_pod *pod)
{
	for (int i = 0; i < SHIM_NS_COUNT; i++)
		fd_close(&pod->ns[i]);
	fd_close(&pod->host_net);
	fd_close(&pod->pause_pidfd);
	json_free(pod->json);
	pod->json = NULL;
}

/* Sysctls ------------------------------------------------------------------ */

/* what belongs to a namespace, by the beginning of its path */
static const struct {
	const char *prefix;
	bool whole; /* the prefix is the name */
	enum shim_ns ns;
} sysctl_rows[] = {
	{ "kernel/shm", false, SHIM_NS_IPC }, { "kernel/msg", false, SHIM_NS_IPC },
	{ "kernel/sem", true, SHIM_NS_IPC },  { "fs/mqueue/", false, SHIM_NS_IPC },
	{ "net/", false, SHIM_NS_NET },
};

/* Dots separate, unless a slash comes first; then a dot is a letter (and the other way round). */
static bool sysctl_normalize(const char *name, char *path)
{
	size_t first = strcspn(name, "./");
	bool dots = name[first] == '.';
	size_t at = 0; /* where the current word begins */
	size_t i;

	for (i = 0; name[i]; i++) {
		char c = name[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '_' || c == '-')
			path[i] = c;
		else if (c == '.' || c == '/')
			path[i] = (c == '.') == dots ? '/' : '.';
		else
			return false;
		if (path[i] == '/') {
			if (i == at || path[at] == '.')
				return false;
			at = i + 1;
		}
	}
	path[i] = '\0';
	return i > at && path[at] != '.';
}

int shim_pod_sysctl_path(const struct shim_pod *pod, const char *name, char **ret, struct err *e)
{
	char path[256];

	if (strlen(name) >= sizeof(path) || !sysctl_normalize(name, path))
		return err_set(e, EINVAL, "sysctl %.200s: no valid name", name);
	for (size_t i = 0; i < sizeof(sysctl_rows) / sizeof(sysctl_rows[0]); i++) {
		const char *prefix = sysctl_rows[i].prefix;
		enum shim_ns ns = sysctl_rows[i].ns;

		if (sysctl_rows[i].whole ? !str_eq(path, prefix) : !str_starts(path, prefix))
			continue;
		if (!pod->own[ns])
			return err_set(e, EINVAL, "sysctl %s: the pod uses the host's %s namespace",
				       name, ns_rows[ns].name);
		*ret = mem_printf("sys/%s", path);
		return 0;
	}
	return err_set(e, EINVAL, "sysctl %s: not of a namespace", name);
}

/* The procfs is one of our own making: nobody can have put something over its files. */
static int pod_set_sysctls(const struct shim_pod *pod, struct err *e)
{
	auto_fd int proc = -1;

	if (!pod->sysctls || pod->sysctls->count == 0)
		return 0;
	if (mnt_new("proc", "proc", NULL, 0,
		    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &proc, e) < 0)
		return err_wrap(e, "set sysctls");
	json_each(entry, pod->sysctls) {
		auto_free char *path = NULL;
		auto_fd int fd = -1;

		if (shim_pod_sysctl_path(pod, entry->key, &path, e) < 0)
			return -e->code;
		if (path_open_beneath(proc, path, O_WRONLY, &fd, e) < 0 ||
		    fd_write_all(fd, entry->text, strlen(entry->text), e) < 0)
			return err_wrap(e, "sysctl %s", entry->key);
	}
	return 0;
}

/* Namespaces --------------------------------------------------------------- */

static int pod_loopback_up(struct err *e)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_set(e, errno, "set the loopback link up");
	return 0;
}

static int pod_open_ns(int *ret_fd, pid_t pid, const char *name, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_fd = fd;
	return 0;
}

struct pause_start {
	int program; /* through a read-only mount */
	int ready; /* closed by the program when it is protected */
};

/*
 * Containers can name process 1: it has no root but an empty folder, no
 * capability, and its program comes from a mount that nobody can write.
 */
static int pause_child(const struct pause_start *start)
{
	static char name[] = "berth-pause";
	char *const argv[] = { name, NULL };
	char *const envp[] = { NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,mode=555") < 0 ||
	    chdir("/proc") < 0)
		return errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		umount2(".", MNT_DETACH);
	else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return errno; /* an initramfs cannot be pivoted away */
	if (chdir("/") < 0)
		return errno;
	if (dup2(start->ready, 0) < 0 || dup3(start->program, 3, O_CLOEXEC) < 0)
		return errno;
	close(1);
	close(2);
	fd_close_from(4);
	execveat(3, "", argv, envp, AT_EMPTY_PATH);
	return errno;
}

static int pod_start_pause(struct shim_pod *pod, const char *libexec, struct err *e)
{
	auto_free char *path = mem_printf("%s/berth-pause", libexec);
	auto_fd int program = -1;
	auto_fd int pidfd = -1;
	int ready[2];
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	int code = 0;
	ssize_t n;
	pid_t pid;

	if (mnt_clone(AT_FDCWD, path, 0, &program, e) < 0 ||
	    mnt_set(program, MOUNT_ATTR_RDONLY, 0, 0, 0, e) < 0 || fd_pipe(ready, 0, e) < 0)
		return err_wrap(e, "start %s", path);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		struct pause_start start = { .program = program, .ready = ready[1] };

		code = pause_child(&start);
		(void)!write(start.ready, &code, sizeof(code));
		_exit(127);
	}
	if (pid < 0)
		err_set(e, errno, "start %s: clone", path);
	close(ready[1]);
	do {
		n = pid > 0 ? read(ready[0], &code, sizeof(code)) : -1;
	} while (n < 0 && errno == EINTR);
	close(ready[0]);
	if (pid > 0 && n != 0)
		err_set(e, n == sizeof(code) ? code : EIO, "start %s", path);
	if (e->code)
		return -e->code;
	pod->pause = pid;
	pod->pause_pidfd = fd_take(&pidfd);
	return pod_open_ns(&pod->ns[SHIM_NS_PID], pid, "pid", e);
}

static int pod_fill(struct shim_pod *pod, const char *libexec, struct err *e)
{
	for (int i = 0; i < SHIM_NS_PID; i++) {
		if (pod->own[i] && pod_open_ns(&pod->ns[i], getpid(), ns_rows[i].name, e) < 0)
			return -e->code;
	}
	if (pod->own[SHIM_NS_NET] && pod_loopback_up(e) < 0)
		return -e->code;
	if (pod->hostname && sethostname(pod->hostname, strlen(pod->hostname)) < 0)
		return err_set(e, errno, "set hostname %s", pod->hostname);
	if (pod_set_sysctls(pod, e) < 0)
		return -e->code;
	return pod->own[SHIM_NS_PID] ? pod_start_pause(pod, libexec, e) : 0;
}

int shim_pod_make(struct shim_pod *pod, const char *libexec, struct err *e)
{
	int home[SHIM_NS_PID] = { -1, -1, -1 };
	int flags = 0;
	int r = 0;

	if (pod_open_ns(&pod->host_net, getpid(), "net", e) < 0)
		return -e->code;
	for (int i = 0; r == 0 && i < SHIM_NS_PID; i++) {
		if (!pod->own[i])
			continue;
		flags |= ns_rows[i].flag;
		r = pod_open_ns(&home[i], getpid(), ns_rows[i].name, e);
	}
	if (r == 0 && flags != 0 && unshare(flags) < 0)
		r = err_set(e, errno, "make namespaces");
	if (r == 0)
		r = pod_fill(pod, libexec, e);
	for (int i = 0; i < SHIM_NS_PID; i++) {
		if (r == 0 && home[i] >= 0 && setns(home[i], ns_rows[i].flag) < 0)
			r = err_set(e, errno, "leave the pod's %s namespace", ns_rows[i].name);
		fd_close(&home[i]);
	}
	return r;
}

int shim_pod_link(const struct shim_pod *pod, int dir, struct err *e)
{
	if (mkdirat(dir, "ns", 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder ns");
	shim_pod_unlink(dir);
	for (int i = 0; i < SHIM_NS_COUNT; i++) {
		char target[64], name[16];

		if (pod->ns[i] < 0)
			continue;
		snprintf(target, sizeof(target), "/proc/%d/fd/%d", getpid(), pod->ns[i]);
		snprintf(name, sizeof(name), "ns/%s", ns_rows[i].name);
		if (symlinkat(target, dir, name) < 0)
			return err_set(e, errno, "link %s", name);
	}
	return 0;
}

void shim_pod_unlink(int dir)
{
	for (int i = 0; i < SHIM_NS_COUNT; i++) {
		char name[16];

		snprintf(name, sizeof(name), "ns/%s", ns_rows[i].name);
		unlinkat(dir, name, 0);
	}
}

int shim_pod_socket(const struct shim_pod *pod, int family, int *ret_fd, struct err *e)
{
	int fd, code;

	if (pod->ns[SHIM_NS_NET] >= 0 && setns(pod->ns[SHIM_NS_NET], CLONE_NEWNET) < 0)
		return err_set(e, errno, "enter the pod's network namespace");
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	code = errno;
	/* what follows would happen in the wrong network */
	if (pod->ns[SHIM_NS_NET] >= 0 && setns(pod->host_net, CLONE_NEWNET) < 0)
		abort();
	if (fd < 0)
		return err_set(e, code, "make a socket in the pod's network");
	*ret_fd = fd;
	return 0;
}
