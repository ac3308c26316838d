/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/record.h"

static char folder[64];
static int root = -1;

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/berth-unitXXXXXX");
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	fd_close(&root);
	return path_remove_tree(AT_FDCWD, folder, &e);
}

static void a_link_cannot_leave_the_root(void **state)
{
	struct err e = { 0 };
	struct stat st;
	auto_fd int fd = -1;

	(void)state;
	assert_int_equal(symlinkat("/../../../../etc/passwd", root, "out"), 0);
	assert_int_equal(path_open(root, "out", &fd, &e), -ENOENT);
	assert_string_equal(e.msg, "open out");
	assert_int_equal(symlinkat("/", root, "self"), 0);
	assert_int_equal(path_open(root, "self", &fd, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	struct stat here;
	assert_int_equal(fstat(root, &here), 0);
	assert_true(st.st_ino == here.st_ino);
}

static void folders_are_made_inside_the_root_through_links(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mkdirat(root, "real", 0755), 0);
	assert_int_equal(symlinkat("/real", root, "link"), 0);
	assert_int_equal(path_mkdir_in(root, "/link/a//b/c/", 0700, NULL, &e), 0);
	assert_true(path_exists(root, "real/a/b/c"));
	assert_int_equal(path_mkdir_in(root, "link/a/b", 0700, NULL, &e), 0);
	assert_int_equal(path_mkdir_in(root, "new/../../x", 0700, NULL, &e), -EINVAL);
	assert_int_equal(symlinkat("/nowhere", root, "dangling"), 0);
	assert_true(path_mkdir_in(root, "dangling/x", 0700, NULL, &e) < 0);
	assert_false(path_exists(root, "nowhere"));
}

static void a_file_is_replaced_whole(void **state)
{
	struct err e = { 0 };
	char line[32];

	(void)state;
	assert_int_equal(path_replace(root, "f", "one\n", 4, 0600, PATH_DURABLE, &e), 0);
	assert_int_equal(path_replace(root, "f", "two\n", 4, 0600, PATH_FAST, &e), 0);
	assert_int_equal(path_read_line(root, "f", line, sizeof(line), &e), 0);
	assert_string_equal(line, "two");
	assert_false(path_exists(root, "f.new"));
	assert_int_equal(path_replace(root, "no/f", "x", 1, 0600, PATH_FAST, &e), -ENOENT);
}

static void a_tree_is_removed_without_following_links(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(path_mkdir_in(root, "t/a/b", 0700, NULL, &e), 0);
	assert_int_equal(path_replace(root, "keep", "x", 1, 0600, PATH_FAST, &e), 0);
	assert_int_equal(symlinkat("..", root, "t/a/up"), 0);
	assert_int_equal(symlinkat("../keep", root, "t/file"), 0);
	assert_int_equal(path_remove_tree(root, "t", &e), 0);
	assert_false(path_exists(root, "t"));
	assert_true(path_exists(root, "keep"));
	assert_int_equal(path_remove_tree(root, "absent", &e), 0);
}

static void a_torn_record_counts_as_absent(void **state)
{
	struct err e = { 0 };
	auto_record r = { 0 };
	const char *name = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(record_write(root, "r", "pod", 3, "{\"name\":\"x\"}", PATH_FAST, &e), 0);
	assert_int_equal(record_read(root, "r", "pod", &r, &e), 0);
	assert_int_equal(r.version, 3);
	assert_true(r.this_boot);
	assert_int_equal(json_get_text(r.data, "name", &name, &e), 1);
	assert_string_equal(name, "x");
	struct record other = { 0 };
	assert_int_equal(record_read(root, "r", "ctr", &other, &e), -EBADMSG);
	assert_int_equal(fstatat(root, "r", &st, 0), 0);
	auto_fd int fd = openat(root, "r", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, st.st_size - 2), 0);
	assert_int_equal(record_read(root, "r", "pod", &other, &e), -EBADMSG);
	assert_string_equal(e.msg, "record r: damaged");
	assert_int_equal(record_read(root, "none", "pod", &other, &e), -ENOENT);
}

static void a_record_with_a_length_beyond_all_is_damaged(void **state)
{
	static const char text[] = "berth-record 1 pod 0 00000000 18446744073709551615\n";
	struct record r = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(path_replace(root, "r", text, strlen(text), 0600, PATH_FAST, &e), 0);
	assert_int_equal(record_read(root, "r", "pod", &r, &e), -EBADMSG);
	assert_string_equal(e.msg, "record r: damaged");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_link_cannot_leave_the_root, setup, teardown),
	cmocka_unit_test_setup_teardown(folders_are_made_inside_the_root_through_links, setup,
					teardown),
	cmocka_unit_test_setup_teardown(a_file_is_replaced_whole, setup, teardown),
	cmocka_unit_test_setup_teardown(a_tree_is_removed_without_following_links, setup, teardown),
	cmocka_unit_test_setup_teardown(a_torn_record_counts_as_absent, setup, teardown),
	cmocka_unit_test_setup_teardown(a_record_with_a_length_beyond_all_is_damaged, setup,
					teardown),
};

TEST_MAIN(tests)
