/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/state.h"

static char folder[] = "/tmp/berth-state.XXXXXX";
static int root = -1;

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 || mkdirat(root, "c", 0700) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	fd_close(&root);
	return path_remove_tree(AT_FDCWD, folder, &e);
}

static int load(const char *text, struct state *ret, struct err *e)
{
	assert_int_equal(path_replace(root, "c/state.json", text, strlen(text), 0600, PATH_FAST, e),
			 0);
	return state_load(root, "c", ret, e);
}

static void what_was_written_is_read(void **state)
{
	auto_state first = { .dir = -1 }, second = { .dir = -1 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(load("{\"pid\":7,\"pidStart\":9,\"cgroup\":\"/a/c\",\"userns\":true,"
			      "\"annotations\":{\"k\":\"v\"}}",
			      &first, &e),
			 0);
	assert_int_equal(state_write(&first, &e), 0);
	assert_int_equal(state_load(root, "c", &second, &e), 0);
	assert_int_equal(second.pid, 7);
	assert_int_equal(second.pid_start, 9);
	assert_true(second.userns);
	assert_string_equal(second.cgroup_path, "/a/c");
	assert_string_equal(second.annotations, "{\"k\":\"v\"}");
}

static void a_damaged_file_names_no_cgroup_but_the_containers(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "{\"cgroup\":\"\"}",
		  "container c: state.json: cgroup:  is no path of a container" },
		{ "{\"cgroup\":\"//\"}",
		  "container c: state.json: cgroup: // is no path of a container" },
		{ "{\"cgroup\":\"a\"}",
		  "container c: state.json: cgroup: a is no path of a container" },
		{ "{\"pid\":-7}", "container c: state.json: pid: -7 is none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct state s;
		struct err e = { 0 };

		assert_int_equal(load(rows[i].text, &s, &e), -EBADMSG);
		assert_string_equal(e.msg, rows[i].error);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
	cmocka_unit_test_setup_teardown(a_damaged_file_names_no_cgroup_but_the_containers, setup,
					teardown),
};

TEST_MAIN(tests)
