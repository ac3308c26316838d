/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What berth-oci reads beside config.json; the first byte chooses: a
 * container's state file, its saved filter, the process object of an exec, the
 * resources of an update.
 */
#include "fuzz.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/stat.h>

#include "cgroups/devices.h"
#include "cgroups/limits.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "runtime/filter.h"
#include "runtime/spec.h"
#include "runtime/state.h"

static int folder(void)
{
	mkdirat(fuzz_folder(), "c1", 0700);
	return fuzz_folder();
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? str_eq(a, b) : a == b;
}

/* What was read is written and read the same. */
static void state(const uint8_t *data, size_t size)
{
	auto_state first = { .dir = -1 }, second = { .dir = -1 };
	struct engine en = { .cgroup_root = folder(), .proc = -1, .pidns = -1 };
	struct container c;
	struct err e = { 0 };

	fuzz_file("c1/state.json", data, size);
	if (state_load(folder(), "c1", &first, &e) < 0) {
		assert(e.code && e.msg[0]);
		return;
	}
	FUZZ_PLANT(first.pid > 1 && first.userns && first.annotations);
	assert(state_write(&first, &e) == 0);
	assert(state_load(folder(), "c1", &second, &e) == 0);
	assert(first.pid == second.pid && first.pid_start == second.pid_start);
	assert(first.owner == second.owner && first.userns == second.userns);
	assert(first.timens == second.timens && first.common == second.common);
	assert(text_equal(first.bundle, second.bundle) && text_equal(first.rootfs, second.rootfs));
	assert(text_equal(first.created, second.created) && text_equal(first.hooks, second.hooks));
	assert(text_equal(first.cgroup_path, second.cgroup_path));
	assert(text_equal(first.annotations, second.annotations));
	assert(first.pid >= 0 && (!first.cgroup_path || first.cgroup_path[0] == '/'));
	first.pid = 0;
	if (state_container(&en, &first, &c, &e) == 0)
		container_done(&c);
}

static void saved_filter(const uint8_t *data, size_t size)
{
	struct filter *first = NULL, *second = NULL;
	struct err e = { 0 };

	fuzz_file("filter", data, size);
	if (filter_load(fuzz_folder(), "filter", &first, &e) < 0) {
		assert(e.code == EBADMSG && e.msg[0]);
		return;
	}
	assert(first->count > 0 && first->count <= BPF_MAXINSNS);
	assert(filter_save(first, fuzz_folder(), "filter", &e) == 0);
	assert(filter_load(fuzz_folder(), "filter", &second, &e) == 0);
	assert(first->count == second->count && first->flags == second->flags);
	assert(memcmp(first->insns, second->insns, first->count * sizeof(*first->insns)) == 0);
	assert(text_equal(first->listener, second->listener));
	assert(!first->metadata || text_equal(first->metadata, second->metadata));
	filter_free(first);
	filter_free(second);
}

static void process(const uint8_t *data, size_t size)
{
	auto_spec_process p = { 0 };
	struct err e = { 0 };

	if (spec_process_parse((const char *)data, size, &p, &e) < 0) {
		assert(e.code && e.msg[0]);
		return;
	}
	assert(p.arg_count > 0 && !p.args[p.arg_count] && p.cwd && p.cwd[0] == '/');
	assert(p.uid != UINT32_MAX && p.gid != UINT32_MAX);
	for (size_t i = 0; i < p.group_count; i++)
		assert(p.groups[i] != UINT32_MAX);
	assert(!p.env || !p.env[p.env_count]);
	assert(p.oom_score_adj >= -1000 && p.oom_score_adj <= 1000);
	assert(p.umask <= 07777 && p.rlimit_count <= SPEC_RLIMITS_MAX);
	for (size_t i = 0; i < p.rlimit_count; i++)
		assert(p.rlimits[i].value.rlim_cur <= p.rlimits[i].value.rlim_max);
}

static void resources(const uint8_t *data, size_t size)
{
	auto_limits limits = { 0 };
	auto_device_rules rules = { 0 };
	struct bpf_insn *insns = NULL;
	auto_json *json = NULL;
	size_t count;
	struct err e = { 0 };

	if (json_parse((const char *)data, size, &json, &e) < 0)
		return;
	if (limits_parse(json, &limits, &e) < 0)
		assert(e.code && e.msg[0]);
	for (size_t i = 0; i < limits.count; i++) {
		const struct limit *row = &limits.rows[i];

		/* a file of the cgroup, and one line that is not empty */
		assert(!strchr(row->file, '/') && row->file[0] != '.' && row->value[0]);
		assert(!strchr(row->value, '\n') && strchr(row->file, '.'));
	}
	if (devices_parse(json, &rules, &e) == 0 &&
	    devices_compile(&rules, &insns, &count, &e) == 0)
		assert(insns[count - 1].code == (BPF_JMP | BPF_EXIT));
	free(insns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *, size_t) = { state, saved_filter, process,
								  resources };

	log_to(-1);
	if (size > 0)
		kinds[data[0] % 4](data + 1, size - 1);
	return 0;
}
