/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers of the pod: from create to delete, and how each ended. */
#include "runtime/shim.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/events.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"
#include "runtime/spec.h"

#define EXIT_RECORD_VERSION 1
#define START_ERROR 128 /* exit code of a program that could not be started */
#define RETRY_MAX_MS 64

static const char *const state_names[] = {
	[SHIM_CREATED] = "created",
	[SHIM_RUNNING] = "running",
	[SHIM_EXITED] = "exited",
};

int64_t shim_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct shim_ctr *ctr_get(struct shim *s, const char *id)
{
	list_for_each(ctr, &s->ctrs, struct shim_ctr, node) {
		if (str_eq(ctr->id, id))
			return ctr;
	}
	return NULL;
}

struct shim_ctr *shim_ctr_find(struct shim *s, const char *id, struct err *e)
{
	struct shim_ctr *ctr = ctr_get(s, id);

	if (!ctr)
		err_set(e, ENOENT, "container %s", id);
	return ctr;
}

bool shim_ctr_any_runs(const struct shim *s)
{
	list_for_each(ctr, &s->ctrs, struct shim_ctr, node) {
		if (ctr->state != SHIM_EXITED)
			return true;
	}
	return false;
}

/* Exits -------------------------------------------------------------------- */

void shim_exit_set(struct shim_exit *ret, int code, int status, bool oom)
{
	bool exited = code == CLD_EXITED;

	*ret = (struct shim_exit){
		.code = exited ? status : 128 + status,
		.signal = exited ? 0 : status,
		.at = shim_now(),
		.oom = oom,
	};
	ret->reason = ret->code == 0 ? "Completed" : oom ? "OOMKilled" : "Error";
}

void shim_exit_write(const struct shim_exit *exit, struct json_out *o, const char *key)
{
	if (key)
		json_out_object(o, key);
	json_out_int(o, "code", exit->code);
	json_out_int(o, "signal", exit->signal);
	json_out_int(o, "at", exit->at);
	json_out_bool(o, "oom", exit->oom);
	json_out_text(o, "reason", exit->reason);
	if (key)
		json_out_end(o);
}

void shim_ctr_describe(const struct shim_ctr *ctr, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_text(o, "ctr", ctr->id);
	json_out_text(o, "state", state_names[ctr->state]);
	json_out_int(o, "pid", ctr->state == SHIM_EXITED ? 0 : ctr->c.pid);
	json_out_int(o, "created_at", ctr->created_at);
	json_out_int(o, "started_at", ctr->started_at);
	if (ctr->state == SHIM_EXITED)
		shim_exit_write(&ctr->exit, o, "exit");
	json_out_end(o);
}

/* The record comes before the event: who was not there reads it later. */
static void ctr_record_exit(struct shim_ctr *ctr)
{
	auto_json_out o = { 0 };
	struct err e = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", ctr->id);
	shim_exit_write(&ctr->exit, &o, NULL);
	json_out_end(&o);
	if (record_write(ctr->bundle, "exit", "exit", EXIT_RECORD_VERSION, o.s.text, PATH_FAST,
			 &e) < 0)
		log_error("container %s: %s", ctr->id, err_text(&e));
}

static void ctr_tell_exit(struct shim_ctr *ctr)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", ctr->id);
	shim_exit_write(&ctr->exit, &o, "exit");
	json_out_end(&o);
	shim_event(ctr->shim, SHIM_EVENT_EXIT, o.s.text);
}

static bool ctr_was_oom(const struct shim_ctr *ctr)
{
	struct events_memory memory = { 0 };
	struct err e = { 0 };
	auto_fd int fd = -1;

	/* no such file without the memory controller: then there was no limit */
	if (events_open_memory(ctr->c.cgroup, &fd, &e) < 0 ||
	    events_read_memory(fd, &memory, &e) < 0)
		return false;
	return memory.oom_kill > 0 || memory.oom_group_kill > 0;
}

static void ctr_delete_step(struct shim_ctr *ctr);

