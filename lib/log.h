/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One event, one line, to stderr: "<3>name: text". The kernel's level prefix
 * lets the log role and kmsg sort lines; never a secret in a line.
 */
#pragma once

#include "lib/err.h"

enum log_level {
	LOG_ERR = 3, /* somebody must act */
	LOG_WARN = 4, /* we coped */
	LOG_INFO = 6, /* a state changed */
	LOG_DEBUG = 7, /* free */
};

/* name stands in each line and must outlive the process's logging. The level comes from BERTH_LOG.
 */
void log_init(const char *name);
void log_set_level(enum log_level level);
/* Returns the descriptor it went to before. */
int log_to(int fd);
int log_fd(void);
/*
 * Hands each line on, without name and level, in place of writing it: for a program whose stderr
 * is its caller's. After log_to(-1) there are none.
 */
void log_hand_to(void (*take)(enum log_level level, const char *text));
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
