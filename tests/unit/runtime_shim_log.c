/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"
#include "runtime/shim_log.h"

#define TIME "2026-01-02T03:04:05.000000006Z "
#define F TIME "stdout F "
#define P TIME "stdout P "

struct pen {
	struct shim_line line;
	struct shim_out out;
	struct shim_stamp now;
	struct str text;
};

static void keep(struct shim_out *out)
{
	struct pen *pen = out->arg;

	str_add_mem(&pen->text, out->buf, out->len);
	out->len = 0;
}

static void pen_open(struct pen *pen, bool strip_cr)
{
	memset(pen, 0, sizeof(*pen));
	shim_stamp_set(&pen->now, &(struct timespec){ .tv_sec = 1767323045, .tv_nsec = 6 });
	shim_line_init(&pen->line, SHIM_STDOUT, strip_cr);
	pen->out.buf = mem_alloc(SHIM_LOG_OUT);
	pen->out.flush = keep;
	pen->out.arg = pen;
}

static void pen_close(struct pen *pen)
{
	shim_line_done(&pen->line);
	free(pen->out.buf);
	str_done(&pen->text);
}

static void feed(struct pen *pen, const char *data, size_t len)
{
	shim_line_feed(&pen->line, &pen->now, data, len, &pen->out);
}

static const char *written(struct pen *pen)
{
	keep(&pen->out);
	return pen->text.text ?: "";
}

static const char *stamp_of(int64_t second, long nsec)
{
	static struct shim_stamp s;

	shim_stamp_set(&s, &(struct timespec){ .tv_sec = second, .tv_nsec = nsec });
	return s.text;
}

static void times_are_rfc3339_with_nine_digits(void **state)
{
	(void)state;
	assert_string_equal(stamp_of(0, 0), "1970-01-01T00:00:00.000000000Z ");
	assert_string_equal(stamp_of(951782399, 999999999), "2000-02-28T23:59:59.999999999Z ");
	assert_string_equal(stamp_of(951782400, 1), "2000-02-29T00:00:00.000000001Z ");
	assert_string_equal(stamp_of(951868800, 1), "2000-03-01T00:00:00.000000001Z ");
	assert_string_equal(stamp_of(1767323045, 6), TIME);
	assert_string_equal(stamp_of(1767323045, 700000000), "2026-01-02T03:04:05.700000000Z ");
	assert_string_equal(stamp_of(4102444799, 0), "2099-12-31T23:59:59.000000000Z ");
	assert_string_equal(stamp_of(4107542400, 0), "2100-03-01T00:00:00.000000000Z ");
}

/* every day from 1970 to 2100 as the C library has it */
static void dates_agree_with_the_library(void **state)
{
	(void)state;
	for (time_t t = 3661; t < 4110000000; t += 86400) {
		char wanted[40];
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S.000000000Z ", &tm);
		assert_string_equal(stamp_of(t, 0), wanted);
	}
}

static void lines_become_records(void **state)
{
	struct pen pen;

	(void)state;
	pen_open(&pen, false);
	feed(&pen, "one\n\ntwo\n", 9);
	assert_string_equal(written(&pen), F "one\n" F "\n" F "two\n");
	pen_close(&pen);
}

static void a_line_in_pieces_is_one_record(void **state)
{
	struct pen pen;

	(void)state;
	pen_open(&pen, false);
	feed(&pen, "a", 1);
	feed(&pen, "bc", 2);
	assert_string_equal(written(&pen), "");
	feed(&pen, "d\ne", 3);
	assert_string_equal(written(&pen), F "abcd\n");
	feed(&pen, "\n", 1);
	assert_string_equal(written(&pen), F "abcd\n" F "e\n");
	pen_close(&pen);
}

static void the_end_without_a_newline_is_partial(void **state)
{
	struct pen pen;

	(void)state;
	pen_open(&pen, false);
	feed(&pen, "x\nrest", 6);
	shim_line_end(&pen.line, &pen.now, &pen.out);
	shim_line_end(&pen.line, &pen.now, &pen.out);
	assert_string_equal(written(&pen), F "x\n" P "rest\n");
	pen_close(&pen);
}

static void bytes_pass_as_they_are(void **state)
{
	static const char raw[] = "a\0b\xff\r\n";
	static const char wanted[] = F "a\0b\xff\r\n";
	struct pen pen;

	(void)state;
	pen_open(&pen, false);
	feed(&pen, raw, sizeof(raw) - 1);
	written(&pen);
	assert_int_equal(pen.text.len, sizeof(wanted) - 1);
	assert_memory_equal(pen.text.text, wanted, sizeof(wanted) - 1);
	pen_close(&pen);
}

