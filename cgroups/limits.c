/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/limits.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/resources.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define LIMITS_MAX 1024

void limits_done(struct limits *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->rows[i].controller);
		free(l->rows[i].file);
		free(l->rows[i].value);
		free(l->rows[i].other_value);
	}
	free(l->rows);
	*l = (struct limits){ 0 };
}

/* What a new cgroup has anyway: to ask for it needs no controller. */
static bool limits_is_default(const char *file, const char *value)
{
	return (str_eq(file, "cpu.weight") && str_eq(value, "100")) ||
	       (str_eq(file, "cpu.max.burst") && str_eq(value, "0")) || str_starts(value, "max");
}

/* Adds a row; the value is taken. The controller is the file's first part. */
static struct limit *limits_add(struct limits *l, const char *file, char *value)
{
	struct limit *row;

	mem_grow(&l->rows, &l->room, l->count + 1, sizeof(*l->rows));
	row = &l->rows[l->count++];
	*row = (struct limit){
		.controller = mem_strndup(file, strcspn(file, ".")),
		.file = mem_strdup(file),
		.value = value,
		.optional = limits_is_default(file, value),
	};
	return row;
}

/* "max" for -1 */
static char *limits_number(int64_t n)
{
	return n < 0 ? mem_strdup("max") : mem_printf("%lld", (long long)n);
}

/* The runtimes' common curve: 2 -> 1, 1024 -> 100, 262144 -> 10000. */
static uint64_t limits_weight(uint64_t shares)
{
	const double log2_10 = M_LN10 / M_LN2;
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	/* 10^..., where what should be a whole number may come out a little above it */
	return (uint64_t)ceil(exp2(log2_10 * ((l * l + 125 * l) / 612 - 7.0 / 34)) - 1e-9);
}

static void limits_uint(struct limits *l, const char *file, uint64_t n)
{
	limits_add(l, file, mem_printf("%llu", (unsigned long long)n));
}

static void limits_cpu_max(const struct resources *r, struct limits *l)
{
	long long quota = r->cpu_quota;
	unsigned long long period = r->cpu_period;

	if (quota != 0 && period > 0)
		limits_add(l, "cpu.max",
			   quota < 0 ? mem_printf("max %llu", period)
				     : mem_printf("%lld %llu", quota, period));
	else if (quota != 0)
		limits_add(l, "cpu.max", limits_number(quota));
	else if (period > 0)
		limits_add(l, "cpu.max", mem_printf("= %llu", period));
}

static void limits_cpu(const struct resources *r, struct limits *l)
{
	/* an idle group takes no weight: out of idle first, into it last */
	if (r->has_cpu_idle && r->cpu_idle == 0)
		limits_add(l, "cpu.idle", mem_strdup("0"));
	if (r->cpu_shares > 0)
		limits_uint(l, "cpu.weight", limits_weight(r->cpu_shares));
	if (r->cpu_idle > 0)
		limits_uint(l, "cpu.idle", (uint64_t)r->cpu_idle);
	/* a burst is never above the quota, so that it ends before that sinks */
	if (r->has_cpu_burst && r->cpu_burst == 0)
		limits_uint(l, "cpu.max.burst", 0);
	limits_cpu_max(r, l);
	if (r->cpu_burst > 0)
		limits_uint(l, "cpu.max.burst", r->cpu_burst);
	if (r->cpus)
		limits_add(l, "cpuset.cpus", mem_strdup(r->cpus));
	if (r->mems)
		limits_add(l, "cpuset.mems", mem_strdup(r->mems));
}

/* OCI's swap counts memory and swap together, the kernel's swap alone. */
static int limits_swap(int64_t limit, int64_t swap, struct limits *l, struct err *e)
{
	if (swap == 0 && limit == -1)
		swap = -1;
	if (swap == 0)
		return 0;
	if (swap < -1 || limit < -1)
		return err_set(e, EINVAL, "linux.resources.memory: negative limit");
	if (swap == -1) {
		limits_add(l, "memory.swap.max", mem_strdup("max"));
		return 0;
	}
	if (limit <= 0)
		return err_set(e, EINVAL,
			       "linux.resources.memory.swap: a swap limit needs a memory limit");
	if (swap < limit)
		return err_set(e, EINVAL, "linux.resources.memory.swap: below memory.limit");
	limits_add(l, "memory.swap.max", limits_number(swap - limit));
	return 0;
}

