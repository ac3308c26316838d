/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/limits.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
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
	return (str_eq(file, "cpu.weight") && str_eq(value, "100")) || str_starts(value, "max");
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

/* A member of cgroup v1 that has no meaning here: absent, null, 0, -1 and false pass. */
static int limits_refuse(const struct json *obj, const char *part, const char *key, struct err *e)
{
	const struct json *v = json_get(obj, key);
	int64_t n = 0;

	if (!v || v->type == JSON_NULL || (v->type == JSON_BOOL && !v->boolean) ||
	    ((v->type == JSON_OBJECT || v->type == JSON_ARRAY) && v->count == 0))
		return 0;
	if (v->type == JSON_NUMBER && json_i64(v, &n) == 0 && (n == 0 || n == -1))
		return 0;
	return err_set(e, ENOTSUP, "linux.resources.%s.%s has no meaning in cgroup v2", part, key);
}

static int limits_refuse_all(const struct json *obj, const char *part, const char *const *keys,
			     struct err *e)
{
	for (; *keys; keys++) {
		if (limits_refuse(obj, part, *keys, e) < 0)
			return -e->code;
	}
	return 0;
}

static int limits_cpu_max(const struct json *cpu, struct limits *l, struct err *e)
{
	int64_t quota = 0;
	uint64_t period = 0;
	int has_quota = json_get_i64(cpu, "quota", &quota, e);
	int has_period = json_get_u64(cpu, "period", &period, e);

	if (has_quota < 0 || has_period < 0)
		return -e->code;
	has_quota = has_quota && quota != 0;
	if (has_quota && period > 0)
		limits_add(l, "cpu.max",
			   quota < 0 ? mem_printf("max %llu", (unsigned long long)period)
				     : mem_printf("%lld %llu", (long long)quota,
						  (unsigned long long)period));
	else if (has_quota)
		limits_add(l, "cpu.max", limits_number(quota));
	else if (period > 0)
		limits_add(l, "cpu.max", mem_printf("= %llu", (unsigned long long)period));
	return 0;
}

static int limits_cpu(const struct json *resources, struct limits *l, struct err *e)
{
	static const char *const v1[] = { "realtimeRuntime", "realtimePeriod", NULL };
	const struct json *cpu = NULL;
	uint64_t shares = 0;
	uint64_t burst = 0;
	int64_t idle = -1;
	const char *cpus = NULL;
	const char *mems = NULL;

	if (json_get_object(resources, "cpu", &cpu, e) < 0 ||
	    json_get_u64(cpu, "shares", &shares, e) < 0 ||
	    json_get_u64(cpu, "burst", &burst, e) < 0 || json_get_i64(cpu, "idle", &idle, e) < 0 ||
	    json_get_text(cpu, "cpus", &cpus, e) < 0 || json_get_text(cpu, "mems", &mems, e) < 0 ||
	    limits_refuse_all(cpu, "cpu", v1, e) < 0)
		return -e->code;
	/* an idle group takes no weight: out of idle first, into it last */
	if (idle == 0)
		limits_add(l, "cpu.idle", mem_strdup("0"));
	if (shares > 0)
		limits_add(l, "cpu.weight",
			   mem_printf("%llu", (unsigned long long)limits_weight(shares)));
	if (idle > 0)
		limits_add(l, "cpu.idle", mem_printf("%lld", (long long)idle));
	if (limits_cpu_max(cpu, l, e) < 0)
		return -e->code;
	if (burst > 0)
		limits_add(l, "cpu.max.burst", mem_printf("%llu", (unsigned long long)burst));
	if (cpus && *cpus)
		limits_add(l, "cpuset.cpus", mem_strdup(cpus));
	if (mems && *mems)
		limits_add(l, "cpuset.mems", mem_strdup(mems));
	return 0;
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
		return err_set(e, EINVAL, "linux.resources.memory.swap is below memory.limit");
	limits_add(l, "memory.swap.max", limits_number(swap - limit));
	return 0;
}

