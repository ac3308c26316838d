/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs of a container's life: create, start, run, kill, delete, pause, resume. */
#include <fcntl.h>
#include <limits.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/msg.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/engine_int.h"
#include "runtime/filter.h"
#include "runtime/mntns.h"
#include "runtime/oci.h"
#include "runtime/oci_life.h"
#include "runtime/options.h"
#include "runtime/rootless.h"
#include "runtime/spec.h"

#define LIFE_FDS_MAX 1024 /* of either kind */

void life_done(struct life *l)
{
	free(l->listen_env[0]);
	free(l->listen_env[1]);
	spec_done(&l->spec);
	state_done(&l->state);
	container_done(&l->c);
}

/* What a service manager opened for the service, sd_listen_fds(3): it is the container. */
static int life_listen(struct life *l, struct err *e)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int number;

	if (!count || !*count || (pid && (str_to_int(pid, &number) < 0 || number != getpid())))
		return 0;
	if (str_to_int(count, &number) < 0 || number < 0 || number > LIFE_FDS_MAX)
		return err_set(e, ERANGE, "LISTEN_FDS: %s", count);
	l->listen_fds = number;
	l->listen_env[0] = mem_printf("LISTEN_FDS=%d", number);
	l->listen_env[1] = names ? mem_printf("LISTEN_FDNAMES=%s", names) : NULL;
	return 0;
}

static void life_listen_env(struct life *l)
{
	struct spec_process *p = &l->spec.process;

	if (l->listen_fds == 0)
		return;
	p->env = mem_realloc(p->env, (p->env_count + 4) * sizeof(*p->env));
	p->env[p->env_count++] = "LISTEN_PID=1";
	p->env[p->env_count++] = l->listen_env[0];
	if (l->listen_env[1])
		p->env[p->env_count++] = l->listen_env[1];
	p->env[p->env_count] = NULL;
}

static int life_options(struct life *l, int argc, char **argv, struct err *e)
{
	const struct option_row rows[] = {
		{ "bundle", 'b', OPTION_TEXT, &l->bundle },
		{ "config", 'f', OPTION_TEXT, &l->config },
		{ "pid-file", '\0', OPTION_TEXT, &l->pid_file },
		{ "console-socket", '\0', OPTION_TEXT, &l->console_socket },
		{ "pidfd-socket", '\0', OPTION_TEXT, &l->pidfd_socket },
		{ "detach", 'd', OPTION_FLAG, &l->detach },
		{ "keep", '\0', OPTION_FLAG, &l->keep },
		{ "no-pivot", '\0', OPTION_FLAG, &l->no_pivot },
		{ "no-new-keyring", '\0', OPTION_FLAG, &l->no_new_keyring },
		{ "no-subreaper", '\0', OPTION_IGNORED, NULL },
		{ "preserve-fds", '\0', OPTION_INT, &l->preserve_fds },
	};

	argc--;
	argv++;
	if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "one container id is needed");
	if (l->preserve_fds < 0 || l->preserve_fds > LIFE_FDS_MAX)
		return err_set(e, ERANGE, "--preserve-fds: %d", l->preserve_fds);
	if (life_listen(l, e) < 0)
		return -e->code;
	/* before anything of ours takes one of their numbers */
	for (int fd = 3; fd < 3 + l->listen_fds + l->preserve_fds; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			return err_set(e, errno, "%s: descriptor %d",
				       fd < 3 + l->listen_fds ? "LISTEN_FDS" : "--preserve-fds",
				       fd);
	}
	l->id = argv[0];
	return 0;
}

static char *life_config(const struct life *l)
{
	return l->config ? mem_strdup(l->config) : mem_printf("%s/config.json", l->bundle);
}

/* config.json is read once; what is kept for later verbs is what was read. */
static int life_load(struct life *l, char **ret_text, size_t *ret_len, struct err *e)
{
	auto_free char *path = life_config(l);

	if (path_read(AT_FDCWD, path, SPEC_TEXT_MAX, ret_text, ret_len, e) < 0 ||
	    spec_parse(*ret_text, *ret_len, &l->spec, e) < 0)
		return -e->code;
	if (!l->spec.has_process)
		return err_set(e, EINVAL, "config.json: process: missing");
	rootless_settle(&l->spec);
	life_listen_env(l);
	if (l->spec.process.terminal && l->detach && !l->console_socket)
		return err_set(e, EINVAL,
			       "cannot allocate tty if we detach without setting console socket");
	if (l->console_socket && (!l->spec.process.terminal || !l->detach))
		return err_set(e, EINVAL,
			       "cannot use console socket without a terminal to detach from");
	return 0;
}

