/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table against libseccomp, which it was made from. */
#include "test.h"

#include <string.h>

#include "lib/mem.h"
#include "runtime/syscalls_lib.h"

/* One name on every architecture. */
static void compare(const char *name)
{
	const int32_t *numbers = syscalls_find(name);

	assert_non_null(numbers);
	for (size_t i = 0; i < SYSCALLS_ARCHS; i++) {
		int theirs = seccomp_syscall_resolve_name_arch(syscalls_lib_archs[i], name);

		if (theirs >= 0 || (theirs <= -100 && theirs >= -299))
			assert_int_equal(numbers[i], theirs);
		else if (theirs != __NR_SCMP_ERROR)
			assert_int_equal(numbers[i], SYSCALLS_NONE);
	}
}

static void every_name_has_the_numbers_of_libseccomp(void **state)
{
	int seen = 0;
	(void)state;

	for (size_t i = 0; i < SYSCALLS_ARCHS; i++) {
		for (int n = -300; n < 2000; n++) {
			int number = n < 1000 ? n : 0x40000000 + n - 1000;
			auto_free char *name =
				seccomp_syscall_resolve_num_arch(syscalls_lib_archs[i], number);

			if (!name || n == -1)
				continue;
			compare(name);
			seen++;
		}
	}
	assert_in_range(seen, 700, 4000);
}

static void a_call_newer_than_the_library_is_known(void **state)
{
	const int32_t *mseal = syscalls_find("mseal");
	(void)state;

	assert_non_null(mseal);
	for (size_t i = 0; i < SYSCALLS_ARCHS; i++)
		assert_int_equal(mseal[i] & 0xffff, 462);
	assert_non_null(syscalls_find("file_setattr"));
}

static void what_is_no_call_is_not_found(void **state)
{
	(void)state;
	assert_null(syscalls_find(""));
	assert_null(syscalls_find("no_such"));
	assert_null(syscalls_find("rea"));
	assert_null(syscalls_find("reads"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_name_has_the_numbers_of_libseccomp),
	cmocka_unit_test(a_call_newer_than_the_library_is_known),
	cmocka_unit_test(what_is_no_call_is_not_found),
};

TEST_MAIN(tests)