static void a_terminals_carriage_return_is_dropped(void **state)
{
	struct pen pen;

	(void)state;
	pen_open(&pen, true);
	feed(&pen, "one\r\n\r\ntw\ro\r", 12);
	feed(&pen, "\nx\n", 3);
	assert_string_equal(written(&pen), F "one\n" F "\n" F "tw\ro\n" F "x\n");
	pen_close(&pen);
}

/* length of a line, how it is fed, and the content lengths of the records it must give */
static const struct split {
	size_t length;
	size_t piece;
	bool newline;
	const char *wanted;
} splits[] = {
	{ 16383, 65536, true, "F16383 " },
	{ 16384, 65536, true, "F16384 " },
	{ 16384, 65536, false, "P16384 " },
	{ 16384, 16384, true, "F16384 " },
	{ 16385, 65536, true, "P16384 F1 " },
	{ 16385, 16384, true, "P16384 F1 " },
	{ 16385, 1, true, "P16384 F1 " },
	{ 32768, 65536, true, "P16384 F16384 " },
	{ 32768, 1000, true, "P16384 F16384 " },
	{ 32769, 65536, true, "P16384 P16384 F1 " },
	{ 32769, 65536, false, "P16384 P16384 P1 " },
	{ 65536, 65536, true, "P16384 P16384 P16384 F16384 " },
	{ 300000, 65536, true,
	  "P16384 P16384 P16384 P16384 P16384 P16384 P16384 P16384 P16384 P16384 P16384 P16384 "
	  "P16384 P16384 P16384 P16384 P16384 P16384 F5088 " },
};

static void describe(struct str *shape, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		assert_non_null(newline);
		str_printf(shape, "%c%zu ", text[38], (size_t)(newline - text) - SHIM_LOG_HEAD);
		text = newline + 1;
	}
}

static void long_lines_are_split(void **state)
{
	auto_free char *line = mem_alloc(300001);

	(void)state;
	memset(line, 'x', 300000);
	for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		const struct split *s = &splits[i];
		size_t total = s->length + (s->newline ? 1 : 0);
		auto_str shape = { 0 };
		struct pen pen;

		line[s->length] = '\n';
		pen_open(&pen, false);
		for (size_t at = 0; at < total; at += s->piece)
			feed(&pen, line + at, total - at < s->piece ? total - at : s->piece);
		shim_line_end(&pen.line, &pen.now, &pen.out);
		written(&pen);
		line[s->length] = 'x';
		describe(&shape, pen.text.text, pen.text.len);
		assert_string_equal(shape.text, s->wanted);
		pen_close(&pen);
	}
}

static void many_short_lines_do_not_overflow(void **state)
{
	auto_free char *data = mem_alloc(65536);
	struct pen pen;

	(void)state;
	memset(data, '\n', 65536);
	pen_open(&pen, false);
	feed(&pen, data, 65536);
	written(&pen);
	assert_int_equal(pen.text.len, 65536 * (SHIM_LOG_HEAD + 1));
	pen_close(&pen);
}

/* What the records say, put together again: the stream as it was written. */
static void unformat(struct str *stream, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text + SHIM_LOG_HEAD, '\n', (size_t)(end - text));

		assert_non_null(newline);
		assert_memory_equal(text, TIME "stdout ", SHIM_LOG_HEAD - 2);
		assert_true(newline - text - SHIM_LOG_HEAD <= SHIM_LOG_LINE_MAX);
		str_add_mem(stream, text + SHIM_LOG_HEAD, (size_t)(newline - text) - SHIM_LOG_HEAD);
		if (text[SHIM_LOG_HEAD - 2] == 'F')
			str_add_char(stream, '\n');
		text = newline + 1;
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void any_bytes_in_any_pieces_come_back(void **state)
{
	auto_free char *data = mem_alloc(200000);
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t len = next_random(&seed) % 200000;
		uint32_t lines = 1 + next_random(&seed) % 30000;
		auto_str stream = { 0 };
		struct pen pen;

		for (size_t i = 0; i < len; i++)
			data[i] = next_random(&seed) % lines == 0 ? '\n' : (char)(seed >> 16);
		pen_open(&pen, false);
		for (size_t at = 0; at < len;) {
			size_t n = 1 + next_random(&seed) % 70000;

			n = n < len - at ? n : len - at;
			feed(&pen, data + at, n);
			at += n;
		}
		shim_line_end(&pen.line, &pen.now, &pen.out);
		written(&pen);
		unformat(&stream, pen.text.text, pen.text.len);
		assert_int_equal(stream.len, len);
		if (len > 0)
			assert_memory_equal(stream.text, data, len);
		pen_close(&pen);
	}
}

struct file {
	char dir[32];
	char path[64];
	struct shim_log log;
	struct shim_stamp now;
};

static void file_make(struct file *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->dir, "/tmp/berth-log.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/0.log", f->dir);
	shim_stamp_set(&f->now, &(struct timespec){ .tv_sec = 1767323045, .tv_nsec = 6 });
}