static int limits_memory(const struct resources *r, struct limits *l, struct err *e)
{
	if (limits_swap(r->memory_limit, r->memory_swap, l, e) < 0)
		return -e->code;
	if (r->memory_limit != 0)
		limits_add(l, "memory.max", limits_number(r->memory_limit));
	if (r->memory_reservation != 0)
		limits_add(l, "memory.low", limits_number(r->memory_reservation));
	if (r->check_memory && r->memory_limit > 0)
		l->check_memory = r->memory_limit;
	return 0;
}

static void limits_pids(const struct resources *r, struct limits *l)
{
	/* the container's first process counts */
	if (r->has_pids_limit)
		limits_add(l, "pids.max", limits_number(r->pids_limit ?: 1));
}

/* bfq and io.cost have different files for the same wish, of different range */
static void limits_io_weight(struct limits *l, const char *device, uint64_t weight)
{
	unsigned long long converted = weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
	struct limit *row;

	row = limits_add(l, "io.bfq.weight",
			 mem_printf("%s%llu", device, (unsigned long long)weight));
	row->other_file = "io.weight";
	row->other_value = mem_printf("%s%llu", *device ? device : "default ", converted);
}

static char *limits_throttle(const struct resources_device *d, const char *word)
{
	unsigned long long major = d->major;
	unsigned long long minor = d->minor;
	unsigned long long rate = d->value;

	return rate == 0 ? mem_printf("%llu:%llu %s=max", major, minor, word)
			 : mem_printf("%llu:%llu %s=%llu", major, minor, word, rate);
}

static void limits_io(const struct resources *r, struct limits *l)
{
	static const char *const words[RESOURCES_THROTTLES] = { "rbps", "wbps", "riops", "wiops" };

	if (r->io_weight > 0)
		limits_io_weight(l, "", r->io_weight);
	for (size_t i = 0; i < r->io_weights.count; i++) {
		const struct resources_device *d = &r->io_weights.rows[i];
		char device[48];

		snprintf(device, sizeof(device), "%llu:%llu ", (unsigned long long)d->major,
			 (unsigned long long)d->minor);
		limits_io_weight(l, device, d->value);
	}
	for (size_t kind = 0; kind < RESOURCES_THROTTLES; kind++) {
		const struct resources_devices *list = &r->throttles[kind];

		for (size_t i = 0; i < list->count; i++)
			limits_add(l, "io.max", limits_throttle(&list->rows[i], words[kind]));
	}
}

static void limits_hugepages(const struct resources *r, struct limits *l)
{
	for (size_t i = 0; i < r->hugepage_count; i++) {
		const struct resources_hugepages *h = &r->hugepages[i];
		unsigned long long limit = h->limit;
		char file[64];

		/* reservations first: a fault after a refused reservation is a SIGBUS */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", h->page_size);
		limits_add(l, file, mem_printf("%llu", limit))->optional = true;
		snprintf(file, sizeof(file), "hugetlb.%s.max", h->page_size);
		limits_add(l, file, mem_printf("%llu", limit));
	}
}

static void limits_rdma(const struct resources *r, struct limits *l)
{
	for (size_t i = 0; i < r->rdma_count; i++) {
		const struct resources_rdma *row = &r->rdma[i];
		auto_str s = { 0 };

		str_add(&s, row->device);
		if (row->has_handles)
			str_printf(&s, " hca_handle=%u", row->handles);
		if (row->has_objects)
			str_printf(&s, " hca_object=%u", row->objects);
		if (row->has_handles || row->has_objects)
			limits_add(l, "rdma.max", str_take(&s));
	}
}

