/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci exec: a process object from a file, or the container's own with changes. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/oci.h"
#include "runtime/options.h"
#include "runtime/rootless.h"

struct exec_verb {
	struct oci *oci;
	const char *process_file;
	const char *console_socket;
	const char *pidfd_socket;
	const char *pid_file;
	const char *user;
	const char *cwd;
	const char *apparmor;
	const char *selinux;
	const char *cgroup;
	struct options_texts env, caps, groups;
	bool detach, tty, no_new_privs, ignore_paused;
	int preserve_fds;
	const char *id;
	int argc;
	char **argv; /* command and arguments */
	struct spec spec; /* the container's, when the process is made from it */
	struct spec_process process;
	struct state state;
	struct container c;
};

static int exec_options(struct exec_verb *x, int argc, char **argv, struct err *e)
{
	const struct option_row rows[] = {
		{ "process", 'p', OPTION_TEXT, &x->process_file },
		{ "console-socket", '\0', OPTION_TEXT, &x->console_socket },
		{ "pidfd-socket", '\0', OPTION_TEXT, &x->pidfd_socket },
		{ "pid-file", '\0', OPTION_TEXT, &x->pid_file },
		{ "detach", 'd', OPTION_FLAG, &x->detach },
		{ "tty", 't', OPTION_FLAG, &x->tty },
		{ "user", 'u', OPTION_TEXT, &x->user },
		{ "cwd", '\0', OPTION_TEXT, &x->cwd },
		{ "env", 'e', OPTION_TEXTS, &x->env },
		{ "cap", 'c', OPTION_TEXTS, &x->caps },
		{ "additional-gids", 'g', OPTION_TEXTS, &x->groups },
		{ "apparmor", '\0', OPTION_TEXT, &x->apparmor },
		{ "process-label", '\0', OPTION_TEXT, &x->selinux },
		{ "no-new-privs", '\0', OPTION_FLAG, &x->no_new_privs },
		{ "ignore-paused", '\0', OPTION_FLAG, &x->ignore_paused },
		{ "cgroup", '\0', OPTION_TEXT, &x->cgroup },
		{ "preserve-fds", '\0', OPTION_INT, &x->preserve_fds },
	};

	argc--;
	argv++;
	if (options_parse_first(rows, sizeof(rows) / sizeof(rows[0]), &argc, &argv, e) < 0)
		return -e->code;
	if (argc < 1)
		return err_set(e, EINVAL, "one container id is needed");
	if (x->preserve_fds < 0 || x->preserve_fds > 1024)
		return err_set(e, ERANGE, "--preserve-fds: %d", x->preserve_fds);
	if (x->cgroup && strchr(x->cgroup, ':'))
		return err_set(e, EINVAL, "--cgroup: %s: cgroup v2 has no controller before a path",
			       x->cgroup);
	x->id = argv[0];
	x->argc = argc - 1;
	x->argv = argv + 1;
	if (!x->process_file && x->argc == 0)
		return err_set(e, EINVAL, "exec needs a command or --process");
	return 0;
}

static void exec_done(struct exec_verb *x)
{
	options_texts_done(&x->env);
	options_texts_done(&x->caps);
	options_texts_done(&x->groups);
	spec_process_done(&x->process);
	spec_done(&x->spec);
	state_done(&x->state);
	container_done(&x->c);
}

/* "UID" or "UID:GID": numbers alone, whole and in range. */
static int exec_user(struct exec_verb *x, struct err *e)
{
	auto_free char *copy = mem_strdup(x->user);
	char *colon = strchr(copy, ':');
	uint32_t uid;
	uint32_t gid = x->process.gid;

	if (colon)
		*colon = '\0';
	if (str_to_u32(copy, &uid) < 0 || uid == UINT32_MAX ||
	    (colon && (str_to_u32(colon + 1, &gid) < 0 || gid == UINT32_MAX)))
		return err_set(e, EINVAL, "--user: %s is not UID or UID:GID", x->user);
	x->process.uid = uid;
	x->process.gid = gid;
	return 0;
}

/* Ambient too where it is inheritable: a user's program has it by that alone. */
static void exec_caps(struct exec_verb *x)
{
	struct spec_caps *caps = &x->process.caps;

	for (size_t i = 0; i < x->caps.count; i++) {
		int number = caps_number(x->caps.texts[i]);

		if (number < 0) {
			log_warn("--cap: %.64s is unknown and left out", x->caps.texts[i]);
			continue;
		}
		caps->bounding |= 1ull << number;
		caps->effective |= 1ull << number;
		caps->permitted |= 1ull << number;
		caps->ambient |= caps->inheritable & 1ull << number;
	}
}

static int exec_lists(struct exec_verb *x, struct err *e)
{
	struct spec_process *p = &x->process;

	if (x->env.count > 0) {
		p->env = mem_realloc(p->env, (p->env_count + x->env.count + 1) * sizeof(*p->env));
		for (size_t i = 0; i < x->env.count; i++)
			p->env[p->env_count++] = x->env.texts[i];
		p->env[p->env_count] = NULL;
	}
	exec_caps(x);
	for (size_t i = 0; i < x->groups.count; i++) {
		uint32_t gid;

		if (str_to_u32(x->groups.texts[i], &gid) < 0 || gid == UINT32_MAX)
			return err_set(e, EINVAL, "--additional-gids: %s is no group id",
				       x->groups.texts[i]);
		p->groups = mem_realloc(p->groups, (p->group_count + 1) * sizeof(*p->groups));
		p->groups[p->group_count++] = gid;
	}
	return 0;
}

