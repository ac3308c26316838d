/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which devices a cgroup may make and open: a list of rules as an eBPF program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/schema.h"

#define DEVICES_RULES_MAX 1024

enum device_access {
	DEVICE_MKNOD = 1, /* the kernel's BPF_DEVCG_ACC_* */
	DEVICE_READ = 2,
	DEVICE_WRITE = 4,
};

struct device_rule {
	bool allow;
	char type; /* 'a', 'c', 'b' */
	int64_t major, minor; /* -1: any */
	unsigned int access; /* enum device_access, or-ed */
};

struct device_rules {
	struct device_rule *rows; /* owned; the last one that matches decides */
	size_t count;
	size_t room;
};

/* Of linux.resources: the members that devices_parse() reads. */
extern const struct schema devices_schema;

/* resources.devices, then what every container may use (null, zero, pts and so on). */
int devices_parse(const struct json *resources, struct device_rules *ret, struct err *e);
void devices_done(struct device_rules *r);
#define auto_device_rules __attribute__((cleanup(devices_done))) struct device_rules

/* The program; what no rule matches is refused. ret_prog is -1 when everything is allowed. */
int devices_load(const struct device_rules *r, int *ret_prog, struct err *e);
/* On a new cgroup; prog -1 is no program. */
int devices_attach(int cgroup, int prog, struct err *e);
/* Instead of the programs attached before: never a moment without one. */
int devices_replace(int cgroup, int prog, struct err *e);

struct bpf_insn;
/* For the tests: the instructions; the caller frees. */
int devices_compile(const struct device_rules *r, struct bpf_insn **ret, size_t *ret_count,
		    struct err *e);
