/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times for people and logs, without a C library's time zones. */
#pragma once

#include <time.h>

#define STAMP_MAX 32

/* "2026-11-24T22:12:00.123Z" */
void stamp_utc(char ret[static STAMP_MAX], const struct timespec *ts);
