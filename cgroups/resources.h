/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.resources of the OCI runtime-spec in C types, without its devices. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/schema.h"

struct resources_device {
	uint64_t major, minor;
	uint64_t value; /* a weight or a rate */
};

struct resources_devices {
	struct resources_device *rows; /* owned */
	size_t count;
};

enum resources_throttle {
	RESOURCES_READ_BPS,
	RESOURCES_WRITE_BPS,
	RESOURCES_READ_IOPS,
	RESOURCES_WRITE_IOPS,
	RESOURCES_THROTTLES,
};

struct resources_hugepages {
	const char *page_size;
	uint64_t limit;
};

struct resources_rdma {
	const char *device; /* the key: first */
	bool has_handles, has_objects;
	uint32_t handles, objects;
};

/* Texts point into the tree. A number that is 0 says nothing, where nothing else is said. */
struct resources {
	uint64_t cpu_shares, cpu_period, cpu_burst;
	int64_t cpu_quota;
	bool has_cpu_burst, has_cpu_idle, has_pids_limit;
	int64_t cpu_idle; /* 0 is a wish, as it is of a burst */
	const char *cpus, *mems; /* lists; NULL: none */
	int64_t memory_limit, memory_reservation, memory_swap;
	bool check_memory;
	int64_t pids_limit; /* 0 is a wish */
	uint64_t io_weight;
	struct resources_devices io_weights, throttles[RESOURCES_THROTTLES];
	struct resources_hugepages *hugepages; /* owned */
	size_t hugepage_count;
	struct resources_rdma *rdma; /* owned */
	size_t rdma_count;
	const struct json *unified; /* an object of texts or NULL */
};

/* Members of cgroup v1 alone are refused, unless they say nothing. */
extern const struct schema resources_schema;
