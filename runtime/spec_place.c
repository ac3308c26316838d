/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What config.json says about processors, memory nodes and priorities. */
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"

#define SPEC_BITS (8 * sizeof(unsigned long))

/* <sched.h> of the C library knows neither */
#ifndef SCHED_ISO
#define SCHED_ISO 4
#endif
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

static int spec_bits_range(const char *row, unsigned long *bits, size_t count, struct err *e)
{
	auto_free char *copy = mem_strdup(row);
	char *dash = strchr(copy, '-');
	uint32_t first;
	uint32_t last;

	if (dash)
		*dash++ = '\0';
	if (str_to_u32(copy, &first) < 0 || (dash && str_to_u32(dash, &last) < 0))
		return err_set(e, EINVAL, "%.32s is no list of numbers", row);
	if (!dash)
		last = first;
	if (first > last || last >= count)
		return err_set(e, ERANGE, "%.32s: out of range", row);
	for (uint32_t i = first; i <= last; i++)
		bits[i / SPEC_BITS] |= 1ul << i % SPEC_BITS;
	return 0;
}

int spec_bits(const char *list, unsigned long *bits, size_t count, struct err *e)
{
	auto_free char *copy = mem_strdup(list);
	char *rest = copy;
	char *row;

	memset(bits, 0, count / 8);
	while ((row = str_field(&rest, ","))) {
		if (spec_bits_range(row, bits, count, e) < 0)
			return -e->code;
	}
	return 0;
}

static const struct schema_word spec_policies[] = {
	{ "SCHED_OTHER", SCHED_OTHER },
	{ "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", SCHED_ISO },
	{ "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
	{ NULL, 0 },
};

static const struct schema_word spec_scheduler_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", 1 },   { "SCHED_FLAG_RECLAIM", 2 },
	{ "SCHED_FLAG_DL_OVERRUN", 4 },	     { "SCHED_FLAG_KEEP_POLICY", 8 },
	{ "SCHED_FLAG_KEEP_PARAMS", 16 },    { "SCHED_FLAG_UTIL_CLAMP_MIN", 32 },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", 64 }, { NULL, 0 },
};

#define AT(member) SCHEMA_AT(struct spec_scheduler, member)
static const struct schema_row spec_scheduler_rows[] = {
	{ "policy", SCHEMA_WORD, SCHEMA_NEED, AT(policy), .words = spec_policies },
	{ "nice", SCHEMA_INT, AT(nice), .min = -20, .max = 19 },
	{ "priority", SCHEMA_UINT, AT(priority) },
	{ "flags", SCHEMA_WORDS, AT(flags), .words = spec_scheduler_flags },
	{ "runtime", SCHEMA_UINT, AT(runtime) },
	{ "deadline", SCHEMA_UINT, AT(deadline) },
	{ "period", SCHEMA_UINT, AT(period) },
	{ "" },
};
const struct schema spec_scheduler_schema = { .rows = spec_scheduler_rows };
#undef AT

static const struct schema_word spec_io_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ NULL, 0 },
};

static int spec_cpus_check(const char *list, struct err *e)
{
	unsigned long bits[SPEC_CPUS_MAX / SPEC_BITS];

	return spec_bits(list, bits, SPEC_CPUS_MAX, e);
}

#define AT(member) SCHEMA_AT(struct spec_process, member)
static const struct schema_row spec_io_priority_rows[] = {
	{ "class", SCHEMA_WORD, SCHEMA_NEED, AT(io_class), .words = spec_io_classes },
	{ "priority", SCHEMA_UINT, AT(io_priority), .max = 7 },
	{ "" },
};
const struct schema spec_io_priority_schema = { .rows = spec_io_priority_rows };

static const struct schema_row spec_affinity_rows[] = {
	{ "initial", SCHEMA_TEXT, AT(cpus_initial), .check = spec_cpus_check },
	{ "final", SCHEMA_TEXT, AT(cpus_final), .check = spec_cpus_check },
	{ "" },
};
const struct schema spec_affinity_schema = { .rows = spec_affinity_rows };
#undef AT

const struct schema_word spec_memory_modes[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT },  { "MPOL_PREFERRED", MPOL_PREFERRED },
	{ "MPOL_BIND", MPOL_BIND },	   { "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
	{ "MPOL_LOCAL", MPOL_LOCAL },	   { "MPOL_PREFERRED_MANY", 5 },
	{ "MPOL_WEIGHTED_INTERLEAVE", 6 }, { NULL, 0 },
};

const struct schema_word spec_memory_flags[] = {
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
	{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_NUMA_BALANCING", 1 << 13 },
	{ NULL, 0 },
};

/* Bits at once: they are needed for longer than there is a tree. */
static int spec_nodes_read(const struct json *node, void *common, struct err *e)
{
	struct spec_common *c = common;

	c->has_memory_nodes = node->text[0] != '\0';
	return c->has_memory_nodes ? spec_bits(node->text, c->memory_nodes, SPEC_NODES_MAX, e) : 0;
}

#define AT(member) SCHEMA_AT(struct spec_common, member)
static const struct schema_row spec_memory_policy_rows[] = {
	{ "mode", SCHEMA_WORD, SCHEMA_NEED, AT(memory_mode), .words = spec_memory_modes },
	{ "nodes", SCHEMA_OWN_TEXT, .read = spec_nodes_read },
	{ "flags", SCHEMA_WORDS, AT(memory_flags), .words = spec_memory_flags },
	{ "" },
};
const struct schema spec_memory_policy_schema = { .rows = spec_memory_policy_rows };
