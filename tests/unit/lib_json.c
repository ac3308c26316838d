/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/json_out.h"

static int parse(const char *text, struct json **ret, struct err *e)
{
	return json_parse(text, strlen(text), ret, e);
}

static void typed_members_are_read(void **state)
{
	auto_json *root = NULL;
	struct err e = { 0 };
	const char *text = "unset";
	uint64_t n = 0;
	bool b = false;
	auto_free const char **texts = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(parse("{\"a\":\"x\",\"n\":18446744073709551615,\"b\":true,\"z\":null,"
			       "\"l\":[\"p\",\"q\"]}",
			       &root, &e),
			 0);
	assert_int_equal(json_get_text(root, "a", &text, &e), 1);
	assert_string_equal(text, "x");
	assert_int_equal(json_get_text(root, "z", &text, &e), 0);
	assert_int_equal(json_get_text(root, "none", &text, &e), 0);
	assert_string_equal(text, "x");
	assert_int_equal(json_get_u64(root, "n", &n, &e), 1);
	assert_true(n == UINT64_MAX);
	assert_int_equal(json_get_bool(root, "b", &b, &e), 1);
	assert_true(b);
	assert_int_equal(json_get_texts(root, "l", &texts, &count, &e), 1);
	assert_int_equal(count, 2);
	assert_string_equal(texts[1], "q");
	assert_null(texts[2]);
	assert_int_equal(json_get_u64(root, "a", &n, &e), -EINVAL);
	assert_string_equal(e.msg, "a: not a number");
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{\"a\":1,}",
		"[1 2]",
		"{\"a\":1,\"a\":2}",
		"nul",
		"\"\\u0000\"",
		"{} {}",
		"[1,]",
		"[,1]",
		"{\"a\":1 \"b\":2}",
		"{1:1}",
		"[1}",
		"[1",
		"01",
		"-",
		"1.",
		"1e+",
		"+1",
		"truer",
		"\v1",
		"\"a\nb\"",
		"\"\\",
		"\"\\\"",
		"\"\\x\"",
		"\"\\u12g4\"",
		"\"\\u12",
		"\"\xff\"",
		"{\"a\" 1}",
		/* half a token behind the end */
		"{} \"a",
		"[] tru",
		"0\"x",
		"\"a\" \"",
		/* not the shortest form, halves of pairs, beyond the last character */
		"[\"\xc0\x80\"]",
		"[\"\xe0\x80\xaf\"]",
		"[\"\xed\xa0\x80\"]",
		"[\"\\udc00\"]",
		"[\"\xf4\x90\x80\x80\"]",
		"{\"\xc1\xbf\":1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json *root = NULL;
		struct err e = { 0 };

		assert_true(parse(bad[i], &root, &e) < 0);
		assert_true(e.code > 0 && e.msg[0]);
		assert_null(root);
	}
}

static void a_key_twice_is_found_among_thousands(void **state)
{
	auto_json_out o = { 0 };
	struct err e = { 0 };
	struct json *root = NULL;

	(void)state;
	json_out_object(&o, NULL);
	for (int i = 0; i < 4000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		json_out_int(&o, key, i);
	}
	json_out_end(&o);
	assert_int_equal(json_parse(o.s.text, o.s.len, &root, &e), 0);
	assert_int_equal(root->count, 4000);
	json_free(root);
	o.s.text[o.s.len - 1] = ',';
	str_add(&o.s, "\"k1234\":0}");
	assert_int_equal(json_parse(o.s.text, o.s.len, &root, &e), -EINVAL);
	assert_string_equal(e.msg, "JSON: key k1234 twice");
	assert_int_equal(json_parse("{\"a\\nb\":1,\"a\\nb\":2}", 19, &root, &e), -EINVAL);
	assert_string_equal(e.msg, "JSON: key a\\x0ab twice");
}

static void half_a_surrogate_pair_is_refused(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "\"\\ud83d\\ude00\"", true },	 { "\"\\\\ud83d\"", true },
		{ "\"\\ud83d\\u0000\"", false }, { "\"\\ud83d\\ud83d\"", false },
		{ "\"\\uDE00\"", false },	 { "\"\\ud83d\"", false },
		{ "\"\\ud83dx\"", false },	 { "\"\\u00e4\\uD83D\\uDE00\"", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *root = NULL;
		struct err e = { 0 };
		int r = json_parse(rows[i].text, strlen(rows[i].text), &root, &e);

		assert_int_equal(r, rows[i].good ? 0 : -EINVAL);
		if (r == 0)
			json_free(root);
		else
			assert_string_equal(e.msg, "JSON: half a surrogate pair");
	}
}

