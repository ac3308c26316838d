/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metrics that cAdvisor has made known, by its names: a table of them,
 * whose rows read a number from what was measured of a container or pod. A
 * controller that is not there counts nothing: its numbers are 0.
 */
#include "cri/metrics.h"

#include <stdio.h>
#include <string.h>

#include "cri/crid.h"
#include "cri/list.h"
#include "cri/method.h"
#include "lib/mem.h"

#define LABELS 6 /* that every metric has */
#define LABELS_MAX (LABELS + 4)
#define EXTRA_MAX 48 /* bytes of a label made here */

static const char *const base_keys[LABELS] = { "container", "id",	 "image",
					       "name",	    "namespace", "pod" };

/* A metric and all it points to, but the base labels. */
struct one {
	Cri__Metric metric;
	Cri__UInt64Value value;
	char *labels[LABELS_MAX];
	char extra[LABELS_MAX - LABELS][EXTRA_MAX];
};

struct metrics {
	const char *base[LABELS];
	int64_t now;
	Cri__Metric **list; /* each is the head of a struct one */
	size_t count, room;
};

struct row {
	const char *name, *help;
	Cri__MetricType type;
	size_t offset; /* of a number in struct metrics_sample, when put is NULL */
	uint64_t divide; /* 0: 1 */
	void (*put)(struct metrics *m, const struct row *row, const struct metrics_sample *s);
	const char *extra[LABELS_MAX - LABELS + 1]; /* further label keys */
};

static void add(struct metrics *m, const struct row *row, uint64_t value, const char *const *extra)
{
	struct one *o = mem_alloc(sizeof(*o));
	size_t n = 0;

	cri__metric__init(&o->metric);
	cri__uint64_value__init(&o->value);
	o->value.value = value;
	o->metric.name = (char *)row->name;
	o->metric.timestamp = m->now;
	o->metric.metric_type = row->type;
	o->metric.value = &o->value;
	for (; n < LABELS; n++)
		o->labels[n] = (char *)m->base[n];
	for (size_t i = 0; row->extra[i]; i++, n++) {
		snprintf(o->extra[i], EXTRA_MAX, "%s", extra[i]);
		o->labels[n] = o->extra[i];
	}
	o->metric.n_label_values = n;
	o->metric.label_values = o->labels;
	mem_grow(&m->list, &m->room, m->count + 1, sizeof(*m->list));
	m->list[m->count++] = &o->metric;
}

static void metrics_done(struct metrics *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->list[i]);
	free(m->list);
}

/* Rows with labels of their own --------------------------------------------- */

static void put_cpu(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	add(m, row, s->cpu_us / 1000000, (const char *[]){ "total" });
}

static void put_failures(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	add(m, row, s->page_faults, (const char *[]){ "pgfault", "container" });
	add(m, row, s->major_page_faults, (const char *[]){ "pgmajfault", "container" });
}

static uint64_t at(const void *base, size_t offset)
{
	return *(const uint64_t *)(const void *)((const char *)base + offset);
}

/* One a device; without any, one that says that there is none. */
static void put_device(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	char name[32];

	for (size_t i = 0; i < s->ndevices; i++) {
		snprintf(name, sizeof(name), "%u:%u", s->devices[i].major, s->devices[i].minor);
		add(m, row, at(&s->devices[i], row->offset), (const char *[]){ name });
	}
	if (!s->ndevices)
		add(m, row, 0, (const char *[]){ "" });
}

static void put_blkio(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	char name[32], major[16], minor[16];

	for (size_t i = 0; i < s->ndevices; i++) {
		const struct stats_device *d = &s->devices[i];

		snprintf(name, sizeof(name), "%u:%u", d->major, d->minor);
		snprintf(major, sizeof(major), "%u", d->major);
		snprintf(minor, sizeof(minor), "%u", d->minor);
		add(m, row, d->read_bytes, (const char *[]){ name, major, minor, "Read" });
		add(m, row, d->write_bytes, (const char *[]){ name, major, minor, "Write" });
	}
	if (!s->ndevices)
		add(m, row, 0, (const char *[]){ "", "", "", "" });
}

