/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pod uses as a whole: its cgroup, its network, its containers. */
#include "cri/crid.h"
#include "cri/list.h"
#include "cri/method.h"
#include "cri/stats_priv.h"
#include "lib/mem.h"

struct net_row {
	struct stats_net raw;
	Cri__NetworkInterfaceUsage usage[STATS_INTERFACES_MAX];
	Cri__NetworkInterfaceUsage *list[STATS_INTERFACES_MAX];
	Cri__UInt64Value values[STATS_INTERFACES_MAX][4];
};

struct pod_row {
	Cri__PodSandboxStats stats;
	Cri__PodSandboxAttributes attributes;
	Cri__LinuxPodSandboxStats linux_stats;
	Cri__NetworkUsage network;
	Cri__ProcessUsage process;
	Cri__UInt64Value processes;
	struct stats_usage usage;
	struct net_row net;
	struct stats_ctr *ctrs; /* owned */
	Cri__ContainerStats **list; /* owned */
};

static void pod_row_done(struct pod_row *row)
{
	free(row->ctrs);
	free(row->list);
}

static void fill_network(struct pod *pod, struct pod_row *row, int64_t now)
{
	struct net_row *n = &row->net;

	if (stats_net_read(pod, &n->raw) < 0)
		return;
	for (size_t i = 0; i < n->raw.count; i++) {
		const struct stats_net_if *from = &n->raw.list[i];
		Cri__NetworkInterfaceUsage *to = &n->usage[i];

		cri__network_interface_usage__init(to);
		to->name = (char *)from->name;
		to->rx_bytes = stats_number(&n->values[i][0], from->rx_bytes);
		to->rx_errors = stats_number(&n->values[i][1], from->rx_errors);
		to->tx_bytes = stats_number(&n->values[i][2], from->tx_bytes);
		to->tx_errors = stats_number(&n->values[i][3], from->tx_errors);
		n->list[i] = to;
	}
	cri__network_usage__init(&row->network);
	row->network.timestamp = now;
	row->network.n_interfaces = n->raw.count;
	row->network.interfaces = n->list;
	if (n->raw.count)
		row->network.default_interface = n->list[0];
	row->linux_stats.network = &row->network;
}

static void fill_pod_ctrs(struct pod *pod, struct pod_row *row)
{
	size_t count = 0;

	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		count++;
	row->ctrs = mem_array(count + 1, sizeof(*row->ctrs));
	row->list = mem_array(count + 1, sizeof(*row->list));
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node) {
		struct err e = { 0 };
		size_t n = row->linux_stats.n_containers;

		if (ctr->state != CTR_RUNNING || stats_fill_ctr(ctr, &row->ctrs[n], &e) < 0)
			continue;
		row->list[n] = &row->ctrs[n].stats;
		row->linux_stats.n_containers++;
	}
	row->linux_stats.containers = row->list;
}

/* Pods that named no cgroup, or the same one, share it: then its numbers are not the pod's. */
static bool shares_cgroup(const struct pod *pod)
{
	map_for_each(entry, &pod->crid->pods) {
		const struct pod *other = entry->value;

		if (other != pod && str_eq(other->cgroup_parent, pod->cgroup_parent))
			return true;
	}
	return str_eq(pod->cgroup_parent, pod->crid->cgroup_parent);
}

static void sum(Cri__UInt64Value *to, const Cri__UInt64Value *from, Cri__UInt64Value **field)
{
	uint64_t so_far = *field ? to->value : 0;

	if (from)
		*field = stats_number(to, so_far + from->value);
}

