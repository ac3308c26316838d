/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a cgroup uses, read from its files by one openat and read each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define STATS_UNLIMITED UINT64_MAX /* "max" in a limit file */
#define STATS_DEVICES_MAX 64

struct stats_psi {
	bool given;
	double some_avg10, some_avg60, some_avg300;
	double full_avg10, full_avg60, full_avg300;
	uint64_t some_total_us, full_total_us;
};

struct stats_cpu {
	bool given;
	uint64_t usage_us, user_us, system_us;
	uint64_t periods, throttled, throttled_us;
	struct stats_psi psi;
};

struct stats_memory {
	bool given; /* memory.current is there: the controller is enabled */
	uint64_t usage, limit;
	uint64_t swap_usage, swap_limit;
	uint64_t anon, file, inactive_file, active_file, kernel, slab, file_mapped, file_dirty;
	uint64_t page_faults, major_page_faults;
	uint64_t working_set; /* usage without inactive_file, as kubelet counts it */
	uint64_t oom, oom_kill; /* of memory.events */
	struct stats_psi psi;
};

struct stats_device {
	unsigned int major, minor;
	uint64_t read_bytes, write_bytes, discard_bytes, reads, writes, discards;
};

struct stats_io {
	bool given;
	struct stats_device devices[STATS_DEVICES_MAX];
	size_t count;
	struct stats_psi psi;
};

struct stats_pids {
	bool given;
	uint64_t current, limit;
};

struct stats {
	struct stats_cpu cpu;
	struct stats_memory memory;
	struct stats_io io;
	struct stats_pids pids;
};

/* A controller that is not enabled leaves its part with given == false; a vanished cgroup is
 * -ENOENT. */
int stats_cpu(int dir, struct stats_cpu *ret, struct err *e);
int stats_memory(int dir, struct stats_memory *ret, struct err *e);
int stats_io(int dir, struct stats_io *ret, struct err *e);
int stats_pids(int dir, struct stats_pids *ret, struct err *e);
int stats_read(int dir, struct stats *ret, struct err *e);

/* "some avg10=0.00 ... total=N\nfull ...": of cgroups and of /proc/pressure. */
int stats_psi_parse(const char *text, struct stats_psi *ret, struct err *e);
