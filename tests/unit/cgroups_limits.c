/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/limits.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

static int parse(const char *text, struct limits *l, struct err *e)
{
	struct json *json = NULL;
	int r;

	assert_int_equal(json_parse(text, strlen(text), &json, e), 0);
	r = limits_parse(json, l, e);
	json_free(json);
	return r;
}

/* "file=value;..." of every row */
static char *rows(const char *text)
{
	auto_limits l = { 0 };
	struct err e = { 0 };
	auto_str s = { 0 };

	if (parse(text, &l, &e) < 0)
		return mem_strdup(e.msg);
	for (size_t i = 0; i < l.count; i++) {
		str_printf(&s, "%s%s=%s", i ? ";" : "", l.rows[i].file, l.rows[i].value);
		if (l.rows[i].other_file)
			str_printf(&s, "|%s=%s", l.rows[i].other_file, l.rows[i].other_value);
	}
	return str_take(&s);
}

static void values_are_converted_as_the_other_runtimes_do(void **state)
{
	static const struct {
		const char *resources;
		const char *want;
	} table[] = {
		{ "{}", "" },
		{ "{\"cpu\":{\"shares\":2}}", "cpu.weight=1" },
		{ "{\"cpu\":{\"shares\":1024}}", "cpu.weight=100" },
		{ "{\"cpu\":{\"shares\":262144}}", "cpu.weight=10000" },
		{ "{\"cpu\":{\"shares\":0}}", "" },
		{ "{\"cpu\":{\"quota\":50000,\"period\":200000}}", "cpu.max=50000 200000" },
		{ "{\"cpu\":{\"quota\":-1,\"period\":100000}}", "cpu.max=max 100000" },
		{ "{\"cpu\":{\"quota\":50000}}", "cpu.max=50000" },
		{ "{\"cpu\":{\"period\":50000}}", "cpu.max== 50000" },
		{ "{\"cpu\":{\"quota\":1000,\"burst\":500}}", "cpu.max=1000;cpu.max.burst=500" },
		{ "{\"cpu\":{\"quota\":100,\"burst\":0}}", "cpu.max.burst=0;cpu.max=100" },
		{ "{\"cpu\":{\"idle\":2}}", "linux.resources.cpu.idle: outside of 0 to 1" },
		{ "{\"cpu\":{\"idle\":1,\"shares\":1024}}", "cpu.weight=100;cpu.idle=1" },
		{ "{\"cpu\":{\"idle\":0,\"shares\":1024}}", "cpu.idle=0;cpu.weight=100" },
		{ "{\"cpu\":{\"cpus\":\"0-1\",\"mems\":\"0\"}}", "cpuset.cpus=0-1;cpuset.mems=0" },
		{ "{\"cpu\":{\"realtimeRuntime\":0}}", "" },
		{ "{\"cpu\":{\"realtimeRuntime\":5}}",
		  "linux.resources.cpu.realtimeRuntime: has no meaning in cgroup v2" },
		{ "{\"memory\":{\"limit\":1048576}}", "memory.max=1048576" },
		{ "{\"memory\":{\"limit\":-1}}", "memory.swap.max=max;memory.max=max" },
		{ "{\"memory\":{\"limit\":1000,\"swap\":3000}}",
		  "memory.swap.max=2000;memory.max=1000" },
		{ "{\"memory\":{\"limit\":1000,\"swap\":-1}}",
		  "memory.swap.max=max;memory.max=1000" },
		{ "{\"memory\":{\"limit\":1000,\"swap\":500}}",
		  "linux.resources.memory.swap: below memory.limit" },
		{ "{\"memory\":{\"swap\":500}}",
		  "linux.resources.memory.swap: a swap limit needs a memory limit" },
		{ "{\"memory\":{\"reservation\":4096}}", "memory.low=4096" },
		{ "{\"memory\":{\"disableOOMKiller\":false,\"kernel\":-1}}", "" },
		{ "{\"memory\":{\"disableOOMKiller\":true}}",
		  "linux.resources.memory.disableOOMKiller: has no meaning in cgroup v2" },
		{ "{\"memory\":{\"swappiness\":60}}",
		  "linux.resources.memory.swappiness: has no meaning in cgroup v2" },
		{ "{\"pids\":{\"limit\":-1}}", "pids.max=max" },
		{ "{\"pids\":{\"limit\":0}}", "pids.max=1" },
		{ "{\"pids\":{\"limit\":100}}", "pids.max=100" },
		{ "{\"pids\":{}}", "" },
		{ "{\"blockIO\":{\"weight\":10}}", "io.bfq.weight=10|io.weight=default 1" },
		{ "{\"blockIO\":{\"weight\":1000}}", "io.bfq.weight=1000|io.weight=default 10000" },
		{ "{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":500}]}}",
		  "io.bfq.weight=8:0 500|io.weight=8:0 4950" },
		{ "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":5}]}"
		  "}",
		  "io.max=8:1 rbps=5" },
		{ "{\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":1}]}}",
		  "io.max=8:1 wiops=max" },
		{ "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":5}]}",
		  "hugetlb.2MB.rsvd.max=5;hugetlb.2MB.max=5" },
		{ "{\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":5}]}",
		  "linux.resources.hugepageLimits[0].pageSize: no size" },
		{ "{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":4}}}",
		  "rdma.max=mlx5_1 hca_handle=3 hca_object=4" },
		{ "{\"network\":{\"classID\":7}}",
		  "linux.resources.network.classID: has no meaning in cgroup v2" },
		{ "{\"unified\":{\"io.max\":\"8:0 rbps=1\\n8:1 rbps=2\",\"memory.high\":\"5\"}}",
		  "io.max=8:0 rbps=1;io.max=8:1 rbps=2;memory.high=5" },
		{ "{\"unified\":{\"../x.y\":\"1\"}}",
		  "linux.resources.unified: ../x.y is no cgroup file" },
		{ "{\"unified\":{\"cgroup.procs\":\"1\"}}",
		  "linux.resources.unified: cgroup.procs is not a limit" },
		{ "{\"unified\":{\"memory.high\":5}}",
		  "linux.resources.unified.memory.high: not a text" },
		{ "{\"memory\":{\"limit\":\"much\"}}",
		  "linux.resources.memory.limit: not a number" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		auto_free char *got = rows(table[i].resources);

		if (!str_eq(got, table[i].want) && !strstr(got, table[i].want))
			fail_msg("%s: got %s, wanted %s", table[i].resources, got, table[i].want);
	}
}