static void escapes_are_taken_back(void **state)
{
	auto_json *root = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", "
			       "\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00.\"]",
			       &root, &e),
			 0);
	assert_string_equal(root->first->text, "\"\\/\b\f\n\r\t");
	assert_string_equal(root->first->next->text, "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.");
}

static void the_line_of_an_error_is_named(void **state)
{
	struct json *root = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse("{\n\"a\": 1,\n\"b\" 2\n}", &root, &e), -EINVAL);
	assert_string_equal(e.msg, "JSON line 3: no colon behind a key");
	assert_int_equal(parse("{\"a\": [1, 2", &root, &e), -EINVAL);
	assert_string_equal(e.msg, "JSON: ends too early");
}

static void numbers_stay_as_they_are_written(void **state)
{
	auto_json *root = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(" [0, -0.50, 12e-3, 1E+9]\r\n\t", &root, &e), 0);
	assert_string_equal(root->first->text, "0");
	assert_string_equal(root->first->next->text, "-0.50");
	assert_string_equal(root->first->next->next->next->text, "1E+9");
}

static void depth_is_limited(void **state)
{
	char deep[400];
	struct json *root = NULL;
	struct err e = { 0 };

	(void)state;
	memset(deep, '[', 200);
	memset(deep + 200, ']', 200);
	assert_int_equal(json_parse(deep, sizeof(deep), &root, &e), -E2BIG);
	assert_int_equal(json_parse(deep + 200 - 64, 128, &root, &e), 0);
	json_free(root);
}

static void writing_and_reading_agree(void **state)
{
	auto_json_out o = { 0 };
	auto_json *root = NULL;
	auto_json_out again = { 0 };
	struct err e = { 0 };

	(void)state;
	json_out_object(&o, NULL);
	json_out_text(&o, "quote", "a\"b\\c\n\x01\xc3\xa4");
	json_out_array(&o, "list");
	json_out_int(&o, NULL, -5);
	json_out_bool(&o, NULL, false);
	json_out_text(&o, NULL, NULL);
	json_out_end(&o);
	json_out_uint(&o, "n", 7);
	json_out_end(&o);
	assert_string_equal(o.s.text, "{\"quote\":\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa4\","
				      "\"list\":[-5,false,null],\"n\":7}");
	assert_int_equal(json_parse(o.s.text, o.s.len, &root, &e), 0);
	json_out_json(&again, NULL, root);
	assert_string_equal(again.s.text, o.s.text);
}

static void the_deepest_tree_fits_into_another(void **state)
{
	char deep[2 * JSON_DEPTH_MAX];
	auto_json_out o = { 0 };
	auto_json *root = NULL;
	struct err e = { 0 };

	(void)state;
	memset(deep, '[', JSON_DEPTH_MAX);
	memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(json_parse(deep, sizeof(deep), &root, &e), 0);
	json_out_object(&o, NULL);
	json_out_object(&o, "linux");
	json_out_json(&o, "seccomp", root);
	json_out_end(&o);
	json_out_end(&o);
	assert_int_equal(o.s.len, sizeof(deep) + strlen("{\"linux\":{\"seccomp\":}}"));
}

static void bytes_that_are_no_utf8_become_the_replacement(void **state)
{
	auto_json_out o = { 0 };

	(void)state;
	json_out_text(&o, NULL, "a\xff\xc0\x80\xed\xa0\x80z");
	assert_string_equal(o.s.text, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				      "\xef\xbf\xbd\xef\xbf\xbdz\"");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(typed_members_are_read),
	cmocka_unit_test(what_is_no_json_is_refused),
	cmocka_unit_test(a_key_twice_is_found_among_thousands),
	cmocka_unit_test(half_a_surrogate_pair_is_refused),
	cmocka_unit_test(escapes_are_taken_back),
	cmocka_unit_test(the_line_of_an_error_is_named),
	cmocka_unit_test(numbers_stay_as_they_are_written),
	cmocka_unit_test(depth_is_limited),
	cmocka_unit_test(writing_and_reading_agree),
	cmocka_unit_test(the_deepest_tree_fits_into_another),
	cmocka_unit_test(bytes_that_are_no_utf8_become_the_replacement),
};

TEST_MAIN(tests)
