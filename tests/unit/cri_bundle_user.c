/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cri/bundle.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

static char folder[64];
static int root = -1;
static Cri__LinuxContainerSecurityContext sc;
static Cri__Int64Value uid, gid;

static void put(const char *name, const char *text)
{
	struct err e = { 0 };

	assert_int_equal(path_replace(root, name, text, strlen(text), 0644, PATH_FAST, &e), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/berth-unitXXXXXX");
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "etc", 0755) < 0)
		return -1;
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
			  "broken\n"
			  "web:x:1000:1000::/srv:/bin/sh\n"
			  "huge:x:99999999999:1::/:\n"
			  "leave:x:4294967295:1::/:\n"
			  "nobody:*:65534:65534:nobody:/nonexistent:/bin/false\n");
	put("etc/group", "root:x:0:root\n"
			 "extra:x:50000:web,nobody\n"
			 "web:x:1000:\n"
			 "leave:x:4294967295:web\n"
			 "tail:x:77:web");
	cri__linux_container_security_context__init(&sc);
	cri__int64_value__init(&uid);
	cri__int64_value__init(&gid);
	return 0;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	fd_close(&root);
	return path_remove_tree(AT_FDCWD, folder, &e);
}

/* "uid:gid home group group"; the error's text when it fails. The caller frees it. */
static char *found(const Cri__LinuxContainerSecurityContext *asked, const char *image_user)
{
	auto_bundle_user u = { 0 };
	struct err e = { 0 };
	struct str s = { 0 };

	if (bundle_user_find(root, asked, image_user, &u, &e) < 0)
		return mem_strdup(e.msg);
	str_printf(&s, "%u:%u %s", u.uid, u.gid, u.home ? u.home : "-");
	for (size_t i = 0; i < u.ngroups; i++)
		str_printf(&s, " %u", u.groups[i]);
	return str_take(&s);
}

#define assert_found(asked, image_user, expected)                    \
	do {                                                         \
		auto_free char *found_ = found((asked), image_user); \
		assert_string_equal(found_, expected);               \
	} while (0)

static void the_image_names_its_user(void **state)
{
	static const struct {
		const char *user, *expected;
	} rows[] = {
		{ "", "0:0 /root 0" },
		{ "web", "1000:1000 /srv 1000 50000 77" },
		{ "1000", "1000:1000 /srv 1000 50000 77" },
		{ "web:extra", "1000:50000 /srv 50000 77" },
		{ "web:4", "1000:4 /srv 4 50000 77" },
		{ "7:8", "7:8 - 8" },
		{ "7", "7:0 - 0" },
		{ ":extra", "0:50000 /root 50000 0" },
		{ "ghost", "user ghost is not in the image's etc/passwd" },
		{ "web:ghosts", "group ghosts is not in the image's etc/group" },
		{ "4294967295", "user 4294967295 is out of range" },
		{ "99999999999999999999", "user 99999999999999999999 is out of range" },
		{ "huge", "user huge is not in the image's etc/passwd" },
		/* -1: the kernel would leave it as it is */
		{ "leave", "user leave is not in the image's etc/passwd" },
		{ "web:leave", "group leave is not in the image's etc/group" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_found(NULL, rows[i].user, rows[i].expected);
}

static void the_request_overrides_the_image(void **state)
{
	int64_t more[] = { 1234, 5678, 1234 };

	(void)state;
	sc.run_as_user = &uid;
	uid.value = 1000;
	assert_found(&sc, "nobody", "1000:1000 /srv 1000 50000 77");
	sc.run_as_group = &gid;
	gid.value = 9;
	assert_found(&sc, "nobody", "1000:9 /srv 9 50000 77");
	sc.supplemental_groups = more;
	sc.n_supplemental_groups = 3;
	assert_found(&sc, NULL, "1000:9 /srv 9 1234 5678 50000 77");
	sc.supplemental_groups_policy = CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict;
	assert_found(&sc, NULL, "1000:9 /srv 9 1234 5678");
	sc.run_as_user = NULL;
	assert_found(&sc, "web", "run_as_group without run_as_user or run_as_username");
	sc.run_as_username = (char *)"nobody";
	assert_found(&sc, "web", "65534:9 /nonexistent 9 1234 5678");
	more[1] = -1;
	assert_found(&sc, "web", "supplemental group -1 is out of range");
	sc.supplemental_groups_policy = (Cri__SupplementalGroupsPolicy)7;
	assert_found(&sc, "web", "supplemental groups policy 7 is unknown");
}

static void an_image_without_accounts_knows_numbers_only(void **state)
{
	(void)state;
	unlinkat(root, "etc/passwd", 0);
	unlinkat(root, "etc/group", 0);
	assert_found(NULL, "12:13", "12:13 - 13");
	assert_found(NULL, "", "0:0 - 0");
	assert_found(NULL, "web", "user web is not in the image's etc/passwd");
}

static void the_lookup_stays_in_the_image(void **state)
{
	(void)state;
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(symlinkat("../../../../../../etc/passwd", root, "etc/passwd"), 0);
	/* resolves to itself inside the root: a loop, never the host's file */
	assert_found(NULL, "daemon", "open etc/passwd");
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	assert_found(NULL, "root", "etc/passwd of the image is no regular file");
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkdirat(root, "etc/passwd", 0755), 0);
	assert_found(NULL, "root", "etc/passwd of the image is no regular file");
}

static void long_files_and_lines_are_refused(void **state)
{
	auto_free char *line = mem_alloc(BUNDLE_LINE_MAX + 2);
	auto_fd int fd = -1;

	(void)state;
	memset(line, 'x', BUNDLE_LINE_MAX + 1);
	put("etc/passwd", line);
	assert_found(NULL, "web", "etc/passwd of the image has a line over 65536 bytes");
	fd = openat(root, "etc/passwd", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, BUNDLE_ACCOUNT_MAX + 1), 0);
	assert_found(NULL, "web", "etc/passwd of the image is longer than 8388608 bytes");
}