static void put_fs(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	add(m, row, at(s, row->offset), (const char *[]){ s->fs });
}

static void put_net(struct metrics *m, const struct row *row, const struct metrics_sample *s)
{
	for (size_t i = 0; i < s->net.count; i++)
		add(m, row, at(&s->net.list[i], row->offset),
		    (const char *[]){ s->net.list[i].name });
}

/* The tables ----------------------------------------------------------------- */

#define AT(member) .offset = offsetof(struct metrics_sample, member)
#define COUNTER .type = CRI__METRIC_TYPE__COUNTER
#define GAUGE .type = CRI__METRIC_TYPE__GAUGE
#define IO(member) \
	.offset = offsetof(struct stats_device, member), .put = put_device, .extra = { "device" }
#define NET(member) \
	.offset = offsetof(struct stats_net_if, member), .put = put_net, .extra = { "interface" }
#define FS(member) AT(member), .put = put_fs, .extra = { "device" }
#define SECONDS .divide = 1000000

static const struct row of_container[] = {
	{ "container_blkio_device_usage_total", "Bytes moved to and from a block device", COUNTER,
	  .put = put_blkio, .extra = { "device", "major", "minor", "operation" } },
	{ "container_cpu_cfs_periods_total", "CFS periods that passed", COUNTER, AT(cpu_periods) },
	{ "container_cpu_cfs_throttled_periods_total", "CFS periods in which it was throttled",
	  COUNTER, AT(cpu_throttled) },
	{ "container_cpu_cfs_throttled_seconds_total", "Seconds it was throttled", COUNTER,
	  AT(cpu_throttled_us), SECONDS },
	{ "container_cpu_system_seconds_total", "Seconds of CPU time in the kernel", COUNTER,
	  AT(cpu_system_us), SECONDS },
	{ "container_cpu_usage_seconds_total", "Seconds of CPU time", COUNTER, .put = put_cpu,
	  .extra = { "cpu" } },
	{ "container_cpu_user_seconds_total", "Seconds of CPU time outside the kernel", COUNTER,
	  AT(cpu_user_us), SECONDS },
	{ "container_file_descriptors", "Open descriptors of its processes", GAUGE,
	  AT(descriptors) },
	{ "container_fs_inodes_free", "Free inodes of its file system", GAUGE, FS(fs_inodes_free) },
	{ "container_fs_inodes_total", "Inodes of its file system", GAUGE, FS(fs_inodes) },
	{ "container_fs_limit_bytes", "Size of its file system", GAUGE, FS(fs_bytes) },
	{ "container_fs_reads_bytes_total", "Bytes read from a device", COUNTER, IO(read_bytes) },
	{ "container_fs_reads_total", "Reads from a device", COUNTER, IO(reads) },
	{ "container_fs_usage_bytes", "Bytes in use of its file system", GAUGE, FS(fs_used) },
	{ "container_fs_writes_bytes_total", "Bytes written to a device", COUNTER,
	  IO(write_bytes) },
	{ "container_fs_writes_total", "Writes to a device", COUNTER, IO(writes) },
	{ "container_last_seen", "Unix time of this measurement", GAUGE, AT(now_s) },
	{ "container_memory_cache", "Bytes of page cache", GAUGE, AT(memory_file) },
	{ "container_memory_failcnt", "Times the memory limit was hit", COUNTER, AT(memory_oom) },
	{ "container_memory_failures_total", "Page faults", COUNTER, .put = put_failures,
	  .extra = { "failure_type", "scope" } },
	{ "container_memory_kernel_usage", "Bytes of kernel memory", GAUGE, AT(memory_kernel) },
	{ "container_memory_mapped_file", "Bytes of mapped files", GAUGE, AT(memory_mapped) },
	{ "container_memory_max_usage_bytes", "Most bytes in use so far", GAUGE, AT(memory_peak) },
	{ "container_memory_rss", "Bytes of anonymous memory", GAUGE, AT(memory_anon) },
	{ "container_memory_swap", "Bytes of swap", GAUGE, AT(swap) },
	{ "container_memory_total_active_file_bytes", "Bytes of page cache in use", GAUGE,
	  AT(memory_active_file) },
	{ "container_memory_total_inactive_file_bytes", "Bytes of page cache not in use", GAUGE,
	  AT(memory_inactive_file) },
	{ "container_memory_usage_bytes", "Bytes in use", GAUGE, AT(memory) },
	{ "container_memory_working_set_bytes", "Bytes in use without idle page cache", GAUGE,
	  AT(memory_working_set) },
	{ "container_oom_events_total", "Processes killed for want of memory", COUNTER,
	  AT(memory_oom_kill) },
	{ "container_pressure_cpu_stalled_seconds_total", "Seconds in which all waited for CPU",
	  COUNTER, AT(cpu_full_us), SECONDS },
	{ "container_pressure_cpu_waiting_seconds_total", "Seconds in which some waited for CPU",
	  COUNTER, AT(cpu_some_us), SECONDS },
	{ "container_pressure_io_stalled_seconds_total", "Seconds in which all waited for IO",
	  COUNTER, AT(io_full_us), SECONDS },
	{ "container_pressure_io_waiting_seconds_total", "Seconds in which some waited for IO",
	  COUNTER, AT(io_some_us), SECONDS },
	{ "container_pressure_memory_stalled_seconds_total",
	  "Seconds in which all waited for memory", COUNTER, AT(memory_full_us), SECONDS },
	{ "container_pressure_memory_waiting_seconds_total",
	  "Seconds in which some waited for memory", COUNTER, AT(memory_some_us), SECONDS },
	{ "container_processes", "Processes", GAUGE, AT(processes) },
	{ "container_sockets", "Open sockets of its processes", GAUGE, AT(sockets) },
	{ "container_spec_cpu_period", "CFS period in microseconds", GAUGE, AT(spec_cpu_period) },
	{ "container_spec_cpu_quota", "CFS quota in microseconds", GAUGE, AT(spec_cpu_quota) },
	{ "container_spec_cpu_shares", "CPU shares", GAUGE, AT(spec_cpu_shares) },
	{ "container_spec_memory_limit_bytes", "Memory limit", GAUGE, AT(spec_memory) },
	{ "container_spec_memory_swap_limit_bytes", "Memory and swap limit", GAUGE, AT(spec_swap) },
	{ "container_start_time_seconds", "Unix time of its start", GAUGE, AT(started_s) },
	{ "container_threads", "Threads", GAUGE, AT(threads) },
	{ "container_threads_max", "Most threads it may have, 0 without a limit", GAUGE,
	  AT(threads_max) },
};

