/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/place.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/spec_int.h"

#define PLACE_IO_PROCESS 1 /* IOPRIO_WHO_PROCESS */

/* The kernel's struct sched_attr, which not every C library has. */
struct place_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int place_cpus(const char *list, struct err *e)
{
	unsigned long cpus[SPEC_CPUS_MAX / (8 * sizeof(unsigned long))];

	memset(cpus, 0xff, sizeof(cpus));
	if (list && spec_bits(list, cpus, SPEC_CPUS_MAX, e) < 0)
		return -e->code;
	if (sched_setaffinity(0, sizeof(cpus), (cpu_set_t *)cpus) < 0 && list)
		return err_set(e, errno, "run on CPUs %s", list);
	return 0;
}

int place_scheduler(const struct spec_process *p, pid_t pid, struct err *e)
{
	const struct spec_scheduler *s = &p->scheduler;
	struct place_attr attr = {
		.size = sizeof(attr),
		.policy = s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = s->priority,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};

	if (s->given && syscall(SYS_sched_setattr, pid, &attr, 0) < 0)
		return err_set(e, errno, "process.scheduler");
	return 0;
}

int place_io_priority(const struct spec_process *p, struct err *e)
{
	if (p->has_io_priority && syscall(SYS_ioprio_set, PLACE_IO_PROCESS, 0,
					  p->io_class << IOPRIO_CLASS_SHIFT | p->io_priority) < 0)
		return err_set(e, errno, "process.ioPriority");
	return 0;
}

int place_common(const struct spec_common *c, struct err *e)
{
	if (c->has_personality && personality(c->personality) < 0)
		return err_set(e, errno, "linux.personality");
	if (!c->has_memory_policy)
		return 0;
	/* the kernel takes one from the number of bits */
	if (syscall(SYS_set_mempolicy, c->memory_mode | c->memory_flags,
		    c->has_memory_nodes ? c->memory_nodes : NULL,
		    c->has_memory_nodes ? SPEC_NODES_MAX + 1 : 0) < 0)
		return err_set(e, errno, "linux.memoryPolicy");
	return 0;
}
