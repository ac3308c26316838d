/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "lib/conf.h"
#include "lib/mem.h"

static void load(const char *text, struct conf *ret)
{
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), &ret->root, &e), 0);
}

static void the_boot_line_wins_and_repeats_become_lists(void **state)
{
	auto_conf file = { 0 };
	auto_conf merged = { 0 };
	auto_free char *json = NULL;
	struct err e = { 0 };
	bool shell = false;

	(void)state;
	load("{\"net.ip\":\"old\",\"node.hostname\":\"keep\"}", &file);
	assert_int_equal(conf_merge(&file,
				    "quiet berth.net.ip=a root=x ip=\"b c\" berth.shell "
				    "nameserver=d "
				    "\"berth.image.mirrors=docker.io=http://10.0.2.2:5000\"\n",
				    &json, &e),
			 0);
	load(json, &merged);
	assert_string_equal(conf_text(&merged, "node.hostname", ""), "keep");
	assert_string_equal(conf_nth(&merged, "net.ip", 0), "a");
	assert_string_equal(conf_nth(&merged, "net.ip", 1), "b c");
	assert_null(conf_nth(&merged, "net.ip", 2));
	assert_string_equal(conf_text(&merged, "net.nameserver", ""), "d");
	assert_string_equal(conf_text(&merged, "image.mirrors", ""),
			    "docker.io=http://10.0.2.2:5000");
	assert_int_equal(conf_bool(&merged, "boot.shell", false, &shell, &e), 0);
	assert_true(shell);
}

static void bad_words_are_named(void **state)
{
	struct conf none = { 0 };
	struct err e = { 0 };
	char *json = NULL;

	(void)state;
	assert_int_equal(conf_merge(&none, "berth.net.ip", &json, &e), -EINVAL);
	assert_string_equal(e.msg, "boot line: berth.net.ip has no value");
	assert_int_equal(conf_merge(&none, "berth.x=1", &json, &e), -EINVAL);
	/* both would be written as one */
	assert_int_equal(conf_merge(&none, "berth.a.\xff=1 berth.a.\xfe=2", &json, &e), -EINVAL);
	assert_null(json);
}

static void values_are_typed(void **state)
{
	auto_conf c = { 0 };
	struct err e = { 0 };
	uint64_t n = 0;
	bool b;

	(void)state;
	load("{\"a.n\":\"12\",\"a.b\":\"maybe\"}", &c);
	assert_int_equal(conf_u64(&c, "a.n", 1, &n, &e), 0);
	assert_int_equal(n, 12);
	assert_int_equal(conf_u64(&c, "a.none", 5, &n, &e), 0);
	assert_int_equal(n, 5);
	assert_int_equal(conf_bool(&c, "a.b", true, &b, &e), -EINVAL);
	assert_string_equal(e.msg, "a.b: maybe is neither yes nor no");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_boot_line_wins_and_repeats_become_lists),
	cmocka_unit_test(bad_words_are_named),
	cmocka_unit_test(values_are_typed),
};

TEST_MAIN(tests)
