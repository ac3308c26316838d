/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resctrl's folders and files by ordinary ones: what is made, written, compared and removed. */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/rdt.h"

static char folder[] = "/tmp/berth-rdt.XXXXXX";
static int root = -1;

static void make(const char *path, const char *text)
{
	struct err e = { 0 };

	assert_int_equal(path_replace(root, path, text, strlen(text), 0600, PATH_FAST, &e), 0);
}

static void holds(const char *path, const char *text)
{
	auto_free char *found = NULL;
	struct err e = { 0 };

	assert_int_equal(path_read(root, path, 4096, &found, NULL, &e), 0);
	assert_string_equal(found, text);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "gold", 0700) < 0 ||
	    mkdirat(root, "gold/mon_groups", 0700) < 0)
		return -1;
	make("gold/schemata", "    L3:0=00f;1=0ff\n    MB:0= 50;1=100\nL2:0=1;10=2\n");
	make("gold/tasks", "");
	return 0;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	fd_close(&root);
	return path_remove_tree(AT_FDCWD, folder, &e);
}

/* 0 when a container that wants the lines may have the class gold. */
static int fits(const char *l3, const char *bandwidth, const char *const *schemata)
{
	const struct rdt_spec spec = {
		.given = true,
		.clos = "gold",
		.schemata = (const char **)(uintptr_t)schemata,
		.l3 = l3,
		.bandwidth = bandwidth,
	};
	struct err e = { 0 };
	struct rdt r;
	bool made;
	int ret;

	rdt_plan(&spec, "c", &r);
	ret = rdt_make(root, &spec, &r, "c", &made, &e);
	assert_false(made);
	rdt_done(&r);
	return ret;
}

static void a_class_of_others_must_fit(void **state)
{
	(void)state;
	assert_int_equal(fits(NULL, NULL, NULL), 0);
	assert_int_equal(fits("L3:0=f;1=ff", NULL, NULL), 0);
	assert_int_equal(fits("L3:1=FF", "MB:1=100", NULL), 0);
	assert_int_equal(fits("L3:0=ff", NULL, NULL), -EEXIST);
	assert_int_equal(fits("L3:2=f", NULL, NULL), -EEXIST);
	assert_int_equal(fits("L3:0", NULL, NULL), -EEXIST);
	assert_int_equal(fits("L4:0=f", NULL, NULL), -EEXIST);
	assert_int_equal(fits("L3:0=f", "MB:1=10", NULL), -EEXIST);
	assert_int_equal(fits(NULL, NULL, (const char *const[]){ "L2:10=2", "L3:0=f", NULL }), 0);
	assert_int_equal(fits(NULL, NULL, (const char *const[]){ "L2:1=2", NULL }), -EEXIST);
	holds("gold/schemata", "    L3:0=00f;1=0ff\n    MB:0= 50;1=100\nL2:0=1;10=2\n");
}

static void a_class_that_nobody_made_is_an_error(void **state)
{
	const struct rdt_spec spec = { .given = true, .clos = "silver" };
	struct err e = { 0 };
	struct rdt r;
	bool made;

	(void)state;
	rdt_plan(&spec, "c", &r);
	assert_int_equal(rdt_make(root, &spec, &r, "c", &made, &e), -ENOENT);
	assert_false(path_exists(root, "silver"));
	rdt_done(&r);
}

static void what_is_the_containers_goes_with_it(void **state)
{
	const struct rdt_spec spec = { .given = true, .clos = "gold", .monitored = true };
	const struct rdt_spec own = { .given = true };
	struct err e = { 0 };
	int tasks[2];
	struct rdt r;
	bool made;

	(void)state;
	rdt_plan(&spec, "c", &r);
	assert_int_equal(rdt_make(root, &spec, &r, "c", &made, &e), 0);
	make("gold/mon_groups/c/tasks", "");
	assert_int_equal(rdt_open_tasks(root, &r, "c", tasks, &e), 0);
	assert_int_equal(rdt_enter(tasks, 17, &e), 0);
	fd_close(&tasks[0]);
	fd_close(&tasks[1]);
	holds("gold/tasks", "17\n");
	holds("gold/mon_groups/c/tasks", "17\n");
	/* the kernel removes its files with their folder */
	assert_int_equal(unlinkat(root, "gold/mon_groups/c/tasks", 0), 0);
	assert_int_equal(rdt_remove(root, &r, "c", false, &e), 0);
	assert_false(path_exists(root, "gold/mon_groups/c"));
	assert_true(path_exists(root, "gold"));
	rdt_done(&r);
	rdt_plan(&own, "c", &r);
	assert_int_equal(rdt_make(root, &own, &r, "c", &made, &e), 0);
	assert_true(made && path_exists(root, "c"));
	assert_int_equal(rdt_remove(root, &r, "c", false, &e), 0);
	assert_false(path_exists(root, "c"));
	assert_int_equal(rdt_remove(root, &r, "c", false, &e), 0);
	rdt_done(&r);
}

static void lines_are_written_whole(void **state)
{
	struct rdt r = { .group = (char[]){ "gold" } };
	struct err e = { 0 };

	(void)state;
	make("gold/schemata", "");
	assert_int_equal(rdt_update(root, &r, "L3:0=3", NULL, &e), 0);
	holds("gold/schemata", "L3:0=3\n");
	assert_int_equal(mkdirat(root, "info", 0700), 0);
	make("info/last_cmd_status", "no such domain\n");
	assert_int_equal(unlinkat(root, "gold/schemata", 0), 0);
	assert_int_equal(rdt_update(root, &r, NULL, "MB:7=1", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "schemata MB:7=1: no such domain"));
}

static void names_of_the_kernel_are_none_of_a_class(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rdt_check_clos("gold", &e), 0);
	assert_int_equal(rdt_check_clos("/", &e), 0);
	assert_int_equal(rdt_check_clos("info", &e), -EINVAL);
	assert_int_equal(rdt_check_clos("mon_groups", &e), -EINVAL);
	assert_int_equal(rdt_check_clos("..", &e), -EINVAL);
	assert_int_equal(rdt_check_clos("a/b", &e), -EINVAL);
	assert_int_equal(rdt_check_line("L3:0=f", &e), 0);
	assert_int_equal(rdt_check_line("L3", &e), -EINVAL);
	assert_int_equal(rdt_check_line("L3:0=f\nMB:0=1", &e), -EINVAL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_class_of_others_must_fit, setup, teardown),
	cmocka_unit_test_setup_teardown(a_class_that_nobody_made_is_an_error, setup, teardown),
	cmocka_unit_test_setup_teardown(what_is_the_containers_goes_with_it, setup, teardown),
	cmocka_unit_test_setup_teardown(lines_are_written_whole, setup, teardown),
	cmocka_unit_test(names_of_the_kernel_are_none_of_a_class),
};

TEST_MAIN(tests)
