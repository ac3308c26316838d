/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/tty.h"

/* a child reports the failed step and its errno through the exec pipe */
struct spawn_failure {
	int code;
	char step[28];
};

static void __attribute__((noreturn))
spawn_fail(const struct spawn *s, int report, const char *step)
{
	struct spawn_failure f = { .code = errno };

	snprintf(f.step, sizeof(f.step), "%s", step);
	if (s->early)
		dprintf(STDERR_FILENO, "<3>start %s: %s: %s\n", s->path ?: "worker", step,
			strerror(f.code));
	else
		(void)!write(report, &f, sizeof(f));
	_exit(127);
}

static void spawn_reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Two rounds, so that no number is overwritten before it was moved. */
static void spawn_place_fds(const struct spawn *s, int report)
{
	int high[SPAWN_FDS];
	size_t n = s->nfds < 3 ? 3 : s->nfds;

	for (size_t i = 0; i < n; i++) {
		int fd = i < s->nfds ? s->fds[i] : -1;

		if (fd < 0)
			fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		high[i] = fcntl(fd, F_DUPFD_CLOEXEC, (int)n + 1);
		if (high[i] < 0)
			spawn_fail(s, report, "place descriptors");
	}
	for (size_t i = 0; i < n; i++) {
		if (dup2(high[i], (int)i) < 0)
			spawn_fail(s, report, "place descriptors");
	}
}

static void spawn_drop(const struct spawn *s, int report)
{
	if (setgroups(0, NULL) < 0)
		spawn_fail(s, report, "drop groups");
	if (setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0)
		spawn_fail(s, report, "change user");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		spawn_fail(s, report, "set no_new_privs");
}

/* the folder of the program, opened before the change of user: that user may be
 * kept out of a folder above it */
static int spawn_folder(const struct spawn *s)
{
	const char *end = s->path && s->uid ? strrchr(s->path, '/') : NULL;
	auto_free char *folder = end ? mem_printf("%.*s", (int)(end - s->path) + 1, s->path) : NULL;

	return folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

static void __attribute__((noreturn)) spawn_exec(const struct spawn *s, int report, int folder)
{
	const char *const none[] = { NULL };
	char *const *argv = (char *const *)(uintptr_t)s->argv;
	char *const *envp = (char *const *)(uintptr_t)(s->envp ?: none);

	execve(s->path, argv, envp);
	if (errno == EACCES && folder >= 0)
		execveat(folder, strrchr(s->path, '/') + 1, argv, envp, 0);
	spawn_fail(s, report, "exec");
}

static void __attribute__((noreturn)) spawn_child(const struct spawn *s, int report, pid_t parent)
{
	int folder = -1;
	int mine;

	spawn_reset_signals();
	mine = fcntl(report, F_DUPFD_CLOEXEC, (int)(s->nfds < 3 ? 3 : s->nfds) + 1);
	if (mine < 0)
		spawn_fail(s, report, "place descriptors");
	spawn_place_fds(s, mine);
	/* 3.. may hold listed descriptors; the report pipe goes right behind them */
	report = (int)(s->nfds < 3 ? 3 : s->nfds);
	if (dup3(mine, report, O_CLOEXEC) < 0)
		spawn_fail(s, mine, "place descriptors");
	fd_close_from(report + 1);
	if (s->session)
		setsid();
	if (s->tty && tty_take(s->tty, &(struct err){ 0 }) < 0)
		spawn_fail(s, report, "take the terminal");
	if (!s->stay && chdir(s->cwd ?: "/") < 0)
		spawn_fail(s, report, "change folder");
	folder = spawn_folder(s);
	if (s->uid)
		spawn_drop(s, report);
	/* after the change of user, which takes it away */
	if (s->parent_death) {
		prctl(PR_SET_PDEATHSIG, s->parent_death);
		if (!(s->flags & CLONE_NEWPID) && getppid() != parent)
			_exit(127);
	}
	if (!s->path) {
		close(report);
		_exit(s->run(s->arg));
	}
	spawn_exec(s, report, folder);
}

static pid_t spawn_clone(const struct spawn *s, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | s->flags,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (s->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)s->cgroup;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	/* seccomp filters cannot look at its flags, and so refuse it */
	if (pid < 0 && (errno == ENOSYS || errno == EPERM) && s->cgroup < 0)
		pid = (pid_t)syscall(SYS_clone, args.flags | SIGCHLD, NULL, ret_pidfd, NULL, NULL);
	return pid;
}

int spawn(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
	const char *name = s->path ?: "worker";
	struct spawn_failure f = { 0 };
	int pipe_fds[2];
	int pidfd = -1;
	pid_t parent = getpid();
	pid_t pid;
	ssize_t n;

	if (fd_pipe(pipe_fds, 0, e) < 0)
		return err_wrap(e, "start %s", name);
	pid = spawn_clone(s, &pidfd);
	if (pid == 0) {
		close(pipe_fds[0]);
		spawn_child(s, pipe_fds[1], parent);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_set(e, errno, "start %s: clone", name);
	}
	do {
		n = s->early ? 0 : read(pipe_fds[0], &f, sizeof(f));
	} while (n < 0 && errno == EINTR);
	close(pipe_fds[0]);
	if (n == sizeof(f)) {
		spawn_reap(pidfd);
		close(pidfd);
		return err_set(e, f.code > 0 ? f.code : EIO, "start %s: %.28s", name, f.step);
	}
	if (ret_pid)
		*ret_pid = pid;
	if (ret_pidfd)
		*ret_pidfd = pidfd;
	else
		close(pidfd);
	return 0;
}

int spawn_wait(int pidfd, int *ret_status, struct err *e)
{
	siginfo_t info = { 0 };
	int r;

	do {
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_set(e, errno, "wait for child");
	*ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}

void spawn_reap(int pidfd)
{
	while (waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){ 0 }, WEXITED) < 0 && errno == EINTR)
		;
}

void spawn_end(int pidfd)
{
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	spawn_reap(pidfd);
}