static int fake_cgroup(char *dir, const char *const *files)
{
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (; *files; files += 2) {
		int f = openat(fd, files[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_int_equal(write(f, files[1], strlen(files[1])), (int)strlen(files[1]));
		close(f);
	}
	return fd;
}

static void remove_fake(const char *dir)
{
	struct err e = { 0 };

	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void a_missing_controller_is_named_or_only_logged(void **state)
{
	static const char *const files[] = { "memory.max", "max", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	auto_limits l = { 0 };
	struct err e = { 0 };
	char line[32];
	(void)state;

	assert_int_equal(parse("{\"pids\":{\"limit\":9},\"memory\":{\"limit\":4096}}", &l, &e), 0);
	assert_int_equal(limits_need(&l), CGROUP_MEMORY | CGROUP_PIDS);
	assert_int_equal(limits_apply(fd, &l, false, &e), -ENOENT);
	assert_string_equal(e.msg, "cgroup controller pids is missing: no pids.max");
	assert_int_equal(path_read_line(fd, "memory.max", line, sizeof(line), &e), 0);
	assert_string_equal(line, "4096");
	assert_int_equal(limits_apply(fd, &l, true, &e), 0);
	remove_fake(dir);
}

static void what_a_cgroup_has_anyway_needs_no_controller(void **state)
{
	static const char *const files[] = { "x", "", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	auto_limits l = { 0 };
	struct err e = { 0 };
	(void)state;

	assert_int_equal(parse("{\"cpu\":{\"shares\":1024},\"pids\":{\"limit\":-1},"
			       "\"memory\":{\"limit\":-1}}",
			       &l, &e),
			 0);
	assert_int_equal(limits_need(&l), 0);
	assert_int_equal(limits_apply(fd, &l, false, &e), 0);
	remove_fake(dir);
}

static void the_period_alone_keeps_the_quota(void **state)
{
	static const char *const files[] = { "cpu.max", "70000 100000", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	auto_limits l = { 0 };
	struct err e = { 0 };
	char line[32];
	(void)state;

	assert_int_equal(parse("{\"cpu\":{\"period\":200000}}", &l, &e), 0);
	assert_int_equal(limits_apply(fd, &l, false, &e), 0);
	assert_int_equal(path_read_line(fd, "cpu.max", line, sizeof(line), &e), 0);
	assert_string_equal(line, "70000 200000");
	remove_fake(dir);
}

static void a_limit_below_what_is_used_is_refused_when_asked(void **state)
{
	static const char *const files[] = { "memory.current", "5000", "memory.max", "max", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	auto_limits l = { 0 };
	struct err e = { 0 };
	(void)state;

	assert_int_equal(parse("{\"memory\":{\"limit\":4096,\"checkBeforeUpdate\":true}}", &l, &e),
			 0);
	assert_int_equal(limits_apply(fd, &l, false, &e), -EBUSY);
	remove_fake(dir);
}

static void the_weight_is_that_of_the_exact_curve(void **state)
{
	(void)state;
	for (unsigned int shares = 3; shares < 262144; shares += shares < 2000 ? 1 : 331) {
		auto_free char *resources = mem_printf("{\"cpu\":{\"shares\":%u}}", shares);
		auto_free char *got = rows(resources);
		double l = log2(shares);
		double exact = ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34));
		auto_free char *want = mem_printf("cpu.weight=%.0f", exact);

		assert_string_equal(got, want);
	}
}

static void io_weight_stands_in_for_bfq(void **state)
{
	static const char *const files[] = { "io.weight", "default 100", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	auto_limits l = { 0 };
	struct err e = { 0 };
	char line[32];
	(void)state;

	assert_int_equal(parse("{\"blockIO\":{\"weight\":500}}", &l, &e), 0);
	assert_int_equal(limits_apply(fd, &l, false, &e), 0);
	assert_int_equal(path_read_line(fd, "io.weight", line, sizeof(line), &e), 0);
	assert_string_equal(line, "default 4950");
	remove_fake(dir);
}

static void controllers_are_enabled_on_the_way_down(void **state)
{
	static const char *const files[] = { "cgroup.controllers", "cpu io memory hugetlb misc",
					     "cgroup.subtree_control", "cpu", NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	struct err e = { 0 };
	char line[64];
	(void)state;

	assert_int_equal(cgroup_enable(fd, CGROUP_HUGETLB, &e), 0);
	assert_int_equal(path_read_line(fd, "cgroup.subtree_control", line, sizeof(line), &e), 0);
	assert_string_equal(line, "+io +memory +hugetlb");
	remove_fake(dir);
}

static void a_failed_create_leaves_no_folder(void **state)
{
	static const char *const files[] = { "cgroup.controllers", "", "cgroup.subtree_control", "",
					     NULL };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	struct err e = { 0 };
	int made = -1;
	int got = -1;
	(void)state;

	/* a has no control files, so b cannot be made */
	assert_int_equal(cgroup_create(fd, "/a/b", 0, &got, &made, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "cgroup /a/b: "));
	assert_false(path_exists(fd, "a"));
	assert_int_equal(cgroup_create(fd, "a", 0, &got, &made, &e), 0);
	assert_int_equal(made, 1);
	close(got);
	assert_int_equal(cgroup_create(fd, "a", 0, &got, &made, &e), 0);
	assert_int_equal(made, 0);
	close(got);
	assert_int_equal(cgroup_remove(fd, "a", &e), 0);
	assert_int_equal(cgroup_remove(fd, "a", &e), 0);
	remove_fake(dir);
}

static void paths_that_leave_the_tree_are_refused(void **state)
{
	static const char *const files[] = { "cgroup.controllers", "", "cgroup.subtree_control", "",
					     NULL };
	static const char *const bad[] = { "..", "/a/../b", "a/..", "/", "", ".", "//" };
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int fd = fake_cgroup(dir, files);
	int got = -1;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };

		assert_int_equal(cgroup_create(fd, bad[i], 0, &got, NULL, &e), -EINVAL);
		assert_int_equal(cgroup_remove(fd, bad[i], &e), -EINVAL);
	}
	assert_int_equal(symlinkat("/", fd, "link"), 0);
	struct err e = { 0 };
	assert_int_equal(cgroup_open(fd, "link/tmp", &got, &e), -ELOOP);
	remove_fake(dir);
}

static void another_file_system_is_no_cgroup(void **state)
{
	struct err e = { 0 };
	int fd = -1;
	(void)state;

	assert_int_equal(cgroup_open_root("/tmp", &fd, &e), -ENOTSUP);
	assert_string_equal(e.msg, "/tmp is not a cgroup v2 mount");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(values_are_converted_as_the_other_runtimes_do),
	cmocka_unit_test(the_weight_is_that_of_the_exact_curve),
	cmocka_unit_test(a_missing_controller_is_named_or_only_logged),
	cmocka_unit_test(what_a_cgroup_has_anyway_needs_no_controller),
	cmocka_unit_test(the_period_alone_keeps_the_quota),
	cmocka_unit_test(a_limit_below_what_is_used_is_refused_when_asked),
	cmocka_unit_test(io_weight_stands_in_for_bfq),
	cmocka_unit_test(controllers_are_enabled_on_the_way_down),
	cmocka_unit_test(a_failed_create_leaves_no_folder),
	cmocka_unit_test(paths_that_leave_the_tree_are_refused),
	cmocka_unit_test(another_file_system_is_no_cgroup),
};

TEST_MAIN(tests)
