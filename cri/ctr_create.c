/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a container comes to be: its root, its user, config.json, and the shim's part. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cri/bundle.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/job.h"
#include "cri/method.h"
#include "cri/rootfs.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"

#define PREPARE_MS 90000 /* host paths and the disk; kubelet waits two minutes */
#define CREATE_MS 60000

static int run_intent(void *ctx, struct err *e)
{
	return ctr_record(ctx, e);
}

/* Root and user ----------------------------------------------------------------- */

static const Cri__LinuxContainerSecurityContext *security(const struct ctr *ctr)
{
	return ctr->config->linux ? ctr->config->linux->security_context : NULL;
}

static int make_log_folder(const struct ctr *ctr, struct err *e)
{
	auto_free char *folder = ctr->log_path ? mem_strdup(ctr->log_path) : NULL;

	if (!folder)
		return 0;
	*strrchr(folder, '/') = '\0';
	return path_mkdirs(folder, 0755, e) < 0 ? err_wrap(e, "log_path") : 0;
}

/* The bundle, also in the child: device nodes and profiles are host paths, too ------ */

/* The pid namespace of the container that this one targets; NULL where it targets none. */
static int target_ns(const struct ctr *ctr, char **ret, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = security(ctr);
	const Cri__NamespaceOption *ns = sc ? sc->namespace_options : NULL;
	struct ctr *target;

	*ret = NULL;
	if (!ns || ns->pid != CRI__NAMESPACE_MODE__TARGET)
		return 0;
	target = ctr_find(ctr->crid, ns->target_id);
	if (!target || target->pod != ctr->pod)
		return err_set(e, EINVAL, "target container %s: not in this pod", ns->target_id);
	if (target->state != CTR_RUNNING)
		return err_set(e, EINVAL, "target container %s: not running", ns->target_id);
	*ret = mem_printf("/proc/%d/ns/pid", target->pid);
	return 0;
}

static int write_config(struct ctr *ctr, int run, struct err *e)
{
	auto_free char *name = mem_printf("ctrs/%s/config.json", ctr->id);
	auto_free const char **trees = mem_array(ctr->config->n_mounts + 1, sizeof(*trees));
	bool host_ipc = pod_ipc_mode(ctr->pod) == CRI__NAMESPACE_MODE__NODE;
	auto_free char *pod_dir = pod_path(ctr->pod, "");
	auto_free char *shm = host_ipc ? NULL : pod_path(ctr->pod, "shm");
	auto_free char *target = NULL;
	auto_free char *json = NULL;
	struct bundle b = {
		.id = ctr->id,
		.pod_id = ctr->pod->id,
		.config = ctr->config,
		.pod = ctr->pod->config,
		.image = &ctr->image->config,
		.user = &ctr->user,
		.host = &ctr->crid->host,
		.pod_dir = pod_dir,
		.shm = shm,
		.cgroups_path = ctr->cgroup,
		.node_name = ctr->crid->hostname,
		.image_paths = trees,
	};

	for (size_t i = 0; i < ctr->nvolumes; i++)
		trees[ctr->volumes[i].mount] = ctr->volumes[i].path;
	if (target_ns(ctr, &target, e) < 0)
		return err_wrap(e, "config.json");
	b.target_pid_ns = target;
	if (bundle_write(&b, &json, e) < 0)
		return err_wrap(e, "config.json");
	return path_replace(run, name, json, strlen(json), 0600, PATH_FAST, e);
}

/* In the child. */
static int prepare(void *arg, struct job_answer *ret, struct err *e)
{
	struct ctr *ctr = arg;
	auto_free char *layers = mem_printf("%s/layers", store_root(ctr->crid->store));
	auto_free char *active = mem_printf(CRID_STATE "/active/%s", ctr->id);
	struct rootfs r = { .layers = layers,
			    .chain = ctr->image->layers,
			    .count = ctr->image->nlayers,
			    .active = active };
	struct bundle_user *user = &ctr->user;
	auto_json_out out = { 0 };
	int fd;

	/* only this child sees the user and the trees' paths set */
	if (make_log_folder(ctr, e) < 0 || bundle_check_sources(ctr->config, e) < 0 ||
	    ctr_volumes_mount(ctr, e) < 0 || rootfs_make(&r, &fd, e) < 0)
		return -e->code;
	if (bundle_user_find(fd, security(ctr), ctr->image->config.user, user, e) < 0 ||
	    write_config(ctr, JOB_FD, e) < 0)
		return -e->code;
	json_out_object(&out, NULL);
	json_out_uint(&out, "uid", user->uid);
	json_out_uint(&out, "gid", user->gid);
	json_out_array(&out, "groups");
	for (size_t i = 0; i < user->ngroups; i++)
		json_out_uint(&out, NULL, user->groups[i]);
	json_out_end(&out);
	if (user->home)
		json_out_text(&out, "home", user->home);
	ctr_volumes_put(ctr, &out);
	json_out_end(&out);
	ret->body = json_out_take(&out);
	ret->fds[ret->nfds++] = fd;
	return 0;
}

static int take_user(struct ctr *ctr, const struct json *body, struct err *e)
{
	const char *home = NULL;

	if (ctr_read_user(&ctr->user, body, e) < 0 || json_get_text(body, "home", &home, e) < 0 ||
	    ctr_volumes_take(ctr, json_get(body, "volumes"), e) < 0)
		return -e->code;
	mem_replace(&ctr->user.home, home);
	return 0;
}