static void ctr_on_child(void *arg, uint32_t events)
{
	struct shim_ctr *ctr = arg;
	struct shim *s = ctr->shim;
	siginfo_t info = { 0 };
	struct err e = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)ctr->c.pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	ev_remove(&ctr->child);
	fd_close(&ctr->c.pidfd);
	shim_exit_set(&ctr->exit, info.si_code, info.si_status, ctr_was_oom(ctr));
	/* in a pid namespace that others share, the first process leaves the others behind */
	cgroup_kill(ctr->c.cgroup, &e);
	shim_io_finish(&ctr->io);
	if (ctr->failure.code) {
		ctr->exit.code = START_ERROR;
		ctr->exit.signal = 0;
		ctr->exit.reason = "StartError";
	}
	ctr->state = SHIM_EXITED;
	ctr_record_exit(ctr);
	if (!ctr->failure.code)
		ctr_tell_exit(ctr);
	if (ctr->deleting)
		ctr_delete_step(ctr);
	if (s->leaving && !shim_ctr_any_runs(s))
		ev_stop(&s->ev, 0);
}

/* Deletion ----------------------------------------------------------------- */

static void ctr_free(struct shim_ctr *ctr)
{
	shim_exec_end_all(ctr);
	ev_remove(&ctr->child);
	ev_remove(&ctr->retry);
	fd_close(&ctr->c.pidfd);
	shim_io_close(&ctr->io);
	container_done(&ctr->c);
	fd_close(&ctr->bundle);
	list_remove(&ctr->node);
	ctr->shim->ctr_count--;
	free(ctr);
}

static void ctr_delete_over(struct shim_ctr *ctr, const struct err *e)
{
	struct shim *s = ctr->shim;
	struct list waiting;

	list_init(&waiting);
	list_for_each(reply, &ctr->deletes, struct shim_reply, node) {
		list_remove(&reply->node);
		list_add_tail(&waiting, &reply->node);
	}
	ctr->deleting = false;
	ev_timer_cancel(&ctr->retry);
	if (e->code) {
		log_error("container %s: %s", ctr->id, err_text(e));
		shim_answer_list(s, &waiting, e);
	} else {
		struct err failure = ctr->failure;

		ctr_free(ctr);
		shim_answer_list(s, &waiting, &failure);
	}
	if (s->closing)
		shim_closed(s, e);
}

/* Again and again, until nothing lives in the cgroup, or time is up. */
static void ctr_delete_step(struct shim_ctr *ctr)
{
	struct err e = { 0 };
	bool populated = false;

	if (ctr->c.pidfd < 0 && cgroup_populated(ctr->c.cgroup, &populated, &e) == 0 &&
	    !populated && engine_delete(&ctr->shim->engine, &ctr->c, &e) == 0) {
		ctr_delete_over(ctr, &e);
		return;
	}
	if (e.code && e.code != EBUSY) {
		ctr_delete_over(ctr, &e);
		return;
	}
	if (ev_now_ms() >= ctr->deadline) {
		e.code = 0;
		err_set(&e, EBUSY, "delete container %s: a process of it does not die", ctr->id);
		ctr_delete_over(ctr, &e);
		return;
	}
	ev_timer_set(&ctr->retry, ctr->delay);
	if (ctr->delay < RETRY_MAX_MS)
		ctr->delay *= 2;
}

static void ctr_on_retry(void *arg)
{
	ctr_delete_step(arg);
}

static void ctr_delete_begin(struct shim_ctr *ctr)
{
	struct err e = { 0 };

	if (ctr->deleting)
		return;
	ctr->deleting = true;
	ctr->deadline = ev_now_ms() + SHIM_DELETE_MS;
	ctr->delay = 1;
	cgroup_kill(ctr->c.cgroup, &e);
	if (ctr->c.pidfd >= 0)
		pidfd_send_signal(ctr->c.pidfd, SIGKILL, NULL, 0);
	ctr_delete_step(ctr);
}

static bool ctr_may_wait(const struct list *waiting)
{
	int n = 0;

	for (const struct list *at = waiting->next; at != waiting; at = at->next)
		n++;
	return n < SHIM_WAITERS_MAX;
}