/* The container's own process, with what the command line says instead. */
static int exec_from_container(struct exec_verb *x, struct err *e)
{
	struct spec_process *p = &x->process;

	if (spec_load(x->state.dir, &x->spec, e) < 0)
		return -e->code;
	*p = x->spec.process;
	x->spec.process = (struct spec_process){ 0 };
	p->terminal = x->tty;
	p->rows = p->columns = 0;
	free(p->args);
	p->args = mem_array((size_t)x->argc + 1, sizeof(*p->args));
	for (int i = 0; i < x->argc; i++)
		p->args[i] = x->argv[i];
	p->arg_count = (size_t)x->argc;
	if (x->cwd && x->cwd[0] != '/')
		return err_set(e, EINVAL, "--cwd: not absolute");
	p->cwd = x->cwd ?: p->cwd;
	p->apparmor = x->apparmor ?: p->apparmor;
	p->selinux = x->selinux ?: p->selinux;
	p->no_new_privileges = p->no_new_privileges || x->no_new_privs;
	if (x->user && exec_user(x, e) < 0)
		return -e->code;
	return exec_lists(x, e);
}

static int exec_process(struct exec_verb *x, struct err *e)
{
	auto_free char *text = NULL;
	size_t len;

	if (!x->process_file)
		return exec_from_container(x, e);
	if (path_read(AT_FDCWD, x->process_file, SPEC_TEXT_MAX, &text, &len, e) < 0)
		return -e->code;
	return spec_process_parse(text, len, &x->process, e);
}

static int exec_load(struct exec_verb *x, struct err *e)
{
	const char *status;

	if (oci_open(x->oci, e) < 0 || state_load(x->oci->root, x->id, &x->state, e) < 0)
		return -e->code;
	status = state_status(&x->oci->engine, &x->state, NULL);
	if (str_eq(status, "stopped") || str_eq(status, "creating"))
		return err_set(e, ESRCH, "cannot exec in a container that is not running");
	if (exec_process(x, e) < 0)
		return -e->code;
	if (x->process.terminal && x->detach && !x->console_socket)
		return err_set(e, EINVAL,
			       "cannot allocate tty if we detach without setting console socket");
	return state_container(&x->oci->engine, &x->state, &x->c, e);
}

static int exec_tell(struct exec_verb *x, struct exec *made, struct err *e)
{
	if (x->console_socket && made->console >= 0) {
		if (oci_send_fd("console", x->console_socket, made->console, e) < 0)
			return -e->code;
		fd_close(&made->console);
	}
	if (x->pidfd_socket && oci_send_fd("pidfd", x->pidfd_socket, made->pidfd, e) < 0)
		return -e->code;
	return x->pid_file ? oci_write_pid(x->pid_file, made->pid, e) : 0;
}

static int exec_go(struct exec_verb *x, struct err *e)
{
	struct engine_exec args = ENGINE_EXEC_INIT;
	struct exec made = { .pidfd = -1, .console = -1, .cgroup = -1 };
	int r;

	args.process = &x->process;
	args.preserve_fds = x->preserve_fds;
	args.adopt = x->detach;
	args.plain_console = !x->detach;
	args.ignore_paused = x->ignore_paused;
	x->c.lenient = str_eq(x->oci->missing, "warn");
	args.below = x->cgroup;
	for (int i = 0; i < 3; i++)
		args.stdio[i] = i;
	if (engine_exec(&x->oci->engine, &x->c, &args, &made, e) < 0)
		return -e->code;
	log_debug("container %s: process %d", x->id, made.pid);
	r = exec_tell(x, &made, e);
	if (r < 0)
		(void)pidfd_send_signal(made.pidfd, SIGKILL, NULL, 0);
	else if (!x->detach)
		r = oci_foreground(made.pid, made.pidfd, made.console, e);
	fd_close(&made.pidfd);
	fd_close(&made.console);
	fd_close(&made.cgroup);
	return r;
}

/* The rights over the container are those of its user namespace. */
static int exec_enter(const struct exec_verb *x, struct err *e)
{
	auto_fd int root = open(x->oci->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_state s = { .dir = -1 };

	if (root < 0)
		return err_set(e, errno, "open %s", x->oci->root_path);
	if (state_load(root, x->id, &s, e) < 0)
		return -e->code;
	return s.pid > 0 ? rootless_join(s.pid, x->oci->argv, e)
			 : err_set(e, ESRCH, "container not running");
}

int oci_verb_exec(void *ctx, int argc, char **argv, struct err *e)
{
	struct exec_verb x = { .oci = ctx };
	int r;

	state_init(&x.state);
	container_init(&x.c);
	r = exec_options(&x, argc, argv, e);
	if (r == 0 && rootless())
		r = exec_enter(&x, e);
	if (r == 0)
		r = engine_protect(x.oci->argv, e);
	if (r == 0)
		r = exec_load(&x, e);
	if (r == 0)
		r = exec_go(&x, e);
	exec_done(&x);
	return r;
}
