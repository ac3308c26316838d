/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/stats.h"

#include <errno.h>

#include "cgroups/cgroup.h"
#include "cri/crid.h"
#include "cri/list.h"
#include "cri/method.h"
#include "cri/stats_priv.h"
#include "lib/fd.h"
#include "lib/mem.h"

#define SAMPLE_MS 5000
#define DEMAND_MS 120000 /* without a request samples end */

/* Rates -------------------------------------------------------------------- */

struct sample {
	uint64_t at_ns, usage_ns;
	uint64_t nano_cores;
	bool rated; /* nano_cores is known */
	bool seen; /* in this round */
};

struct stats_samples {
	struct crid *crid;
	struct map map; /* cgroup path -> struct sample */
	struct ev_source timer;
	uint64_t asked_ms;
};

static void sample_take(struct stats_samples *s, const char *cgroup)
{
	struct sample *one = map_get(&s->map, cgroup);
	struct stats_cpu cpu = { 0 };
	auto_fd int dir = -1;
	struct err e = { 0 };
	uint64_t now = (uint64_t)crid_now_ns();

	if (cgroup_open(s->crid->cgroup, cgroup, &dir, &e) < 0 || stats_cpu(dir, &cpu, &e) < 0 ||
	    !cpu.given)
		return;
	if (!one) {
		one = mem_alloc(sizeof(*one));
		map_set(&s->map, cgroup, one);
	} else if (now > one->at_ns && cpu.usage_us * 1000 >= one->usage_ns) {
		one->nano_cores = (uint64_t)((double)(cpu.usage_us * 1000 - one->usage_ns) * 1e9 /
					     (double)(now - one->at_ns));
		one->rated = true;
	}
	one->at_ns = now;
	one->usage_ns = cpu.usage_us * 1000;
	one->seen = true;
}

static void samples_drop(struct stats_samples *s, bool all)
{
	map_for_each(entry, &s->map) {
		struct sample *one = entry->value;

		if (one->seen && !all) {
			one->seen = false;
			continue;
		}
		map_remove(&s->map, entry->key);
		free(one);
	}
}

static void on_timer(void *arg)
{
	struct stats_samples *s = arg;

	if (ev_now_ms() - s->asked_ms > DEMAND_MS) {
		samples_drop(s, true);
		return;
	}
	map_for_each(entry, &s->crid->ctrs) {
		struct ctr *ctr = entry->value;

		if (ctr->state == CTR_RUNNING)
			sample_take(s, ctr->cgroup);
	}
	map_for_each(entry, &s->crid->pods) {
		struct pod *pod = entry->value;

		if (pod->state == POD_READY)
			sample_take(s, pod->cgroup_parent);
	}
	samples_drop(s, false);
	ev_timer_set(&s->timer, SAMPLE_MS);
}

struct stats_samples *stats_samples_new(struct crid *crid)
{
	struct stats_samples *s = mem_alloc(sizeof(*s));

	s->crid = crid;
	ev_add_timer(&crid->ev, &s->timer, on_timer, s);
	return s;
}

void stats_samples_free(struct stats_samples *s)
{
	if (!s)
		return;
	samples_drop(s, true);
	map_done(&s->map);
	ev_remove(&s->timer);
	free(s);
}

/* Somebody asks: a first sample at once, or the rate would be two periods away. */
void stats_samples_want(struct stats_samples *s)
{
	s->asked_ms = ev_now_ms();
	if (!ev_timer_armed(&s->timer))
		ev_timer_set(&s->timer, 0);
}

/* Messages ----------------------------------------------------------------- */

Cri__UInt64Value *stats_number(Cri__UInt64Value *v, uint64_t n)
{
	cri__uint64_value__init(v);
	v->value = n;
	return v;
}

static Cri__PsiStats *psi(struct stats_psi_row *row, const struct stats_psi *p)
{
	if (!p->given)
		return NULL;
	cri__psi_stats__init(&row->stats);
	cri__psi_data__init(&row->some);
	cri__psi_data__init(&row->full);
	row->some.total = p->some_total_us * 1000;
	row->some.avg10 = p->some_avg10;
	row->some.avg60 = p->some_avg60;
	row->some.avg300 = p->some_avg300;
	row->full.total = p->full_total_us * 1000;
	row->full.avg10 = p->full_avg10;
	row->full.avg60 = p->full_avg60;
	row->full.avg300 = p->full_avg300;
	row->stats.some = &row->some;
	row->stats.full = &row->full;
	return &row->stats;
}

static void fill_cpu(struct stats_usage *u, const struct stats_cpu *c, const struct sample *s,
		     int64_t now)
{
	cri__cpu_usage__init(&u->cpu);
	u->cpu.timestamp = now;
	if (!c->given)
		return;
	u->cpu.usage_core_nano_seconds = stats_number(&u->core_ns, c->usage_us * 1000);
	if (s && s->rated)
		u->cpu.usage_nano_cores = stats_number(&u->nano_cores, s->nano_cores);
	u->cpu.psi = psi(&u->cpu_psi, &c->psi);
}

static uint64_t left(uint64_t limit, uint64_t used)
{
	return limit == STATS_UNLIMITED || limit < used ? 0 : limit - used;
}