static char *read_pod_file(const char *name)
{
	struct err e = { 0 };
	char *text = NULL;
	size_t len;

	assert_int_equal(path_read(root, name, 65536, &text, &len, &e), 0);
	return text;
}

static void the_pods_files_are_written(void **state)
{
	Cri__PodSandboxConfig pod = CRI__POD_SANDBOX_CONFIG__INIT;
	Cri__DNSConfig dns = CRI__DNSCONFIG__INIT;
	char *servers[] = { (char *)"10.10.10.10", (char *)"fd00::1" };
	char *searches[] = { (char *)"google.com", (char *)"x.y" };
	char *options[] = { (char *)"ndots:8" }, *bad[] = { (char *)"a\nnameserver 6.6.6.6" };
	struct err e = { 0 };
	char node[128];

	(void)state;
	snprintf(node, sizeof(node), "%s/node.conf", folder);
	put("node.conf", "nameserver 1.1.1.1\n");
	pod.hostname = (char *)"web-0";
	assert_int_equal(bundle_pod_files(folder, &pod, "node-1", "10.0.0.2", node, &e), 0);
	auto_free char *resolv = read_pod_file("resolv.conf");
	auto_free char *hosts = read_pod_file("hosts");
	auto_free char *hostname = read_pod_file("hostname");
	assert_string_equal(resolv, "nameserver 1.1.1.1\n");
	assert_string_equal(hostname, "web-0\n");
	assert_non_null(strstr(hosts, "\n10.0.0.2\tweb-0\n"));
	pod.dns_config = &dns;
	dns.servers = servers;
	dns.n_servers = 2;
	dns.searches = searches;
	dns.n_searches = 2;
	dns.options = options;
	dns.n_options = 1;
	assert_int_equal(bundle_pod_files(folder, &pod, NULL, NULL, node, &e), 0);
	auto_free char *made = read_pod_file("resolv.conf");
	assert_string_equal(made, "search google.com x.y\nnameserver 10.10.10.10\n"
				  "nameserver fd00::1\noptions ndots:8\n");
	dns.options = bad;
	assert_int_equal(bundle_pod_files(folder, &pod, NULL, NULL, node, &e), -EINVAL);
	dns.n_options = 0;
	pod.hostname = (char *)"a b";
	assert_int_equal(bundle_pod_files(folder, &pod, NULL, NULL, node, &e), -EINVAL);
}

static void sources_are_made_and_checked(void **state)
{
	Cri__ContainerConfig config = CRI__CONTAINER_CONFIG__INIT;
	Cri__Mount m = CRI__MOUNT__INIT;
	Cri__Mount *mounts[] = { &m };
	auto_free char *path = mem_printf("%s/made/here", folder);
	auto_free char *below = mem_printf("%s/etc/passwd/x", folder);
	struct err e = { 0 };

	(void)state;
	config.mounts = mounts;
	config.n_mounts = 1;
	m.host_path = path;
	assert_int_equal(bundle_check_sources(&config, &e), 0);
	assert_true(path_exists(root, "made/here"));
	m.host_path = below;
	assert_int_equal(bundle_check_sources(&config, &e), -ENOTDIR);
	m.host_path = (char *)"/proc";
	m.propagation = CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
	/* either is right, by what the machine made of /proc; it must not fail otherwise */
	if (bundle_check_sources(&config, &e) < 0)
		assert_int_equal(e.code, EINVAL);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(the_image_names_its_user),
	T(the_request_overrides_the_image),
	T(an_image_without_accounts_knows_numbers_only),
	T(the_lookup_stays_in_the_image),
	T(long_files_and_lines_are_refused),
	T(the_pods_files_are_written),
	T(sources_are_made_and_checked),
};

TEST_MAIN(tests)
