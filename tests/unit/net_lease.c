/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/lease.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/record.h"
#include "tests/unit/test.h"

#define POD "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int set_up(void **state)
{
	static char folder[] = "/tmp/berth-lease.XXXXXX";
	static int fd;

	strcpy(folder, "/tmp/berth-lease.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &fd;
	return mkdirat(fd, POD, 0700);
}

static int tear_down(void **state)
{
	struct err e = { 0 };
	char path[64], folder[256] = { 0 };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *(int *)*state);
	if (readlink(path, folder, sizeof(folder) - 1) < 0)
		return -1;
	close(*(int *)*state);
	return path_remove_tree(AT_FDCWD, folder, &e);
}

static void parse_ports(struct lease *l, const char *text)
{
	auto_json *json = NULL;
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	assert_int_equal(lease_parse_ports(json, l, &e), 0);
}

static void a_lease_comes_back_as_it_was(void **state)
{
	int pods = *(int *)*state;
	auto_lease l = { .pod = POD,
			 .index = 7,
			 .has4 = true,
			 .has6 = true,
			 .prefer6 = true,
			 .mtu = 1460,
			 .host_mac = { 2, 0xff, 0, 1, 2, 3 },
			 .pod_mac = { 2, 9 } };
	auto_lease got = { 0 };
	char texts[2][INET6_ADDRSTRLEN];
	struct err e = { 0 };

	inet_pton(AF_INET, "10.88.0.7", &l.addr4);
	inet_pton(AF_INET, "10.88.0.1", &l.gateway4);
	inet_pton(AF_INET6, "fd00::7", &l.addr6);
	inet_pton(AF_INET6, "fd00::1", &l.gateway6);
	parse_ports(&l, "[{\"protocol\":\"udp\",\"host_ip\":\"192.0.2.1\",\"host_port\":53,"
			"\"container_port\":5353},{\"host_port\":80,\"container_port\":8080},"
			"{\"host_ip\":\"::\",\"host_port\":81,\"container_port\":81}]");
	assert_int_equal(lease_write(pods, &l, &e), 0);
	assert_int_equal(lease_read(pods, POD, &got, &e), 0);
	assert_string_equal(got.pod, POD);
	assert_int_equal(got.index, 7);
	assert_int_equal(got.mtu, 1460);
	assert_memory_equal(got.host_mac, l.host_mac, 6);
	assert_memory_equal(got.pod_mac, l.pod_mac, 6);
	assert_int_equal(got.nports, 3);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(&got.ports[i], &l.ports[i], sizeof(l.ports[i]));
	assert_int_equal(lease_addresses(&got, texts), 2);
	assert_string_equal(texts[0], "fd00::7");
	assert_string_equal(texts[1], "10.88.0.7");
	assert_int_equal(lease_remove(pods, POD, &e), 0);
	assert_int_equal(lease_remove(pods, POD, &e), 0);
	assert_int_equal(lease_read(pods, POD, &got, &e), -ENOENT);
}

static void a_damaged_record_is_no_lease(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{\"pod\":\"" POD "\"}",
		"{\"pod\":\"x\",\"host_mac\":\"000000000000\",\"pod_mac\":\"000000000000\"}",
		"{\"pod\":\"" POD "\",\"host_mac\":\"00000000000\",\"pod_mac\":\"000000000000\"}",
		"{\"pod\":\"" POD "\",\"host_mac\":\"000000000000\",\"pod_mac\":\"000000000000\","
		"\"ipv4\":\"10.0.0.1\"}",
		"{\"pod\":\"" POD "\",\"host_mac\":\"000000000000\",\"pod_mac\":\"000000000000\","
		"\"ipv4\":\"fd00::1\",\"gateway4\":\"10.0.0.1\"}",
	};
	int pods = *(int *)*state;
	auto_lease l = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		auto_fd int dir = openat(pods, POD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_int_equal(record_write(dir, LEASE_FILE, "net", 1, bodies[i], PATH_FAST, &e),
				 0);
		assert_true(lease_read(pods, POD, &l, &e) < 0);
	}
	assert_int_equal(lease_remove(pods, POD, &e), 0);
}

static void ports_clash_on_the_same_address_only(void **state)
{
	auto_lease l = { 0 };
	char text[LEASE_PORT_TEXT_MAX];

	(void)state;
	parse_ports(&l, "[{\"host_port\":80,\"container_port\":1},"
			"{\"host_port\":80,\"container_port\":2,\"host_ip\":\"0.0.0.0\"},"
			"{\"host_port\":80,\"container_port\":3,\"host_ip\":\"::\"},"
			"{\"host_port\":80,\"container_port\":4,\"host_ip\":\"127.0.0.1\"},"
			"{\"host_port\":80,\"container_port\":5,\"protocol\":\"udp\"},"
			"{\"host_port\":80,\"container_port\":6,\"host_ip\":\"fd00::1\"}]");
	assert_true(lease_port_clash(&l.ports[0], &l.ports[1]));
	assert_true(lease_port_clash(&l.ports[0], &l.ports[2]));
	assert_false(lease_port_clash(&l.ports[1], &l.ports[2]));
	assert_false(lease_port_clash(&l.ports[0], &l.ports[3]));
	assert_true(lease_port_clash(&l.ports[3], &l.ports[3]));
	assert_false(lease_port_clash(&l.ports[0], &l.ports[4]));
	assert_false(lease_port_clash(&l.ports[3], &l.ports[5]));
	assert_string_equal(lease_port_text(&l.ports[0], text), "tcp port 80");
	assert_string_equal(lease_port_text(&l.ports[1], text), "tcp port 80 of 0.0.0.0");
	assert_string_equal(lease_port_text(&l.ports[5], text), "tcp port 80 of fd00::1");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_lease_comes_back_as_it_was, set_up, tear_down),
	cmocka_unit_test_setup_teardown(a_damaged_record_is_no_lease, set_up, tear_down),
	cmocka_unit_test(ports_clash_on_the_same_address_only),
};
TEST_MAIN(tests)
