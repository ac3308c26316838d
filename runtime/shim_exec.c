/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exec sessions. Each lives in a sub-cgroup "exec-N" of its container, so that
 * all of it can be killed; the folders are used again and again, for whoever
 * watches cgroups looks at each new one.
 */
#include "runtime/shim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/spawn.h"
#include "lib/str.h"

#define EXEC_HANGUP_MS 10000 /* from a session's hang-up to its kill */

static struct shim_exec *exec_get(struct shim *s, const char *id)
{
	list_for_each(ctr, &s->ctrs, struct shim_ctr, node) {
		list_for_each(x, &ctr->execs, struct shim_exec, node) {
			if (str_eq(x->id, id))
				return x;
		}
	}
	return NULL;
}

static struct shim_exec *exec_find(struct shim *s, const char *id, struct err *e)
{
	struct shim_exec *x = exec_get(s, id);

	if (!x)
		err_set(e, ENOENT, "exec %s", id);
	return x;
}

/* Sub-cgroups -------------------------------------------------------------- */

static void slot_name(char name[static 16], int slot)
{
	snprintf(name, 16, "exec-%d", slot);
}

/*
 * Whether processes that an ended exec left behind are gone. The folder goes
 * too: a cgroup that was killed once kills who is born into it (6.14).
 */
static bool slot_is_clean(struct shim_ctr *ctr, int slot)
{
	struct err e = { 0 };
	bool populated = false;
	auto_fd int dir = -1;
	char name[16];

	slot_name(name, slot);
	if (cgroup_open(ctr->c.cgroup, name, &dir, &e) < 0)
		return e.code == ENOENT;
	return cgroup_populated(dir, &populated, &e) == 0 && !populated &&
	       cgroup_remove(ctr->c.cgroup, name, &e) == 0;
}

/* The lowest one; there are more than a container may have sessions, unless many left processes. */
static int slot_take(struct shim_ctr *ctr)
{
	for (int slot = 0; slot < SHIM_EXECS_MAX; slot++) {
		uint64_t bit = UINT64_C(1) << slot % 64;
		int word = slot / 64;

		if (ctr->slots[word] & bit)
			continue;
		if (ctr->littered[word] & bit) {
			if (!slot_is_clean(ctr, slot))
				continue;
			ctr->littered[word] &= ~bit;
		}
		ctr->slots[word] |= bit;
		return slot;
	}
	return -1;
}

static void slot_give(struct shim_ctr *ctr, int slot, bool littered)
{
	uint64_t bit;

	if (slot < 0)
		return;
	bit = UINT64_C(1) << slot % 64;
	ctr->slots[slot / 64] &= ~bit;
	if (littered)
		ctr->littered[slot / 64] |= bit;
}

/* The end ------------------------------------------------------------------ */

static void exec_free(struct shim_exec *x)
{
	bool populated = true;
	struct err e = { 0 };

	if (x->slot >= 0) {
		cgroup_populated(x->cgroup, &populated, &e);
		slot_give(x->ctr, x->slot, populated || x->killed);
	}
	ev_remove(&x->child);
	ev_remove(&x->timer);
	shim_copy_stop(&x->in);
	shim_copy_stop(&x->out);
	fd_close(&x->console);
	fd_close(&x->pidfd);
	fd_close(&x->cgroup);
	list_remove(&x->node);
	x->ctr->exec_count--;
	free(x);
}

static void exec_over(struct shim_exec *x)
{
	auto_json_out o = { 0 };
	struct shim *s = x->ctr->shim;

	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", x->ctr->id);
	json_out_text(&o, "exec", x->id);
	shim_exit_write(&x->exit, &o, "exit");
	json_out_bool(&o, "timed_out", x->timed_out);
	json_out_end(&o);
	exec_free(x);
	shim_event(s, SHIM_EVENT_EXEC_EXIT, o.s.text);
}

/* Its program ended; the terminal's last words go out before the end is told. */
static void exec_ended(struct shim_exec *x, int code, int status)
{
	ev_remove(&x->child);
	fd_close(&x->pidfd);
	x->ended = true;
	shim_exit_set(&x->exit, code, status, false);
	if (!shim_copy_runs(&x->out)) {
		exec_over(x);
		return;
	}
	x->flushed = x->out.total;
	ev_timer_set(&x->timer, SHIM_FLUSH_MS);
}

