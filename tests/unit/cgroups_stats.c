/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/events.h"
#include "cgroups/stats.h"
#include "lib/fd.h"
#include "lib/path.h"

static void put(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
}

static int setup(void **state)
{
	static char dir[32];

	strcpy(dir, "/tmp/berth-unit.XXXXXX");
	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	return path_remove_tree(AT_FDCWD, *state, &e);
}

static void every_file_is_read(void **state)
{
	auto_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stats s = { 0 };
	struct err e = { 0 };

	put(dir, "cgroup.procs", "");
	put(dir, "cpu.stat",
	    "usage_usec 500\nuser_usec 300\nsystem_usec 200\ncore_sched.force_idle_usec 0\n"
	    "nr_periods 7\nnr_throttled 3\nthrottled_usec 99\n");
	put(dir, "cpu.pressure",
	    "some avg10=1.50 avg60=0.25 avg300=0.00 total=123\n"
	    "full avg10=0.50 avg60=0.00 avg300=0.00 total=45\n");
	put(dir, "memory.current", "1000\n");
	put(dir, "memory.max", "4096\n");
	put(dir, "memory.swap.current", "5\n");
	put(dir, "memory.swap.max", "max\n");
	put(dir, "memory.stat",
	    "anon 600\nfile 400\ninactive_file 150\npgfault 12\npgmajfault 2\n");
	put(dir, "memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n");
	put(dir, "io.stat",
	    "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=3 dios=4\n"
	    "253:1 rbytes=7 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n");
	put(dir, "pids.current", "3\n");
	put(dir, "pids.max", "max\n");
	assert_int_equal(stats_read(dir, &s, &e), 0);
	assert_true(s.cpu.given && s.memory.given && s.io.given && s.pids.given);
	assert_int_equal(s.cpu.usage_us, 500);
	assert_int_equal(s.cpu.throttled_us, 99);
	assert_true(s.cpu.psi.given && s.cpu.psi.some_avg10 > 1.49 && s.cpu.psi.some_avg10 < 1.51);
	assert_int_equal(s.cpu.psi.some_total_us, 123);
	assert_int_equal(s.cpu.psi.full_total_us, 45);
	assert_int_equal(s.memory.limit, 4096);
	assert_int_equal(s.memory.swap_limit, STATS_UNLIMITED);
	assert_int_equal(s.memory.working_set, 850);
	assert_int_equal(s.memory.page_faults, 12);
	assert_int_equal(s.memory.oom_kill, 1);
	assert_false(s.memory.psi.given);
	assert_int_equal(s.io.count, 2);
	assert_int_equal(s.io.devices[1].major, 253);
	assert_int_equal(s.io.devices[0].discards, 4);
	assert_int_equal(s.pids.current, 3);
	assert_int_equal(s.pids.limit, STATS_UNLIMITED);
}

static void missing_controllers_are_no_error_but_a_vanished_cgroup_is(void **state)
{
	auto_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stats s = { 0 };
	struct err e = { 0 };

	put(dir, "cgroup.procs", "");
	assert_int_equal(stats_read(dir, &s, &e), 0);
	assert_false(s.cpu.given || s.memory.given || s.io.given || s.pids.given);
	assert_int_equal(unlinkat(dir, "cgroup.procs", 0), 0);
	assert_int_equal(stats_read(dir, &s, &e), -ENOENT);
}

static void damaged_files_are_told(void **state)
{
	auto_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stats s = { 0 };
	struct err e = { 0 };

	put(dir, "cgroup.procs", "");
	put(dir, "pids.current", "many\n");
	assert_int_equal(stats_read(dir, &s, &e), -EBADMSG);
	put(dir, "pids.current", "1\n");
	put(dir, "cpu.pressure", "nonsense\n");
	assert_int_equal(stats_read(dir, &s, &e), -EBADMSG);
}

static void events_are_read_from_the_start_each_time(void **state)
{
	auto_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;
	auto_fd int memory = -1;
	struct events now;
	struct events_memory m;
	struct err e = { 0 };

	assert_int_equal(events_open(dir, &fd, &e), -ENOENT);
	put(dir, "cgroup.events", "populated 1\nfrozen 0\n");
	put(dir, "memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n");
	assert_int_equal(events_open(dir, &fd, &e), 0);
	assert_int_equal(events_open_memory(dir, &memory, &e), 0);
	assert_int_equal(events_read(fd, &now, &e), 0);
	assert_true(now.populated && !now.frozen);
	put(dir, "cgroup.events", "populated 0\nfrozen 1\n");
	assert_int_equal(events_read(fd, &now, &e), 0);
	assert_true(!now.populated && now.frozen);
	assert_int_equal(events_read_memory(memory, &m, &e), 0);
	assert_int_equal(m.oom, 3);
	assert_int_equal(m.oom_kill, 4);
	assert_int_equal(m.oom_group_kill, 5);
}

static void a_share_is_a_plain_number(void **state)
{
	struct stats_psi p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stats_psi_parse("some avg10=12.34 avg60=nan avg300=1e3 total=5\n", &p, &e),
			 0);
	assert_true(p.some_avg10 == 12.34 && p.some_avg60 == 0 && p.some_avg300 == 1);
	assert_int_equal(p.some_total_us, 5);
}

static void a_key_is_matched_whole(void **state)
{
	uint64_t n = 0;
	(void)state;

	assert_int_equal(events_value("oom_kill 4\noom 3\n", "oom", &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(events_value("oom_kill 4", "oom", &n), -ENOENT);
	assert_int_equal(events_value("oom x\n", "oom", &n), -EINVAL);
	assert_int_equal(events_value("\noom 3", "oom", &n), 0);
	assert_int_equal(events_value("\n\n", "oom", &n), -ENOENT);
	assert_int_equal(events_value("oom 99999999999999999999999999\n", "oom", &n), -ERANGE);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(every_file_is_read, setup, teardown),
	cmocka_unit_test_setup_teardown(missing_controllers_are_no_error_but_a_vanished_cgroup_is,
					setup, teardown),
	cmocka_unit_test_setup_teardown(damaged_files_are_told, setup, teardown),
	cmocka_unit_test_setup_teardown(events_are_read_from_the_start_each_time, setup, teardown),
	cmocka_unit_test(a_share_is_a_plain_number),
	cmocka_unit_test(a_key_is_matched_whole),
};

TEST_MAIN(tests)
