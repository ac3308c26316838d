/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cmocka wants included before itself. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST_MAIN(tests)                                                         \
	int main(void)                                                           \
	{                                                                        \
		return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL); \
	}
