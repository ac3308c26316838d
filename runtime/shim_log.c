/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/shim_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"

#define STAMP_LEN 31 /* with the blank behind it */

static void put_digits(char *at, unsigned int value, int digits)
{
	while (digits-- > 0) {
		at[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* The civil date of a day count from 1970, in the proleptic Gregorian calendar: years begin in
 * March, so that the leap day is their last one. */
static void put_date(char *at, int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned int doe = (unsigned int)(z - era * 146097);
	unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned int mp = (5 * doy + 2) / 153;
	unsigned int month = mp < 10 ? mp + 3 : mp - 9;
	unsigned int year = (unsigned int)(yoe + (unsigned int)era * 400 + (month <= 2));

	put_digits(at, year, 4);
	put_digits(at + 5, month, 2);
	put_digits(at + 8, doy - (153 * mp + 2) / 5 + 1, 2);
}

void shim_stamp_set(struct shim_stamp *s, const struct timespec *now)
{
	if (s->text[0] == '\0' || s->second != now->tv_sec) {
		int64_t days = now->tv_sec / 86400;
		unsigned int rest = (unsigned int)(now->tv_sec % 86400);

		memcpy(s->text, "0000-00-00T00:00:00.000000000Z ", STAMP_LEN + 1);
		put_date(s->text, days);
		put_digits(s->text + 11, rest / 3600, 2);
		put_digits(s->text + 14, rest / 60 % 60, 2);
		put_digits(s->text + 17, rest % 60, 2);
		s->second = now->tv_sec;
	}
	put_digits(s->text + 20, (unsigned int)now->tv_nsec, 9);
}

/* The file ----------------------------------------------------------------- */

/* A name that leads to a fifo or a device must not stall us; nobody needs one there. */
static int log_file_open(const char *path, int *ret_fd, uint64_t *ret_size, bool *ret_torn,
			 struct err *e)
{
	auto_fd int fd =
		open(path,
		     O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		     0640);
	struct stat st;
	char last = '\n';

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "open log %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "open log %s: no regular file", path);
	if (st.st_size > 0)
		(void)!pread(fd, &last, 1, st.st_size - 1);
	*ret_size = (uint64_t)st.st_size;
	*ret_torn = last != '\n';
	*ret_fd = fd_take(&fd);
	return 0;
}

int shim_log_open(struct shim_log *log, const char *path, uint64_t max, struct err *e)
{
	*log = (struct shim_log){ .fd = -1, .max = max };
	if (path[0] == '\0')
		return 0;
	if (log_file_open(path, &log->fd, &log->size, &log->torn, e) < 0)
		return -e->code;
	log->path = mem_strdup(path);
	return 0;
}

int shim_log_reopen(struct shim_log *log, struct err *e)
{
	int fd;

	if (!log->path)
		return 0;
	if (log_file_open(log->path, &fd, &log->size, &log->torn, e) < 0)
		return -e->code;
	fd_close(&log->fd);
	log->fd = fd;
	log->full = false;
	return 0;
}

void shim_log_close(struct shim_log *log)
{
	fd_close(&log->fd);
	free(log->path);
	log->path = NULL;
}

/* Returns how much of it the file took; an errno in log->error when not all. */
static size_t log_file_write(struct shim_log *log, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(log->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log->error = n < 0 ? errno : EIO;
			break;
		}
		done += (size_t)n;
	}
	log->size += done;
	if (done > 0)
		log->torn = data[done - 1] != '\n';
	return done;
}

/* Ends a record that a failure cut, and says what is missing after it. */
static bool log_write_marker(struct shim_log *log, const struct shim_stamp *now)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "%s%.*sstderr F berth: %" PRIu64 " bytes of log were lost: %s\n",
			 log->torn ? "\n" : "", STAMP_LEN, now->text, log->lost,
			 log->error == EFBIG ? "too much between two rotations"
					     : strerror(log->error));

	if (log_file_write(log, text, (size_t)n) < (size_t)n)
		return false;
	log->lost = 0;
	log->error = 0;
	return true;
}