static int limits_memory(const struct json *resources, struct limits *l, struct err *e)
{
	static const char *const v1[] = { "kernel", "kernelTCP", "swappiness", "disableOOMKiller",
					  NULL };
	const struct json *memory = NULL;
	int64_t limit = 0;
	int64_t reservation = 0;
	int64_t swap = 0;
	bool check = false;
	bool hierarchy = true;

	if (json_get_object(resources, "memory", &memory, e) < 0 ||
	    json_get_i64(memory, "limit", &limit, e) < 0 ||
	    json_get_i64(memory, "reservation", &reservation, e) < 0 ||
	    json_get_i64(memory, "swap", &swap, e) < 0 ||
	    json_get_bool(memory, "checkBeforeUpdate", &check, e) < 0 ||
	    json_get_bool(memory, "useHierarchy", &hierarchy, e) < 0 ||
	    limits_refuse_all(memory, "memory", v1, e) < 0)
		return -e->code;
	if (limits_swap(limit, swap, l, e) < 0)
		return -e->code;
	if (limit != 0)
		limits_add(l, "memory.max", limits_number(limit));
	if (reservation != 0)
		limits_add(l, "memory.low", limits_number(reservation));
	if (check && limit > 0)
		l->check_memory = limit;
	return 0;
}

static int limits_pids(const struct json *resources, struct limits *l, struct err *e)
{
	const struct json *pids = NULL;
	int64_t limit = 0;

	if (json_get_object(resources, "pids", &pids, e) < 0)
		return -e->code;
	switch (json_get_i64(pids, "limit", &limit, e)) {
	case 0:
		return 0;
	case 1:
		/* the container's first process counts */
		limits_add(l, "pids.max", limits_number(limit == 0 ? 1 : limit));
		return 0;
	default:
		return -e->code;
	}
}

