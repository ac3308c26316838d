/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container RPCs that change something; svc_ctr_info.c has those that tell. */
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "cri/api/pbjson.h"
#include "cri/bundle.h"
#include "cri/check.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/method.h"
#include "image/store.h"
#include "lib/mem.h"
#include "lib/proto.h"
#include "lib/str.h"

#define LOG_MS 10000
#define UPDATE_MS 10000

/* Create ----------------------------------------------------------------------- */

static bool is_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t len = protobuf_c_message_get_packed_size(a);
	auto_free uint8_t *one = mem_alloc(len + 1);
	auto_free uint8_t *other = mem_alloc(len + 1);

	if (protobuf_c_message_get_packed_size(b) != len)
		return false;
	protobuf_c_message_pack(a, one);
	protobuf_c_message_pack(b, other);
	return memcmp(one, other, len) == 0;
}

static void create_again(struct call *call, struct ctr *ctr, const Cri__ContainerConfig *config)
{
	Cri__CreateContainerResponse r = CRI__CREATE_CONTAINER_RESPONSE__INIT;

	if (!is_same(&ctr->config->base, &config->base)) {
		call_fail(call, GRPC_ALREADY_EXISTS,
			  "container %s has this name and attempt, and another configuration",
			  ctr->id);
	} else if (ctr->state == CTR_CREATING && !ctr->want_removal) {
		call->stage = "the same container, being made for another call";
		list_add_tail(&ctr->create_calls, &call->node);
	} else if (ctr->state == CTR_CREATED) {
		r.container_id = ctr->id;
		call_reply(call, &r.base);
	} else {
		call_fail(call, GRPC_ALREADY_EXISTS,
			  "container %s has this name and attempt, and is %s", ctr->id,
			  ctr_state_name(ctr->state));
	}
}

/* The number behind the interface's own: SIGNAL_SIGTERM is not 15. */
static int api_signal(Cri__Signal s)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value(&cri__signal__descriptor, (int)s);

	if (!s || !v || !str_starts(v->name, "SIGNAL_"))
		return 0;
	return ctr_signal(v->name + strlen("SIGNAL_"));
}

static void create_new(struct call *call, struct pod *pod, Cri__ContainerConfig *config)
{
	struct crid *crid = call->crid;
	const struct image *found = store_find(crid->store, config->image->image);
	struct err e = { 0 };
	char id[ID_LEN + 1];
	struct ctr *ctr;

	if (!found) {
		call_fail(call, GRPC_NOT_FOUND, "image \"%s\": not found", config->image->image);
		cri__container_config__free_unpacked(config, NULL);
		return;
	}
	if (id_new(id, &e) < 0) {
		cri__container_config__free_unpacked(config, NULL);
		call_fail_err(call, &e);
		return;
	}
	ctr = ctr_new(pod, id, config);
	ctr->created_at = crid_now_ns();
	ctr->image_id = mem_strdup(found->id);
	ctr->stop_signal = api_signal(config->stop_signal) ?:
			   ctr_signal(found->config.stop_signal) ?:
			   SIGTERM;
	if (store_hold(crid->store, ctr->image_id, &ctr->image, &e) < 0 ||
	    ctr_volumes_find(ctr, &e) < 0) {
		ctr_bury(ctr);
		call_fail(call, grpc_code_of(&e), "%s", crid_why(&e));
		return;
	}
	call->stage = "the container";
	list_add_tail(&ctr->create_calls, &call->node);
	ctr_create(ctr);
}

void svc_create_container(struct call *call)
{
	Cri__CreateContainerRequest *q = (void *)call->request;
	struct pod *pod = pod_find(call->crid, q->pod_sandbox_id);
	struct err e = { 0 };
	auto_free char *key = NULL;
	struct ctr *ctr;

	if (!q->config)
		err_set(&e, EINVAL, "missing");
	if (e.code || check_ctr(q->config, &e) < 0) {
		err_wrap(&e, "config");
		call_fail(call, GRPC_INVALID_ARGUMENT, "%s", e.msg);
		return;
	}
	if (!pod) {
		call_fail(call, GRPC_NOT_FOUND, "pod sandbox \"%s\": not found", q->pod_sandbox_id);
		return;
	}
	if (pod->state != POD_READY || pod->goal != POD_KEEP) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "pod sandbox %s: not ready", pod->id);
		return;
	}
	key = ctr_key(pod, q->config);
	ctr = map_get(&call->crid->ctr_keys, key);
	if (ctr)
		create_again(call, ctr, q->config);
	else
		create_new(call, pod, mem_take(&q->config));
}