static void fill_memory(struct stats_usage *u, const struct stats_memory *m, int64_t now)
{
	cri__memory_usage__init(&u->memory);
	cri__swap_usage__init(&u->swap);
	u->memory.timestamp = u->swap.timestamp = now;
	if (!m->given)
		return;
	u->memory.working_set_bytes = stats_number(&u->working_set, m->working_set);
	u->memory.available_bytes = stats_number(&u->available, left(m->limit, m->working_set));
	u->memory.usage_bytes = stats_number(&u->usage, m->usage);
	u->memory.rss_bytes = stats_number(&u->rss, m->anon);
	u->memory.page_faults = stats_number(&u->faults, m->page_faults);
	u->memory.major_page_faults = stats_number(&u->major_faults, m->major_page_faults);
	u->memory.psi = psi(&u->memory_psi, &m->psi);
	u->swap.swap_available_bytes =
		stats_number(&u->swap_available, left(m->swap_limit, m->swap_usage));
	u->swap.swap_usage_bytes = stats_number(&u->swap_usage, m->swap_usage);
}

/* -ENOENT when the cgroup is gone. */
int stats_fill(struct crid *crid, const char *cgroup, struct stats_usage *u,
	       struct stats *ret_stats, struct err *e)
{
	struct stats *s = ret_stats;
	auto_fd int dir = -1;
	int64_t now;

	if (cgroup_open(crid->cgroup, cgroup, &dir, e) < 0 || stats_read(dir, s, e) < 0)
		return -e->code;
	now = crid_now_ns();
	fill_cpu(u, &s->cpu, map_get(&crid->samples->map, cgroup), now);
	fill_memory(u, &s->memory, now);
	cri__io_usage__init(&u->io);
	u->io.timestamp = now;
	u->io.psi = psi(&u->io_psi, &s->io.psi);
	return 0;
}

/* Containers --------------------------------------------------------------- */

int stats_fill_ctr(struct ctr *ctr, struct stats_ctr *row, struct err *e)
{
	struct stats stats = { 0 };

	cri__container_stats__init(&row->stats);
	cri__container_attributes__init(&row->attributes);
	row->attributes.id = ctr->id;
	row->attributes.metadata = ctr->config->metadata;
	row->attributes.n_labels = ctr->config->n_labels;
	row->attributes.labels = ctr->config->labels;
	row->attributes.n_annotations = ctr->config->n_annotations;
	row->attributes.annotations = ctr->config->annotations;
	row->stats.attributes = &row->attributes;
	if (stats_fill(ctr->crid, ctr->cgroup, &row->usage, &stats, e) < 0)
		return -e->code;
	row->stats.cpu = &row->usage.cpu;
	row->stats.memory = &row->usage.memory;
	row->stats.swap = &row->usage.swap;
	row->stats.io = &row->usage.io;
	return 0;
}

void svc_container_stats(struct call *call)
{
	const Cri__ContainerStatsRequest *q = (const void *)call->request;
	Cri__ContainerStatsResponse answer = CRI__CONTAINER_STATS_RESPONSE__INIT;
	struct ctr *ctr = ctr_find(call->crid, q->container_id);
	struct stats_ctr row = { 0 };
	struct err e = { 0 };

	if (!ctr) {
		call_fail(call, GRPC_NOT_FOUND, "container %.64s is not known", q->container_id);
		return;
	}
	stats_samples_want(call->crid->samples);
	if (ctr->state != CTR_RUNNING && ctr->state != CTR_CREATED) {
		call_fail(call, GRPC_FAILED_PRECONDITION, "container %s is not running", ctr->id);
		return;
	}
	if (stats_fill_ctr(ctr, &row, &e) < 0) {
		err_wrap(&e, "container %.16s", ctr->id);
		call_fail_err(call, &e);
		return;
	}
	answer.stats = &row.stats;
	call_reply(call, &answer.base);
}

static bool wanted(const struct ctr *ctr, const Cri__ContainerStatsFilter *f,
		   const struct ctr *by_id, const struct pod *by_pod)
{
	if (ctr->state != CTR_RUNNING)
		return false;
	if (!f)
		return true;
	if ((f->id[0] && ctr != by_id) || (f->pod_sandbox_id[0] && ctr->pod != by_pod))
		return false;
	return list_match_labels(f->n_label_selector, f->label_selector, ctr->config->n_labels,
				 ctr->config->labels);
}

/* Adds a packed message to a list's answer. */
void stats_add_packed(struct str *out, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	auto_free uint8_t *data = mem_alloc(len + 1);

	protobuf_c_message_pack(msg, data);
	list_add_entry(out, data, len);
}

void svc_list_container_stats(struct call *call)
{
	const Cri__ListContainerStatsRequest *q = (const void *)call->request;
	const Cri__ContainerStatsFilter *f = q->filter;
	struct ctr *by_id = f && f->id[0] ? ctr_find(call->crid, f->id) : NULL;
	struct pod *by_pod =
		f && f->pod_sandbox_id[0] ? pod_find(call->crid, f->pod_sandbox_id) : NULL;
	auto_str out = { 0 };

	stats_samples_want(call->crid->samples);
	map_for_each(entry, &call->crid->ctrs) {
		struct ctr *ctr = entry->value;
		struct stats_ctr row = { 0 };
		struct err e = { 0 };

		/* one that ended meanwhile is left out */
		if (wanted(ctr, f, by_id, by_pod) && stats_fill_ctr(ctr, &row, &e) == 0)
			stats_add_packed(&out, &row.stats.base);
	}
	call_reply_packed(call, out.text, out.len);
}