/* File names as they are; a value of several lines is written line by line. */
static int limits_unified(const struct resources *r, struct limits *l, struct err *e)
{
	json_each(row, r->unified) {
		auto_free char *copy = NULL;
		char *rest;
		char *line;

		if (strchr(row->key, '/') || !strchr(row->key, '.') || row->key[0] == '.')
			return err_set(e, EINVAL,
				       "linux.resources.unified: %.64s is no cgroup file",
				       row->key);
		if (str_starts(row->key, "cgroup.") && !str_starts(row->key, "cgroup.max."))
			return err_set(e, EINVAL, "linux.resources.unified: %.64s is not a limit",
				       row->key);
		rest = copy = mem_strdup(row->text);
		while ((line = str_field(&rest, "\n"))) {
			if (*line)
				limits_add(l, row->key, mem_strdup(line));
		}
	}
	return 0;
}

static int limits_fill(const struct resources *r, struct limits *l, struct err *e)
{
	limits_cpu(r, l);
	if (limits_memory(r, l, e) < 0)
		return -e->code;
	limits_pids(r, l);
	limits_io(r, l);
	limits_hugepages(r, l);
	limits_rdma(r, l);
	/* last: it has the last word */
	if (limits_unified(r, l, e) < 0)
		return -e->code;
	if (l->count > LIMITS_MAX)
		return err_set(e, E2BIG, "linux.resources: more than %d limits", LIMITS_MAX);
	return 0;
}

int limits_parse(const struct json *resources, struct limits *ret, struct err *e)
{
	struct resources r = { 0 };
	struct limits l = { 0 };
	int result = 0;

	if (resources)
		result = schema_read(&resources_schema, resources, "linux.resources", &r, e);
	if (result == 0)
		result = limits_fill(&r, &l, e);
	schema_done(&resources_schema, &r);
	if (result < 0) {
		limits_done(&l);
		return result;
	}
	*ret = l;
	return 0;
}

unsigned int limits_need(const struct limits *l)
{
	unsigned int need = 0;

	for (size_t i = 0; i < l->count; i++)
		need |= l->rows[i].optional ? 0 : cgroup_controller(l->rows[i].controller);
	return need;
}

static int limits_write(int dir, const char *file, const char *value, struct err *e)
{
	char now[64];
	auto_free char *full = NULL;

	if (value[0] != '=')
		return path_write(dir, file, value, e);
	if (path_read_line(dir, file, now, sizeof(now), e) < 0)
		return -e->code;
	now[strcspn(now, " ")] = '\0';
	full = mem_printf("%s%s", now, value + 1);
	return path_write(dir, file, full, e);
}

static int limits_apply_row(int dir, const struct limit *row, bool warn, struct err *e)
{
	int r = limits_write(dir, row->file, row->value, e);

	if (r != -ENOENT)
		return r;
	*e = (struct err){ 0 };
	if (row->other_file)
		r = limits_write(dir, row->other_file, row->other_value, e);
	if (r != -ENOENT)
		return r;
	*e = (struct err){ 0 };
	if (row->optional)
		return 0;
	if (!warn)
		return err_set(e, ENOENT, "cgroup controller %s is missing: no %s", row->controller,
			       row->file);
	log_warn("cgroup controller %s is missing: %s is not set", row->controller, row->file);
	return 0;
}

int limits_apply(int dir, const struct limits *l, bool warn, struct err *e)
{
	char now[32];
	int64_t used;

	if (l->check_memory > 0 && path_exists(dir, "memory.current")) {
		if (path_read_line(dir, "memory.current", now, sizeof(now), e) < 0)
			return -e->code;
		if (str_to_i64(now, &used) < 0)
			return err_set(e, EBADMSG, "memory.current is no number");
		if (used > l->check_memory)
			return err_set(e, EBUSY,
				       "linux.resources.memory.limit is below the %lld bytes in "
				       "use",
				       (long long)used);
	}
	for (size_t i = 0; i < l->count; i++) {
		if (limits_apply_row(dir, &l->rows[i], warn, e) < 0)
			return -e->code;
	}
	return 0;
}