static int life_record(struct life *l, const char *text, size_t len, struct err *e)
{
	struct state *s = &l->state;

	s->bundle = mem_strdup(l->bundle);
	s->rootfs = path_join(l->bundle, l->spec.root_path);
	s->cgroup_path = engine_cgroup_path(&l->oci->engine, &l->spec, l->id);
	s->shared_pids = spec_shares(&l->spec, SPEC_NS_PID);
	s->shared_mounts = spec_shares(&l->spec, SPEC_NS_MOUNT);
	rdt_plan(&l->spec.rdt, l->id, &s->rdt);
	if (mntns_under(&l->spec, s->rootfs, &s->under, e) < 0 || state_write(s, e) < 0 ||
	    path_create(s->dir, "config.json", text, len, 0600, e) < 0)
		return err_wrap(e, "record container %s", l->id);
	return 0;
}

static int life_make(struct life *l, int listener, struct err *e)
{
	struct engine_create args = ENGINE_CREATE_INIT;
	int r;

	args.id = l->id;
	args.bundle = l->bundle;
	args.spec = &l->spec;
	args.listener = listener;
	args.preserve_fds = l->listen_fds + l->preserve_fds;
	args.missing_controllers_warn = str_eq(l->oci->missing, "warn");
	args.no_pivot = l->no_pivot;
	args.no_new_keyring = l->no_new_keyring;
	args.adopt = l->detach;
	args.plain_console = !l->detach;
	args.look_early = true;
	for (int i = 0; i < 3; i++)
		args.stdio[i] = i;
	if (l->bring)
		r = engine_restore(&l->oci->engine, &args, l->bring, l, &l->c, e);
	else
		r = engine_create(&l->oci->engine, &args, &l->c, e);
	l->made = r == 0;
	return r;
}

static int life_record_made(struct life *l, struct err *e)
{
	struct state *s = &l->state;

	s->pid = l->c.pid;
	if (!l->c.cgroup_path)
		free(mem_take(&s->cgroup_path));
	s->userns = l->c.userns;
	s->timens = l->c.timens;
	s->common = l->c.common.has_personality || l->c.common.has_memory_policy;
	s->annotations = l->c.annotations ? mem_strdup(l->c.annotations) : NULL;
	s->hooks = l->c.hooks ? mem_strdup(l->c.hooks) : NULL;
	if (state_pid_start(s->pid, &s->pid_start) < 0)
		return err_set(e, ESRCH, "container %s is gone", l->id);
	if (l->c.filter && filter_save(l->c.filter, s->dir, "seccomp.bpf", e) < 0)
		return err_wrap(e, "record container %s", l->id);
	if (state_write(s, e) < 0)
		return err_wrap(e, "record container %s", l->id);
	return 0;
}

static int life_tell(struct life *l, struct err *e)
{
	if (l->console_socket) {
		if (oci_send_fd("console", l->console_socket, l->c.console, e) < 0)
			return -e->code;
		fd_close(&l->c.console);
	}
	if (l->pidfd_socket && oci_send_fd("pidfd", l->pidfd_socket, l->c.pidfd, e) < 0)
		return -e->code;
	return l->pid_file ? oci_write_pid(l->pid_file, l->c.pid, e) : 0;
}

void life_undo(struct life *l)
{
	struct err e = { 0 };

	if (l->made && engine_delete(&l->oci->engine, &l->c, &e) < 0)
		log_error("%s", err_text(&e));
	if (l->state.dir >= 0 && state_remove(l->oci->root, l->id, &e) < 0)
		log_error("remove state of %s: %s", l->id, err_text(&e));
}

/* Nothing ran: callers read from the file which process they have. */
static void life_fail(struct life *l)
{
	life_undo(l);
	if (l->pid_file && l->made)
		unlink(l->pid_file);
}

int life_create(struct life *l, bool listen, struct err *e)
{
	auto_free char *text = NULL;
	auto_free char *bundle = realpath(l->bundle, NULL);
	auto_fd int listener = -1;
	size_t len;
	char path[64];
	int r;

	if (!bundle)
		return err_set(e, errno, "bundle %s", l->bundle);
	l->bundle = bundle;
	if (life_load(l, &text, &len, e) < 0 || oci_open(l->oci, e) < 0 ||
	    state_create(l->oci->root, l->id, &l->state, e) < 0)
		return -e->code;
	r = life_record(l, text, len, e);
	/* by descriptor: --root may be longer than a socket's path */
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" STATE_START_SOCKET, l->state.dir);
	if (r == 0 && listen)
		r = msg_listen(path, &listener, e);
	if (r == 0)
		r = life_make(l, listener, e);
	if (r == 0)
		r = life_record_made(l, e);
	if (r == 0)
		r = life_tell(l, e);
	if (r < 0)
		life_fail(l);
	else
		log_debug("container %s: process %d", l->id, l->c.pid);
	return r;
}