/* The pod as the sum of its containers. */
static void sum_ctrs(struct pod_row *row, int64_t now)
{
	struct stats_usage *u = &row->usage;

	cri__cpu_usage__init(&u->cpu);
	cri__memory_usage__init(&u->memory);
	cri__io_usage__init(&u->io);
	u->cpu.timestamp = u->memory.timestamp = u->io.timestamp = now;
	for (size_t i = 0; i < row->linux_stats.n_containers; i++) {
		const Cri__CpuUsage *c = row->list[i]->cpu;
		const Cri__MemoryUsage *m = row->list[i]->memory;

		sum(&u->core_ns, c->usage_core_nano_seconds, &u->cpu.usage_core_nano_seconds);
		sum(&u->nano_cores, c->usage_nano_cores, &u->cpu.usage_nano_cores);
		sum(&u->working_set, m->working_set_bytes, &u->memory.working_set_bytes);
		sum(&u->usage, m->usage_bytes, &u->memory.usage_bytes);
		sum(&u->rss, m->rss_bytes, &u->memory.rss_bytes);
		sum(&u->faults, m->page_faults, &u->memory.page_faults);
		sum(&u->major_faults, m->major_page_faults, &u->memory.major_page_faults);
	}
}

static int fill_pod(struct pod *pod, struct pod_row *row, struct err *e)
{
	struct stats stats = { 0 };

	cri__pod_sandbox_stats__init(&row->stats);
	cri__pod_sandbox_attributes__init(&row->attributes);
	cri__linux_pod_sandbox_stats__init(&row->linux_stats);
	cri__process_usage__init(&row->process);
	row->attributes.id = pod->id;
	row->attributes.metadata = pod->config->metadata;
	row->attributes.n_labels = pod->config->n_labels;
	row->attributes.labels = pod->config->labels;
	row->attributes.n_annotations = pod->config->n_annotations;
	row->attributes.annotations = pod->config->annotations;
	row->stats.attributes = &row->attributes;
	row->stats.linux = &row->linux_stats;
	fill_pod_ctrs(pod, row);
	if (shares_cgroup(pod))
		sum_ctrs(row, crid_now_ns());
	else if (stats_fill(pod->crid, pod->cgroup_parent, &row->usage, &stats, e) < 0)
		return -e->code;
	row->linux_stats.cpu = &row->usage.cpu;
	row->linux_stats.memory = &row->usage.memory;
	row->linux_stats.io = &row->usage.io;
	row->process.timestamp = crid_now_ns();
	if (stats.pids.given)
		row->process.process_count = stats_number(&row->processes, stats.pids.current);
	row->linux_stats.process = &row->process;
	fill_network(pod, row, row->process.timestamp);
	return 0;
}

void svc_pod_sandbox_stats(struct call *call)
{
	const Cri__PodSandboxStatsRequest *q = (const void *)call->request;
	Cri__PodSandboxStatsResponse answer = CRI__POD_SANDBOX_STATS_RESPONSE__INIT;
	struct pod *pod = pod_find(call->crid, q->pod_sandbox_id);
	struct pod_row row = { 0 };
	struct err e = { 0 };

	if (!pod) {
		call_fail(call, GRPC_NOT_FOUND, "pod %.64s is not known", q->pod_sandbox_id);
		return;
	}
	stats_samples_want(call->crid->samples);
	if (pod->state != POD_READY) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "pod %s is not ready", pod->id);
		return;
	}
	if (fill_pod(pod, &row, &e) < 0) {
		err_wrap(&e, "pod %.16s", pod->id);
		call_fail_err(call, &e);
	} else {
		answer.stats = &row.stats;
		call_reply(call, &answer.base);
	}
	pod_row_done(&row);
}

void svc_list_pod_sandbox_stats(struct call *call)
{
	const Cri__ListPodSandboxStatsRequest *q = (const void *)call->request;
	const Cri__PodSandboxStatsFilter *f = q->filter;
	struct pod *by_id = f && f->id[0] ? pod_find(call->crid, f->id) : NULL;
	auto_str out = { 0 };

	stats_samples_want(call->crid->samples);
	map_for_each(entry, &call->crid->pods) {
		struct pod *pod = entry->value;
		struct pod_row row = { 0 };
		struct err e = { 0 };

		if (pod->state != POD_READY || (f && f->id[0] && pod != by_id) ||
		    (f && !list_match_labels(f->n_label_selector, f->label_selector,
					     pod->config->n_labels, pod->config->labels)))
			continue;
		if (fill_pod(pod, &row, &e) == 0)
			stats_add_packed(&out, &row.stats.base);
		pod_row_done(&row);
	}
	call_reply_packed(call, out.text, out.len);
}
