/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pod RPCs: what is asked, checked and answered; the work is pod_*.c's. */
#include <string.h>

#include "cri/api/pbjson.h"
#include "cri/check.h"
#include "cri/crid.h"
#include "cri/list.h"
#include "cri/method.h"
#include "cri/pod.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"

/* Run -------------------------------------------------------------------------- */

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

/* A client that asks again, after its deadline say, gets the same pod. */
static void run_again(struct call *call, struct pod *pod, const Cri__PodSandboxConfig *config)
{
	Cri__RunPodSandboxResponse r = CRI__RUN_POD_SANDBOX_RESPONSE__INIT;

	if (!is_same(&pod->config->base, &config->base)) {
		call_fail(call, GRPC_ALREADY_EXISTS,
			  "pod %s has this name, uid and attempt, and another configuration",
			  pod->id);
	} else if (pod->goal != POD_KEEP || pod->state == POD_NOTREADY) {
		call_fail(call, GRPC_ALREADY_EXISTS,
			  "pod %s has this name, uid and attempt, and is stopped", pod->id);
	} else if (pod->state == POD_CREATING) {
		call->stage = "the same pod, being made for another call";
		list_add_tail(&pod->run_calls, &call->node);
	} else {
		r.pod_sandbox_id = pod->id;
		call_reply(call, &r.base);
	}
}

static void run_new(struct call *call, Cri__PodSandboxConfig *config)
{
	struct crid *crid = call->crid;
	const char *parent = config->linux ? config->linux->cgroup_parent : "";
	struct err e = { 0 };
	char id[ID_LEN + 1];
	struct pod *pod;

	if (id_new(id, &e) < 0) {
		cri__pod_sandbox_config__free_unpacked(config, NULL);
		call_fail_err(call, &e);
		return;
	}
	pod = pod_new(crid, id, config);
	pod->created_at = crid_now_ns();
	/* a folder of its own below our parent: no process of ours is ever in one with children */
	pod->cgroup_parent =
		*parent ? mem_strdup(parent) : mem_printf("%s/%s", crid->cgroup_parent, id);
	call->stage = "the pod";
	list_add_tail(&pod->run_calls, &call->node);
	pod_run(pod);
}

void svc_run_pod_sandbox(struct call *call)
{
	Cri__RunPodSandboxRequest *q = (void *)call->request;
	struct err e = { 0 };
	auto_free char *key = NULL;
	struct pod *pod;

	if (*q->runtime_handler) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "runtime_handler: no handler \"%s\"",
			  q->runtime_handler);
		return;
	}
	if (!q->config)
		err_set(&e, EINVAL, "missing");
	if (e.code || check_pod(q->config, &e) < 0) {
		err_wrap(&e, "config");
		call_fail(call, GRPC_INVALID_ARGUMENT, "%s", e.msg);
		return;
	}
	key = pod_key(q->config);
	pod = map_get(&call->crid->pod_keys, key);
	if (pod)
		run_again(call, pod, q->config);
	else
		run_new(call, mem_take(&q->config));
}

/* Stop and remove ------------------------------------------------------------------ */

void svc_stop_pod_sandbox(struct call *call)
{
	const Cri__StopPodSandboxRequest *q = (const void *)call->request;
	Cri__StopPodSandboxResponse r = CRI__STOP_POD_SANDBOX_RESPONSE__INIT;
	struct pod *pod = pod_find(call->crid, q->pod_sandbox_id);

	if (!*q->pod_sandbox_id) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "pod_sandbox_id: empty");
		return;
	}
	if (!pod) {
		call_reply(call, &r.base);
		return;
	}
	call->stage = "the pod's end";
	list_add_tail(&pod->stop_calls, &call->node);
	pod_want(pod, POD_STOP);
}

void svc_remove_pod_sandbox(struct call *call)
{
	const Cri__RemovePodSandboxRequest *q = (const void *)call->request;
	Cri__RemovePodSandboxResponse r = CRI__REMOVE_POD_SANDBOX_RESPONSE__INIT;
	struct pod *pod = map_get(&call->crid->pods, q->pod_sandbox_id);

	if (!*q->pod_sandbox_id) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "pod_sandbox_id: empty");
		return;
	}
	if (!pod)
		pod = pod_find(call->crid, q->pod_sandbox_id);
	if (!pod) {
		call_reply(call, &r.base);
		return;
	}
	call->stage = "the pod's removal";
	list_add_tail(&pod->remove_calls, &call->node);
	pod_want(pod, POD_REMOVE);
}

