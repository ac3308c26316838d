/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our filters against libseccomp's, both interpreted over every number and many arguments. */
#include "test.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/seccomp.h"
#include "tests/bpf.h"

/* The verdict; *ret_steps: instructions on the way. */
static uint32_t run(const struct sock_filter *p, size_t count, const struct seccomp_data *data,
		    size_t *ret_steps)
{
	uint32_t verdict;

	assert_true(bpf_run(p, count, data, &verdict, ret_steps));
	return verdict;
}

static char *profile_text(void)
{
	auto_free char *path = mem_printf("%s/tests/data/seccomp.json", getenv("TOP") ?: "../..");
	struct err e = { 0 };
	char *text = NULL;

	assert_int_equal(path_read(AT_FDCWD, path, 1 << 20, &text, NULL, &e), 0);
	return text;
}

static struct filter *compile(const char *text)
{
	struct filter *f = NULL;
	struct json *json = NULL;
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	if (seccomp_compile(json, true, &f, &e) < 0)
		fail_msg("%s", e.msg);
	json_free(json);
	return f;
}

static enum scmp_compare op_of(const char *name)
{
	static const char *const names[] = { "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ" };

	for (int i = 0; i < 7; i++) {
		if (str_eq(name + 9, names[i]))
			return (enum scmp_compare)(SCMP_CMP_NE + i);
	}
	fail();
	return SCMP_CMP_EQ;
}

/* The same profile through the library's own compiler. */
static struct sock_filter *reference(const struct json *profile, size_t *ret_count)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(1));
	static struct sock_filter insns[8192];
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n;

	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	json_each(arch, json_get(profile, "architectures")) {
		if (str_eq(arch->text, "SCMP_ARCH_X86"))
			seccomp_arch_add(ctx, SCMP_ARCH_X86);
		if (str_eq(arch->text, "SCMP_ARCH_X32"))
			seccomp_arch_add(ctx, SCMP_ARCH_X32);
	}
	json_each(entry, json_get(profile, "syscalls")) {
		struct scmp_arg_cmp args[6];
		unsigned int count = 0;
		const char *action = NULL;
		uint32_t ret = 1;
		uint32_t act;
		struct err e = { 0 };

		json_get_text(entry, "action", &action, &e);
		json_get_u32(entry, "errnoRet", &ret, &e);
		act = str_eq(action, "SCMP_ACT_ALLOW") ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ret);
		json_each(arg, json_get(entry, "args")) {
			const char *op = NULL;

			args[count] = (struct scmp_arg_cmp){ 0 };
			json_get_u32(arg, "index", &args[count].arg, &e);
			json_get_u64(arg, "value", &args[count].datum_a, &e);
			json_get_u64(arg, "valueTwo", &args[count].datum_b, &e);
			json_get_text(arg, "op", &op, &e);
			args[count++].op = op_of(op);
		}
		json_each(name, json_get(entry, "names")) {
			int nr = seccomp_syscall_resolve_name(name->text);

			if (nr != __NR_SCMP_ERROR)
				seccomp_rule_add_array(ctx, act, nr, count, args);
		}
	}
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	n = pread(fd, insns, sizeof(insns), 0);
	assert_true(n > 0);
	close(fd);
	seccomp_release(ctx);
	*ret_count = (size_t)n / sizeof(insns[0]);
	return insns;
}

static const uint64_t values[] = { 0,	       1,	   2,	       8,	   16,
				   38,	       39,	   40,	       41,	   0x20000,
				   0x20008,    0x7e020000, 0xffffffff, 0x10000000, 0x2000000,
				   1ull << 32, ~0ull,	   0x11 };

#define VALUES (sizeof(values) / sizeof(values[0]))

/* Numbers behind the last known one differ on purpose: ENOSYS for newer kernels. */
static bool same(uint32_t ours, uint32_t theirs, uint32_t nr)
{
	uint32_t plain = nr & ~FILTER_X32;

	return ours == theirs || plain > 450 ||
	       (ours == (SECCOMP_RET_ERRNO | ENOSYS) && theirs == (SECCOMP_RET_ERRNO | EPERM));
}

