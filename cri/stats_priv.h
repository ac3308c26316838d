/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the two halves of the statistics: a row holds a message with all it points to. */
#pragma once

#include "cgroups/stats.h"
#include "cri/api/api.pb-c.h"
#include "cri/ctr.h"
#include "cri/stats.h"
#include "lib/err.h"
#include "lib/str.h"

struct stats_psi_row {
	Cri__PsiStats stats;
	Cri__PsiData some, full;
};

/* One cgroup's numbers. */
struct stats_usage {
	Cri__CpuUsage cpu;
	Cri__UInt64Value core_ns, nano_cores;
	Cri__MemoryUsage memory;
	Cri__UInt64Value working_set, available, usage, rss, faults, major_faults;
	Cri__SwapUsage swap;
	Cri__UInt64Value swap_available, swap_usage;
	Cri__IoUsage io;
	struct stats_psi_row cpu_psi, memory_psi, io_psi;
};

struct stats_ctr {
	Cri__ContainerStats stats;
	Cri__ContainerAttributes attributes;
	struct stats_usage usage;
};

/* Somebody asks: samples are taken. */
void stats_samples_want(struct stats_samples *s);

Cri__UInt64Value *stats_number(Cri__UInt64Value *v, uint64_t n);
/* -ENOENT when the cgroup is gone. */
int stats_fill(struct crid *crid, const char *cgroup, struct stats_usage *u,
	       struct stats *ret_stats, struct err *e);
int stats_fill_ctr(struct ctr *ctr, struct stats_ctr *row, struct err *e);
/* Adds a packed message to a list's answer. */
void stats_add_packed(struct str *out, const ProtobufCMessage *msg);

#define STATS_INTERFACES_MAX 16

struct stats_net_if {
	char name[32];
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

struct stats_net {
	struct stats_net_if list[STATS_INTERFACES_MAX];
	size_t count;
};

/* The interfaces of a pod but loopback; -ENODATA for the node's network, or when nothing of the
 * pod runs. */
int stats_net_read(struct pod *pod, struct stats_net *ret);
/* The text of /proc/PID/net/dev, which is changed. */
void stats_net_parse(char *text, struct stats_net *ret);
