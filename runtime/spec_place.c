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

/* The values of an array of names, ORed. */
static int spec_flags_read(const struct json *node, const char *key, const struct spec_word *words,
			   unsigned long *ret, struct err *e)
{
	auto_free const char **names = NULL;
	size_t count = 0;

	if (json_get_texts(node, key, &names, &count, e) < 0)
		return -e->code;
	for (size_t i = 0; i < count; i++) {
		unsigned long flag;

		if (!spec_word_find(words, names[i], &flag))
			return err_set(e, EINVAL, "%s: %.48s is unknown", key, names[i]);
		*ret |= flag;
	}
	return 0;
}

static int spec_scheduler_read(const struct json *process, struct spec_process *p, struct err *e)
{
	static const struct spec_word policies[] = {
		{ "SCHED_OTHER", SCHED_OTHER },
		{ "SCHED_FIFO", SCHED_FIFO },
		{ "SCHED_RR", SCHED_RR },
		{ "SCHED_BATCH", SCHED_BATCH },
		{ "SCHED_ISO", SCHED_ISO },
		{ "SCHED_IDLE", SCHED_IDLE },
		{ "SCHED_DEADLINE", SCHED_DEADLINE },
		{ NULL, 0 },
	};
	static const struct spec_word flags[] = {
		{ "SCHED_FLAG_RESET_ON_FORK", 1 },   { "SCHED_FLAG_RECLAIM", 2 },
		{ "SCHED_FLAG_DL_OVERRUN", 4 },	     { "SCHED_FLAG_KEEP_POLICY", 8 },
		{ "SCHED_FLAG_KEEP_PARAMS", 16 },    { "SCHED_FLAG_UTIL_CLAMP_MIN", 32 },
		{ "SCHED_FLAG_UTIL_CLAMP_MAX", 64 }, { NULL, 0 },
	};
	struct spec_scheduler *s = &p->scheduler;
	const struct json *node = NULL;
	const char *name = NULL;
	unsigned long policy;
	unsigned long bits = 0;

	if (json_get_object(process, "scheduler", &node, e) < 0)
		return -e->code;
	if (!node || node->count == 0)
		return 0;
	if (json_need_text(node, "policy", &name, e) < 0 ||
	    json_get_int(node, "nice", &s->nice, e) < 0 ||
	    json_get_u32(node, "priority", &s->priority, e) < 0 ||
	    spec_flags_read(node, "flags", flags, &bits, e) < 0 ||
	    json_get_u64(node, "runtime", &s->runtime, e) < 0 ||
	    json_get_u64(node, "deadline", &s->deadline, e) < 0 ||
	    json_get_u64(node, "period", &s->period, e) < 0)
		return err_wrap(e, "scheduler");
	if (!spec_word_find(policies, name, &policy))
		return err_set(e, EINVAL, "scheduler.policy: %.32s is unknown", name);
	if (s->nice < -20 || s->nice > 19)
		return err_set(e, ERANGE, "scheduler.nice: outside of -20 to 19");
	s->given = true;
	s->policy = (uint32_t)policy;
	s->flags = bits;
	return 0;
}

static int spec_io_priority_read(const struct json *process, struct spec_process *p, struct err *e)
{
	static const struct spec_word classes[] = {
		{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
		{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
		{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
		{ NULL, 0 },
	};
	const struct json *node = NULL;
	const char *name = NULL;
	unsigned long class;
	uint32_t priority = 0;

	if (json_get_object(process, "ioPriority", &node, e) < 0)
		return -e->code;
	if (!node || node->count == 0)
		return 0;
	if (json_need_text(node, "class", &name, e) < 0 ||
	    json_get_u32(node, "priority", &priority, e) < 0)
		return err_wrap(e, "ioPriority");
	if (!spec_word_find(classes, name, &class))
		return err_set(e, EINVAL, "ioPriority.class: %.32s is unknown", name);
	if (priority > 7)
		return err_set(e, ERANGE, "ioPriority.priority: above 7");
	p->has_io_priority = true;
	p->io_priority = (int)(class << IOPRIO_CLASS_SHIFT | priority);
	return 0;
}

static int spec_affinity_read(const struct json *process, struct spec_process *p, struct err *e)
{
	unsigned long bits[SPEC_CPUS_MAX / SPEC_BITS];
	const struct json *node = NULL;

	if (json_get_object(process, "execCPUAffinity", &node, e) < 0)
		return -e->code;
	if (json_get_text(node, "initial", &p->cpus_initial, e) < 0 ||
	    json_get_text(node, "final", &p->cpus_final, e) < 0)
		return err_wrap(e, "execCPUAffinity");
	if (p->cpus_initial && !p->cpus_initial[0])
		p->cpus_initial = NULL;
	if (p->cpus_final && !p->cpus_final[0])
		p->cpus_final = NULL;
	if ((p->cpus_initial && spec_bits(p->cpus_initial, bits, SPEC_CPUS_MAX, e) < 0) ||
	    (p->cpus_final && spec_bits(p->cpus_final, bits, SPEC_CPUS_MAX, e) < 0))
		return err_wrap(e, "execCPUAffinity");
	return 0;
}

int spec_place_read(const struct json *process, struct spec_process *p, struct err *e)
{
	if (spec_scheduler_read(process, p, e) < 0 || spec_io_priority_read(process, p, e) < 0 ||
	    spec_affinity_read(process, p, e) < 0)
		return -e->code;
	return 0;
}

const struct spec_word spec_memory_modes[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT },  { "MPOL_PREFERRED", MPOL_PREFERRED },
	{ "MPOL_BIND", MPOL_BIND },	   { "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
	{ "MPOL_LOCAL", MPOL_LOCAL },	   { "MPOL_PREFERRED_MANY", 5 },
	{ "MPOL_WEIGHTED_INTERLEAVE", 6 }, { NULL, 0 },
};

const struct spec_word spec_memory_flags[] = {
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
	{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_NUMA_BALANCING", 1 << 13 },
	{ NULL, 0 },
};

int spec_memory_policy_read(const struct json *linux_node, struct spec_common *c, struct err *e)
{
	const struct json *node = NULL;
	const char *name = NULL;
	const char *nodes = NULL;
	unsigned long mode;
	unsigned long flags = 0;

	if (json_get_object(linux_node, "memoryPolicy", &node, e) < 0)
		return -e->code;
	if (!node || node->count == 0)
		return 0;
	if (json_need_text(node, "mode", &name, e) < 0 ||
	    json_get_text(node, "nodes", &nodes, e) < 0 ||
	    spec_flags_read(node, "flags", spec_memory_flags, &flags, e) < 0)
		return err_wrap(e, "memoryPolicy");
	if (!spec_word_find(spec_memory_modes, name, &mode))
		return err_set(e, EINVAL, "memoryPolicy.mode: %.32s is unknown", name);
	if (nodes && *nodes && spec_bits(nodes, c->memory_nodes, SPEC_NODES_MAX, e) < 0)
		return err_wrap(e, "memoryPolicy.nodes");
	c->has_memory_policy = true;
	c->has_memory_nodes = nodes && *nodes;
	c->memory_policy = (int)(mode | flags);
	return 0;
}
