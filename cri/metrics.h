/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is measured of a container for its metrics: flat numbers, which the table of metrics names.
 */
#pragma once

#include "cgroups/stats.h"
#include "cri/ctr.h"
#include "cri/stats_priv.h"
#include "lib/err.h"

#define METRICS_PROCESSES_MAX 1024 /* looked at for descriptors, of one container */
#define METRICS_DESCRIPTORS_MAX 65536 /* counted, of one container */

struct metrics_sample {
	uint64_t cpu_us, cpu_user_us, cpu_system_us, cpu_periods, cpu_throttled, cpu_throttled_us;
	uint64_t cpu_some_us, cpu_full_us, memory_some_us, memory_full_us, io_some_us, io_full_us;
	uint64_t memory, memory_peak, memory_anon, memory_file, memory_kernel, memory_mapped;
	uint64_t memory_active_file, memory_inactive_file, memory_working_set, swap;
	uint64_t memory_oom, memory_oom_kill, page_faults, major_page_faults;
	uint64_t processes, threads, threads_max, descriptors, sockets;
	uint64_t fs_bytes, fs_used, fs_inodes, fs_inodes_free;
	uint64_t spec_cpu_period, spec_cpu_quota, spec_cpu_shares, spec_memory, spec_swap;
	uint64_t started_s, now_s;
	const char *fs; /* what the fs numbers are of */
	struct stats_device devices[STATS_DEVICES_MAX];
	size_t ndevices;
	struct stats_net net;
};

/* -ENOENT when the cgroup is gone. */
int metrics_sample_ctr(struct ctr *ctr, struct metrics_sample *ret, struct err *e);
