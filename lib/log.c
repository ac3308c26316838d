/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	const char *name;
	enum log_level level;
	int fd;
	void (*take)(enum log_level level, const char *text);
} log_state = { "berth", LOG_INFO, STDERR_FILENO, NULL };

void log_init(const char *name)
{
	const char *level = getenv("BERTH_LOG");

	log_state.name = name;
	if (level && strcmp(level, "debug") == 0)
		log_state.level = LOG_DEBUG;
}

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

int log_to(int fd)
{
	int before = log_state.fd;

	log_state.fd = fd;
	return before;
}

int log_fd(void)
{
	return log_state.fd;
}

void log_hand_to(void (*take)(enum log_level level, const char *text))
{
	log_state.take = take;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n = 0;
	int m;

	if (level > log_state.level || log_state.fd < 0)
		return;
	if (!log_state.take)
		n = snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_state.name);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = (int)strlen(line);
	/* one event is one line, whatever the text carries */
	for (int i = 0; m >= 0 && i < n; i++) {
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	}
	if (log_state.take) {
		log_state.take(level, line);
		return;
	}
	line[n++] = '\n';
	(void)!write(log_state.fd, line, (size_t)n);
}
