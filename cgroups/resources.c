/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/resources.h"

#include <string.h>

#define VOID SCHEMA_VOID, .why = "has no meaning in cgroup v2"
#define RESOURCES_IO_WEIGHT_MAX 1000

#define AT(member) SCHEMA_AT(struct resources_device, member)
static const struct schema_row resources_weight_rows[] = {
	{ "major", SCHEMA_UINT, SCHEMA_NEED, AT(major) },
	{ "minor", SCHEMA_UINT, SCHEMA_NEED, AT(minor) },
	{ "weight", SCHEMA_UINT, AT(value), .max = RESOURCES_IO_WEIGHT_MAX },
	{ "leafWeight", VOID },
	{ "" },
};
static const struct schema resources_weight_schema = {
	.rows = resources_weight_rows,
	.size = sizeof(struct resources_device),
};

static const struct schema_row resources_throttle_rows[] = {
	{ "major", SCHEMA_UINT, SCHEMA_NEED, AT(major) },
	{ "minor", SCHEMA_UINT, SCHEMA_NEED, AT(minor) },
	{ "rate", SCHEMA_UINT, AT(value) },
	{ "" },
};
static const struct schema resources_throttle_schema = {
	.rows = resources_throttle_rows,
	.size = sizeof(struct resources_device),
};
#undef AT

/* It becomes part of a file's name. */
static int resources_page_size_check(const char *size, struct err *e)
{
	return size[strspn(size, "0123456789KMGTB")] ? err_set(e, EINVAL, "no size") : 0;
}

#define AT(member) SCHEMA_AT(struct resources_hugepages, member)
static const struct schema_row resources_hugepages_rows[] = {
	{ "pageSize", SCHEMA_TEXT, SCHEMA_NEED, AT(page_size), .max = 16,
	  .check = resources_page_size_check },
	{ "limit", SCHEMA_UINT, AT(limit) },
	{ "" },
};
static const struct schema resources_hugepages_schema = {
	.rows = resources_hugepages_rows,
	.size = sizeof(struct resources_hugepages),
};
#undef AT

#define AT(member) SCHEMA_AT(struct resources_rdma, member)
#define IF(member) .mark = offsetof(struct resources_rdma, member)
static const struct schema_row resources_rdma_rows[] = {
	{ "hcaHandles", SCHEMA_UINT, AT(handles), IF(has_handles) },
	{ "hcaObjects", SCHEMA_UINT, AT(objects), IF(has_objects) },
	{ "" },
};
static const struct schema resources_rdma_schema = {
	.rows = resources_rdma_rows,
	.size = sizeof(struct resources_rdma),
};
#undef AT
#undef IF

#define AT(member) SCHEMA_AT(struct resources, member)
#define IF(member) .mark = offsetof(struct resources, member)
static const struct schema_row resources_cpu_rows[] = {
	{ "shares", SCHEMA_UINT, AT(cpu_shares) },
	{ "quota", SCHEMA_INT, AT(cpu_quota) },
	{ "burst", SCHEMA_UINT, AT(cpu_burst), IF(has_cpu_burst) },
	{ "period", SCHEMA_UINT, AT(cpu_period) },
	{ "realtimeRuntime", VOID },
	{ "realtimePeriod", VOID },
	{ "cpus", SCHEMA_TEXT, AT(cpus) },
	{ "mems", SCHEMA_TEXT, AT(mems) },
	{ "idle", SCHEMA_INT, AT(cpu_idle), IF(has_cpu_idle), .max = 1 },
	{ "" },
};
static const struct schema resources_cpu_schema = { .rows = resources_cpu_rows };

static const struct schema_row resources_memory_rows[] = {
	{ "limit", SCHEMA_INT, AT(memory_limit) },
	{ "reservation", SCHEMA_INT, AT(memory_reservation) },
	{ "swap", SCHEMA_INT, AT(memory_swap) },
	{ "kernel", VOID },
	{ "kernelTCP", VOID },
	{ "swappiness", VOID },
	{ "disableOOMKiller", VOID },
	{ "checkBeforeUpdate", SCHEMA_BOOL, AT(check_memory) },
	{ "" },
};
static const struct schema resources_memory_schema = { .rows = resources_memory_rows };

static const struct schema_row resources_pids_rows[] = {
	{ "limit", SCHEMA_INT, AT(pids_limit), IF(has_pids_limit) },
	{ "" },
};
static const struct schema resources_pids_schema = { .rows = resources_pids_rows };

#define THROTTLE(kind)                                                    \
	SCHEMA_LIST, AT(throttles[kind].rows), IF(throttles[kind].count), \
		.sub = &resources_throttle_schema
static const struct schema_row resources_io_rows[] = {
	{ "weight", SCHEMA_UINT, AT(io_weight), .max = RESOURCES_IO_WEIGHT_MAX },
	{ "leafWeight", VOID },
	{ "weightDevice", SCHEMA_LIST, AT(io_weights.rows), IF(io_weights.count),
	  .sub = &resources_weight_schema },
	{ "throttleReadBpsDevice", THROTTLE(RESOURCES_READ_BPS) },
	{ "throttleWriteBpsDevice", THROTTLE(RESOURCES_WRITE_BPS) },
	{ "throttleReadIOPSDevice", THROTTLE(RESOURCES_READ_IOPS) },
	{ "throttleWriteIOPSDevice", THROTTLE(RESOURCES_WRITE_IOPS) },
	{ "" },
};
static const struct schema resources_io_schema = { .rows = resources_io_rows };

static const struct schema_row resources_network_rows[] = {
	{ "classID", VOID },
	{ "priorities", VOID },
	{ "" },
};
static const struct schema resources_network_schema = { .rows = resources_network_rows };

static const struct schema_row resources_rows[] = {
	{ "memory", SCHEMA_OBJECT, .sub = &resources_memory_schema },
	{ "cpu", SCHEMA_OBJECT, .sub = &resources_cpu_schema },
	{ "pids", SCHEMA_OBJECT, .sub = &resources_pids_schema },
	{ "blockIO", SCHEMA_OBJECT, .sub = &resources_io_schema },
	{ "hugepageLimits", SCHEMA_LIST, AT(hugepages), IF(hugepage_count),
	  .sub = &resources_hugepages_schema },
	{ "network", SCHEMA_OBJECT, .sub = &resources_network_schema },
	{ "rdma", SCHEMA_MAP, AT(rdma), IF(rdma_count), .sub = &resources_rdma_schema },
	{ "unified", SCHEMA_TEXT_TREE, AT(unified) },
	{ "" },
};
const struct schema resources_schema = { .rows = resources_rows };
