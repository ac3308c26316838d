/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target for libFuzzer. Its twin NAME_planted is compiled with
 * FUZZ_SELFTEST and has a bug at FUZZ_PLANT, which the fuzzer must find:
 * a target that never gets there tests nothing.
 */
#pragma once

#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/path.h"
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

static char fuzz_path[64];

static inline void fuzz_folder_remove(void)
{
	path_remove_tree(AT_FDCWD, fuzz_path, &(struct err){ 0 });
}

/* A folder in memory, the same each time; after a crash run.sh removes it. */
static inline int fuzz_folder(void)
{
	static int fd = -1;

	if (fd < 0) {
		snprintf(fuzz_path, sizeof(fuzz_path), "%s/berth-fuzz.XXXXXX",
			 getenv("FUZZ_FOLDER") ?: "/dev/shm");
		if (!mkdtemp(fuzz_path))
			abort();
		fd = open(fuzz_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		atexit(fuzz_folder_remove);
	}
	return fd;
}

/* A file there. */
static inline void fuzz_file(const char *name, const void *data, size_t size)
{
	int fd = openat(fuzz_folder(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}
