/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a container: start, stop, its end, removal. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/job.h"
#include "cri/method.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/record.h"
#include "lib/str.h"

#define START_MS 60000
#define DELETE_MS 15000
#define AGAIN_MS 1000 /* between tries to remove what nobody sees */
#define POLL_MS 5 /* of a killed cgroup */
#define KILL_MS 10000 /* from SIGKILL to an answer that it does not end */
#define EXIT_LOST 255 /* the exit code when nobody knows it */
#define EXIT_NOT_STARTED 128

/* Start ------------------------------------------------------------------------ */

static void on_started(void *arg, struct msg *m, const struct json *body, const struct err *failed)
{
	struct ctr *ctr = arg;
	struct err e = *failed;

	(void)m;
	if (!e.code)
		json_get_i64(body, "started_at", &ctr->started_at, &e);
	flow_continue(&ctr->flow, &e);
}

static int run_start(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	auto_free char *body = mem_printf("{\"ctr\":\"%s\"}", ctr->id);

	if (ctr->pod->state != POD_READY || ctr->pod->goal != POD_KEEP)
		return err_set(e, ECANCELED, "pod %s is being stopped", ctr->pod->id);
	shimlink_request(&ctr->pod->shim, SHIM_START, body, NULL, 0, START_MS, on_started, ctr);
	return FLOW_WAIT;
}

static const struct flow_step start_steps[] = {
	{ "start it by the shim", run_start, NULL },
};

static void answer_start(struct ctr *ctr, const struct err *e)
{
	Cri__StartContainerResponse r = CRI__START_CONTAINER_RESPONSE__INIT;

	list_for_each(call, &ctr->start_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code) /* kubelet shows the text; no code of ours says more */
			call_fail(call, GRPC_UNKNOWN, "start container %s: %s", ctr->id,
				  err_text(e));
		else
			call_reply(call, &r.base);
	}
}

/* The exit of a program that ends at once may come before the answer to its start. */
static void on_start_end(void *ctx, const struct err *e)
{
	struct ctr *ctr = ctx;

	if (!e->code && ctr->state == CTR_CREATED) {
		ctr->state = CTR_RUNNING;
		ctr_changed(ctr);
		log_info("container %s: running", ctr->id);
	} else if (e->code && ctr->state == CTR_CREATED) {
		ctr_start_failed(ctr, err_text(e));
	}
	answer_start(ctr, e);
	ctr_next(ctr);
}

void ctr_start(struct ctr *ctr)
{
	flow_start(&ctr->flow, start_steps, 1, ctr, on_start_end);
}

/* The end ---------------------------------------------------------------------- */

static void answer_stop(struct ctr *ctr, const struct err *e)
{
	Cri__StopContainerResponse r = CRI__STOP_CONTAINER_RESPONSE__INIT;

	list_for_each(call, &ctr->stop_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			call_fail(call, grpc_code_of(e), "stop container %s: %s", ctr->id,
				  err_text(e));
		else
			call_reply(call, &r.base);
	}
}

static void ended(struct ctr *ctr, int code, const char *reason, const char *message)
{
	struct err none = { 0 };

	ctr->state = CTR_EXITED;
	ctr->pid = 0;
	ctr->exit_code = code;
	mem_replace(&ctr->reason, reason);
	mem_replace(&ctr->message, message && *message ? message : NULL);
	if (ctr->finished_at < ctr->started_at)
		ctr->finished_at = ctr->started_at;
	if (ctr->finished_at < ctr->created_at)
		ctr->finished_at = ctr->created_at;
	ctr->kill_at_ms = 0;
	ev_remove(&ctr->stop_timer);
	log_info("container %s: exited %d, %s", ctr->id, code, reason);
	ctr_changed(ctr);
	answer_stop(ctr, &none);
	ctr_next(ctr);
}

void ctr_exited(struct ctr *ctr, const struct json *exit)
{
	const char *reason = "", *message = NULL;
	struct err e = { 0 };
	int code = EXIT_LOST;
	bool oom = false;

	if (ctr->state != CTR_CREATED && ctr->state != CTR_RUNNING)
		return;
	json_get_int(exit, "code", &code, &e);
	json_get_bool(exit, "oom", &oom, &e);
	json_get_i64(exit, "at", &ctr->finished_at, &e);
	json_get_text(exit, "reason", &reason, &e);
	json_get_text(exit, "message", &message, &e);
	if (oom)
		reason = "OOMKilled";
	else if (!*reason)
		reason = code ? "Error" : "Completed";
	ended(ctr, code, reason, message);
}