static const struct row of_pod[] = {
	{ "container_network_receive_bytes_total", "Bytes received", COUNTER, NET(rx_bytes) },
	{ "container_network_receive_errors_total", "Errors of receiving", COUNTER,
	  NET(rx_errors) },
	{ "container_network_receive_packets_dropped_total", "Packets dropped when received",
	  COUNTER, NET(rx_dropped) },
	{ "container_network_receive_packets_total", "Packets received", COUNTER, NET(rx_packets) },
	{ "container_network_transmit_bytes_total", "Bytes sent", COUNTER, NET(tx_bytes) },
	{ "container_network_transmit_errors_total", "Errors of sending", COUNTER, NET(tx_errors) },
	{ "container_network_transmit_packets_dropped_total", "Packets dropped when sent", COUNTER,
	  NET(tx_dropped) },
	{ "container_network_transmit_packets_total", "Packets sent", COUNTER, NET(tx_packets) },
};

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

static void put_rows(struct metrics *m, const struct row *rows, size_t count,
		     const struct metrics_sample *s)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];

		if (row->put)
			row->put(m, row, s);
		else
			add(m, row, at(s, row->offset) / (row->divide ?: 1), NULL);
	}
}

/* Methods -------------------------------------------------------------------- */

static void put_descriptors(struct str *out, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		Cri__MetricDescriptor d = CRI__METRIC_DESCRIPTOR__INIT;
		char *keys[LABELS_MAX];

		for (; d.n_label_keys < LABELS; d.n_label_keys++)
			keys[d.n_label_keys] = (char *)base_keys[d.n_label_keys];
		for (size_t n = 0; rows[i].extra[n]; n++)
			keys[d.n_label_keys++] = (char *)rows[i].extra[n];
		d.name = (char *)rows[i].name;
		d.help = (char *)rows[i].help;
		d.label_keys = keys;
		stats_add_packed(out, &d.base);
	}
}