static void compare(const char *text)
{
	struct filter *f = compile(text);
	struct json *json = NULL;
	struct err e = { 0 };
	size_t count;
	const struct sock_filter *theirs;

	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	theirs = reference(json, &count);
	for (int arch = 0; arch < 3; arch++) {
		for (uint32_t n = 0; n < 600; n++) {
			struct seccomp_data d = { 0 };

			d.arch = arch == 0 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
			d.nr = (int)(arch == 2 ? n | FILTER_X32 : n);
			for (size_t v = 0; v < VALUES * VALUES; v++) {
				uint32_t x;
				uint32_t y;

				d.args[0] = values[v % VALUES];
				d.args[1] = values[v / VALUES];
				d.args[2] = values[(v * 7) % VALUES];
				/* libseccomp looks at half of an argument of i386 and x32 */
				for (int i = 0; arch != 1 && i < 3; i++)
					d.args[i] = (uint32_t)d.args[i];
				x = run(f->insns, f->count, &d, NULL);
				y = run(theirs, count, &d, NULL);
				if (!same(x, y, (uint32_t)d.nr))
					fail_msg("arch %#x nr %#x args %#llx %#llx %#llx: "
						 "%#x, libseccomp %#x",
						 d.arch, (uint32_t)d.nr,
						 (unsigned long long)d.args[0],
						 (unsigned long long)d.args[1],
						 (unsigned long long)d.args[2], x, y);
			}
		}
	}
	json_free(json);
	filter_free(f);
}

static void the_default_profile_is_what_libseccomp_makes_of_it(void **state)
{
	auto_free char *text = profile_text();
	(void)state;

	compare(text);
}

static void conditions_are_what_libseccomp_makes_of_them(void **state)
{
	static const char *const ops[] = { "EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ" };
	static const char *const nrs[] = { "38", "4294967296", "131080", "0" };
	(void)state;

	for (size_t o = 0; o < 7; o++) {
		for (size_t n = 0; n < 4; n++) {
			auto_free char *text = mem_printf(
				"{\"defaultAction\":\"SCMP_ACT_ERRNO\","
				"\"architectures\":[\"SCMP_ARCH_X86_64\"],\"syscalls\":["
				"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\","
				"\"args\":"
				"[{\"index\":0,\"op\":\"SCMP_CMP_%s\",\"value\":%s,\"valueTwo\":8},"
				"{\"index\":1,\"op\":\"SCMP_CMP_%s\",\"value\":%s,\"valueTwo\":0}]}"
				","
				"{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":"
				"5},"
				"{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
				ops[o], nrs[n], ops[(o + 3) % 7], nrs[(n + 1) % 4]);

			compare(text);
		}
	}
}

static uint32_t ask(const struct filter *f, uint32_t arch, uint32_t nr, uint64_t a0)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch, .args = { a0 } };

	return run(f->insns, f->count, &d, NULL);
}

static void newer_calls_do_not_exist(void **state)
{
	auto_free char *text = profile_text();
	struct filter *f = compile(text);
	(void)state;

	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 999, 0), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, FILTER_X32 | 999, 0),
			 SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(ask(f, AUDIT_ARCH_I386, 999, 0), SECCOMP_RET_ERRNO | ENOSYS);
	/* mount */
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 165, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(f, AUDIT_ARCH_AARCH64, 0, 0), SECCOMP_RET_KILL_PROCESS);
	/* fchmodat2: newer than some libraries */
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 452, 0), SECCOMP_RET_ALLOW);
	filter_free(f);
}

static void a_kernel_without_x32_says_so_itself(void **state)
{
	auto_free char *text = profile_text();
	struct filter *f = NULL;
	struct json *json = NULL;
	struct err e = { 0 };
	(void)state;

	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	assert_int_equal(seccomp_compile(json, false, &f, &e), 0);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, FILTER_X32, 0), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_ALLOW);
	json_free(json);
	filter_free(f);
}