/* Start, stop, remove ------------------------------------------------------------ */

static struct ctr *need_ctr(struct call *call, const char *id)
{
	struct ctr *ctr = ctr_find(call->crid, id);

	if (!ctr)
		call_fail(call, GRPC_NOT_FOUND, "container \"%s\": not found", id);
	return ctr;
}

void svc_start_container(struct call *call)
{
	const Cri__StartContainerRequest *q = (const void *)call->request;
	struct ctr *ctr = need_ctr(call, q->container_id);

	if (!ctr)
		return;
	if (ctr->state != CTR_CREATED || ctr->want_removal) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "container %s: is %s, not CREATED",
			  ctr->id, ctr_state_name(ctr->state));
		return;
	}
	call->stage = "the program's start";
	list_add_tail(&ctr->start_calls, &call->node);
	if (!flow_busy(&ctr->flow))
		ctr_start(ctr);
}

void svc_stop_container(struct call *call)
{
	const Cri__StopContainerRequest *q = (const void *)call->request;
	Cri__StopContainerResponse r = CRI__STOP_CONTAINER_RESPONSE__INIT;
	struct ctr *ctr = ctr_find(call->crid, q->container_id);
	uint64_t ms = q->timeout > 0 ? (uint64_t)q->timeout : 0;

	if (!*q->container_id) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "container_id: empty");
		return;
	}
	if (!ctr || ctr->state == CTR_EXITED ||
	    (ctr->state == CTR_CREATED && !flow_busy(&ctr->flow))) {
		call_reply(call, &r.base);
		return;
	}
	ms = ms > UINT32_MAX ? UINT32_MAX * 1000ull : ms * 1000;
	call->stage = "the container's end";
	list_add_tail(&ctr->stop_calls, &call->node);
	if (flow_busy(&ctr->flow)) /* being started: stopped right after */
		ctr->stop_ms = ctr->stop_ms && ctr->stop_ms < ms ? ctr->stop_ms : ms;
	else
		ctr_stop(ctr, ms);
}

void svc_remove_container(struct call *call)
{
	const Cri__RemoveContainerRequest *q = (const void *)call->request;
	Cri__RemoveContainerResponse r = CRI__REMOVE_CONTAINER_RESPONSE__INIT;
	struct ctr *ctr = map_get(&call->crid->ctrs, q->container_id);

	if (!*q->container_id) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "container_id: empty");
		return;
	}
	if (!ctr)
		ctr = ctr_find(call->crid, q->container_id);
	if (!ctr) {
		call_reply(call, &r.base);
		return;
	}
	call->stage = "the container's removal";
	list_add_tail(&ctr->remove_calls, &call->node);
	ctr_want_removal(ctr);
}

/* Logs and limits ------------------------------------------------------------------ */

static void on_reopened(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct call *call = arg;
	Cri__ReopenContainerLogResponse r = CRI__REOPEN_CONTAINER_LOG_RESPONSE__INIT;
	const Cri__ReopenContainerLogRequest *q = (const void *)call->request;

	(void)m;
	(void)body;
	if (e->code)
		call_fail(call, grpc_code_of(e), "reopen the log of container %s: %s",
			  q->container_id, err_text(e));
	else
		call_reply(call, &r.base);
}

void svc_reopen_container_log(struct call *call)
{
	const Cri__ReopenContainerLogRequest *q = (const void *)call->request;
	struct ctr *ctr = need_ctr(call, q->container_id);
	auto_free char *body = NULL;

	if (!ctr)
		return;
	if (ctr->state != CTR_RUNNING) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "container %s: is %s, not RUNNING",
			  ctr->id, ctr_state_name(ctr->state));
		return;
	}
	body = mem_printf("{\"ctr\":\"%s\"}", ctr->id);
	shimlink_request(&ctr->pod->shim, SHIM_REOPEN_LOG, body, NULL, 0, LOG_MS, on_reopened,
			 call);
}