void svc_list_metric_descriptors(struct call *call)
{
	auto_str out = { 0 };

	put_descriptors(&out, of_container, ROWS(of_container));
	put_descriptors(&out, of_pod, ROWS(of_pod));
	call_reply_packed(call, out.text, out.len);
}

static void set_base(struct metrics *m, const char *container, const char *cgroup,
		     const char *image, const char *id, const struct pod *pod)
{
	m->base[0] = container;
	m->base[1] = cgroup;
	m->base[2] = image;
	m->base[3] = id;
	m->base[4] = pod->config->metadata->namespace_;
	m->base[5] = pod->config->metadata->name;
	m->now = crid_now_ns();
}

/* What a pod's answer is made of. */
struct answer {
	Cri__PodSandboxMetrics pod;
	struct metrics of_pod;
	struct metrics *of_ctrs; /* owned */
	Cri__ContainerMetrics *ctrs; /* owned */
	Cri__ContainerMetrics **list; /* owned */
};

static void add_ctr(struct answer *a, struct ctr *ctr)
{
	auto_free struct metrics_sample *s = mem_alloc(sizeof(*s));
	size_t n = a->pod.n_container_metrics;
	struct err e = { 0 };

	if (ctr->state != CTR_RUNNING || metrics_sample_ctr(ctr, s, &e) < 0)
		return;
	set_base(&a->of_ctrs[n], ctr->config->metadata->name, ctr->cgroup,
		 ctr->config->image->image, ctr->id, ctr->pod);
	put_rows(&a->of_ctrs[n], of_container, ROWS(of_container), s);
	cri__container_metrics__init(&a->ctrs[n]);
	a->ctrs[n].container_id = ctr->id;
	a->ctrs[n].metrics = a->of_ctrs[n].list;
	a->ctrs[n].n_metrics = a->of_ctrs[n].count;
	a->list[n] = &a->ctrs[n];
	a->pod.n_container_metrics++;
}

static void add_pod(struct str *out, struct pod *pod)
{
	auto_free struct metrics_sample *s = mem_alloc(sizeof(*s));
	struct answer a = { 0 };
	size_t count = 0;

	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		count++;
	a.of_ctrs = mem_array(count + 1, sizeof(*a.of_ctrs));
	a.ctrs = mem_array(count + 1, sizeof(*a.ctrs));
	a.list = mem_array(count + 1, sizeof(*a.list));
	cri__pod_sandbox_metrics__init(&a.pod);
	set_base(&a.of_pod, "POD", pod->cgroup_parent, "", pod->id, pod);
	if (stats_net_read(pod, &s->net) == 0)
		put_rows(&a.of_pod, of_pod, ROWS(of_pod), s);
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		add_ctr(&a, ctr);
	a.pod.pod_sandbox_id = pod->id;
	a.pod.metrics = a.of_pod.list;
	a.pod.n_metrics = a.of_pod.count;
	a.pod.container_metrics = a.list;
	stats_add_packed(out, &a.pod.base);
	for (size_t i = 0; i < a.pod.n_container_metrics; i++)
		metrics_done(&a.of_ctrs[i]);
	metrics_done(&a.of_pod);
	free(a.of_ctrs);
	free(a.ctrs);
	free(a.list);
}

void svc_list_pod_sandbox_metrics(struct call *call)
{
	auto_str out = { 0 };

	map_for_each(entry, &call->crid->pods) {
		struct pod *pod = entry->value;

		if (pod->state == POD_READY)
			add_pod(&out, pod);
	}
	call_reply_packed(call, out.text, out.len);
}