/* Status and list ------------------------------------------------------------------ */

static void reply_status(struct call *call, struct pod *pod, Cri__PodSandboxStatus *s, bool verbose)
{
	Cri__PodSandboxStatusResponse r = CRI__POD_SANDBOX_STATUS_RESPONSE__INIT;
	auto_json_out out = { 0 };
	Cri__MapEntry info = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *infos[1] = { &info };
	static char key[] = "info";

	r.status = s;
	if (verbose) {
		json_out_object(&out, NULL);
		json_out_int(&out, "pid", pod->shim_pid);
		json_out_int(&out, "pausePid", pod->pause_pid);
		json_out_text(&out, "cgroupParent", pod->cgroup_parent);
		if (pod->error)
			json_out_text(&out, "error", pod->error);
		pbjson_put(&out, "config", &pod->config->base);
		json_out_end(&out);
		info.key = key;
		info.value = out.s.text;
		r.n_info = 1;
		r.info = infos;
	}
	call_reply(call, &r.base);
}

static void set_network(struct pod *pod, Cri__PodSandboxNetworkStatus *net, Cri__PodIP *more,
			Cri__PodIP **more_list)
{
	if (pod->host_network)
		return; /* kubelet fills in the node's own */
	net->ip = pod->ips[0];
	if (!*pod->ips[1])
		return;
	more->ip = pod->ips[1];
	*more_list = more;
	net->n_additional_ips = 1;
	net->additional_ips = more_list;
}

void svc_pod_sandbox_status(struct call *call)
{
	const Cri__PodSandboxStatusRequest *q = (const void *)call->request;
	struct pod *pod = pod_find(call->crid, q->pod_sandbox_id);
	Cri__PodSandboxStatus s = CRI__POD_SANDBOX_STATUS__INIT;
	Cri__PodSandboxNetworkStatus net = CRI__POD_SANDBOX_NETWORK_STATUS__INIT;
	Cri__PodIP more = CRI__POD_IP__INIT;
	Cri__PodIP *more_list;
	Cri__LinuxPodSandboxStatus linux = CRI__LINUX_POD_SANDBOX_STATUS__INIT;
	Cri__Namespace namespaces = CRI__NAMESPACE__INIT;
	Cri__NamespaceOption none = CRI__NAMESPACE_OPTION__INIT;

	if (!pod) {
		call_fail(call, GRPC_NOT_FOUND, "pod sandbox \"%s\": not found", q->pod_sandbox_id);
		return;
	}
	s.id = pod->id;
	s.metadata = pod->config->metadata;
	s.state = pod->state == POD_READY ? CRI__POD_SANDBOX_STATE__SANDBOX_READY
					  : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
	s.created_at = pod->created_at;
	set_network(pod, &net, &more, &more_list);
	s.network = &net;
	namespaces.options = pod_namespace_options(pod->config) ?: &none;
	linux.namespaces = &namespaces;
	s.linux = &linux;
	s.n_labels = pod->config->n_labels;
	s.labels = pod->config->labels;
	s.n_annotations = pod->config->n_annotations;
	s.annotations = pod->config->annotations;
	reply_status(call, pod, &s, q->verbose);
}

static bool is_wanted(const struct pod *pod, const Cri__PodSandboxFilter *f, const struct pod *only)
{
	bool ready = pod->state == POD_READY;

	if (pod->state != POD_READY && pod->state != POD_NOTREADY)
		return false;
	if (!f)
		return true;
	if (*f->id && pod != only)
		return false;
	if (f->state && (f->state->state == CRI__POD_SANDBOX_STATE__SANDBOX_READY) != ready)
		return false;
	return list_match_labels(f->n_label_selector, f->label_selector, pod->config->n_labels,
				 pod->config->labels);
}

void svc_list_pod_sandbox(struct call *call)
{
	const Cri__ListPodSandboxRequest *q = (const void *)call->request;
	const Cri__PodSandboxFilter *f = q->filter;
	const struct pod *only = f && *f->id ? pod_find(call->crid, f->id) : NULL;
	auto_str out = { 0 };

	map_for_each(entry, &call->crid->pods) {
		const struct pod *pod = entry->value;

		if (is_wanted(pod, f, only))
			list_add_entry(&out, pod->entry, pod->entry_len);
	}
	call_reply_packed(call, out.text, out.len);
}