void ctr_lost(struct ctr *ctr, const char *reason, const char *message)
{
	ctr->finished_at = crid_now_ns();
	ended(ctr, EXIT_LOST, reason, message);
}

void ctr_ended_unseen(struct ctr *ctr, const char *message)
{
	auto_free char *name = mem_printf("ctrs/%s/exit", ctr->id);
	auto_record r = { 0 };
	struct err e = { 0 };

	if (record_read(ctr->crid->run, name, "exit", &r, &e) == 0)
		ctr_exited(ctr, r.data);
	else
		ctr_lost(ctr, "Unknown", message);
}

void ctr_start_failed(struct ctr *ctr, const char *message)
{
	auto_free char *text = mem_strndup(message, CTR_MESSAGE_MAX);

	ctr->started_at = 0;
	ctr->finished_at = crid_now_ns();
	ended(ctr, EXIT_NOT_STARTED, "StartError", text);
}

/* Stop ------------------------------------------------------------------------- */

/* The answer only says that the signal was sent; the end is an event. */
static void send_signal(struct ctr *ctr, int signal, bool all)
{
	auto_free char *body = mem_printf("{\"ctr\":\"%s\",\"signal\":%d,\"all\":%s}", ctr->id,
					  signal, all ? "true" : "false");

	shimlink_request(&ctr->pod->shim, SHIM_KILL, body, NULL, 0, KILL_MS, NULL, NULL);
}

static void on_stop_timer(void *arg)
{
	struct ctr *ctr = arg;
	struct err e = { 0 };

	if (!ctr->killed) {
		ctr->killed = true;
		send_signal(ctr, SIGKILL, true);
		ev_timer_set(&ctr->stop_timer, KILL_MS);
		return;
	}
	/* in the kernel for good, or nearly: kubelet must not take the volumes away */
	err_set(&e, ETIMEDOUT, "its processes do not end");
	ctr->kill_at_ms = 0;
	ctr->killed = false;
	answer_stop(ctr, &e);
}

void ctr_stop(struct ctr *ctr, uint64_t timeout_ms)
{
	uint64_t at = ev_now_ms() + timeout_ms;
	bool first = !ctr->kill_at_ms;

	if (!first && (ctr->killed || at >= ctr->kill_at_ms))
		return;
	if (first) {
		ctr->killed = false;
		if (timeout_ms)
			send_signal(ctr, ctr->stop_signal, false);
		ev_add_timer(&ctr->crid->ev, &ctr->stop_timer, on_stop_timer, ctr);
	}
	ctr->kill_at_ms = at;
	ev_timer_set(&ctr->stop_timer, timeout_ms);
}

/* Remove ----------------------------------------------------------------------- */

static void on_deleted(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct ctr *ctr = arg;

	(void)m;
	(void)body;
	flow_continue(&ctr->flow, e->code == ENOENT || e->code == ECONNRESET ? NULL : e);
}

static int remove_from_shim(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	auto_free char *body = mem_printf("{\"ctr\":\"%s\"}", ctr->id);

	(void)e;
	if (!shimlink_is_open(&ctr->pod->shim))
		return 0;
	shimlink_request(&ctr->pod->shim, SHIM_DELETE, body, NULL, 0, DELETE_MS, on_deleted, ctr);
	return FLOW_WAIT;
}

/* Whether nothing of it lives any more; its cgroup is then removed. */
static bool is_ended(const struct ctr *ctr, bool kill)
{
	struct err e = { 0 };
	bool populated = false;
	int fd;

	if (cgroup_open(ctr->crid->cgroup, ctr->cgroup, &fd, &e) < 0)
		return e.code == ENOENT;
	if (cgroup_populated(fd, &populated, &e) < 0)
		populated = e.code != ENOENT && e.code != ENODEV;
	if (populated && kill && cgroup_kill(fd, &e) < 0)
		log_warn("container %s: %s", ctr->id, err_text(&e));
	close(fd);
	e.code = 0;
	return !populated && cgroup_remove_now(ctr->crid->cgroup, ctr->cgroup, &e) == 0;
}

