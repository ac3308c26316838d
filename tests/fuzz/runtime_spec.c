/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config.json with all that is made of it before there is a process. */
#include "fuzz.h"

#include <linux/bpf.h>
#include <linux/filter.h>

#include "cgroups/devices.h"
#include "cgroups/limits.h"
#include "lib/log.h"
#include "runtime/hooks.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"

/* A program of the kernel's: no jump leaves it and every way ends. */
static void check_filter(const struct filter *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct sock_filter *insn = &f->insns[i];

		if (BPF_CLASS(insn->code) != BPF_JMP)
			continue;
		if (BPF_OP(insn->code) == BPF_JA) {
			assert(i + 1 + insn->k < f->count);
		} else {
			assert(i + 1 + insn->jt < f->count);
			assert(i + 1 + insn->jf < f->count);
		}
	}
	assert(BPF_CLASS(f->insns[f->count - 1].code) == BPF_RET);
}

static void check_devices(const struct device_rules *rules)
{
	struct bpf_insn *insns = NULL;
	size_t count = 0;
	struct err e = { 0 };

	if (devices_compile(rules, &insns, &count, &e) == 0) {
		assert(insns[count - 1].code == (BPF_JMP | BPF_EXIT));
		for (size_t i = 0; i < count; i++)
			assert(BPF_CLASS(insns[i].code) != BPF_JMP32 ||
			       i + 1 + (size_t)insns[i].off < count);
	}
	free(insns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_spec s = { 0 };
	auto_limits limits = { 0 };
	auto_device_rules rules = { 0 };
	auto_free char *hooks = NULL;
	struct filter *filter = NULL;
	struct err e = { 0 };

	log_to(-1);
	if (spec_parse((const char *)data, size, &s, &e) < 0) {
		assert(e.code > 0 && e.msg[0]);
		return 0;
	}
	assert(s.root_path);
	for (size_t i = 0; i < s.mount_count; i++)
		assert(s.mounts[i].destination);
	if (limits_parse(s.resources, &limits, &e) == 0)
		FUZZ_PLANT(limits.count == 2);
	if (devices_parse(s.resources, &rules, &e) == 0)
		check_devices(&rules);
	if (seccomp_compile(s.seccomp, size % 2, &filter, &e) == 0 && filter)
		check_filter(filter);
	filter_free(filter);
	hooks = hooks_save(&s);
	assert(!hooks == !(s.hooks[SPEC_POSTSTART].count + s.hooks[SPEC_POSTSTOP].count));
	return 0;
}