static int limits_device(const struct json *row, const char *key, long long *major,
			 long long *minor, struct err *e)
{
	int64_t ma = -1;
	int64_t mi = -1;

	if (json_get_i64(row, "major", &ma, e) < 0 || json_get_i64(row, "minor", &mi, e) < 0)
		return err_wrap(e, "linux.resources.blockIO.%s", key);
	if (ma < 0 || mi < 0)
		return err_set(e, EINVAL, "linux.resources.blockIO.%s: no device number", key);
	*major = ma;
	*minor = mi;
	return 0;
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

static int limits_io_throttle(const struct json *io, struct limits *l, struct err *e)
{
	static const struct {
		const char *key;
		const char *word;
	} kinds[] = {
		{ "throttleReadBpsDevice", "rbps" },
		{ "throttleWriteBpsDevice", "wbps" },
		{ "throttleReadIOPSDevice", "riops" },
		{ "throttleWriteIOPSDevice", "wiops" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct json *list = NULL;

		if (json_get_array(io, kinds[i].key, &list, e) < 0)
			return -e->code;
		json_each(row, list) {
			long long major;
			long long minor;
			uint64_t rate = 0;

			if (limits_device(row, kinds[i].key, &major, &minor, e) < 0)
				return -e->code;
			if (json_get_u64(row, "rate", &rate, e) < 0)
				return err_wrap(e, "linux.resources.blockIO.%s", kinds[i].key);
			limits_add(l, "io.max",
				   rate == 0 ? mem_printf("%lld:%lld %s=max", major, minor,
							  kinds[i].word)
					     : mem_printf("%lld:%lld %s=%llu", major, minor,
							  kinds[i].word, (unsigned long long)rate));
		}
	}
	return 0;
}

static int limits_io(const struct json *resources, struct limits *l, struct err *e)
{
	static const char *const v1[] = { "leafWeight", NULL };
	const struct json *io = NULL;
	const struct json *list = NULL;
	uint64_t weight = 0;

	if (json_get_object(resources, "blockIO", &io, e) < 0 ||
	    json_get_u64(io, "weight", &weight, e) < 0 ||
	    json_get_array(io, "weightDevice", &list, e) < 0 ||
	    limits_refuse_all(io, "blockIO", v1, e) < 0)
		return -e->code;
	if (weight > 1000)
		return err_set(e, ERANGE, "linux.resources.blockIO.weight %llu is above 1000",
			       (unsigned long long)weight);
	if (weight > 0)
		limits_io_weight(l, "", weight);
	json_each(row, list) {
		long long major;
		long long minor;
		uint64_t w = 0;
		char device[48];

		if (limits_device(row, "weightDevice", &major, &minor, e) < 0)
			return -e->code;
		if (json_get_u64(row, "weight", &w, e) < 0 ||
		    limits_refuse(row, "blockIO.weightDevice", "leafWeight", e) < 0)
			return err_wrap(e, "linux.resources.blockIO.weightDevice");
		snprintf(device, sizeof(device), "%lld:%lld ", major, minor);
		limits_io_weight(l, device, w);
	}
	return limits_io_throttle(io, l, e);
}

static int limits_hugepages(const struct json *resources, struct limits *l, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(resources, "hugepageLimits", &list, e) < 0)
		return -e->code;
	json_each(row, list) {
		const char *size = NULL;
		uint64_t limit = 0;
		char file[64];

		if (json_need_text(row, "pageSize", &size, e) < 0 ||
		    json_get_u64(row, "limit", &limit, e) < 0)
			return err_wrap(e, "linux.resources.hugepageLimits");
		if (size[strspn(size, "0123456789KMGTB")] != '\0' || strlen(size) > 16)
			return err_set(e, EINVAL, "linux.resources.hugepageLimits: bad pageSize");
		/* reservations first: a fault after a refused reservation is a SIGBUS */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", size);
		limits_add(l, file, mem_printf("%llu", (unsigned long long)limit))->optional = true;
		snprintf(file, sizeof(file), "hugetlb.%s.max", size);
		limits_add(l, file, mem_printf("%llu", (unsigned long long)limit));
	}
	return 0;
}

static int limits_rdma(const struct json *resources, struct limits *l, struct err *e)
{
	const struct json *rdma = NULL;

	if (json_get_object(resources, "rdma", &rdma, e) < 0)
		return -e->code;
	json_each(row, rdma) {
		auto_str s = { 0 };
		uint32_t handles = 0;
		uint32_t objects = 0;
		int has_handles = json_get_u32(row, "hcaHandles", &handles, e);
		int has_objects = json_get_u32(row, "hcaObjects", &objects, e);

		if (has_handles < 0 || has_objects < 0)
			return err_wrap(e, "linux.resources.rdma");
		str_add(&s, row->key);
		if (has_handles)
			str_printf(&s, " hca_handle=%u", handles);
		if (has_objects)
			str_printf(&s, " hca_object=%u", objects);
		if (has_handles || has_objects)
			limits_add(l, "rdma.max", str_take(&s));
	}
	return 0;
}

static int limits_network(const struct json *resources, struct limits *l, struct err *e)
{
	static const char *const v1[] = { "classID", "priorities", NULL };
	const struct json *network = NULL;

	(void)l;
	if (json_get_object(resources, "network", &network, e) < 0)
		return -e->code;
	return limits_refuse_all(network, "network", v1, e);
}

/* File names as they are; a value of several lines is written line by line. */
static int limits_unified(const struct json *resources, struct limits *l, struct err *e)
{
	const struct json *unified = NULL;

	if (json_get_object(resources, "unified", &unified, e) < 0)
		return -e->code;
	json_each(row, unified) {
		auto_free char *copy = NULL;
		char *rest;
		char *line;

		if (row->type != JSON_STRING)
			return err_set(e, EINVAL, "linux.resources.unified.%s is no text",
				       row->key);
		if (strchr(row->key, '/') || !strchr(row->key, '.') || row->key[0] == '.')
			return err_set(e, EINVAL, "linux.resources.unified: %s is no cgroup file",
				       row->key);
		if (str_starts(row->key, "cgroup.") && !str_starts(row->key, "cgroup.max."))
			return err_set(e, EINVAL, "linux.resources.unified: %s is not a limit",
				       row->key);
		rest = copy = mem_strdup(row->text);
		while ((line = str_field(&rest, "\n"))) {
			if (*line)
				limits_add(l, row->key, mem_strdup(line));
		}
	}
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(const struct json *resources, struct limits *l, struct err *e);
} limits_parts[] = {
	{ "cpu", limits_cpu },
	{ "memory", limits_memory },
	{ "pids", limits_pids },
	{ "blockIO", limits_io },
	{ "hugepageLimits", limits_hugepages },
	{ "rdma", limits_rdma },
	{ "network", limits_network },
	{ "unified", limits_unified }, /* last: it has the last word */
};

int limits_parse(const struct json *resources, struct limits *ret, struct err *e)
{
	struct limits l = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(limits_parts) / sizeof(limits_parts[0]); i++) {
		r = limits_parts[i].parse(resources, &l, e);
		if (r < 0 && !str_starts(e->msg, "linux."))
			err_wrap(e, "linux.resources.%s", limits_parts[i].name);
	}
	if (r == 0 && l.count > LIMITS_MAX)
		r = err_set(e, E2BIG, "linux.resources: too many limits");
	if (r < 0) {
		limits_done(&l);
		return r;
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
	if (path_exists(dir, row->file))
		return limits_write(dir, row->file, row->value, e);
	if (row->other_file && path_exists(dir, row->other_file))
		return limits_write(dir, row->other_file, row->other_value, e);
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