/* Zero and empty mean: as it is. */
static void merge_resources(Cri__LinuxContainerResources *to, Cri__LinuxContainerResources *from)
{
	int64_t *const numbers[][2] = {
		{ &to->cpu_period, &from->cpu_period },
		{ &to->cpu_quota, &from->cpu_quota },
		{ &to->cpu_shares, &from->cpu_shares },
		{ &to->memory_limit_in_bytes, &from->memory_limit_in_bytes },
		{ &to->memory_swap_limit_in_bytes, &from->memory_swap_limit_in_bytes },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (*numbers[i][1])
			*numbers[i][0] = *numbers[i][1];
			/* protobuf owns both: what is swapped in is freed with its new owner */
#define SWAP(a, b)                       \
	do {                             \
		__auto_type kept_ = (a); \
		(a) = (b);               \
		(b) = kept_;             \
	} while (0)
	if (*from->cpuset_cpus)
		SWAP(to->cpuset_cpus, from->cpuset_cpus);
	if (*from->cpuset_mems)
		SWAP(to->cpuset_mems, from->cpuset_mems);
	if (from->n_hugepage_limits) {
		SWAP(to->n_hugepage_limits, from->n_hugepage_limits);
		SWAP(to->hugepage_limits, from->hugepage_limits);
	}
	if (from->n_unified) {
		SWAP(to->n_unified, from->n_unified);
		SWAP(to->unified, from->unified);
	}
#undef SWAP
}

static Cri__LinuxContainerResources *resources_of(struct ctr *ctr)
{
	Cri__ContainerConfig *c = ctr->config;

	if (!c->linux) {
		c->linux = mem_alloc(sizeof(*c->linux));
		cri__linux_container_config__init(c->linux);
	}
	if (!c->linux->resources) {
		c->linux->resources = mem_alloc(sizeof(*c->linux->resources));
		cri__linux_container_resources__init(c->linux->resources);
	}
	return c->linux->resources;
}

static void on_updated(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct call *call = arg;
	Cri__UpdateContainerResourcesResponse r = CRI__UPDATE_CONTAINER_RESOURCES_RESPONSE__INIT;
	Cri__UpdateContainerResourcesRequest *q = (void *)call->request;
	struct ctr *ctr = ctr_find(call->crid, q->container_id);

	(void)m;
	(void)body;
	if (e->code || !ctr) {
		call_fail(call, e->code ? grpc_code_of(e) : GRPC_NOT_FOUND,
			  "update container %s: %s", q->container_id,
			  e->code ? err_text(e) : "it was removed meanwhile");
		return;
	}
	merge_resources(resources_of(ctr), q->linux);
	ctr_changed(ctr);
	call_reply(call, &r.base);
}

void svc_update_container_resources(struct call *call)
{
	Cri__UpdateContainerResourcesRequest *q = (void *)call->request;
	Cri__UpdateContainerResourcesResponse r = CRI__UPDATE_CONTAINER_RESOURCES_RESPONSE__INIT;
	struct ctr *ctr = need_ctr(call, q->container_id);
	auto_free char *resources = NULL;
	auto_free char *body = NULL;
	struct err e = { 0 };

	if (!ctr)
		return;
	if (ctr->state != CTR_CREATED && ctr->state != CTR_RUNNING) {
		call_fail(call, GRPC_FAILED_PRECONDITION,
			  "container %s: is %s, neither CREATED nor RUNNING", ctr->id,
			  ctr_state_name(ctr->state));
		return;
	}
	if (!q->linux) {
		call_reply(call, &r.base);
		return;
	}
	if (check_resources(q->linux, &e) < 0 ||
	    bundle_resources(q->linux, &call->crid->host, &resources, &e) < 0) {
		err_wrap(&e, "linux");
		call_fail_err(call, &e);
		return;
	}
	body = mem_printf("{\"ctr\":\"%s\",\"resources\":%s}", ctr->id, resources);
	shimlink_request(&ctr->pod->shim, SHIM_UPDATE, body, NULL, 0, UPDATE_MS, on_updated, call);
}