static void exec_on_child(void *arg, uint32_t events)
{
	struct shim_exec *x = arg;
	siginfo_t info = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)x->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0)
		exec_ended(x, info.si_code, info.si_status);
}

static void exec_kill_all(struct shim_exec *x)
{
	struct err e = { 0 };

	x->killed = true;
	if (x->cgroup >= 0 && cgroup_kill(x->cgroup, &e) == 0)
		return;
	kill(-x->pid, SIGKILL);
	if (x->pidfd >= 0)
		pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
}

static void exec_on_timer(void *arg)
{
	struct shim_exec *x = arg;

	if (!x->ended) {
		x->timed_out = true;
		exec_kill_all(x);
		return;
	}
	if (x->out.total == x->flushed) {
		exec_over(x);
		return;
	}
	x->flushed = x->out.total;
	ev_timer_set(&x->timer, SHIM_FLUSH_MS);
}

void shim_exec_client_gone(struct shim *s, uint64_t client)
{
	struct err e = { 0 };

	list_for_each(ctr, &s->ctrs, struct shim_ctr, node) {
		list_for_each(x, &ctr->execs, struct shim_exec, node) {
			if (x->client != client || x->ended)
				continue;
			if (x->cgroup >= 0)
				cgroup_signal(x->cgroup, SIGHUP, &e);
			if (!ev_timer_armed(&x->timer))
				ev_timer_set(&x->timer, EXEC_HANGUP_MS);
		}
	}
}

void shim_exec_end_all(struct shim_ctr *ctr)
{
	list_for_each(x, &ctr->execs, struct shim_exec, node) {
		siginfo_t info = { .si_code = CLD_KILLED, .si_status = SIGKILL };

		if (!x->ended) {
			exec_kill_all(x);
			waitid(P_PIDFD, (id_t)x->pidfd, &info, WEXITED | WNOHANG);
			shim_exit_set(&x->exit, info.si_code ?: CLD_KILLED,
				      info.si_code ? info.si_status : SIGKILL, false);
		}
		exec_over(x);
	}
}

/* The terminal ------------------------------------------------------------- */

/* Nobody reads any more, or nobody writes: the hang-up tells the session, if it still runs. */
static void exec_on_output_end(void *arg)
{
	struct shim_exec *x = arg;

	shim_copy_stop(&x->in);
	fd_close(&x->console);
	if (x->ended)
		exec_over(x);
}

static int exec_console(struct shim_exec *x, int console, int in, int out, struct err *e)
{
	struct ev *ev = &x->ctr->shim->ev;
	auto_fd int from = in, to = out;
	int fd;

	x->console = console;
	if (fd_dup(console, &fd, e) < 0)
		return -e->code;
	if (shim_copy_start(&x->out, ev, fd, fd_take(&to), exec_on_output_end, x, e) < 0)
		return -e->code;
	if (from < 0)
		return 0;
	if (fd_dup(console, &fd, e) < 0)
		return -e->code;
	return shim_copy_start(&x->in, ev, fd_take(&from), fd, NULL, NULL, e);
}

/* The start ---------------------------------------------------------------- */

static struct shim_exec *exec_new(struct shim_ctr *ctr, const char *id)
{
	struct shim_exec *x = mem_alloc(sizeof(*x));

	x->ctr = ctr;
	x->pidfd = x->cgroup = x->console = x->slot = -1;
	str_copy(x->id, sizeof(x->id), id);
	shim_copy_init(&x->in);
	shim_copy_init(&x->out);
	ev_add_timer(&ctr->shim->ev, &x->timer, exec_on_timer, x);
	list_add_tail(&ctr->execs, &x->node);
	ctr->exec_count++;
	return x;
}

static int exec_engine(struct shim_exec *x, const struct spec_process *process, int fds[3],
		       struct err *e)
{
	struct engine_exec args = ENGINE_EXEC_INIT;
	struct exec result = { 0 };
	struct shim *s = x->ctr->shim;
	char name[16];

