/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>

#include "cri/api/api.pb-c.h"
#include "cri/api/methods.h"

static void a_map_travels_as_key_and_value(void **state)
{
	static char label[] = "a", text[] = "b";
	Cri__MapEntry entry = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *entries[] = { &entry };
	Cri__PodSandboxFilter filter = CRI__POD_SANDBOX_FILTER__INIT;
	/* label_selector is field 3: 0x1a, 6 bytes, key field 1 and value field 2 */
	static const uint8_t wire[] = { 0x1a, 6, 0x0a, 1, 'a', 0x12, 1, 'b' };
	uint8_t out[32];

	(void)state;
	entry.key = label;
	entry.value = text;
	filter.n_label_selector = 1;
	filter.label_selector = entries;
	assert_int_equal(cri__pod_sandbox_filter__pack(&filter, out), sizeof(wire));
	assert_memory_equal(out, wire, sizeof(wire));
}

static void every_method_of_the_interface_is_listed(void **state)
{
#define COUNT(service, method, request, response, streams) +1
#define STREAMS(service, method, request, response, streams) +(streams ? 1 : 0)
	(void)state;
	assert_int_equal(0 CRI_METHODS(COUNT), 43);
	assert_int_equal(0 CRI_METHODS(STREAMS), 7);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_map_travels_as_key_and_value),
	cmocka_unit_test(every_method_of_the_interface_is_listed),
};

TEST_MAIN(tests)
