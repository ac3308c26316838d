/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/ipam.h"

#include "tests/unit/test.h"

static int make(struct ipam *m, const char *a, const char *b, struct err *e)
{
	struct cidr ranges[2];
	size_t n = 0;

	assert_int_equal(cidr_parse(a, &ranges[n++], e), 0);
	if (b)
		assert_int_equal(cidr_parse(b, &ranges[n++], e), 0);
	return ipam_init(m, ranges, n, e);
}

static void every_place_is_given_once_and_no_more(void **state)
{
	struct ipam m;
	struct err e = { 0 };
	bool seen[16] = { 0 };
	uint32_t i;

	(void)state;
	assert_int_equal(make(&m, "10.0.0.16/28", "fd00::/64", &e), 0);
	for (int n = 0; n < 13; n++) {
		assert_int_equal(ipam_take(&m, &i, &e), 0);
		assert_in_range(i, 2, 14);
		assert_false(seen[i]);
		seen[i] = true;
	}
	assert_int_equal(ipam_take(&m, &i, &e), -ENOSPC);
	assert_string_equal(e.msg, "pod range 10.0.0.16/28: all 13 addresses are taken");
	ipam_release(&m, 7);
	assert_int_equal(ipam_take(&m, &i, &e), 0);
	assert_int_equal(i, 7);
	ipam_done(&m);
}

static void a_freed_place_rests(void **state)
{
	struct ipam m;
	struct err e = { 0 };
	uint32_t a, b;

	(void)state;
	assert_int_equal(make(&m, "10.0.0.0/24", NULL, &e), 0);
	assert_int_equal(ipam_take(&m, &a, &e), 0);
	for (int n = 0; n < 252; n++) {
		ipam_release(&m, a);
		assert_int_equal(ipam_take(&m, &b, &e), 0);
		assert_int_not_equal(a, b);
		a = b;
	}
	ipam_done(&m);
}

static void what_is_outside_is_never_marked(void **state)
{
	struct ipam m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(make(&m, "10.0.0.0/29", NULL, &e), 0);
	assert_false(ipam_claim(&m, 0));
	assert_false(ipam_claim(&m, 1));
	assert_false(ipam_claim(&m, 7));
	assert_false(ipam_claim(&m, UINT32_MAX));
	assert_true(ipam_claim(&m, 6));
	assert_false(ipam_claim(&m, 6));
	ipam_release(&m, UINT32_MAX);
	ipam_release(&m, 5);
	assert_int_equal(m.taken, 1);
	ipam_done(&m);
}

static void ranges_that_cannot_serve_are_refused(void **state)
{
	struct ipam m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(make(&m, "10.0.0.0/31", NULL, &e), -EINVAL);
	assert_int_equal(make(&m, "10.0.0.0/32", NULL, &e), -EINVAL);
	assert_int_equal(make(&m, "fd00::/127", NULL, &e), -EINVAL);
	assert_int_equal(make(&m, "10.0.0.0/24", "10.1.0.0/24", &e), -EINVAL);
	assert_int_equal(ipam_init(&m, NULL, 0, &e), -EINVAL);
	assert_int_equal(make(&m, "10.0.0.0/30", NULL, &e), 0);
	ipam_done(&m);
	assert_int_equal(make(&m, "0.0.0.0/0", "::/0", &e), 0);
	assert_int_equal(m.places, IPAM_PLACES_MAX);
	ipam_done(&m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_place_is_given_once_and_no_more),
	cmocka_unit_test(a_freed_place_rests),
	cmocka_unit_test(what_is_outside_is_never_marked),
	cmocka_unit_test(ranges_that_cannot_serve_are_refused),
};
TEST_MAIN(tests)
