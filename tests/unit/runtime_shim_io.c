/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/str.h"
#include "runtime/shim_io.h"

#define LONG 20000 /* bytes: more than one record */

/* A container's streams with us as the container. */
struct stage {
	struct ev ev;
	struct shim_pump pump;
	struct shim_io io;
	char dir[32];
	char log[64];
	int mine[3]; /* its ends */
	int reopened; /* answers */
};

static void stage_open(struct stage *s, const struct shim_io_open *wanted)
{
	struct shim_io_open args = wanted ? *wanted : (struct shim_io_open){ 0 };
	struct err e = { 0 };

	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/berth-io.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->log, sizeof(s->log), "%s/0.log", s->dir);
	args.name = "c";
	args.log_path = s->log;
	assert_int_equal(ev_init(&s->ev, &e), 0);
	shim_pump_init(&s->pump, &s->ev);
	assert_int_equal(shim_io_open(&s->io, &s->pump, &args, &e), 0);
	for (int i = 0; i < 3; i++)
		s->mine[i] = s->io.child[i] >= 0 ? fcntl(s->io.child[i], F_DUPFD_CLOEXEC, 3) : -1;
	assert_int_equal(shim_io_started(&s->io, -1, &e), 0);
}

static void stage_close(struct stage *s)
{
	for (int i = 0; i < 3; i++)
		fd_close(&s->mine[i]);
	shim_io_finish(&s->io);
	shim_io_close(&s->io);
	shim_pump_done(&s->pump);
	assert_true(list_empty(&s->ev.timers));
	ev_done(&s->ev);
	unlink(s->log);
	rmdir(s->dir);
}

/* Rounds until nothing happens for a moment. */
static void settle(struct stage *s)
{
	struct err e = { 0 };

	for (int i = 0; i < 20; i++)
		assert_int_equal(ev_round(&s->ev, 2, &e), 0);
}

static void say(struct stage *s, int stream, const char *text)
{
	assert_int_equal(write(s->mine[stream], text, strlen(text)), strlen(text));
	settle(s);
}

/* The log's records without their times. */
static void assert_log(const char *path, const char *wanted)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = NULL;
	auto_str got = { 0 };
	struct err e = { 0 };
	char *rest;
	char *line;

	assert_int_equal(fd_read_all(fd, 1 << 20, &text, NULL, &e), 0);
	rest = text;
	while ((line = str_field(&rest, "\n"))) {
		if (line[0] != '\0')
			str_printf(&got, "%s\n", line + 31);
	}
	assert_string_equal(got.text ?: "", wanted);
}

static void assert_reads(int fd, const char *wanted)
{
	char got[4096] = { 0 };
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_int_equal(n, strlen(wanted));
	assert_string_equal(got, wanted);
}

static void attach(struct stage *s, int in[2], int out[2], int err_out[2])
{
	struct err e = { 0 };

	if (in)
		assert_int_equal(fd_pipe(in, 0, &e), 0);
	if (out)
		assert_int_equal(fd_pipe(out, 0, &e), 0);
	if (err_out)
		assert_int_equal(fd_pipe(err_out, 0, &e), 0);
	assert_int_equal(shim_io_attach(&s->io, in ? in[0] : -1, out ? out[1] : -1,
					err_out ? err_out[1] : -1, &e),
			 0);
}

static void output_goes_to_the_log_and_to_clients(void **state)
{
	int out[2], err_out[2];
	struct stage s;

	(void)state;
	stage_open(&s, NULL);
	say(&s, 1, "before\n");
	attach(&s, NULL, out, err_out);
	say(&s, 1, "one\n");
	say(&s, 2, "two\n");
	say(&s, 1, "rest");
	assert_reads(out[0], "one\nrest");
	assert_reads(err_out[0], "two\n");
	assert_log(s.log, "stdout F before\nstdout F one\nstderr F two\n");
	fd_close(&s.mine[1]);
	settle(&s);
	assert_log(s.log, "stdout F before\nstdout F one\nstderr F two\nstdout P rest\n");
	assert_reads(out[0], "");
	fd_close(&s.mine[2]);
	settle(&s);
	assert_int_equal(s.io.attached_count, 0);
	close(out[0]);
	close(err_out[0]);
	stage_close(&s);
}

static void a_client_that_goes_is_forgotten(void **state)
{
	int in[2], out[2], err_out[2];
	struct stage s;

	(void)state;
	stage_open(&s, &(struct shim_io_open){ .input = true });
	attach(&s, in, out, err_out);
	assert_int_equal(s.io.attached_count, 1);
	close(in[1]);
	close(out[0]);
	close(err_out[0]);
	settle(&s);
	assert_int_equal(s.io.attached_count, 0);
	say(&s, 1, "x\n");
	assert_log(s.log, "stdout F x\n");
	stage_close(&s);
}

static void input_passes_until_its_end(void **state)
{
	int a[2], b[2], out[2];
	struct stage s;

	(void)state;
	stage_open(&s, &(struct shim_io_open){ .input = true, .stdin_once = true });
	attach(&s, a, out, NULL);
	attach(&s, b, NULL, NULL);
	assert_int_equal(write(a[1], "ab", 2), 2);
	settle(&s);
	assert_int_equal(write(b[1], "cd", 2), 2);
	settle(&s);
	assert_reads(s.mine[0], "abcd");
	close(a[1]);
	settle(&s);
	assert_reads(s.mine[0], "");
	/* the other one's input leads nowhere any more */
	assert_int_equal(s.io.attached_count, 1);
	close(b[1]);
	close(out[0]);
	stage_close(&s);
}