/* config.json by itself, for who has to know whose root he may become. */
static int life_enter(const struct life *l, struct err *e)
{
	auto_spec spec = { 0 };
	auto_free char *path = life_config(l);
	auto_free char *text = NULL;
	size_t len;

	if (path_read(AT_FDCWD, path, SPEC_TEXT_MAX, &text, &len, e) < 0 ||
	    spec_parse(text, len, &spec, e) < 0)
		return -e->code;
	return rootless_enter(&spec, l->oci->argv, e);
}

static int life_begin(struct life *l, int argc, char **argv, struct err *e)
{
	state_init(&l->state);
	container_init(&l->c);
	if (life_options(l, argc, argv, e) < 0 || (rootless() && life_enter(l, e) < 0))
		return -e->code;
	return engine_protect(l->oci->argv, e);
}

int oci_verb_create(void *ctx, int argc, char **argv, struct err *e)
{
	struct life l = { .oci = ctx, .bundle = ".", .detach = true };
	int r = life_begin(&l, argc, argv, e);

	if (r == 0)
		r = life_create(&l, true, e);
	life_done(&l);
	return r;
}

int oci_verb_run(void *ctx, int argc, char **argv, struct err *e)
{
	struct life l = { .oci = ctx, .bundle = "." };
	int status = 0;
	int r = life_begin(&l, argc, argv, e);

	if (r == 0)
		r = life_create(&l, false, e);
	if (r == 0) {
		r = engine_start(&l.oci->engine, &l.c, e);
		if (r < 0)
			life_fail(&l);
	}
	if (r == 0 && !l.detach) {
		status = oci_foreground(l.c.pid, l.c.pidfd, l.c.console, e);
		r = status < 0 ? status : 0;
		if (!l.keep)
			life_undo(&l);
	}
	life_done(&l);
	return r < 0 ? r : status;
}

/* Opens everything and loads a container by the verb's single operand. */
static int life_find(struct oci *oci, const char *id, struct state *s, struct err *e)
{
	if (oci_open(oci, e) < 0)
		return -e->code;
	return state_load(oci->root, id, s, e);
}

int oci_verb_start(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	auto_state s = { .dir = -1 };
	struct err undo = { 0 };
	struct container c;
	const char *status;
	char path[64];
	int r;

	(void)argc;
	container_init(&c);
	if (life_find(oci, argv[1], &s, e) < 0)
		return -e->code;
	status = state_status(&oci->engine, &s, NULL);
	if (str_eq(status, "stopped"))
		return err_set(e, EINVAL, "cannot start a container that has stopped");
	if (!str_eq(status, "created"))
		return err_set(e, EINVAL, "cannot start a container that is %s", status);
	r = state_container(&oci->engine, &s, &c, e);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" STATE_START_SOCKET, s.dir);
	if (r == 0)
		r = msg_connect(path, &c.start, e);
	if (r == 0) {
		unlinkat(s.dir, STATE_START_SOCKET, 0);
		r = engine_start(&oci->engine, &c, e);
	}
	/* a hook that fails is the end of all of it */
	if (c.hook_failed && life_remove(oci, argv[1], &s, &undo) < 0)
		log_error("%s", err_text(&undo));
	container_done(&c);
	return r;
}

/* What kill and delete are to do. */
struct life_end {
	int signal;
	bool all, force;
};

static int life_kill(struct oci *oci, const char *id, const struct life_end *how, struct err *e)
{
	auto_state s = { .dir = -1 };
	struct container c;
	const char *status;
	int r;

	container_init(&c);
	if (state_load(oci->root, id, &s, e) < 0)
		return -e->code;
	status = state_status(&oci->engine, &s, NULL);
	if (!how->all && !(s.shared_pids && how->signal == SIGKILL) &&
	    (str_eq(status, "stopped") || str_eq(status, "creating")))
		return err_set(e, ESRCH, "container not running");
	r = state_container(&oci->engine, &s, &c, e);
	if (r == 0)
		r = engine_kill(&oci->engine, &c, how->signal, how->all, e);
	container_done(&c);
	return r;
}

