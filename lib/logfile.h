/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log file that stays bounded: at its limit it becomes NAME.1 and a new one begins. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct logfile {
	char path[128];
	uint64_t max_bytes; /* of one file: NAME and NAME.1 take twice that */
	int fd; /* -1: opened at the next write */
	uint64_t size;
};

/* Appends whole lines. After an error the next write tries again from the start. */
int logfile_write(struct logfile *f, const char *data, size_t len, struct err *e);