static void paths_through_the_program_are_short(void **state)
{
	auto_free char *text = profile_text();
	struct filter *f = compile(text);
	size_t most = 0;
	(void)state;

	for (uint32_t nr = 0; nr < 500; nr++) {
		struct seccomp_data d = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64 };
		size_t steps = 0;

		run(f->insns, f->count, &d, &steps);
		most = steps > most ? steps : most;
	}
	assert_true(most < 40);
	print_message("%zu instructions, at most %zu steps\n", f->count, most);
	assert_true(f->count < 1000);
	filter_free(f);
}

static void refusals_hold_for_multiplexed_calls_too(void **state)
{
	struct filter *f = compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":"
				   "[\"SCMP_ARCH_X86\"],\"syscalls\":[{\"names\":[\"socket\"],"
				   "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,"
				   "\"op\":\"SCMP_CMP_EQ\",\"value\":40}]}]}");
	(void)state;

	assert_int_equal(ask(f, AUDIT_ARCH_I386, 359, 40), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(f, AUDIT_ARCH_I386, 359, 2), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(f, AUDIT_ARCH_I386, 102, 1), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(f, AUDIT_ARCH_I386, 102, 3), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 41, 40), SECCOMP_RET_ERRNO | EPERM);
	filter_free(f);
}

static void an_argument_named_twice_means_either(void **state)
{
	struct filter *f = compile("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":"
				   "[\"close\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
				   "{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":3},"
				   "{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":4}]}]}");
	(void)state;

	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 3, 3), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 3, 4), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(f, AUDIT_ARCH_X86_64, 3, 5), SECCOMP_RET_ERRNO | EPERM);
	filter_free(f);
}

static void bad_profiles_are_named(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "defaultAction: missing" },
		{ "{\"defaultAction\":\"SCMP_ACT_MAYBE\"}",
		  "linux.seccomp.defaultAction: SCMP_ACT_MAYBE is unknown" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}",
		  "linux.seccomp.defaultErrnoRet: has no meaning for this action" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":5000}", "too big" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "listenerPath: not absolute" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}",
		  "listenerMetadata: without listenerPath" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":"
		  "\"SCMP_ACT_KILL\"}]}",
		  "syscalls[0].names: empty" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		  "\"action\":\"SCMP_ACT_KILL\",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		  "linux.seccomp.syscalls[0].args[0].index: outside of 0 to 5" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}",
		  "linux.seccomp.flags[0]: X is unknown" },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"Z80\"]}",
		  "linux.seccomp.architectures[0]: Z80 is unknown" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct filter *f = NULL;
		struct json *json = NULL;
		struct err e = { 0 };

		assert_int_equal(json_parse(bad[i][0], strlen(bad[i][0]), &json, &e), 0);
		assert_true(seccomp_compile(json, true, &f, &e) < 0);
		if (!strstr(e.msg, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], e.msg);
		json_free(json);
	}
}

static void a_filter_survives_its_file(void **state)
{
	auto_free char *text = profile_text();
	char dir[] = "/tmp/berth-unit.XXXXXX";
	struct filter *f = compile(text);
	struct filter *g = NULL;
	struct err e = { 0 };
	auto_fd int fd = -1;
	(void)state;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(filter_save(f, fd, "f", &e), 0);
	assert_int_equal(filter_load(fd, "f", &g, &e), 0);
	assert_int_equal(f->count, g->count);
	assert_int_equal(f->flags, g->flags);
	assert_memory_equal(f->insns, g->insns, f->count * sizeof(*f->insns));
	filter_free(g);
	assert_int_equal(path_replace(fd, "f", "short", 5, 0600, PATH_FAST, &e), 0);
	assert_int_equal(filter_load(fd, "f", &g, &e), -EBADMSG);
	filter_free(f);
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_default_profile_is_what_libseccomp_makes_of_it),
	cmocka_unit_test(conditions_are_what_libseccomp_makes_of_them),
	cmocka_unit_test(newer_calls_do_not_exist),
	cmocka_unit_test(a_kernel_without_x32_says_so_itself),
	cmocka_unit_test(paths_through_the_program_are_short),
	cmocka_unit_test(refusals_hold_for_multiplexed_calls_too),
	cmocka_unit_test(an_argument_named_twice_means_either),
	cmocka_unit_test(bad_profiles_are_named),
	cmocka_unit_test(a_filter_survives_its_file),
};

TEST_MAIN(tests)
