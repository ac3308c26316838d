/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container RPCs that tell: status and list. */
#include <string.h>

#include "cri/api/pbjson.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/list.h"
#include "cri/method.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static Cri__Signal api_signal(int signal)
{
	for (unsigned int i = 0; i < cri__signal__descriptor.n_values; i++) {
		const ProtobufCEnumValue *v = &cri__signal__descriptor.values[i];

		if (str_starts(v->name, "SIGNAL_SIG") &&
		    ctr_signal(v->name + strlen("SIGNAL_")) == signal)
			return (Cri__Signal)v->value;
	}
	return CRI__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
}

static char *info_of(const struct ctr *ctr)
{
	auto_json_out out = { 0 };
	auto_free char *bundle = ctr_path(ctr, "");

	json_out_object(&out, NULL);
	json_out_text(&out, "sandboxID", ctr->pod->id);
	json_out_int(&out, "pid", ctr->pid);
	json_out_text(&out, "cgroup", ctr->cgroup);
	json_out_text(&out, "bundle", bundle);
	pbjson_put(&out, "config", &ctr->config->base);
	json_out_end(&out);
	return json_out_take(&out);
}

static void reply(struct call *call, const struct ctr *ctr, Cri__ContainerStatus *s, bool verbose)
{
	Cri__ContainerStatusResponse r = CRI__CONTAINER_STATUS_RESPONSE__INIT;
	Cri__MapEntry info = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *infos[1] = { &info };
	auto_free char *json = NULL;

	r.status = s;
	if (verbose) {
		json = info_of(ctr);
		info.key = text("info");
		info.value = json;
		r.n_info = 1;
		r.info = infos;
	}
	call_reply(call, &r.base);
}

static void set_state(Cri__ContainerStatus *s, const struct ctr *ctr)
{
	switch (ctr->state) {
	case CTR_CREATING:
	case CTR_CREATED:
		s->state = CRI__CONTAINER_STATE__CONTAINER_CREATED;
		return;
	case CTR_RUNNING:
		s->state = CRI__CONTAINER_STATE__CONTAINER_RUNNING;
		s->started_at = ctr->started_at;
		return;
	case CTR_EXITED:
	case CTR_REMOVING:
		break;
	}
	s->state = CRI__CONTAINER_STATE__CONTAINER_EXITED;
	s->started_at = ctr->started_at;
	s->finished_at = ctr->finished_at;
	s->exit_code = ctr->exit_code;
	s->reason = text(ctr->reason ?: "");
	s->message = text(ctr->message ?: "");
}

/* The mounts as asked for, and where one is an image, which one it was. */
struct mounts {
	Cri__Mount **list;
	Cri__Mount *copies;
	Cri__ImageSpec *images;
};

static void mounts_make(struct mounts *m, const struct ctr *ctr)
{
	size_t n = ctr->config->n_mounts;

	m->list = mem_array(n + 1, sizeof(Cri__Mount *));
	m->copies = mem_array(ctr->nvolumes + 1, sizeof(*m->copies));
	m->images = mem_array(ctr->nvolumes + 1, sizeof(*m->images));
	for (size_t i = 0; i < n; i++)
		m->list[i] = ctr->config->mounts[i];
	for (size_t i = 0; i < ctr->nvolumes; i++) {
		const struct ctr_volume *v = &ctr->volumes[i];
		const Cri__Mount *asked = ctr->config->mounts[v->mount];

		m->copies[i] = *asked;
		m->images[i] = *asked->image;
		m->images[i].image_ref = v->id;
		m->copies[i].image = &m->images[i];
		m->list[v->mount] = &m->copies[i];
	}
}

static void mounts_done(struct mounts *m)
{
	free(m->list);
	free(m->copies);
	free(m->images);
}

static void set_config(Cri__ContainerStatus *s, const struct ctr *ctr)
{
	const Cri__ContainerConfig *c = ctr->config;

	s->id = text(ctr->id);
	s->metadata = c->metadata;
	s->created_at = ctr->created_at;
	s->image = c->image;
	s->image_ref = ctr->image_id;
	s->image_id = ctr->image_id;
	s->n_labels = c->n_labels;
	s->labels = c->labels;
	s->n_annotations = c->n_annotations;
	s->annotations = c->annotations;
	s->log_path = text(ctr->log_path ?: "");
	s->stop_signal = api_signal(ctr->stop_signal);
}

void svc_container_status(struct call *call)
{
	const Cri__ContainerStatusRequest *q = (const void *)call->request;
	struct ctr *ctr = ctr_find(call->crid, q->container_id);
	Cri__ContainerStatus s = CRI__CONTAINER_STATUS__INIT;
	Cri__ContainerResources resources = CRI__CONTAINER_RESOURCES__INIT;
	Cri__ContainerUser user = CRI__CONTAINER_USER__INIT;
	Cri__LinuxContainerUser linux = CRI__LINUX_CONTAINER_USER__INIT;
	auto_free int64_t *groups = NULL;
	struct mounts mounts;

	if (!ctr) {
		call_fail(call, GRPC_NOT_FOUND, "container \"%s\": not found", q->container_id);
		return;
	}
	set_state(&s, ctr);
	set_config(&s, ctr);
	mounts_make(&mounts, ctr);
	s.n_mounts = ctr->config->n_mounts;
	s.mounts = mounts.list;
	if (ctr->config->linux && ctr->config->linux->resources) {
		resources.linux = ctr->config->linux->resources;
		s.resources = &resources;
	}
	groups = mem_array(ctr->user.ngroups + 1, sizeof(*groups));
	for (size_t i = 0; i < ctr->user.ngroups; i++)
		groups[i] = ctr->user.groups[i];
	linux.uid = ctr->user.uid;
	linux.gid = ctr->user.gid;
	linux.n_supplemental_groups = ctr->user.ngroups;
	linux.supplemental_groups = groups;
	user.linux = &linux;
	s.user = &user;
	reply(call, ctr, &s, q->verbose);
	mounts_done(&mounts);
}

static Cri__ContainerState state_of(const struct ctr *ctr)
{
	Cri__ContainerStatus s = CRI__CONTAINER_STATUS__INIT;

	set_state(&s, ctr);
	return s.state;
}

struct only {
	const struct ctr *ctr; /* of the filter's id */
	const struct pod *pod;
};

static bool is_wanted(const struct ctr *ctr, const Cri__ContainerFilter *f, const struct only *only)
{
	if (ctr->state == CTR_CREATING || ctr->state == CTR_REMOVING)
		return false;
	if (!f)
		return true;
	if ((*f->id && ctr != only->ctr) || (*f->pod_sandbox_id && ctr->pod != only->pod))
		return false;
	if (f->state && f->state->state != state_of(ctr))
		return false;
	return list_match_labels(f->n_label_selector, f->label_selector, ctr->config->n_labels,
				 ctr->config->labels);
}

void svc_list_containers(struct call *call)
{
	const Cri__ListContainersRequest *q = (const void *)call->request;
	const Cri__ContainerFilter *f = q->filter;
	struct only only = { 0 };
	auto_str out = { 0 };

	if (f && *f->id)
		only.ctr = ctr_find(call->crid, f->id);
	if (f && *f->pod_sandbox_id)
		only.pod = pod_find(call->crid, f->pod_sandbox_id);
	map_for_each(entry, &call->crid->ctrs) {
		const struct ctr *ctr = entry->value;

		if (is_wanted(ctr, f, &only))
			list_add_entry(&out, ctr->entry, ctr->entry_len);
	}
	call_reply_packed(call, out.text, out.len);
}
