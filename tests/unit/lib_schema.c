/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "lib/schema.h"
#include "lib/str.h"

struct part {
	const char *name;
	uint8_t small;
	char *made; /* owned, by check */
};

struct whole {
	bool on, has_n;
	int n;
	int64_t wide;
	uint16_t clamped;
	unsigned int mode, flags;
	const char *text, *path;
	const char **texts;
	uint32_t *ids;
	size_t id_count;
	char *string, *raw;
	struct part one;
	struct part *list, *map;
	size_t list_count, map_count;
	const struct json *tree, *labels;
	size_t letters;
};

static int part_check(void *ret, struct err *e)
{
	struct part *p = ret;

	p->made = mem_strdup("made");
	return p->small == 13 ? err_set(e, EINVAL, "small: brings bad luck") : 0;
}

static void part_done(void *ret)
{
	free(((struct part *)ret)->made);
}

static const struct schema_row part_rows[] = {
	{ "name", SCHEMA_TEXT, SCHEMA_AT(struct part, name), .max = 4 },
	{ "small", SCHEMA_UINT, SCHEMA_AT(struct part, small), .min = 1 },
	{ "" },
};
static const struct schema part_schema = {
	.rows = part_rows,
	.size = sizeof(struct part),
	.init = &(const struct part){ .small = 7 },
	.check = part_check,
	.done = part_done,
};

static int letters_read(const struct json *node, void *letters, struct err *e)
{
	json_each(text, node)
		*(size_t *)letters += strlen(text->text);
	return *(size_t *)letters > 9 ? err_set(e, EINVAL, "too many") : 0;
}

static const struct schema_word words[] = { { "one", 1 }, { "two", 2 }, { NULL, 0 } };

#define AT(member) SCHEMA_AT(struct whole, member)
#define IF(member) .mark = offsetof(struct whole, member)
static const struct schema_row inner_rows[] = {
	{ "deep", SCHEMA_TEXT, SCHEMA_NEED, AT(path), .check = schema_absolute },
	{ "" },
};
static const struct schema inner_schema = { .rows = inner_rows, .closed = true };

static const struct schema_row whole_rows[] = {
	{ "on", SCHEMA_BOOL, AT(on) },
	{ "n", SCHEMA_INT, AT(n), IF(has_n), .min = -5, .max = 5 },
	{ "wide", SCHEMA_INT, AT(wide) },
	{ "clamped", SCHEMA_UINT, SCHEMA_CLAMP, AT(clamped) },
	{ "mode", SCHEMA_WORD, AT(mode), .words = words },
	{ "flags", SCHEMA_WORDS, AT(flags), .words = words },
	{ "text", SCHEMA_TEXT, AT(text) },
	{ "texts", SCHEMA_TEXTS, AT(texts), .max = 2, .check = schema_absolute },
	{ "ids", SCHEMA_IDS, AT(ids), IF(id_count) },
	{ "string", SCHEMA_STRING, AT(string) },
	{ "raw", SCHEMA_RAW, AT(raw) },
	{ "inner", SCHEMA_OBJECT, .sub = &inner_schema },
	{ "list", SCHEMA_LIST, AT(list), IF(list_count), .max = 2, .sub = &part_schema },
	{ "map", SCHEMA_MAP, AT(map), IF(map_count), .sub = &part_schema },
	{ "tree", SCHEMA_TREE, AT(tree) },
	{ "labels", SCHEMA_TEXT_TREE, AT(labels) },
	{ "letters", SCHEMA_OWN_TEXTS, AT(letters), .read = letters_read },
	{ "old", SCHEMA_VOID, .why = "is gone" },
	{ "" },
};
static const struct schema whole_schema = { .rows = whole_rows };

static int load(const char *text, struct json **json, struct whole *w, struct err *e)
{
	assert_int_equal(json_parse(text, strlen(text), json, e), 0);
	return schema_read(&whole_schema, *json, "top", w, e);
}

static void each_kind_is_read_into_its_member(void **state)
{
	static const char text[] =
		"{\"list\":[{\"small\":255},{\"name\":\"four\"}],\"on\":true,\"n\":-5,"
		"\"wide\":-9223372036854775808,\"clamped\":70000,\"mode\":\"two\","
		"\"flags\":[\"one\",\"two\"],\"text\":\"t\",\"texts\":[\"/a\",\"/b\"],"
		"\"ids\":[0,4294967294],\"string\":\"\",\"raw\":[{\"x\":null}],"
		"\"inner\":{\"deep\":\"/d\"},\"map\":{\"k\":{}},\"tree\":{\"a\":1},"
		"\"labels\":{\"a\":\"b\"},\"letters\":[\"ab\",\"c\"],\"old\":0,"
		"\"unheard of\":{\"of\":1}}";
	struct whole w = { 0 };
	auto_json *json = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(load(text, &json, &w, &e), 0);
	assert_true(w.on && w.has_n && w.n == -5 && w.wide == INT64_MIN);
	assert_true(w.clamped == 65535 && w.mode == 2 && w.flags == 3);
	assert_string_equal(w.text, "t");
	assert_string_equal(w.texts[1], "/b");
	assert_null(w.texts[2]);
	assert_true(w.id_count == 2 && w.ids[1] == 4294967294);
	assert_string_equal(w.string, "");
	assert_string_equal(w.raw, "[{\"x\":null}]");
	assert_string_equal(w.path, "/d");
	assert_true(w.list_count == 2 && w.list[0].small == 255 && w.list[1].small == 7);
	assert_string_equal(w.list[1].name, "four");
	assert_string_equal(w.list[1].made, "made");
	assert_int_equal(w.map_count, 1);
	assert_string_equal(w.map[0].name, "k");
	assert_true(w.tree->count == 1 && w.labels->count == 1 && w.letters == 3);
	schema_done(&whole_schema, &w);
}

