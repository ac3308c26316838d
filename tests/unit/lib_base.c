/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/id.h"
#include "lib/list.h"
#include "lib/map.h"
#include "lib/step.h"
#include "lib/str.h"
#include "lib/verb.h"

static void wrapping_puts_the_outer_text_in_front(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, ENOENT, "open %s", "x"), -ENOENT);
	assert_int_equal(err_wrap(&e, "mount %d", 3), -ENOENT);
	assert_string_equal(e.msg, "mount 3: open x");
	assert_string_equal(err_text(&e), "mount 3: open x: No such file or directory");
}

static void wrapping_keeps_the_cause_when_room_is_short(void **state)
{
	struct err e = { 0 };
	char outer[300];

	(void)state;
	memset(outer, 'o', sizeof(outer) - 1);
	outer[sizeof(outer) - 1] = '\0';
	err_set(&e, EIO, "the cause");
	for (int i = 0; i < 5; i++)
		err_wrap(&e, "%s", outer);
	assert_true(str_ends(e.msg, ": the cause"));
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

static void numbers_are_read_strictly(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;

	(void)state;
	assert_int_equal(str_to_u64("18446744073709551615", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(str_to_u64("18446744073709551616", &u), -ERANGE);
	assert_int_equal(str_to_u64("", &u), -EINVAL);
	assert_int_equal(str_to_u64("+1", &u), -EINVAL);
	assert_int_equal(str_to_u64("1 ", &u), -EINVAL);
	assert_int_equal(str_to_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64("-9223372036854775809", &i), -ERANGE);
	assert_int_equal(str_to_i64("--1", &i), -EINVAL);
}

static void a_map_keeps_what_was_set_through_growth_and_removal(void **state)
{
	auto_map m = { 0 };
	char key[16];
	int values[2000];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_null(map_set(&m, key, &values[i]));
	}
	for (int i = 0; i < 2000; i += 2) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_ptr_equal(map_remove(&m, key), &values[i]);
		assert_null(map_remove(&m, key));
	}
	assert_int_equal(m.count, 1000);
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_ptr_equal(map_get(&m, key), i % 2 ? &values[i] : NULL);
	}
	for (int round = 0; round < 5000; round++) {
		snprintf(key, sizeof(key), "r%d", round);
		map_set(&m, key, values);
		map_remove(&m, key);
	}
	assert_int_equal(m.count, 1000);
	assert_true(m.nslots <= 16384);
}

static char trace[64];

static int step_a(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	strcat(trace, "a");
	return 0;
}

static void undo_a(void *ctx)
{
	(void)ctx;
	strcat(trace, "-a");
}

static int step_b(void *ctx, struct err *e)
{
	(void)ctx;
	return err_set(e, EIO, "broken");
}

static void a_failing_step_is_named_and_the_others_undone(void **state)
{
	const struct step steps[] = { { "a", step_a, undo_a },
				      { "a2", step_a, undo_a },
				      { "b", step_b, undo_a } };
	struct err e = { 0 };

	(void)state;
	trace[0] = '\0';
	assert_int_equal(step_run(steps, 3, NULL, &e), -EIO);
	assert_string_equal(e.msg, "b: broken");
	assert_string_equal(trace, "aa-a-a");
}

static void ids_are_64_hex_digits(void **state)
{
	char id[ID_LEN + 1];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(id_new(id, &e), 0);
	assert_true(id_valid(id));
	id[3] = 'G';
	assert_false(id_valid(id));
	assert_true(id_oci_valid("a.b_c-d+e"));
	assert_false(id_oci_valid(".."));
	assert_false(id_oci_valid(".a"));
	assert_false(id_oci_valid("a/b"));
	assert_false(id_oci_valid(""));
}

static int verb_seen(void *ctx, int argc, char **argv, struct err *e)
{
	(void)e;
	(void)argv;
	*(int *)ctx = argc;
	return 5;
}

static void a_verb_runs_with_the_right_count_only(void **state)
{
	const struct verb verbs[] = { { "kill", "POD SIGNAL", 2, 2, verb_seen, "" } };
	char kill_word[] = "kill", nope_word[] = "nope", operand[] = "9";
	char *good[] = { kill_word, operand, operand, NULL };
	char *bad[] = { kill_word, operand, NULL };
	char *none[] = { nope_word, NULL };
	struct err e = { 0 };
	int seen = 0;

	(void)state;
	assert_int_equal(verb_run(verbs, 1, &seen, 3, good, &e), 5);
	assert_int_equal(seen, 3);
	assert_int_equal(verb_run(verbs, 1, &seen, 2, bad, &e), -EINVAL);
	assert_string_equal(e.msg, "usage: kill POD SIGNAL");
	assert_int_equal(verb_run(verbs, 1, &seen, 1, none, &e), -EINVAL);
	assert_string_equal(e.msg, "unknown verb nope");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(wrapping_puts_the_outer_text_in_front),
	cmocka_unit_test(wrapping_keeps_the_cause_when_room_is_short),
	cmocka_unit_test(numbers_are_read_strictly),
	cmocka_unit_test(a_map_keeps_what_was_set_through_growth_and_removal),
	cmocka_unit_test(a_failing_step_is_named_and_the_others_undone),
	cmocka_unit_test(ids_are_64_hex_digits),
	cmocka_unit_test(a_verb_runs_with_the_right_count_only),
};

TEST_MAIN(tests)
