/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "init/init.h"
#include "init/service.h"
#include "lib/str.h"

static void free_spec(struct service_spec *spec)
{
	for (const char **env = spec->env; env && *env; env++) {
		if (str_starts(*env, "WATCHDOG_USEC=") || str_starts(*env, "NOTIFY_SOCKET="))
			free((char *)(uintptr_t)*env);
	}
	free(spec->argv);
	free(spec->env);
	free(spec->after);
}

static int parse(struct services *all, const char *text, struct service_spec *ret,
		 struct json **tree, struct err *e)
{
	assert_int_equal(json_parse(text, strlen(text), tree, e), 0);
	return service_parse(all, *tree, ret, e);
}

static bool has_env(const struct service_spec *spec, const char *text)
{
	for (const char **env = spec->env; *env; env++) {
		if (str_eq(*env, text))
			return true;
	}
	return false;
}

static void a_row_gets_its_defaults(void **state)
{
	struct services all = { .count = 1, .row = { { .spec.name = "log" } } };
	struct service_spec s;
	auto_json *tree = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(&all, "{\"name\":\"a\",\"argv\":[\"/bin/a\"]}", &s, &tree, &e), 0);
	assert_string_equal(s.type, "simple");
	assert_string_equal(s.restart, "always");
	assert_int_equal(s.stop_ms, 10000);
	assert_int_equal(s.after_rows, 1);
	assert_true(has_env(&s, "HOME=/"));
	assert_false(has_env(&s, "NOTIFY_SOCKET=/run/berth/notify"));
	free_spec(&s);
}

static void a_row_says_what_it_wants(void **state)
{
	struct services all = {
		.count = 3,
		.row = { { .spec.name = "log" }, { .spec.name = "x" }, { .spec.name = "y" } }
	};
	struct service_spec s;
	auto_json *tree = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(&all,
			       "{\"name\":\"a\",\"argv\":[\"/a\",\"-b\"],\"env\":[\"PATH=/x\"],"
			       "\"type\":\"notify\",\"after\":[\"y\"],\"restart\":\"no\",\"pods\":"
			       "true,"
			       "\"stop_timeout_ms\":5,\"ready_timeout_ms\":6,\"watchdog_ms\":7,"
			       "\"oom_score_adj\":-999}",
			       &s, &tree, &e),
			 0);
	assert_int_equal(s.after_rows, 1 | 4);
	assert_string_equal(s.env[0], "PATH=/x");
	assert_true(has_env(&s, "NOTIFY_SOCKET=/run/berth/notify"));
	assert_true(has_env(&s, "WATCHDOG_USEC=7000"));
	assert_true(s.pods);
	assert_int_equal(s.oom_score_adj, -999);
	free_spec(&s);
}

static void a_wrong_row_is_refused_by_its_key(void **state)
{
	static const struct {
		const char *row, *message;
	} cases[] = {
		{ "[]", "not an object" },
		{ "{\"argv\":[\"/a\"]}", "no name, or argv has no program with its whole path" },
		{ "{\"name\":\"a\"}", "no name, or argv has no program with its whole path" },
		{ "{\"name\":\"a\",\"argv\":[]}",
		  "no name, or argv has no program with its whole path" },
		{ "{\"name\":\"a\",\"argv\":[\"sh\"]}",
		  "no name, or argv has no program with its whole path" },
		{ "{\"name\":\"a\",\"argv\":\"/a\"}", "argv" },
		{ "{\"name\":\"A\",\"argv\":[\"/a\"]}", "name: A is not of a-z, 0-9 and -" },
		{ "{\"name\":\"../x\",\"argv\":[\"/a\"]}", "name: ../x is not of a-z, 0-9 and -" },
		{ "{\"name\":\"\",\"argv\":[\"/a\"]}",
		  "no name, or argv has no program with its whole path" },
		{ "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"argv\":[\"/a\"]}",
		  "name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is not of a-z, 0-9 and -" },
		{ "{\"name\":\"init\",\"argv\":[\"/a\"]}", "name: init is ours" },
		{ "{\"name\":\"log\",\"argv\":[\"/a\"]}", "name: a second log" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"after\":[\"b\"]}", "after: no b above it" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"type\":\"forking\"}",
		  "type: neither simple nor notify" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"restart\":\"yes\"}",
		  "restart: neither always nor no" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"watchdog_ms\":5}",
		  "watchdog_ms: not of type notify" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"type\":\"notify\",\"uid\":5}",
		  "uid: the notify socket is root's alone" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"stop_timeout\":5}",
		  "stop_timeout: unknown key" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"stop_timeout_ms\":-5}", "stop_timeout_ms" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"ready_timeout_ms\":18446744073709551615}",
		  "ready_timeout_ms: outside of 0 to 604800000" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"oom_score_adj\":1001}",
		  "oom_score_adj: outside of -1000 to 1000" },
		{ "{\"name\":\"a\",\"argv\":[\"/a\"],\"uid\":4294967295}",
		  "uid: outside of 0 to 4294967294" },
	};
	struct services all = { .count = 1, .row = { { .spec.name = "log" } } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct service_spec s;
		auto_json *tree = NULL;
		struct err e = { 0 };

		assert_true(parse(&all, cases[i].row, &s, &tree, &e) < 0);
		if (!str_starts(e.msg, cases[i].message))
			assert_string_equal(e.msg, cases[i].message);
	}
}

static void the_back_off_doubles_to_its_end(void **state)
{
	(void)state;
	assert_int_equal(service_backoff_ms(0), 0);
	assert_int_equal(service_backoff_ms(1), 100);
	assert_int_equal(service_backoff_ms(2), 200);
	assert_int_equal(service_backoff_ms(7), 6400);
	assert_int_equal(service_backoff_ms(8), 10000);
	assert_int_equal(service_backoff_ms(9), 10000);
	assert_int_equal(service_backoff_ms(4000000000u), 10000);
}

/* log; netd; crid after netd; kubelet after crid; other */
static void services_stop_after_those_that_need_them(void **state)
{
	struct services all = { .count = 5 };

	(void)state;
	for (size_t i = 1; i < 5; i++)
		all.row[i].spec.after_rows = 1;
	all.row[2].spec.after_rows |= 2;
	all.row[3].spec.after_rows |= 4;
	for (size_t i = 0; i < 5; i++)
		all.row[i].state.phase = SERVICE_READY;
	assert_true(service_may_stop(&all, 3));
	assert_true(service_may_stop(&all, 4));
	assert_false(service_may_stop(&all, 2));
	assert_false(service_may_stop(&all, 1));
	all.row[3].state.phase = SERVICE_STOPPING;
	assert_false(service_may_stop(&all, 2));
	all.row[3].state.phase = SERVICE_STOPPED;
	assert_true(service_may_stop(&all, 2));
	all.row[2].state.phase = all.row[1].state.phase = SERVICE_STOPPED;
	assert_false(service_may_stop(&all, 0));
	all.row[4].state.phase = SERVICE_STOPPED;
	assert_true(service_may_stop(&all, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_gets_its_defaults),
		cmocka_unit_test(a_row_says_what_it_wants),
		cmocka_unit_test(a_wrong_row_is_refused_by_its_key),
		cmocka_unit_test(the_back_off_doubles_to_its_end),
		cmocka_unit_test(services_stop_after_those_that_need_them),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
