/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "ctl/attach.h"
#include "ctl/client.h"
#include "ctl/cri.h"

static void a_grpc_message_is_decoded(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "plain", "plain" },	{ "a%20b%2fc", "a b/c" }, { "100%", "100%" },
		{ "%zz%4", "%zz%4" },	{ "%00x", "%00x" },	  { "%C3%A4", "\xc3\xa4" },
		{ "%25%32%35", "%25" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		strcpy(buf, rows[i].text);
		client_decode(buf);
		assert_string_equal(buf, rows[i].expected);
	}
	assert_string_equal(client_code_name(5), "NOT_FOUND");
	assert_string_equal(client_code_name(99), "UNKNOWN");
}

static void a_streaming_url_has_three_parts(void **state)
{
	struct err e = { 0 };
	char good[] = "http://127.0.0.1:4711/exec/ab", v6[] = "http://[::1]:80/x";
	char https[] = "https://h:1/x", bare[] = "http://h:1", portless[] = "http://[::1]/x";
	char *host, *port, *path;

	(void)state;
	assert_int_equal(attach_url(good, &host, &port, &path, &e), 0);
	assert_string_equal(host, "127.0.0.1");
	assert_string_equal(port, "4711");
	assert_string_equal(path, "exec/ab");
	assert_int_equal(attach_url(v6, &host, &port, &path, &e), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(attach_url(https, &host, &port, &path, &e), -EINVAL);
	assert_int_equal(attach_url(bare, &host, &port, &path, &e), -EINVAL);
	assert_int_equal(attach_url(portless, &host, &port, &path, &e), -EINVAL);
}

static void frames_are_cut_from_the_stream(void **state)
{
	struct attach_frame f = { 0 };
	char big[140] = "\x82\x7e\0\x84";

	(void)state;
	assert_int_equal(attach_frame_read("\x82\3\1ab", 5, &f), 5);
	assert_int_equal(f.opcode, 2);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.data, "\1ab", 3);
	assert_int_equal(attach_frame_read("\x82\3\1a", 4, &f), 0);
	assert_int_equal(attach_frame_read("\x82", 1, &f), 0);
	assert_int_equal(attach_frame_read(big, 3, &f), 0);
	assert_int_equal(attach_frame_read(big, 4 + 132, &f), 136);
	assert_int_equal(f.len, 132);
	assert_int_equal(attach_frame_read("\x82\x83\1ab", 5, &f), -EPROTO); /* masked */
	assert_int_equal(attach_frame_read("\x02\3\1ab", 5, &f), -EPROTO); /* a fragment */
	assert_int_equal(attach_frame_read("\x82\x7f\xff\0\0\0\0\0\0\0", 10, &f), -EPROTO);
}

static int status(const char *text, struct err *e)
{
	return attach_status(text, strlen(text), e);
}

static void the_status_holds_the_exit_code(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(status("", &e), 0);
	assert_int_equal(status("{\"metadata\":{},\"status\":\"Success\"}", &e), 0);
	assert_int_equal(status("{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\","
				"\"details\":"
				"{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"7\"}]}}",
				&e),
			 7);
	assert_int_equal(e.code, 0);
	assert_int_equal(status("{\"status\":\"Failure\",\"message\":\"no such file\"}", &e), -1);
	assert_string_equal(e.msg, "no such file");
	assert_int_equal(status("plain words", &e), -1);
	assert_string_equal(e.msg, "plain words");
}

static void tables_show_short_ids_and_sizes(void **state)
{
	char id[CRI_SHORT_ID + 1], size[16];

	(void)state;
	assert_string_equal(cri_short("sha256:0123456789abcdef", id), "0123456789abc");
	assert_string_equal(cri_short("short", id), "short");
	cri_size(0, size);
	assert_string_equal(size, "0 B");
	cri_size(999, size);
	assert_string_equal(size, "999 B");
	cri_size(1500, size);
	assert_string_equal(size, "1.5 kB");
	cri_size(999999, size);
	assert_string_equal(size, "1.0 MB");
	cri_size(123456789, size);
	assert_string_equal(size, "123 MB");
	assert_true(cri_is_id("abc"));
	assert_false(cri_is_id("ab"));
	assert_false(cri_is_id("busybox"));
}

static void json_may_stand_anywhere(void **state)
{
	struct ctl ctl = { 0 };
	char *argv[] = { (char *)"ps", (char *)"-a", (char *)"--json", NULL };
	int argc = 3;

	(void)state;
	assert_true(cri_take_json(&ctl, &argc, argv));
	assert_int_equal(argc, 2);
	assert_string_equal(argv[1], "-a");
	assert_null(argv[2]);
	assert_false(cri_take_json(&ctl, &argc, argv));
	ctl.json = true;
	assert_true(cri_take_json(&ctl, &argc, argv));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_grpc_message_is_decoded),
	cmocka_unit_test(a_streaming_url_has_three_parts),
	cmocka_unit_test(frames_are_cut_from_the_stream),
	cmocka_unit_test(the_status_holds_the_exit_code),
	cmocka_unit_test(tables_show_short_ids_and_sizes),
	cmocka_unit_test(json_may_stand_anywhere),
};

TEST_MAIN(tests)
