/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a pod ends: by request, by its shim's death, after a restart; and how it is removed. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/method.h"
#include "cri/network.h"
#include "cri/pod.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"

#define SHUTDOWN_MS 5000 /* the shim's own end; then its cgroup is killed */
#define KILL_MS 10000 /* until a killed process must be gone */
#define POLL_MAX_MS 100

/* Killing ---------------------------------------------------------------------- */

/* True when nothing of it is left in the cgroup, which is then removed. */
static bool is_ended(int root, const char *path)
{
	struct err e = { 0 };
	bool populated = false;
	int fd;

	if (cgroup_open(root, path, &fd, &e) < 0)
		return e.code == ENOENT;
	if (cgroup_populated(fd, &populated, &e) < 0)
		populated = e.code != ENOENT && e.code != ENODEV;
	close(fd);
	e.code = 0;
	return !populated && cgroup_remove_now(root, path, &e) == 0;
}

static void kill_in(int root, const char *path)
{
	struct err e = { 0 };
	int fd;

	if (cgroup_open(root, path, &fd, &e) < 0)
		return;
	if (cgroup_kill(fd, &e) < 0)
		log_warn("kill %s: %s", path, err_text(&e));
	close(fd);
}

static bool is_all_ended(struct pod *pod)
{
	bool ended = is_ended(pod->crid->cgroup_shims, pod->id);

	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		ended = is_ended(pod->crid->cgroup, ctr->cgroup) && ended;
	return ended;
}

static void on_poll(void *arg)
{
	struct pod *pod = arg;
	struct err e = { 0 };

	if (is_all_ended(pod)) {
		flow_continue(&pod->flow, NULL);
		return;
	}
	if (ev_now_ms() > pod->give_up_ms) {
		err_set(&e, ETIMEDOUT, "a killed process does not end");
		flow_continue(&pod->flow, &e);
		return;
	}
	pod->wait_ms = pod->wait_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : pod->wait_ms * 2;
	ev_timer_set(&pod->timer, pod->wait_ms);
}

int pod_kill(struct pod *pod)
{
	ev_remove(&pod->timer);
	if (is_all_ended(pod))
		return 0;
	kill_in(pod->crid->cgroup_shims, pod->id);
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		kill_in(pod->crid->cgroup, ctr->cgroup);
	pod->wait_ms = 1;
	pod->give_up_ms = ev_now_ms() + KILL_MS;
	ev_add_timer(&pod->crid->ev, &pod->timer, on_poll, pod);
	ev_timer_set(&pod->timer, pod->wait_ms);
	return FLOW_WAIT;
}

/* Stop ------------------------------------------------------------------------- */

/* Containers end by the shim's word, with their exit codes; what it cannot do is done after it. */
static void on_shutdown(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct pod *pod = arg;

	(void)m;
	(void)body;
	if (e->code)
		log_warn("pod %s: shutdown by its shim: %s", pod->id, err_text(e));
	flow_continue(&pod->flow, NULL);
}

static int stop_shutdown(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	(void)e;
	if (!shimlink_is_open(&pod->shim))
		return 0;
	shimlink_request(&pod->shim, SHIM_SHUTDOWN, "{}", NULL, 0, SHUTDOWN_MS, on_shutdown, pod);
	return FLOW_WAIT;
}

static int stop_kill(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	(void)e;
	shimlink_close(&pod->shim);
	return pod_kill(pod);
}

void pod_remove_cgroups(struct pod *pod)
{
	/* below our own parent, which goes with its last pod, whoever made it */
	if (str_starts(pod->cgroup_parent, pod->crid->cgroup_parent))
		pod->cgroup_made = 2;
	cgroup_remove_made(pod->crid->cgroup, pod->cgroup_parent, pod->cgroup_made);
	pod->cgroup_made = 0;
}

static int stop_containers(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	(void)e;
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		if (ctr->state == CTR_CREATED || ctr->state == CTR_RUNNING)
			ctr_ended_unseen(ctr, pod->error ?: "the pod was stopped");
	pod_remove_cgroups(pod);
	return 0;
}