static void ctr_delete_for(struct shim_ctr *ctr, const struct shim_reply *reply)
{
	list_add_tail(&ctr->deletes, &shim_reply_keep(reply)->node);
	ctr_delete_begin(ctr);
}

int shim_ctr_delete(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = shim_ctr_find(s, call->r.ctr, e);

	if (!ctr)
		return -e->code;
	if (!ctr_may_wait(&ctr->deletes))
		return err_set(e, EALREADY, "delete container %s", ctr->id);
	ctr_delete_for(ctr, &call->reply);
	return SHIM_LATER;
}

int shim_ctr_shutdown(struct shim *s, struct shim_call *call, struct err *e)
{
	if (!ctr_may_wait(&s->shutdowns))
		return err_set(e, EALREADY, "shut down");
	list_add_tail(&s->shutdowns, &shim_reply_keep(&call->reply)->node);
	s->closing = true;
	shim_connect_end_all(s);
	list_for_each(ctr, &s->ctrs, struct shim_ctr, node)
		ctr_delete_begin(ctr);
	if (s->closing)
		shim_closed(s, NULL);
	return SHIM_LATER;
}

/* Creation ----------------------------------------------------------------- */

static int ctr_engine_create(struct shim_ctr *ctr, const struct shim_request *r,
			     const struct spec *spec, int rootfs, struct err *e)
{
	struct engine_create args = ENGINE_CREATE_INIT;
	int console;

	args.id = ctr->id;
	args.bundle = r->bundle;
	args.spec = spec;
	args.rootfs = rootfs;
	args.missing_controllers_warn = r->missing_controllers_warn;
	memcpy(args.stdio, ctr->io.child, sizeof(args.stdio));
	if (engine_create(&ctr->shim->engine, &args, &ctr->c, e) < 0)
		return -e->code;
	console = fd_take(&ctr->c.console);
	if (shim_io_started(&ctr->io, console, e) < 0 ||
	    ev_add_fd(&ctr->shim->ev, &ctr->child, ctr->c.pidfd, EPOLLIN, ctr_on_child, ctr, e) <
		    0) {
		struct err ignored = { 0 };

		engine_delete(&ctr->shim->engine, &ctr->c, &ignored);
		waitid(P_PIDFD, (id_t)ctr->c.pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
		return -e->code;
	}
	return 0;
}

static struct shim_ctr *ctr_new(struct shim *s, const char *id)
{
	struct shim_ctr *ctr = mem_alloc(sizeof(*ctr));

	ctr->shim = s;
	ctr->bundle = -1;
	str_copy(ctr->id, sizeof(ctr->id), id);
	container_init(&ctr->c);
	shim_io_init(&ctr->io);
	list_init(&ctr->execs);
	list_init(&ctr->deletes);
	list_init(&ctr->reopens);
	ev_add_timer(&s->ev, &ctr->retry, ctr_on_retry, ctr);
	list_add_tail(&s->ctrs, &ctr->node);
	s->ctr_count++;
	return ctr;
}

static int ctr_create(struct shim_ctr *ctr, const struct shim_request *r, int rootfs, struct err *e)
{
	struct shim_io_open io = {
		.name = ctr->id,
		.log_path = r->log_path,
		.log_max_bytes = r->log_max_bytes,
		.terminal = r->terminal,
		.input = r->input,
		.stdin_once = r->stdin_once,
	};
	auto_spec spec = { 0 };
	int result;

	ctr->bundle = open(r->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ctr->bundle < 0)
		return err_set(e, errno, "open bundle %s", r->bundle);
	if (spec_load(ctr->bundle, &spec, e) < 0)
		return -e->code;
	if (spec.process.terminal != r->terminal)
		return err_set(e, EINVAL, "config.json and the request differ: process.terminal");
	if (!spec.process.has_oom_score_adj) {
		spec.process.has_oom_score_adj = true;
		spec.process.oom_score_adj = ctr->shim->oom_score_adj;
	}
	ctr->oom_score_adj = spec.process.oom_score_adj;
	if (shim_io_open(&ctr->io, &ctr->shim->pump, &io, e) < 0)
		return -e->code;
	result = ctr_engine_create(ctr, r, &spec, rootfs, e);
	if (result == 0)
		ctr->created_at = shim_now();
	return result;
}

int shim_ctr_create(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr;

	if (ctr_get(s, call->r.ctr))
		return err_set(e, EEXIST, "create container %s", call->r.ctr);
	if (s->ctr_count >= SHIM_CTRS_MAX)
		return err_set(e, EUSERS, "create container: the pod has %d", SHIM_CTRS_MAX);
	ctr = ctr_new(s, call->r.ctr);
	if (ctr_create(ctr, &call->r, call->nfds > 0 ? call->fds[0] : -1, e) < 0) {
		ctr_free(ctr);
		return -e->code;
	}
	json_out_int(&call->out, "pid", ctr->c.pid);
	return 0;
}

int shim_ctr_start(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = shim_ctr_find(s, call->r.ctr, e);

	if (!ctr)
		return -e->code;
	if (ctr->state != SHIM_CREATED || ctr->deleting)
		return err_set(e, EINVAL, "start container %s: it is %s", ctr->id,
			       ctr->deleting ? "being deleted" : state_names[ctr->state]);
	if (engine_start(&s->engine, &ctr->c, e) < 0) {
		ctr->failure = *e;
		ctr_delete_for(ctr, &call->reply);
		return SHIM_LATER;
	}
	ctr->state = SHIM_RUNNING;
	ctr->started_at = shim_now();
	json_out_int(&call->out, "started_at", ctr->started_at);
	return 0;
}

/* Requests to one that lives ------------------------------------------------- */

static struct shim_ctr *ctr_find_alive(struct shim *s, const char *id, struct err *e)
{
	struct shim_ctr *ctr = shim_ctr_find(s, id, e);

	if (ctr && ctr->state == SHIM_EXITED) {
		err_set(e, ESRCH, "container %s: it is exited", id);
		return NULL;
	}
	return ctr;
}

int shim_ctr_kill(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = ctr_find_alive(s, call->r.ctr, e);

	if (!ctr)
		return -e->code;
	return engine_kill(&s->engine, &ctr->c, (int)call->r.signal, call->r.all, e);
}

int shim_ctr_attach(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = ctr_find_alive(s, call->r.ctr, e);
	int fds[3] = { -1, -1, -1 };
	size_t n = 0;

	if (!ctr)
		return -e->code;
	if (call->r.error_output && ctr->io.terminal)
		return err_set(e, EINVAL, "attach: a terminal has no stderr");
	if (call->r.input)
		fds[0] = fd_take(&call->fds[n++]);
	if (call->r.output)
		fds[1] = fd_take(&call->fds[n++]);
	if (call->r.error_output)
		fds[2] = fd_take(&call->fds[n++]);
	return shim_io_attach(&ctr->io, fds[0], fds[1], fds[2], e);
}

static void ctr_on_reopened(void *arg, const struct err *e)
{
	struct shim_ctr *ctr = arg;

	shim_answer_list(ctr->shim, &ctr->reopens, e);
}

int shim_ctr_reopen(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = ctr_find_alive(s, call->r.ctr, e);

	if (!ctr)
		return -e->code;
	if (!ctr_may_wait(&ctr->reopens))
		return err_set(e, EALREADY, "reopen the log of %s", ctr->id);
	list_add_tail(&ctr->reopens, &shim_reply_keep(&call->reply)->node);
	shim_io_reopen(&ctr->io, ctr_on_reopened, ctr);
	return SHIM_LATER;
}

int shim_ctr_update(struct shim *s, struct shim_call *call, struct err *e)
{
	struct shim_ctr *ctr = ctr_find_alive(s, call->r.ctr, e);

	if (!ctr)
		return -e->code;
	return engine_update(&s->engine, &ctr->c, call->r.resources, e);
}
