/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a start: shims that answer are taken up with their containers, what
 * was half made or half removed is undone, what nobody knows is swept away.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/pod.h"
#include "image/store.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"

#define STATE_MS 5000 /* a shim's answer to a restarted crid */
#define LOAD_MS 8000 /* then lists are served whatever is missing */

/* Containers as the shim knows them ---------------------------------------------- */

static void take_ctr(struct pod *pod, const struct json *item)
{
	const char *id = "", *state = "";
	struct err e = { 0 };
	struct ctr *ctr;

	json_get_text(item, "ctr", &id, &e);
	json_get_text(item, "state", &state, &e);
	ctr = map_get(&pod->crid->ctrs, id);
	if (!ctr || ctr->pod != pod || ctr->state == CTR_CREATING) {
		auto_free char *body = mem_printf("{\"ctr\":\"%s\"}", id);

		if (id_valid(id)) /* made for a crid that died before it could tell anybody */
			shimlink_request(&pod->shim, SHIM_DELETE, body, NULL, 0, STATE_MS, NULL,
					 NULL);
		return;
	}
	ctr->seen = true;
	json_get_int(item, "pid", &ctr->pid, &e);
	json_get_i64(item, "started_at", &ctr->started_at, &e);
	if (str_eq(state, "running") && ctr->state == CTR_CREATED) {
		ctr->state = CTR_RUNNING;
		ctr_changed(ctr);
	} else if (str_eq(state, "exited") && ctr->state != CTR_EXITED) {
		ctr_exited(ctr, json_get(item, "exit"));
	}
}

static void on_state(void *arg, struct msg *m, const struct json *body, const struct err *failed)
{
	struct pod *pod = arg;
	const struct json *items = NULL;
	struct err e = *failed;

	(void)m;
	if (e.code || json_get_array(body, "containers", &items, &e) < 0) {
		flow_continue(&pod->flow, &e);
		return;
	}
	json_each(item, items)
		take_ctr(pod, item);
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		if (!ctr->seen && (ctr->state == CTR_CREATED || ctr->state == CTR_RUNNING))
			ctr_ended_unseen(ctr, "the pod's shim does not know it");
	flow_continue(&pod->flow, NULL);
}

static int greet(void *ctx, struct err *e)
{
	return pod_hello(ctx, e);
}

static int ask(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	(void)e;
	shimlink_request(&pod->shim, SHIM_STATE, "{}", NULL, 0, STATE_MS, on_state, pod);
	return FLOW_WAIT;
}

static const struct flow_step steps[] = {
	{ "greet the shim", greet, NULL },
	{ "ask for its containers", ask, NULL },
};

static void count_down(struct crid *crid)
{
	if (--crid->recovering == 0)
		crid_loaded(crid);
}

static void on_end(void *ctx, const struct err *e)
{
	struct pod *pod = ctx;

	if (e->code) {
		log_warn("pod %s: take it up: %s", pod->id, err_text(e));
		shimlink_close(&pod->shim);
		pod_shim_died(pod);
	} else {
		ctr_recover(pod);
		pod_next(pod);
	}
	count_down(pod->crid);
}

/* Leftovers -------------------------------------------------------------------- */

typedef bool is_known(struct crid *crid, const char *id);
typedef void sweep_one(struct crid *crid, int dir, const char *id);

static void sweep(struct crid *crid, int dirfd, const char *path, is_known *known, sweep_one *one)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (id_valid(d->d_name) && !known(crid, d->d_name))
			one(crid, fd, d->d_name);
	if (dir)
		closedir(dir);
}

static bool is_pod(struct crid *crid, const char *id)
{
	return map_get(&crid->pods, id);
}

static bool is_ctr(struct crid *crid, const char *id)
{
	return map_get(&crid->ctrs, id);
}

static void sweep_folder(struct crid *crid, int dir, const char *id)
{
	struct err e = { 0 };

	(void)crid;
	log_info("%s: removed, nobody knows it", id);
	if (path_remove_tree(dir, id, &e) < 0)
		log_warn("sweep %s: %s", id, err_text(&e));
}

static void sweep_pod_folder(struct crid *crid, int dir, const char *id)
{
	auto_free char *shm = mem_printf(CRID_RUN "/pods/%s/shm", id);

	umount2(shm, MNT_DETACH | UMOUNT_NOFOLLOW);
	sweep_folder(crid, dir, id);
}

static void sweep_volumes(struct crid *crid, int dir, const char *id)
{
	struct err e = { 0 };

	(void)crid;
	(void)dir;
	if (ctr_volumes_unmount(id, &e) < 0)
		log_warn("%s", err_text(&e));
}

/* Its processes die now; the empty cgroup goes at the next start at the latest. */
static void sweep_shim(struct crid *crid, int dir, const char *id)
{
	struct err e = { 0 };
	int fd;

	(void)dir;
	log_warn("shim %s: killed, nobody knows its pod", id);
	if (cgroup_open(crid->cgroup_shims, id, &fd, &e) < 0)
		return;
	if (cgroup_kill(fd, &e) == 0)
		cgroup_wait_empty(fd, 1000, &e);
	close(fd);
	e.code = 0;
	cgroup_remove(crid->cgroup_shims, id, &e);
}

static void sweep_active(struct crid *crid, int dir, const char *id)
{
	struct err e = { 0 };

	(void)dir;
	if (crid_trash(crid, id, &e) < 0)
		log_warn("%s", err_text(&e));
}

static void sweep_all(struct crid *crid)
{
	sweep(crid, crid->cgroup_shims, ".", is_pod, sweep_shim);
	sweep(crid, crid->run, "pods", is_pod, sweep_pod_folder);
	sweep(crid, crid->run, "ctrs", is_ctr, sweep_folder);
	sweep(crid, crid->run, "volumes", is_ctr, sweep_volumes);
	sweep(crid, crid->active, ".", is_ctr, sweep_active);
}

/* Start ------------------------------------------------------------------------ */

static void on_load_late(void *arg)
{
	struct crid *crid = arg;

	log_warn("%d pods do not answer yet", crid->recovering);
	crid_loaded(crid);
}

static void recover(struct pod *pod)
{
	switch (pod->state) {
	case POD_READY:
		pod->crid->recovering++;
		flow_start(&pod->flow, steps, sizeof(steps) / sizeof(steps[0]), pod, on_end);
		break;
	case POD_CREATING:
		log_info("pod %s: was being made: undone", pod->id);
		pod->unclean = true;
		pod_want(pod, POD_REMOVE);
		break;
	case POD_REMOVING:
		pod->state = POD_NOTREADY;
		pod->unclean = true;
		pod_want(pod, POD_REMOVE);
		break;
	case POD_NOTREADY:
		pod->unclean = pod->network_up;
		ctr_recover(pod);
		break;
	}
}

void pod_recover_all(struct crid *crid)
{
	crid->recovering = 1;
	ev_add_timer(&crid->ev, &crid->load_timer, on_load_late, crid);
	ev_timer_set(&crid->load_timer, LOAD_MS);
	sweep_all(crid);
	map_for_each(entry, &crid->pods)
		recover(entry->value);
	store_sweep(crid->store);
	count_down(crid);
}
