/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target for libFuzzer. Its twin NAME_planted is compiled with
 * FUZZ_SELFTEST and has a bug at FUZZ_PLANT, which the fuzzer must find:
 * a target that never gets there tests nothing.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef FUZZ_SELFTEST
#define FUZZ_PLANT(condition)    \
	do {                     \
		if (condition)   \
			abort(); \
	} while (0)
#else
#define FUZZ_PLANT(condition) ((void)(condition))
#endif
