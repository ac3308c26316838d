/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "image/ref.h"
#include "lib/mem.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_are_completed_as_docker_does(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
	} cases[] = {
		{ "busybox", "docker.io/library/busybox:latest" },
		{ "busybox:1.36", "docker.io/library/busybox:1.36" },
		{ "user/app", "docker.io/user/app:latest" },
		{ "docker.io/busybox", "docker.io/library/busybox:latest" },
		{ "index.docker.io/busybox", "docker.io/library/busybox:latest" },
		{ "localhost/app", "localhost/app:latest" },
		{ "localhost:5000/app:v1", "localhost:5000/app:v1" },
		{ "HOST/app", "HOST/app:latest" },
		{ "a.b/c", "a.b/c:latest" },
		{ "a.b:1/c/d__e/f-g--h.i:T_.-1", "a.b:1/c/d__e/f-g--h.i:T_.-1" },
		{ "[::1]:5000/app", "[::1]:5000/app:latest" },
		{ "[fe80::1]/app", "[fe80::1]/app:latest" },
		{ "busybox@sha256:" HEX, "docker.io/library/busybox@sha256:" HEX },
		{ "a.b/c:tag@sha256:" HEX, "a.b/c@sha256:" HEX },
		{ "library", "docker.io/library/library:latest" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_ref r = { 0 };
		auto_ref again = { 0 };
		auto_free char *text = NULL, *twice = NULL;
		struct err e = { 0 };

		assert_int_equal(ref_parse(cases[i].text, &r, &e), 0);
		text = ref_text(&r);
		assert_string_equal(text, cases[i].canonical);
		/* what is canonical stays as it is */
		assert_int_equal(ref_parse(text, &again, &e), 0);
		twice = ref_text(&again);
		assert_string_equal(twice, text);
	}
}

static void malformed_names_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" busybox",
		"busy box",
		"Busybox",
		"busybox:",
		"busybox:-tag",
		"busybox:tag:tag",
		"busybox@",
		"busybox@sha256:" HEX "0",
		"busybox@sha256:xyz",
		"busybox@sha512:" HEX HEX,
		"busybox@sha256:ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
		"a.b//c",
		"a.b/c/",
		"/a/b",
		"a.b/../c",
		"a.b/.c",
		"a.b/c.",
		"a.b/c..d",
		"a.b/c___d",
		"a.b/-c",
		"a..b/c",
		"-a.b/c",
		"a.b:/c",
		"a.b:99999999/c",
		"a.b:x/c",
		"[::1/c",
		"[]/c",
		"a.b/c\nd",
		"a.b/c%2e",
		HEX,
	};
	char long_name[REF_TEXT_MAX + 2];
	auto_ref r = { 0 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ref_parse(cases[i], &r, &e), -EINVAL);
		assert_null(r.host);
	}
	memset(long_name, 'a', sizeof(long_name));
	long_name[REF_NAME_MAX] = '\0';
	assert_int_equal(ref_parse(long_name, &r, &e), -EINVAL);
	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(ref_parse(long_name, &r, &e), -EINVAL);
	assert_int_equal(ref_parse("Bad", &r, &e), -EINVAL);
	assert_string_equal(e.msg, "image name Bad: malformed name Bad");
}

static void only_sha256_is_a_digest(void **state)
{
	(void)state;
	assert_true(digest_valid("sha256:" HEX));
	assert_false(digest_valid("sha256:" HEX "0"));
	assert_false(digest_valid("sha256:../" HEX));
	assert_false(digest_valid("sha512:" HEX));
	assert_false(digest_valid(HEX));
	assert_string_equal(digest_hex("sha256:" HEX), HEX);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(names_are_completed_as_docker_does),
	cmocka_unit_test(malformed_names_are_refused),
	cmocka_unit_test(only_sha256_is_a_digest),
};

TEST_MAIN(tests)
