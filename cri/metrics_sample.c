/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/crid.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"

static uint64_t unlimited_is_0(uint64_t n)
{
	return n == STATS_UNLIMITED ? 0 : n;
}

static void take_cgroup(struct metrics_sample *s, const struct stats *c)
{
	const struct stats_memory *m = &c->memory;

	s->cpu_us = c->cpu.usage_us;
	s->cpu_user_us = c->cpu.user_us;
	s->cpu_system_us = c->cpu.system_us;
	s->cpu_periods = c->cpu.periods;
	s->cpu_throttled = c->cpu.throttled;
	s->cpu_throttled_us = c->cpu.throttled_us;
	s->cpu_some_us = c->cpu.psi.some_total_us;
	s->cpu_full_us = c->cpu.psi.full_total_us;
	s->memory_some_us = m->psi.some_total_us;
	s->memory_full_us = m->psi.full_total_us;
	s->io_some_us = c->io.psi.some_total_us;
	s->io_full_us = c->io.psi.full_total_us;
	s->memory = m->usage;
	s->memory_anon = m->anon;
	s->memory_file = m->file;
	s->memory_kernel = m->kernel;
	s->memory_mapped = m->file_mapped;
	s->memory_active_file = m->active_file;
	s->memory_inactive_file = m->inactive_file;
	s->memory_working_set = m->working_set;
	s->memory_oom = m->oom;
	s->memory_oom_kill = m->oom_kill;
	s->swap = m->swap_usage;
	s->page_faults = m->page_faults;
	s->major_page_faults = m->major_page_faults;
	s->threads = c->pids.current;
	s->threads_max = unlimited_is_0(c->pids.limit);
	s->ndevices = c->io.count;
	memcpy(s->devices, c->io.devices, c->io.count * sizeof(*s->devices));
}

/* Every link of /proc/PID/fd: sockets are "socket:[INODE]". */
static void count_descriptors(struct metrics_sample *s, pid_t pid)
{
	char path[32], target[16];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while (s->descriptors < METRICS_DESCRIPTORS_MAX && (entry = readdir(dir))) {
		ssize_t n;

		if (entry->d_name[0] == '.')
			continue;
		s->descriptors++;
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n > 7 && memcmp(target, "socket:", 7) == 0)
			s->sockets++;
	}
	closedir(dir);
}

static void take_processes(struct metrics_sample *s, int cgroup)
{
	auto_free pid_t *pids = NULL;
	size_t count = 0;
	struct err e = { 0 };

	if (cgroup_procs(cgroup, &pids, &count, &e) < 0)
		return;
	s->processes = count;
	if (!s->threads)
		s->threads = count;
	for (size_t i = 0; i < count && i < METRICS_PROCESSES_MAX; i++)
		count_descriptors(s, pids[i]);
}

static void take_fs(struct metrics_sample *s)
{
	struct statvfs v;

	s->fs = CRID_STATE;
	if (statvfs(CRID_STATE, &v) < 0)
		return;
	s->fs_bytes = v.f_blocks * v.f_frsize;
	s->fs_used = (v.f_blocks - v.f_bfree) * v.f_frsize;
	s->fs_inodes = v.f_files;
	s->fs_inodes_free = v.f_ffree;
}

static uint64_t positive(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

static void take_spec(struct metrics_sample *s, const struct ctr *ctr)
{
	const Cri__LinuxContainerConfig *l = ctr->config->linux;
	const Cri__LinuxContainerResources *r = l ? l->resources : NULL;

	if (!r)
		return;
	s->spec_cpu_period = positive(r->cpu_period);
	s->spec_cpu_quota = positive(r->cpu_quota);
	s->spec_cpu_shares = positive(r->cpu_shares);
	s->spec_memory = positive(r->memory_limit_in_bytes);
	s->spec_swap = positive(r->memory_swap_limit_in_bytes ?: r->memory_limit_in_bytes);
}

int metrics_sample_ctr(struct ctr *ctr, struct metrics_sample *ret, struct err *e)
{
	auto_free struct stats *stats = mem_alloc(sizeof(*stats));
	auto_fd int dir = -1;
	struct err ignored = { 0 };
	char text[32];

	if (cgroup_open(ctr->crid->cgroup, ctr->cgroup, &dir, e) < 0 ||
	    stats_read(dir, stats, e) < 0)
		return -e->code;
	take_cgroup(ret, stats);
	if (path_read_line(dir, "memory.peak", text, sizeof(text), &ignored) == 0)
		str_to_u64(text, &ret->memory_peak);
	take_processes(ret, dir);
	take_fs(ret);
	take_spec(ret, ctr);
	ret->started_s = (uint64_t)ctr->started_at / 1000000000;
	ret->now_s = (uint64_t)crid_now_ns() / 1000000000;
	return 0;
}
