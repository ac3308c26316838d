/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "cri/exec.h"
#include "cri/stats_priv.h"

static void interfaces_are_read_but_loopback(void **state)
{
	char text[] =
		"Inter-|   Receive                                                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		"packets\n"
		"    lo:     100       1    0    0    0     0          0         0      100       "
		"1    0    0    0     0       0          0\n"
		"  eth0:    1234      12    3    4    5     6          7         8     5678      "
		"56    7    8    9    10      11         12\n"
		"broken: 1 2 3\n"
		"a-name-that-is-longer-than-any-interface: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 "
		"16\n";
	struct stats_net net;

	(void)state;
	stats_net_parse(text, &net);
	assert_int_equal(net.count, 1);
	assert_string_equal(net.list[0].name, "eth0");
	assert_int_equal(net.list[0].rx_bytes, 1234);
	assert_int_equal(net.list[0].rx_packets, 12);
	assert_int_equal(net.list[0].rx_errors, 3);
	assert_int_equal(net.list[0].rx_dropped, 4);
	assert_int_equal(net.list[0].tx_bytes, 5678);
	assert_int_equal(net.list[0].tx_packets, 56);
	assert_int_equal(net.list[0].tx_errors, 7);
	assert_int_equal(net.list[0].tx_dropped, 8);
}

static void a_missing_program_has_a_shells_exit_code(void **state)
{
	static const struct {
		int code;
		const char *text;
		int expected;
	} rows[] = {
		{ ENOENT, "exec in container c: exec /no/such", 127 },
		{ ENOENT, "exec in container c: exec: \"x\": executable file not found in $PATH",
		  127 },
		{ EACCES, "exec in container c: exec /etc/passwd", 126 },
		{ ENOEXEC, "exec in container c: exec /x", 126 },
		{ ENOENT, "exec in container c: process.cwd /gone", -1 },
		{ ESRCH, "exec in container c: it is not running", -1 },
		{ ENOMEM, "exec in container c: exec /bin/sh", -1 },
		{ ETIMEDOUT, "the pod's shim does not answer", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = { 0 };

		err_set(&e, rows[i].code, "%s", rows[i].text);
		assert_int_equal(exec_shell_code(&e), rows[i].expected);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(interfaces_are_read_but_loopback),
	cmocka_unit_test(a_missing_program_has_a_shells_exit_code),
};

TEST_MAIN(tests)