bool shim_log_write(struct shim_log *log, const struct shim_stamp *now, const char *records,
		    size_t len)
{
	bool failing = log->lost > 0;
	size_t done = 0;

	if (log->fd < 0 || len == 0)
		return true;
	if (log->full || (log->max > 0 && log->size + len > log->max)) {
		log->full = true;
		log->error = EFBIG;
	} else if (failing ? log_write_marker(log, now) : true) {
		if (log->torn && !failing)
			log_file_write(log, "\n", 1);
		done = log_file_write(log, records, len);
	}
	log->lost += len - done;
	return failing || log->lost == 0;
}

/* Records ------------------------------------------------------------------ */

void shim_line_init(struct shim_line *line, enum shim_stream stream, bool strip_cr)
{
	*line = (struct shim_line){ .strip_cr = strip_cr };
	line->rest = mem_alloc(SHIM_LOG_LINE_MAX);
	memcpy(line->name, stream == SHIM_STDERR ? "stderr " : "stdout ", sizeof(line->name));
}

void shim_line_done(struct shim_line *line)
{
	free(line->rest);
	line->rest = NULL;
}

/* Room for the largest record. */
static void out_reserve(struct shim_out *out)
{
	if (out->len + SHIM_LOG_HEAD + SHIM_LOG_LINE_MAX + 1 > SHIM_LOG_OUT)
		out->flush(out);
}

/* One record of what is kept and of data behind it. */
static void put_record(struct shim_line *line, const char *head, const char *data, size_t len,
		       char tag, struct shim_out *out)
{
	char *at;

	out_reserve(out);
	at = out->buf + out->len;
	memcpy(at, head, SHIM_LOG_HEAD);
	at[SHIM_LOG_HEAD - 2] = tag;
	at += SHIM_LOG_HEAD;
	memcpy(at, line->rest, line->len);
	at += line->len;
	memcpy(at, data, len);
	at += len;
	*at++ = '\n';
	out->len = (size_t)(at - out->buf);
	line->len = 0;
	line->partial = tag == 'P';
}

/* P records for all but the last SHIM_LOG_LINE_MAX bytes of a long line; returns what it used. */
static size_t put_partials(struct shim_line *line, const char *head, const char *data, size_t len,
			   struct shim_out *out)
{
	size_t used = 0;

	while (line->len + (len - used) > SHIM_LOG_LINE_MAX) {
		size_t n = SHIM_LOG_LINE_MAX - line->len;

		put_record(line, head, data + used, n, 'P', out);
		used += n;
	}
	return used;
}

void shim_line_feed(struct shim_line *line, const struct shim_stamp *now, const char *data,
		    size_t len, struct shim_out *out)
{
	const char *end = data + len;
	const char *newline;
	char head[SHIM_LOG_HEAD];

	memcpy(head, now->text, STAMP_LEN);
	memcpy(head + STAMP_LEN, line->name, 7);
	memcpy(head + STAMP_LEN + 7, "F ", 2);
	while ((newline = memchr(data, '\n', (size_t)(end - data)))) {
		size_t n = (size_t)(newline - data);

		if (line->strip_cr && n > 0 && data[n - 1] == '\r')
			n--;
		else if (line->strip_cr && n == 0 && line->len > 0 &&
			 line->rest[line->len - 1] == '\r')
			line->len--;
		if (line->len == 0 && n <= SHIM_LOG_LINE_MAX) {
			/* the common case, in one piece */
			char *at;

			out_reserve(out);
			at = out->buf + out->len;
			memcpy(at, head, SHIM_LOG_HEAD);
			memcpy(at + SHIM_LOG_HEAD, data, n);
			at[SHIM_LOG_HEAD + n] = '\n';
			out->len += SHIM_LOG_HEAD + n + 1;
			line->partial = false;
		} else {
			size_t used = put_partials(line, head, data, n, out);

			put_record(line, head, data + used, n - used, 'F', out);
		}
		data = newline + 1;
	}
	data += put_partials(line, head, data, (size_t)(end - data), out);
	memcpy(line->rest + line->len, data, (size_t)(end - data));
	line->len += (size_t)(end - data);
}

void shim_line_end(struct shim_line *line, const struct shim_stamp *now, struct shim_out *out)
{
	char head[SHIM_LOG_HEAD];

	if (line->len == 0)
		return;
	memcpy(head, now->text, STAMP_LEN);
	memcpy(head + STAMP_LEN, line->name, 7);
	memcpy(head + STAMP_LEN + 7, "P ", 2);
	put_record(line, head, "", 0, 'P', out);
}
