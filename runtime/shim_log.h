/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Container output becomes CRI log records:
 *	2026-01-02T03:04:05.123456789Z stdout F the line
 * F ends a line, P is a part of a longer one. What is formatted in one go
 * carries one time, taken when it was read, and is written in one write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/err.h"

#define SHIM_LOG_LINE_MAX 16384 /* content bytes of one record */
#define SHIM_LOG_HEAD 40 /* bytes before the content; the same for both streams */
#define SHIM_LOG_OUT 131072 /* bytes of formatted records kept before they are written */

enum shim_stream {
	SHIM_STDOUT,
	SHIM_STDERR,
	SHIM_STREAMS,
};

/* The time as text; the date's part is made once a second. */
struct shim_stamp {
	int64_t second;
	char text[32]; /* "2026-01-02T03:04:05.123456789Z " */
};

void shim_stamp_set(struct shim_stamp *s, const struct timespec *now);

/* The log file of a container. A failing one never stops the container. */
struct shim_log {
	char *path; /* NULL: no log is kept */
	int fd; /* -1: not open */
	uint64_t size; /* bytes in the file, as far as we know */
	uint64_t max; /* of size, until it is reopened; 0: no limit */
	uint64_t lost; /* bytes of records dropped since the last marker */
	int error; /* errno of the last loss; EFBIG: max was reached */
	bool full; /* max was reached: nothing goes in until it is reopened */
	bool torn; /* the file ends inside a record */
};

/* path "" keeps no log. The folder must exist. */
int shim_log_open(struct shim_log *log, const char *path, uint64_t max, struct err *e);
/* Later records go to a new file at the same path; on failure the old file stays in use. */
int shim_log_reopen(struct shim_log *log, struct err *e);
void shim_log_close(struct shim_log *log);

/* Whole records. Returns false when it began to fail with this call: worth a line in our log. */
bool shim_log_write(struct shim_log *log, const struct shim_stamp *now, const char *records,
		    size_t len);

/* What one stream needs between two reads. */
struct shim_line {
	char *rest; /* SHIM_LOG_LINE_MAX bytes: a line that has not ended yet */
	size_t len;
	bool partial; /* the last record was P: the line goes on */
	bool strip_cr; /* a terminal's lines end with CR LF */
	char name[8]; /* "stdout " */
};

void shim_line_init(struct shim_line *line, enum shim_stream stream, bool strip_cr);
void shim_line_done(struct shim_line *line);

/* Formatted records on their way to the file. */
struct shim_out {
	char *buf; /* SHIM_LOG_OUT bytes */
	size_t len;
	void (*flush)(struct shim_out *out); /* takes all of buf and sets len to 0 */
	void *arg;
};

/* Appends what data completes to out, keeps the rest in line. */
void shim_line_feed(struct shim_line *line, const struct shim_stamp *now, const char *data,
		    size_t len, struct shim_out *out);
/* End of file: what has no newline becomes a P record. */
void shim_line_end(struct shim_line *line, const struct shim_stamp *now, struct shim_out *out);
