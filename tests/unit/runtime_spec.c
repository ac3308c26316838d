/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/options.h"
#include "runtime/passwd.h"
#include "runtime/rootfs.h"
#include "runtime/spec.h"

static int parse(const char *more, const char *linux_more, struct spec *s, struct err *e)
{
	auto_free char *text =
		mem_printf("{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}%s,\"linux\":"
			   "{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"},"
			   "{\"type\":\"ipc\"}]%s}}",
			   more, linux_more);

	return spec_parse(text, strlen(text), s, e);
}

static void parse_mount(const char *options, const char *type, struct spec_mount *ret, char *data)
{
	auto_free char *more = mem_printf(",\"mounts\":[{\"destination\":\"/d\",\"type\":\"%s\","
					  "\"source\":\"/s\",\"options\":[%s]}]",
					  type, options);
	auto_spec s = { 0 };
	struct err e = { 0 };

	if (parse(more, "", &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(s.mount_count, 1);
	*ret = s.mounts[0];
	strcpy(data, s.mounts[0].data ?: "");
	ret->data = NULL;
}

static void option_words_go_where_the_kernel_wants_them(void **state)
{
	struct spec_mount m;
	char data[128];
	(void)state;

	parse_mount("\"ro\",\"nosuid\",\"size=5k\",\"mode=700\",\"sync\"", "tmpfs", &m, data);
	assert_false(m.bind);
	assert_int_equal(m.flags, MS_RDONLY | MS_NOSUID | MS_SYNCHRONOUS);
	assert_string_equal(data, "size=5k,mode=700");
	parse_mount("\"rbind\",\"ro\",\"nodev\",\"noexec\",\"exec\",\"rprivate\"", "bind", &m,
		    data);
	assert_true(m.bind && m.recursive_bind && m.propagation_recursive);
	assert_int_equal(m.propagation, MS_PRIVATE);
	assert_int_equal(m.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	assert_int_equal(m.attr_clear, MOUNT_ATTR_NOEXEC);
	parse_mount("\"bind\",\"rw\",\"noatime\"", "", &m, data);
	assert_int_equal(m.attr_set, MOUNT_ATTR_NOATIME);
	/* what is said about access times replaces all that was said before */
	assert_int_equal(m.attr_clear, MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME);
	parse_mount("\"noatime\",\"strictatime\"", "tmpfs", &m, data);
	assert_int_equal(m.flags, MS_STRICTATIME);
	parse_mount("\"rbind\",\"rro\",\"rnosuid\"", "bind", &m, data);
	assert_int_equal(m.rec_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	assert_int_equal(m.attr_set, 0);
	parse_mount("\"bind\",\"slave\"", "", &m, data);
	assert_int_equal(m.propagation, MS_SLAVE);
	assert_false(m.propagation_recursive);
}

static void a_bad_value_is_refused_by_the_name_of_its_field(void **state)
{
	static const char *const table[][3] = {
		{ "", ",\"timeOffsets\":{\"boottime\":{\"secs\":1}}",
		  "linux.timeOffsets: without a new time namespace" },
		{ "", ",\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0,1024\"}",
		  "linux.memoryPolicy.nodes: 1024: out of range" },
		{ "", ",\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-\"}",
		  "linux.memoryPolicy.nodes: 0- is no list of numbers" },
		{ "", ",\"netDevices\":{\"eth0\":{\"name\":\"sixteen-letters-\"}}",
		  "linux.netDevices.eth0.name: no name of a link" },
		{ ",\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"ioPriority\":{\"class\":\"x\"}}",
		  "", "process.ioPriority.class: x is unknown" },
		{ ",\"process\":{\"cwd\":\"/"
		  "\",\"args\":[\"x\"],\"scheduler\":{\"policy\":\"SCHED_OTHER\","
		  "\"nice\":20}}",
		  "", "process.scheduler.nice: outside of -20 to 19" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct spec s = { 0 };
		struct err e = { 0 };

		assert_true(parse(table[i][0], table[i][1], &s, &e) < 0);
		if (!strstr(e.msg, table[i][2]))
			fail_msg("%s", e.msg);
	}
}

#define MAP(inside, outside) "[{\"containerID\":" inside ",\"hostID\":" outside ",\"size\":1}]"
#define MOUNT(more) \
	",\"mounts\":[{\"destination\":\"/x\",\"source\":\"y\",\"options\":[\"rbind\"" more "}]"

static void owners_of_a_mount_come_from_its_maps_or_the_namespace(void **state)
{
	auto_spec s = { 0 };
	struct err e = { 0 };
	(void)state;

	assert_int_equal(parse(MOUNT(",\"ridmap\"]"), "", &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "neither uidMappings nor a user namespace"));
	assert_int_equal(parse(MOUNT(",\"ridmap\"],\"uidMappings\":" MAP("0", "7")), "", &s, &e),
			 -EINVAL);
	assert_int_equal(parse(MOUNT("],\"uidMappings\":" MAP("1", "4294967295")), "", &s, &e),
			 -ERANGE);
	assert_non_null(strstr(e.msg, "beyond the last id"));
	assert_int_equal(parse(MOUNT(",\"ridmap\"],\"uidMappings\":" MAP("0", "7") ",\"gidMappings"
										   "\":" MAP("0",
											     "8")),
			       "", &s, &e),
			 0);
	assert_true(spec_has_idmaps(&s) && s.mounts[0].idmap && s.mounts[0].idmap_recursive);
	assert_int_equal(s.mounts[0].gid_maps.rows[0].outside, 8);
}

static void empty_members_are_as_good_as_none(void **state)
{
	auto_spec s = { 0 };
	struct err e = { 0 };
	(void)state;

	assert_int_equal(parse(",\"hostname\":\"\"",
			       ",\"intelRdt\":null,\"timeOffsets\":{},\"mountLabel\":\"\","
			       "\"netDevices\":{},\"cgroupsPath\":\"\",\"rootfsPropagation\":\"\","
			       "\"personality\":"
			       "{\"domain\":\"LINUX32\",\"flags\":[]}",
			       &s, &e),
			 0);
	assert_null(s.hostname);
	assert_null(s.cgroups_path);
	assert_true(s.common.has_personality);
	assert_int_equal(s.common.personality, PER_LINUX32);
}

static void sysctls_belong_to_a_namespace_of_the_container(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} table[] = {
		{ "net.ipv4.ip_forward", true },
		{ "net/ipv4/conf/eth0.5/forwarding", true },
		{ "kernel.shmmax", true },
		{ "fs.mqueue.msg_max", true },
		{ "kernel.core_pattern", false },
		{ "kernel.domainname", false }, /* there is no uts namespace */
		{ "vm.swappiness", false },
		{ "net", false },
		{ "kernel.shmmaxx", false },
		{ "kernel/core_pattern", false },
		{ "..net.ipv4", false },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		auto_free char *more = mem_printf(",\"sysctl\":{\"%s\":\"1\"}", table[i].name);
		struct spec s = { 0 };
		struct err e = { 0 };
		int r = parse("", more, &s, &e);

		if ((r == 0) != table[i].good)
			fail_msg("%s: %d", table[i].name, r);
		spec_done(&s);
	}
}

static void unknown_capabilities_are_left_out(void **state)
{
	static const char text[] =
		"{\"cwd\":\"/\",\"args\":[\"x\"],\"capabilities\":{\"bounding\":[\"CAP_KILL\","
		"\"CAP_TIME_TRAVEL\"],\"ambient\":[\"cap_chown\"]}}";
	auto_spec_process p = { 0 };
	struct err e = { 0 };
	(void)state;

	log_to(-1);
	assert_int_equal(spec_process_parse(text, strlen(text), &p, &e), 0);
	log_to(2);
	assert_int_equal(p.caps.bounding, 1 << 5);
	assert_int_equal(p.caps.ambient, 1);
	assert_int_equal(p.umask, 022);
	assert_int_equal(caps_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_string_equal(caps_name(21), "CAP_SYS_ADMIN");
	assert_null(caps_name(41));
}

static int folder(char *dir)
{
	assert_non_null(mkdtemp(dir));
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void targets_are_made_inside_the_rootfs(void **state)
{
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int root = folder(dir);
	struct stat st;
	struct err e = { 0 };
	static const char *const links[][2] = {
		{ "absolute", "/made/by/absolute" }, { "relative", "sub/made" },
		{ "up", "../../../../made-by-up" },  { "chain", "chain2" },
		{ "chain2", "/end/of/chain" },
	};
	(void)state;

	umask(0);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		int fd = -1;

		assert_int_equal(symlinkat(links[i][1], root, links[i][0]), 0);
		if (str_eq(links[i][0], "chain"))
			continue;
		assert_int_equal(rootfs_target(root, links[i][0], false, &fd, &e), 1);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		close(fd);
	}
	assert_true(path_exists(root, "made/by/absolute"));
	assert_true(path_exists(root, "sub/made"));
	assert_true(path_exists(root, "made-by-up"));
	assert_true(path_exists(root, "end/of/chain"));
	int fd = -1;
	assert_int_equal(rootfs_target(root, "/a/b//c/", true, &fd, &e), 1);
	fd_close(&fd);
	assert_int_equal(rootfs_target(root, "/a/b//c/", true, &fd, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	close(fd);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(rootfs_target(root, "loop", false, &fd, &e), -ELOOP);
	assert_int_equal(symlinkat("/proc/self/root", root, "magic"), 0);
	assert_true(rootfs_target(root, "magic", true, &fd, &e) >= 0);
	close(fd);
	assert_true(path_exists(root, "proc/self/root"));
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void homes_come_from_regular_files_only(void **state)
{
	static const char text[] = "root:x:0:0::/root:/bin/sh\nbad\nx:x:7x:0::/wrong:\n"
				   "y:x:7:0::relative:\nz:x:7:0::/home/z:\nnl:x:8:0::/a\tb:\n";
	char dir[] = "/tmp/berth-unit.XXXXXX";
	auto_fd int root = folder(dir);
	auto_free char *zero = NULL;
	auto_free char *seven = NULL;
	struct err e = { 0 };
	(void)state;

	assert_null(passwd_home(root, 0));
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0600), 0);
	assert_null(passwd_home(root, 0));
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(path_replace(root, "etc/passwd", text, strlen(text), 0600, PATH_FAST, &e),
			 0);
	zero = passwd_home(root, 0);
	seven = passwd_home(root, 7);
	assert_string_equal(zero, "/root");
	assert_string_equal(seven, "/home/z");
	assert_null(passwd_home(root, 8));
	assert_null(passwd_home(root, 9));
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void options_are_taken_as_go_programs_write_them(void **state)
{
	char *argv[] = { (char[]){ "--root=/a" }, (char[]){ "-log" },	(char[]){ "/b" },
			 (char[]){ "--debug" },	  (char[]){ "--n" },	(char[]){ "5" },
			 (char[]){ "-e" },	  (char[]){ "A=B" },	(char[]){ "--env=C=D" },
			 (char[]){ "create" },	  (char[]){ "--debug" } };
	const char *root = NULL;
	const char *log = NULL;
	bool debug = false;
	int n = 0;
	struct options_texts env = { 0 };
	const struct option_row rows[] = {
		{ "root", '\0', OPTION_TEXT, &root },  { "log", '\0', OPTION_TEXT, &log },
		{ "debug", 'd', OPTION_FLAG, &debug }, { "n", '\0', OPTION_INT, &n },
		{ "env", 'e', OPTION_TEXTS, &env },
	};
	struct err e = { 0 };
	int argc = 11;
	char **at = argv;
	(void)state;

	assert_int_equal(options_parse_first(rows, 5, &argc, &at, &e), 0);
	assert_int_equal(argc, 2);
	assert_string_equal(at[0], "create");
	assert_string_equal(root, "/a");
	assert_string_equal(log, "/b");
	assert_true(debug);
	assert_int_equal(n, 5);
	assert_int_equal(env.count, 2);
	assert_string_equal(env.texts[1], "C=D");
	options_texts_done(&env);
	at = (char *[]){ (char[]){ "--n" }, (char[]){ "x" } };
	argc = 2;
	assert_int_equal(options_parse(rows, 5, &argc, &at, &e), -EINVAL);
	at = (char *[]){ (char[]){ "--what" } };
	argc = 1;
	assert_int_equal(options_parse(rows, 5, &argc, &at, &e), -EINVAL);
	assert_string_equal(e.msg, "unknown option --what");
	at = (char *[]){ (char[]){ "--root" } };
	argc = 1;
	assert_int_equal(options_parse(rows, 5, &argc, &at, &e), -EINVAL);
}

static void options_may_stand_behind_operands(void **state)
{
	char *argv[] = { (char[]){ "a" },  (char[]){ "--n" },	(char[]){ "-5" }, (char[]){ "b" },
			 (char[]){ "-9" }, (char[]){ "-d" },	(char[]){ "-" },  (char[]){ "--" },
			 (char[]){ "-d" }, (char[]){ "--what" } };
	static const char *const words[] = { "--n", "-5", "-d", "--", "a", "b", "-9", "-", "-d" };
	bool debug = false;
	int n = 0;
	const struct option_row rows[] = {
		{ "debug", 'd', OPTION_FLAG, &debug },
		{ "n", '\0', OPTION_INT, &n },
	};
	struct err e = { 0 };
	(void)state;

	/* again, as when berth-oci executes itself */
	for (int round = 0; round < 2; round++) {
		int argc = 10;
		char **at = argv;

		assert_int_equal(options_parse(rows, 2, &argc, &at, &e), 0);
		assert_int_equal(argc, 6);
		assert_ptr_equal(at, argv + 4);
		assert_true(debug);
		assert_int_equal(n, -5);
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			assert_string_equal(argv[i], words[i]);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(option_words_go_where_the_kernel_wants_them),
	cmocka_unit_test(a_bad_value_is_refused_by_the_name_of_its_field),
	cmocka_unit_test(owners_of_a_mount_come_from_its_maps_or_the_namespace),
	cmocka_unit_test(empty_members_are_as_good_as_none),
	cmocka_unit_test(sysctls_belong_to_a_namespace_of_the_container),
	cmocka_unit_test(unknown_capabilities_are_left_out),
	cmocka_unit_test(targets_are_made_inside_the_rootfs),
	cmocka_unit_test(homes_come_from_regular_files_only),
	cmocka_unit_test(options_are_taken_as_go_programs_write_them),
	cmocka_unit_test(options_may_stand_behind_operands),
};

TEST_MAIN(tests)