static void on_poll(void *arg)
{
	struct ctr *ctr = arg;
	struct err e = { 0 };

	if (!is_ended(ctr, false)) {
		if (ev_now_ms() < ctr->kill_at_ms) {
			ev_timer_set(&ctr->stop_timer, POLL_MS);
			return;
		}
		err_set(&e, ETIMEDOUT, "a killed process does not end");
	}
	ctr->kill_at_ms = 0;
	ev_remove(&ctr->stop_timer);
	flow_continue(&ctr->flow, &e);
}

/* Dead already when the shim did its part. */
int ctr_end_processes(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;

	(void)e;
	if (is_ended(ctr, true))
		return 0;
	ctr->kill_at_ms = ev_now_ms() + KILL_MS;
	ev_add_timer(&ctr->crid->ev, &ctr->stop_timer, on_poll, ctr);
	ev_timer_set(&ctr->stop_timer, POLL_MS);
	return FLOW_WAIT;
}

int ctr_remove_folder(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	auto_free char *name = mem_printf("ctrs/%s", ctr->id);

	if (ctr_volumes_unmount(ctr->id, e) < 0)
		return -e->code;
	return path_remove_tree(ctr->crid->run, name, e);
}

static int remove_files(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;

	return ctr_remove_folder(ctr, e) < 0 ? -e->code : crid_trash(ctr->crid, ctr->id, e);
}

static const struct flow_step remove_steps[] = {
	{ "remove it from the shim", remove_from_shim, NULL },
	{ "end its processes", ctr_end_processes, NULL },
	{ "remove its files", remove_files, NULL },
	{ "remove its record", ctr_unrecord, NULL },
};

static void answer_remove(struct ctr *ctr, const struct err *e)
{
	Cri__RemoveContainerResponse r = CRI__REMOVE_CONTAINER_RESPONSE__INIT;

	list_for_each(call, &ctr->remove_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			call_fail(call, grpc_code_of(e), "remove container %s: %s", ctr->id,
				  err_text(e));
		else
			call_reply(call, &r.base);
	}
}

void ctr_gone(struct ctr *ctr, const struct err *e)
{
	struct err none = { 0 };
	struct pod *pod = ctr->pod;

	log_info("container %s: gone", ctr->id);
	answer_start(ctr, e);
	answer_stop(ctr, &none);
	answer_remove(ctr, &none);
	ctr_bury(ctr);
	pod_ctr_removed(pod, &none);
}

static void on_again(void *arg)
{
	ctr_want_removal(arg);
}

static void on_removed(void *ctx, const struct err *e)
{
	struct ctr *ctr = ctx;

	if (!e->code) {
		ctr_gone(ctr, e);
		return;
	}
	log_error("container %s: remove: %s", ctr->id, err_text(e));
	ctr->want_removal = false;
	if (ctr->hidden) {
		ev_add_timer(&ctr->crid->ev, &ctr->stop_timer, on_again, ctr);
		ev_timer_set(&ctr->stop_timer, AGAIN_MS);
	} else {
		ctr->state = CTR_EXITED;
		ctr_changed(ctr);
	}
	answer_remove(ctr, e);
	pod_ctr_removed(ctr->pod, e);
}

void ctr_next(struct ctr *ctr)
{
	if (flow_busy(&ctr->flow))
		return;
	if (!ctr->want_removal) {
		if (!list_empty(&ctr->stop_calls) && ctr->state == CTR_RUNNING)
			ctr_stop(ctr, ctr->stop_ms);
		return;
	}
	if (ctr->state == CTR_CREATED || ctr->state == CTR_RUNNING)
		ctr->finished_at = crid_now_ns();
	ctr->hidden = ctr->state == CTR_CREATING || ctr->state == CTR_REMOVING;
	ctr->state = CTR_REMOVING;
	ev_remove(&ctr->stop_timer);
	/* the next container of this name need not wait */
	if (map_get(&ctr->crid->ctr_keys, ctr->key) == ctr)
		map_remove(&ctr->crid->ctr_keys, ctr->key);
	ctr_changed(ctr);
	flow_start(&ctr->flow, remove_steps, sizeof(remove_steps) / sizeof(remove_steps[0]), ctr,
		   on_removed);
}

void ctr_want_removal(struct ctr *ctr)
{
	ctr->want_removal = true;
	if (ctr->state == CTR_CREATING && flow_busy(&ctr->flow)) {
		flow_abort(&ctr->flow);
		job_cancel(ctr->crid, ctr); /* it may wait for a dead disk */
	}
	ctr_next(ctr);
}