int life_remove(struct oci *oci, const char *id, const struct state *s, struct err *e)
{
	struct container c;
	int r;

	container_init(&c);
	r = state_container(&oci->engine, s, &c, e);
	if (r == 0)
		r = engine_delete(&oci->engine, &c, e);
	if (r == 0)
		r = state_remove(oci->root, id, e);
	container_done(&c);
	return r;
}

static int life_delete(struct oci *oci, const char *id, const struct life_end *how, struct err *e)
{
	auto_state s = { .dir = -1 };
	const char *status;
	int r;

	r = state_load(oci->root, id, &s, e);
	if (r < 0)
		return how->force && r == -ENOENT ? 0 : r;
	status = state_status(&oci->engine, &s, NULL);
	if (!how->force && !str_eq(status, "stopped") && !str_eq(status, "created"))
		return err_set(e, EBUSY, "cannot delete container %s that is not stopped: %s", id,
			       status);
	return life_remove(oci, id, &s, e);
}

typedef int life_act(struct oci *oci, const char *id, const struct life_end *how, struct err *e);

/* For every container whose id matches; the first failure is told, and the others go on. */
static int life_matching(struct oci *oci, const char *pattern, life_act *act,
			 const struct life_end *how, struct err *e)
{
	struct err first = { 0 };
	char **names = NULL;
	size_t count = 0;
	regex_t re;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(e, EINVAL, "--regex: %.64s is no regular expression", pattern);
	if (oci_names(oci->root, &names, &count, e) < 0)
		first = *e;
	for (size_t i = 0; i < count; i++) {
		if (regexec(&re, names[i], 0, NULL, 0) == 0 && act(oci, names[i], how, e) < 0 &&
		    !first.code) {
			err_wrap(e, "container %s", names[i]);
			first = *e;
		}
		free(names[i]);
	}
	free(names);
	regfree(&re);
	*e = first;
	return -e->code;
}

int oci_verb_kill(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	struct life_end how = { 0 };
	bool regex = false;
	const struct option_row rows[] = {
		{ "all", 'a', OPTION_FLAG, &how.all },
		{ "regex", 'r', OPTION_FLAG, &regex },
	};

	argc--;
	argv++;
	if (options_parse(rows, 2, &argc, &argv, e) < 0)
		return -e->code;
	if (argc < 1 || argc > 2)
		return err_set(e, EINVAL, "usage: kill [--all] [--regex] ID [SIGNAL]");
	how.signal = oci_signal(argc == 2 ? argv[1] : "TERM", e);
	if (how.signal < 0 || oci_open(oci, e) < 0)
		return -e->code;
	return regex ? life_matching(oci, argv[0], life_kill, &how, e)
		     : life_kill(oci, argv[0], &how, e);
}

int oci_verb_delete(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	struct life_end how = { 0 };
	bool regex = false;
	const struct option_row rows[] = {
		{ "force", 'f', OPTION_FLAG, &how.force },
		{ "regex", 'r', OPTION_FLAG, &regex },
	};

	argc--;
	argv++;
	if (options_parse(rows, 2, &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "usage: delete [--force] [--regex] ID");
	if (oci_open(oci, e) < 0)
		return -e->code;
	return regex ? life_matching(oci, argv[0], life_delete, &how, e)
		     : life_delete(oci, argv[0], &how, e);
}

static int life_freeze(struct oci *oci, const char *id, const char *wanted,
		       int (*act)(struct engine *, const struct container *, struct err *),
		       struct err *e)
{
	auto_state s = { .dir = -1 };
	struct container c;
	const char *status;
	int r;

	container_init(&c);
	if (life_find(oci, id, &s, e) < 0)
		return -e->code;
	status = state_status(&oci->engine, &s, NULL);
	if (str_eq(status, "stopped"))
		return err_set(e, ESRCH, "container not running");
	if (!str_eq(status, wanted) && !str_eq(status, "created"))
		return err_set(e, EINVAL, "container %s is %s, not %s", id, status, wanted);
	r = state_container(&oci->engine, &s, &c, e);
	if (r == 0)
		r = act(&oci->engine, &c, e);
	container_done(&c);
	return r;
}

int oci_verb_pause(void *ctx, int argc, char **argv, struct err *e)
{
	(void)argc;
	return life_freeze(ctx, argv[1], "running", engine_pause, e);
}

int oci_verb_resume(void *ctx, int argc, char **argv, struct err *e)
{
	(void)argc;
	return life_freeze(ctx, argv[1], "paused", engine_resume, e);
}