static void what_is_null_or_empty_is_as_good_as_absent(void **state)
{
	struct whole w = { .text = "as it was" };
	auto_json *json = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(load("{\"n\":null,\"text\":\"\",\"mode\":\"\",\"inner\":{},\"list\":[],"
			      "\"old\":false}",
			      &json, &w, &e),
			 0);
	assert_false(w.has_n);
	assert_string_equal(w.text, "as it was");
	assert_int_equal(w.list_count, 0);
	schema_done(&whole_schema, &w);
}

static void an_error_has_the_whole_path(void **state)
{
	static const char *const table[][2] = {
		{ "[]", "top: not an object" },
		{ "{\"on\":1}", "top.on: not a boolean" },
		{ "{\"n\":6}", "top.n: outside of -5 to 5" },
		{ "{\"n\":1.5}", "top.n: 1.5 is no whole number in range" },
		{ "{\"mode\":\"three\"}", "top.mode: three is unknown" },
		{ "{\"flags\":[\"one\",\"x\"]}", "top.flags[1]: x is unknown" },
		{ "{\"texts\":[\"/a\",5]}", "top.texts[1]: not a text" },
		{ "{\"texts\":[\"a\"]}", "top.texts[0]: not absolute" },
		{ "{\"texts\":[\"/a\",\"/b\",\"/c\"]}", "top.texts: more than 2" },
		{ "{\"ids\":[1,4294967295]}", "top.ids[1]: outside of 0 to 4294967294" },
		{ "{\"inner\":{\"x\":1}}", "top.inner.x: unknown key" },
		{ "{\"inner\":{\"deep\":null}}", "top.inner.deep: missing" },
		{ "{\"inner\":{\"deep\":\"\"}}", "top.inner.deep: empty" },
		{ "{\"list\":[{},{\"small\":0}]}", "top.list[1].small: outside of 1 to 255" },
		{ "{\"list\":[{\"name\":\"fiver\"}]}", "top.list[0].name: longer than 4" },
		{ "{\"list\":[{},5]}", "top.list[1]: not an object" },
		{ "{\"list\":[{},{},{}]}", "top.list: more than 2" },
		{ "{\"map\":{\"k\":{\"small\":13}}}", "top.map.k.small: brings bad luck" },
		{ "{\"labels\":{\"a\":{}}}", "top.labels.a: not a text" },
		{ "{\"labels\":{\"\":\"a\"}}", "top.labels: an empty key" },
		{ "{\"letters\":[\"0123456789\"]}", "top.letters: too many" },
		{ "{\"old\":5}", "top.old: is gone" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct whole w = { 0 };
		auto_json *json = NULL;
		struct err e = { 0 };

		assert_true(load(table[i][0], &json, &w, &e) < 0);
		assert_string_equal(e.msg, table[i][1]);
		schema_done(&whole_schema, &w);
	}
}

static const struct schema_row saved_rows[] = {
	{ "on", SCHEMA_BOOL, AT(on) },
	{ "n", SCHEMA_INT, AT(n) },
	{ "wide", SCHEMA_INT, AT(wide) },
	{ "clamped", SCHEMA_UINT, AT(clamped) },
	{ "string", SCHEMA_STRING, AT(string) },
	{ "raw", SCHEMA_RAW, AT(raw) },
	{ "" },
};
static const struct schema saved_schema = { .rows = saved_rows };

static void what_is_written_can_be_read(void **state)
{
	static const char text[] = "{\"on\":true,\"n\":-3,\"wide\":-4,\"clamped\":5,"
				   "\"string\":\"a\\\"b\",\"raw\":{\"x\":[1]}}";
	struct whole w = { 0 };
	auto_json *json = NULL;
	auto_json_out o = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	assert_int_equal(schema_read(&saved_schema, json, "", &w, &e), 0);
	json_out_object(&o, NULL);
	schema_write(&saved_schema, &w, &o);
	json_out_end(&o);
	assert_string_equal(o.s.text, text);
	schema_done(&saved_schema, &w);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_kind_is_read_into_its_member),
	cmocka_unit_test(what_is_null_or_empty_is_as_good_as_absent),
	cmocka_unit_test(an_error_has_the_whole_path),
	cmocka_unit_test(what_is_written_can_be_read),
};

TEST_MAIN(tests)
