/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Version, Status and the runtime's configuration: answered from memory, at any time. */
#include "config.h"

#include "cri/api/api.pb-c.h"
#include "cri/crid.h"
#include "cri/method.h"
#include "cri/network.h"
#include "lib/json_out.h"
#include "lib/mem.h"

/* Protobuf's C structs are not const; the texts are not written to. */
static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

void svc_version(struct call *call)
{
	Cri__VersionResponse r = CRI__VERSION_RESPONSE__INIT;

	r.version = text("0.1.0"); /* of the kubelet runtime API; kubelet wants exactly this */
	r.runtime_name = text("berth");
	r.runtime_version = text(PACKAGE_VERSION);
	r.runtime_api_version = text("v1");
	call_reply(call, &r.base);
}

static void put_config(struct json_out *out, const struct crid *crid)
{
	json_out_object(out, NULL);
	json_out_text(out, "stateDir", CRID_RUN);
	json_out_text(out, "rootDir", CRID_STATE);
	json_out_text(out, "libexec", crid->libexec);
	json_out_text(out, "cgroupParent", crid->cgroup_parent);
	json_out_bool(out, "missingControllersWarn", crid->warn_missing_controllers);
	json_out_end(out);
}

static void put_state(struct json_out *out, const struct crid *crid)
{
	json_out_object(out, NULL);
	json_out_uint(out, "pods", crid->pods.count);
	json_out_uint(out, "containers", crid->ctrs.count);
	json_out_int(out, "startedAt", crid->started_at);
	json_out_int(out, "networkWorker", crid->network ? network_worker_pid(crid->network) : 0);
	json_out_end(out);
}

static void reply_status(struct call *call, Cri__StatusResponse *r)
{
	const Cri__StatusRequest *q = (const void *)call->request;
	auto_json_out config = { 0 }, state = { 0 };
	Cri__MapEntry info[2] = { CRI__MAP_ENTRY__INIT, CRI__MAP_ENTRY__INIT };
	Cri__MapEntry *infos[2] = { &info[0], &info[1] };

	if (q->verbose) {
		put_config(&config, call->crid);
		put_state(&state, call->crid);
		info[0].key = text("config");
		info[0].value = config.s.text;
		info[1].key = text("state");
		info[1].value = state.s.text;
		r->n_info = 2;
		r->info = infos;
	}
	call_reply(call, &r->base);
}

static void set_condition(Cri__RuntimeCondition *c, const char *type, bool good, const char *reason,
			  const char *why)
{
	cri__runtime_condition__init(c);
	c->type = text(type);
	c->status = good;
	if (!good) {
		c->reason = text(reason);
		c->message = text(why);
	}
}

void svc_status(struct call *call)
{
	const struct crid *crid = call->crid;
	const char *why = "the network worker is not started yet";
	bool network = crid->network && network_ready(crid->network, &why);
	Cri__RuntimeCondition rows[2];
	Cri__RuntimeCondition *conditions[2] = { &rows[0], &rows[1] };
	Cri__RuntimeStatus status = CRI__RUNTIME_STATUS__INIT;
	Cri__RuntimeHandlerFeatures handler_features = CRI__RUNTIME_HANDLER_FEATURES__INIT;
	Cri__RuntimeHandler handler = CRI__RUNTIME_HANDLER__INIT; /* the default one, named "" */
	Cri__RuntimeHandler *handlers[1] = { &handler };
	Cri__RuntimeFeatures features = CRI__RUNTIME_FEATURES__INIT;
	Cri__StatusResponse r = CRI__STATUS_RESPONSE__INIT;

	set_condition(&rows[0], "RuntimeReady", crid->loaded, "Loading",
		      "the records are being read");
	set_condition(&rows[1], "NetworkReady", network, "NetworkNotReady", why);
	status.n_conditions = 2;
	status.conditions = conditions;
	handler_features.recursive_read_only_mounts = crid->host.rro;
	handler.features = &handler_features;
	features.supplemental_groups_policy = true;
	r.status = &status;
	r.n_runtime_handlers = 1;
	r.runtime_handlers = handlers;
	r.features = &features;
	reply_status(call, &r);
}

void svc_runtime_config(struct call *call)
{
	Cri__LinuxRuntimeConfiguration config = CRI__LINUX_RUNTIME_CONFIGURATION__INIT;
	Cri__RuntimeConfigResponse r = CRI__RUNTIME_CONFIG_RESPONSE__INIT;

	config.cgroup_driver = CRI__CGROUP_DRIVER__CGROUPFS;
	r.linux = &config;
	call_reply(call, &r.base);
}

void svc_update_runtime_config(struct call *call)
{
	const Cri__UpdateRuntimeConfigRequest *q = (const void *)call->request;
	const Cri__RuntimeConfig *config = q->runtime_config;
	const Cri__NetworkConfig *net = config ? config->network_config : NULL;
	Cri__UpdateRuntimeConfigResponse r = CRI__UPDATE_RUNTIME_CONFIG_RESPONSE__INIT;
	struct err e = { 0 };

	if (net && call->crid->network &&
	    network_set_pod_cidr(call->crid->network, net->pod_cidr, &e) < 0) {
		err_wrap(&e, "pod_cidr");
		call_fail_err(call, &e);
		return;
	}
	call_reply(call, &r.base);
}