static int stop_network(void *ctx, struct err *e)
{
	return pod_detach_network(ctx, e);
}

static int stop_files(void *ctx, struct err *e)
{
	static const char *const names[] = { "ns", "shm", "shim.sock" };
	struct pod *pod = ctx;

	pod_unmount_shm(pod);
	if (pod->netns >= 0)
		close(pod->netns);
	pod->netns = -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_free char *name = mem_printf("pods/%s/%s", pod->id, names[i]);

		if (path_remove_tree(pod->crid->run, name, e) < 0)
			return -e->code;
	}
	return 0;
}

static const struct flow_step stop_steps[] = {
	{ "shut it down", stop_shutdown, NULL },
	{ "kill what is left", stop_kill, NULL },
	{ "end its containers", stop_containers, NULL },
	{ "detach its network", stop_network, NULL },
	{ "remove its sockets", stop_files, NULL },
};

static void answer_stop(struct pod *pod, const struct err *e)
{
	Cri__StopPodSandboxResponse r = CRI__STOP_POD_SANDBOX_RESPONSE__INIT;

	list_for_each(call, &pod->stop_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			call_fail(call, grpc_code_of(e), "stop pod %s: %s", pod->id, err_text(e));
		else
			call_reply(call, &r.base);
	}
}

static void answer_remove(struct pod *pod, const struct err *e)
{
	Cri__RemovePodSandboxResponse r = CRI__REMOVE_POD_SANDBOX_RESPONSE__INIT;

	list_for_each(call, &pod->remove_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			call_fail(call, grpc_code_of(e), "remove pod %s: %s", pod->id, err_text(e));
		else
			call_reply(call, &r.base);
	}
}

void pod_gone(struct pod *pod)
{
	struct err none = { 0 };

	log_info("pod %s: gone", pod->id);
	answer_stop(pod, &none);
	answer_remove(pod, &none);
	pod_bury(pod);
}

/* A pod that cannot be stopped stays as it is; the next call tries again. */
static void on_stopped(void *ctx, const struct err *e)
{
	struct pod *pod = ctx;

	if (e->code) {
		log_error("pod %s: stop: %s", pod->id, err_text(e));
		pod->goal = POD_KEEP;
		answer_stop(pod, e);
		answer_remove(pod, e);
		pod_next(pod);
		return;
	}
	if (pod->state != POD_REMOVING)
		pod->state = POD_NOTREADY;
	log_info("pod %s: stopped", pod->id);
	ctr_recover(pod);
	/* else the next record says so: nobody is ever shown what was only half made */
	if (pod->goal != POD_REMOVE)
		pod_changed(pod);
	answer_stop(pod, e);
	pod_next(pod);
}

/* Remove ----------------------------------------------------------------------- */

static bool is_any_busy(const struct pod *pod)
{
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node) {
		if (flow_busy(&ctr->flow))
			return true;
	}
	return false;
}

/* Continued by pod_ctr_removed(), unless each has gone or failed at once. */
static int remove_containers(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	pod->ctr_err.code = 0;
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		ctr_want_removal(ctr);
	if (is_any_busy(pod)) {
		pod->waits_for_ctrs = true;
		return FLOW_WAIT;
	}
	if (pod->ctr_err.code)
		*e = pod->ctr_err;
	return -e->code;
}

void pod_ctr_removed(struct pod *pod, const struct err *e)
{
	if (e->code)
		pod->ctr_err = *e;
	if (!pod->waits_for_ctrs || is_any_busy(pod))
		return;
	pod->waits_for_ctrs = false;
	ev_mark(&pod->last);
}

int pod_remove_folder(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	auto_free char *name = mem_printf("pods/%s", pod->id);

	return path_remove_tree(pod->crid->run, name, e);
}

static const struct flow_step remove_steps[] = {
	{ "remove its containers", remove_containers, NULL },
	{ "remove its folder", pod_remove_folder, NULL },
	{ "remove its record", pod_unrecord, NULL },
};