static void file_drop(struct file *f)
{
	shim_log_close(&f->log);
	unlink(f->path);
	rmdir(f->dir);
}

static char *file_text(const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err e = { 0 };
	char *text = NULL;

	assert_int_equal(fd_read_all(fd, 1 << 20, &text, NULL, &e), 0);
	return text;
}

static void a_torn_record_is_ended_first(void **state)
{
	auto_free char *text = NULL;
	struct err e = { 0 };
	struct file f;
	int fd;

	(void)state;
	file_make(&f);
	fd = open(f.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, "torn", 4), 4);
	close(fd);
	assert_int_equal(shim_log_open(&f.log, f.path, 0, &e), 0);
	assert_true(shim_log_write(&f.log, &f.now, F "a\n", SHIM_LOG_HEAD + 2));
	text = file_text(f.path);
	assert_string_equal(text, "torn\n" F "a\n");
	file_drop(&f);
}

static void a_limit_drops_and_the_next_file_says_so(void **state)
{
	auto_free char *text = NULL;
	auto_free char *after = NULL;
	struct err e = { 0 };
	struct file f;

	(void)state;
	file_make(&f);
	assert_int_equal(shim_log_open(&f.log, f.path, 90, &e), 0);
	assert_true(shim_log_write(&f.log, &f.now, F "a\n", SHIM_LOG_HEAD + 2));
	assert_false(shim_log_write(&f.log, &f.now, F "b\n" F "b\n", 2 * SHIM_LOG_HEAD + 4));
	/* it would fit, but what is lost would no longer be the end */
	assert_true(shim_log_write(&f.log, &f.now, F "c\n", SHIM_LOG_HEAD + 2));
	text = file_text(f.path);
	assert_string_equal(text, F "a\n");
	unlink(f.path);
	f.log.max = 1000;
	assert_int_equal(shim_log_reopen(&f.log, &e), 0);
	assert_true(shim_log_write(&f.log, &f.now, F "d\n", SHIM_LOG_HEAD + 2));
	after = file_text(f.path);
	assert_string_equal(after, TIME "stderr F berth: 126 bytes of log were lost: too much "
					"between two rotations\n" F "d\n");
	file_drop(&f);
}

static void a_full_disk_is_survived_and_told(void **state)
{
	struct err e = { 0 };
	struct file f;
	int full;

	(void)state;
	file_make(&f);
	assert_int_equal(shim_log_open(&f.log, f.path, 0, &e), 0);
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(full >= 0);
	close(f.log.fd);
	f.log.fd = full;
	assert_false(shim_log_write(&f.log, &f.now, F "a\n", SHIM_LOG_HEAD + 2));
	assert_int_equal(f.log.error, ENOSPC);
	assert_int_equal(f.log.lost, SHIM_LOG_HEAD + 2);
	assert_int_equal(shim_log_reopen(&f.log, &e), 0);
	assert_true(shim_log_write(&f.log, &f.now, F "b\n", SHIM_LOG_HEAD + 2));
	assert_int_equal(f.log.lost, 0);
	{
		auto_free char *text = file_text(f.path);

		assert_string_equal(text, TIME "stderr F berth: 42 bytes of log were lost: No "
					       "space left on device\n" F "b\n");
	}
	file_drop(&f);
}

static void what_is_no_regular_file_is_refused(void **state)
{
	struct err e = { 0 };
	struct file f;

	(void)state;
	file_make(&f);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	assert_true(shim_log_open(&f.log, f.path, 0, &e) < 0);
	unlink(f.path);
	assert_int_equal(symlink("/dev/null", f.path), 0);
	assert_int_equal(shim_log_open(&f.log, f.path, 0, &e), -ELOOP);
	assert_int_equal(shim_log_open(&f.log, "", 0, &e), 0);
	assert_true(shim_log_write(&f.log, &f.now, F "a\n", SHIM_LOG_HEAD + 2));
	file_drop(&f);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(times_are_rfc3339_with_nine_digits),
	cmocka_unit_test(dates_agree_with_the_library),
	cmocka_unit_test(lines_become_records),
	cmocka_unit_test(a_line_in_pieces_is_one_record),
	cmocka_unit_test(the_end_without_a_newline_is_partial),
	cmocka_unit_test(bytes_pass_as_they_are),
	cmocka_unit_test(a_terminals_carriage_return_is_dropped),
	cmocka_unit_test(long_lines_are_split),
	cmocka_unit_test(many_short_lines_do_not_overflow),
	cmocka_unit_test(any_bytes_in_any_pieces_come_back),
	cmocka_unit_test(a_torn_record_is_ended_first),
	cmocka_unit_test(a_limit_drops_and_the_next_file_says_so),
	cmocka_unit_test(a_full_disk_is_survived_and_told),
	cmocka_unit_test(what_is_no_regular_file_is_refused),
};

TEST_MAIN(tests)