static void input_nobody_wants_is_dropped(void **state)
{
	int in[2], out[2];
	struct stage s;

	(void)state;
	stage_open(&s, NULL);
	assert_int_equal(s.mine[0], -1);
	attach(&s, in, out, NULL);
	settle(&s);
	assert_int_equal(write(in[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(in[1]);
	close(out[0]);
	stage_close(&s);
}

static void a_client_that_stalls_is_dropped_after_a_while(void **state)
{
	auto_free char *chunk = mem_alloc(65536);
	int out[2], err_out[2];
	struct stage s;
	struct err e = { 0 };
	uint64_t begin = ev_now_ms();
	int written = 0;

	(void)state;
	memset(chunk, '\n', 65536);
	stage_open(&s, NULL);
	attach(&s, NULL, out, err_out);
	assert_int_equal(fd_set_nonblock(s.mine[1], true, &e), 0);
	while (s.io.attached_count > 0 && ev_now_ms() - begin < 10000) {
		if (write(s.mine[1], chunk, 65536) == 65536)
			written++;
		ev_round(&s.ev, 10, &e);
	}
	assert_int_equal(s.io.attached_count, 0);
	assert_in_range(ev_now_ms() - begin, SHIM_IO_HOLD_MS - 10, 5000);
	assert_true(written >= 4);
	fd_close(&s.mine[1]);
	settle(&s);
	assert_int_equal(s.io.sources[SHIM_STDOUT].fd, -1);
	{
		struct stat st;

		assert_int_equal(stat(s.log, &st), 0);
		assert_int_equal(st.st_size, (off_t)written * 65536 * (SHIM_LOG_HEAD + 1));
	}
	close(out[0]);
	close(err_out[0]);
	stage_close(&s);
}

static void a_client_that_is_slow_gets_all(void **state)
{
	auto_free char *chunk = mem_alloc(65536);
	struct err e = { 0 };
	struct stage s;
	size_t total = 0;
	int out[2];

	(void)state;
	memset(chunk, 'x', 65536);
	stage_open(&s, NULL);
	attach(&s, NULL, out, NULL);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(write(s.mine[1], chunk, 65536), 65536);
		ev_round(&s.ev, 10, &e);
		if (i >= 3)
			total += (size_t)read(out[0], chunk, 65536);
		ev_round(&s.ev, 10, &e);
	}
	fd_close(&s.mine[1]);
	assert_int_equal(fd_set_nonblock(out[0], true, &e), 0);
	for (int i = 0; i < 100; i++) {
		ssize_t n = read(out[0], chunk, 65536);

		if (n == 0)
			break;
		total += n > 0 ? (size_t)n : 0;
		ev_round(&s.ev, 2, &e);
	}
	assert_int_equal(total, 10 * 65536);
	close(out[0]);
	stage_close(&s);
}

static void on_reopened(void *arg, const struct err *e)
{
	struct stage *s = arg;

	assert_int_equal(e->code, 0);
	s->reopened++;
}

static void a_reopened_log_waits_for_the_end_of_a_long_line(void **state)
{
	auto_free char *line = mem_alloc(LONG + 1);
	char old[80];
	struct stat st;
	struct stage s;

	(void)state;
	memset(line, 'x', LONG);
	stage_open(&s, NULL);
	snprintf(old, sizeof(old), "%s.1", s.log);
	say(&s, 1, line);
	assert_int_equal(rename(s.log, old), 0);
	shim_io_reopen(&s.io, on_reopened, &s);
	assert_int_equal(s.reopened, 0);
	say(&s, 1, "\nnext\n");
	assert_int_equal(s.reopened, 1);
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_size, LONG + 5 + 3 * (SHIM_LOG_HEAD + 1) - 1);
	say(&s, 1, "later\n");
	assert_log(s.log, "stdout F later\n");
	/* and not for ever */
	say(&s, 1, line);
	shim_io_reopen(&s.io, on_reopened, &s);
	for (int i = 0; i < 10 && s.reopened == 1; i++)
		settle(&s);
	assert_int_equal(s.reopened, 2);
	unlink(old);
	stage_close(&s);
}

static void what_was_written_before_the_end_is_logged(void **state)
{
	struct stage s;

	(void)state;
	stage_open(&s, NULL);
	assert_int_equal(write(s.mine[1], "a\nb", 3), 3);
	/* somebody else still holds the other end */
	shim_io_finish(&s.io);
	assert_log(s.log, "stdout F a\n");
	say(&s, 1, "c\n");
	assert_log(s.log, "stdout F a\nstdout F bc\n");
	stage_close(&s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(output_goes_to_the_log_and_to_clients),
	cmocka_unit_test(a_client_that_goes_is_forgotten),
	cmocka_unit_test(input_passes_until_its_end),
	cmocka_unit_test(input_nobody_wants_is_dropped),
	cmocka_unit_test(a_client_that_stalls_is_dropped_after_a_while),
	cmocka_unit_test(a_client_that_is_slow_gets_all),
	cmocka_unit_test(a_reopened_log_waits_for_the_end_of_a_long_line),
	cmocka_unit_test(what_was_written_before_the_end_is_logged),
};

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