	args.process = process;
	x->slot = slot_take(x->ctr);
	if (x->slot >= 0) {
		slot_name(name, x->slot);
		args.cgroup = name;
	}
	if (!process->terminal)
		memcpy(args.stdio, fds, sizeof(args.stdio));
	if (engine_exec(&s->engine, &x->ctr->c, &args, &result, e) < 0) {
		slot_give(x->ctr, x->slot, true);
		x->slot = -1;
		return -e->code;
	}
	x->pid = result.pid;
	x->pidfd = result.pidfd;
	x->cgroup = result.cgroup;
	if (result.console >= 0 &&
	    exec_console(x, result.console, fd_take(&fds[0]), fd_take(&fds[1]), e) < 0)
		return -e->code;
	return ev_add_fd(&s->ev, &x->child, x->pidfd, EPOLLIN, exec_on_child, x, e);
}

/* In the request, or in a file given with it. */
static int exec_process(const struct json *inside, int file, struct spec_process *ret,
			struct err *e)
{
	auto_free char *text = NULL;
	struct stat st;
	size_t len;

	if (inside)
		return spec_process_read(inside, ret, e);
	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "process: it is in no file");
	if (fd_read_all(file, SPEC_TEXT_MAX, &text, &len, e) < 0)
		return err_wrap(e, "process");
	return spec_process_parse(text, len, ret, e);
}

static int exec_start(struct shim_ctr *ctr, struct shim_call *call, int fds[3], int file,
		      struct err *e)
{
	const struct shim_request *r = &call->r;
	auto_spec_process process = { 0 };
	struct shim_exec *x;

	if (exec_process(r->process, file, &process, e) < 0)
		return -e->code;
	if (process.terminal && (!r->output || r->error_output))
		return err_set(e, EINVAL, "a terminal has a stdout and no stderr");
	if (!process.has_oom_score_adj) {
		process.has_oom_score_adj = true;
		process.oom_score_adj = ctr->oom_score_adj;
	}
	x = exec_new(ctr, r->exec);
	x->client = call->reply.client;
	if (exec_engine(x, &process, fds, e) < 0) {
		if (x->pidfd >= 0) {
			exec_kill_all(x);
			spawn_reap(x->pidfd);
		}
		exec_free(x);
		return -e->code;
	}
	if (r->timeout_ms > 0)
		ev_timer_set(&x->timer, r->timeout_ms);
	json_out_int(&call->out, "pid", x->pid);
	return 0;
}

int shim_exec_start(struct shim *s, struct shim_call *call, struct err *e)
{
	const struct shim_request *r = &call->r;
	struct shim_ctr *ctr = shim_ctr_find(s, r->ctr, e);
	int fds[3] = { -1, -1, -1 };
	size_t n = 0;
	int result;

	if (!ctr)
		return -e->code;
	if (ctr->state != SHIM_RUNNING || ctr->deleting)
		return err_set(e, ESRCH, "exec in container %s: it is not running", ctr->id);
	if (exec_get(s, r->exec))
		return err_set(e, EEXIST, "exec %s", r->exec);
	if (ctr->exec_count >= SHIM_EXECS_MAX)
		return err_set(e, EUSERS, "exec in container %s: %d sessions run", ctr->id,
			       SHIM_EXECS_MAX);
	if (r->input)
		fds[0] = fd_take(&call->fds[n++]);
	if (r->output)
		fds[1] = fd_take(&call->fds[n++]);
	if (r->error_output)
		fds[2] = fd_take(&call->fds[n++]);
	result = exec_start(ctr, call, fds, r->process ? -1 : call->fds[n], e);
	for (int i = 0; i < 3; i++)
		fd_close(&fds[i]);
	return result;
}

int shim_exec_kill(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_exec *x = exec_find(s, call->r.exec, e);
	int signal = (int)call->r.signal;

	if (!x)
		return -e->code;
	if (signal == SIGKILL) {
		exec_kill_all(x);
		return 0;
	}
	if (x->cgroup >= 0)
		return cgroup_signal(x->cgroup, signal, e);
	if (x->pidfd >= 0 && pidfd_send_signal(x->pidfd, signal, NULL, 0) < 0)
		return err_set(e, errno, "signal exec %s", x->id);
	return 0;
}

int shim_exec_resize(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_exec *x = exec_find(s, call->r.exec, e);
	struct winsize size = {
		.ws_col = (unsigned short)call->r.width,
		.ws_row = (unsigned short)call->r.height,
	};

	if (!x)
		return -e->code;
	if (x->console < 0)
		return err_set(e, ENOTTY, "exec %s has no terminal", x->id);
	if (ioctl(x->console, TIOCSWINSZ, &size) < 0)
		return err_set(e, errno, "resize the terminal of exec %s", x->id);
	return 0;
}