static void on_prepared(void *arg, struct msg *m, const struct json *body, const struct err *failed)
{
	struct ctr *ctr = arg;
	struct err e = *failed;

	if (!e.code && m->nfds != 1)
		err_set(&e, EPROTO, "the child sent no root");
	if (!e.code && take_user(ctr, body, &e) == 0)
		ctr->rootfs = fd_take(&m->fds[0]);
	flow_continue(&ctr->flow, &e);
}

static int run_prepare(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	struct job job = { .name = "prepare its root",
			   .run = prepare,
			   .run_arg = ctr,
			   .fds = { ctr->crid->run },
			   .nfds = 1,
			   .deadline_ms = PREPARE_MS,
			   .on_end = on_prepared,
			   .arg = ctr };

	(void)e;
	job_start(ctr->crid, &job);
	return FLOW_WAIT;
}

static int undo_prepare(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;

	fd_close(&ctr->rootfs);
	return crid_trash(ctr->crid, ctr->id, e);
}

/* Its folder ----------------------------------------------------------------------- */

static int run_folder(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	auto_free char *name = mem_printf("ctrs/%s", ctr->id);

	if (mkdirat(ctr->crid->run, name, 0700) < 0)
		return err_set(e, errno, "make folder %s", name);
	return 0;
}

/* The shim ------------------------------------------------------------------------ */

static void on_created(void *arg, struct msg *m, const struct json *body, const struct err *failed)
{
	struct ctr *ctr = arg;
	struct err e = *failed;

	(void)m;
	fd_close(&ctr->rootfs);
	if (!e.code)
		json_get_int(body, "pid", &ctr->pid, &e);
	flow_continue(&ctr->flow, &e);
}

static int run_create(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	const Cri__ContainerConfig *c = ctr->config;
	auto_free char *bundle = ctr_path(ctr, "");
	auto_json_out out = { 0 };

	if (ctr->pod->state != POD_READY || ctr->pod->goal != POD_KEEP)
		return err_set(e, ECANCELED, "pod %s is being stopped", ctr->pod->id);
	json_out_object(&out, NULL);
	json_out_text(&out, "ctr", ctr->id);
	json_out_text(&out, "bundle", bundle);
	json_out_text(&out, "log_path", ctr->log_path ?: "");
	json_out_bool(&out, "terminal", c->tty);
	json_out_bool(&out, "stdin", c->stdin);
	json_out_bool(&out, "stdin_once", c->stdin_once);
	json_out_bool(&out, "missing_controllers_warn", ctr->crid->warn_missing_controllers);
	json_out_end(&out);
	shimlink_request(&ctr->pod->shim, SHIM_CREATE, out.s.text, &ctr->rootfs, 1, CREATE_MS,
			 on_created, ctr);
	return FLOW_WAIT;
}

static void on_deleted(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct ctr *ctr = arg;

	(void)m;
	(void)body;
	flow_continue(&ctr->flow, e->code == ENOENT ? NULL : e);
}

static int undo_guard(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;
	auto_free char *body = mem_printf("{\"ctr\":\"%s\"}", ctr->id);

	(void)e;
	if (!shimlink_is_open(&ctr->pod->shim))
		return 0;
	shimlink_request(&ctr->pod->shim, SHIM_DELETE, body, NULL, 0, CREATE_MS, on_deleted, ctr);
	return FLOW_WAIT;
}

static int run_created(void *ctx, struct err *e)
{
	struct ctr *ctr = ctx;

	ctr->state = CTR_CREATED;
	if (ctr_record(ctr, e) < 0) {
		ctr->state = CTR_CREATING;
		return -e->code;
	}
	return 0;
}

static const struct flow_step steps[] = {
	{ "write the record", run_intent, ctr_unrecord },
	{ "make its folder", run_folder, ctr_remove_folder },
	{ "guard its layers", NULL, undo_prepare },
	{ "prepare", run_prepare, NULL },
	{ "guard its processes", NULL, ctr_end_processes }, /* a shim may die before it tells */
	{ "guard it", NULL, undo_guard },
	{ "create it by the shim", run_create, NULL },
	{ "show it", run_created, NULL },
};

/* Texts that kubelet compares by prefix come alone and with code UNKNOWN. */
static void fail_create(struct call *call, const struct ctr *ctr, const struct err *e)
{
	const char *fixed = strstr(e->msg, BUNDLE_RRO_UNSUPPORTED);

	if (!fixed)
		fixed = strstr(e->msg, BUNDLE_IMAGE_MOUNT_FAILED);
	if (fixed)
		call_fail(call, GRPC_UNKNOWN, "%s", fixed);
	else
		call_fail(call, grpc_code_of(e), "create container %s in pod %s: %s",
			  ctr->config->metadata->name, ctr->pod->id, err_text(e));
}

static void on_end(void *ctx, const struct err *e)
{
	struct ctr *ctr = ctx;
	Cri__CreateContainerResponse r = CRI__CREATE_CONTAINER_RESPONSE__INIT;

	r.container_id = ctr->id;
	list_for_each(call, &ctr->create_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			fail_create(call, ctr, e);
		else
			call_reply(call, &r.base);
	}
	if (!e->code) {
		log_info("container %s: created, %s", ctr->id, ctr->config->metadata->name);
		ctr_next(ctr);
	} else if (ctr->flow.dirty) {
		/* something is left: unseen, it is removed until it is gone */
		ctr_want_removal(ctr);
	} else {
		ctr_gone(ctr, e);
	}
}

void ctr_create(struct ctr *ctr)
{
	flow_start(&ctr->flow, steps, sizeof(steps) / sizeof(steps[0]), ctr, on_end);
}