static void on_removed(void *ctx, const struct err *e)
{
	struct pod *pod = ctx;

	if (!e->code) {
		pod_gone(pod);
		return;
	}
	log_error("pod %s: remove: %s", pod->id, err_text(e));
	pod->goal = POD_KEEP;
	pod->state = POD_NOTREADY;
	pod_changed(pod);
	answer_remove(pod, e);
}

static void on_last(void *arg)
{
	struct pod *pod = arg;

	flow_continue(&pod->flow, &pod->ctr_err);
}

/* What next -------------------------------------------------------------------- */

static bool is_stopped(const struct pod *pod)
{
	return pod->state == POD_NOTREADY && !pod->network_up && !shimlink_is_open(&pod->shim) &&
	       !pod->unclean;
}

void pod_next(struct pod *pod)
{
	struct err none = { 0 };

	if (flow_busy(&pod->flow) || pod->goal == POD_KEEP)
		return;
	if (!is_stopped(pod)) {
		pod->unclean = false;
		flow_start(&pod->flow, stop_steps, sizeof(stop_steps) / sizeof(stop_steps[0]), pod,
			   on_stopped);
		return;
	}
	answer_stop(pod, &none);
	if (pod->goal == POD_STOP) {
		pod->goal = POD_KEEP;
		return;
	}
	pod->state = POD_REMOVING;
	ev_add_work(&pod->crid->ev, &pod->last, on_last, pod);
	pod_changed(pod);
	flow_start(&pod->flow, remove_steps, sizeof(remove_steps) / sizeof(remove_steps[0]), pod,
		   on_removed);
}

void pod_want(struct pod *pod, enum pod_goal goal)
{
	if (goal > pod->goal)
		pod->goal = goal;
	/* the next pod of this name need not wait */
	if (goal == POD_REMOVE && map_get(&pod->crid->pod_keys, pod->key) == pod)
		map_remove(&pod->crid->pod_keys, pod->key);
	if (pod->state == POD_CREATING && flow_busy(&pod->flow))
		flow_abort(&pod->flow);
	pod_next(pod);
}

/* The shim --------------------------------------------------------------------- */

static struct ctr *ctr_of(struct pod *pod, const struct json *body)
{
	const char *id = NULL;
	struct err e = { 0 };
	struct ctr *ctr;

	json_get_text(body, "ctr", &id, &e);
	ctr = id ? map_get(&pod->crid->ctrs, id) : NULL;
	return ctr && ctr->pod == pod ? ctr : NULL;
}

static bool pod_lives(const struct pod *pod)
{
	return pod->state == POD_READY || pod->state == POD_CREATING;
}

static void pod_failed(struct pod *pod, const char *why)
{
	if (!pod_lives(pod) || pod->goal != POD_KEEP)
		return;
	mem_replace(&pod->error, why);
	if (pod->state == POD_CREATING)
		return; /* it does not get ready */
	log_error("pod %s: ends: %s", pod->id, why);
	pod->unclean = true;
	pod_want(pod, POD_STOP);
}

void pod_shim_event(void *arg, uint32_t type, const struct json *body)
{
	struct pod *pod = arg;
	struct ctr *ctr = ctr_of(pod, body);

	if (type == SHIM_EVENT_EXIT && ctr)
		ctr_exited(ctr, json_get(body, "exit"));
	if (type == SHIM_EVENT_PAUSE_EXIT)
		pod_failed(pod, "the first process of its pid namespace died");
}

void pod_shim_died(void *arg)
{
	struct pod *pod = arg;

	if (!pod_lives(pod) || (flow_busy(&pod->flow) && pod->goal != POD_KEEP))
		return; /* it was told to, or the work that runs it notices */
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		if (ctr->state == CTR_CREATED || ctr->state == CTR_RUNNING)
			kill_in(pod->crid->cgroup, ctr->cgroup);
	pod_failed(pod, "the pod's shim died");
}
