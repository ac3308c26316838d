/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/spawn.h"

/* the output of a shell command given descriptors 0 to 3 */
static char *shell(const char *command, int extra)
{
	const char *argv[] = { "sh", "-c", command, NULL };
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	char *text;
	int pidfd, status;
	int out[2];

	assert_int_equal(fd_pipe(out, 0, &e), 0);
	s.path = "/bin/sh";
	s.argv = argv;
	s.fds[1] = out[1];
	s.fds[3] = extra;
	s.nfds = extra >= 0 ? 4 : 3;
	assert_int_equal(spawn(&s, NULL, &pidfd, &e), 0);
	close(out[1]);
	assert_int_equal(fd_read_all(out[0], 65536, &text, NULL, &e), 0);
	close(out[0]);
	assert_int_equal(spawn_wait(pidfd, &status, &e), 0);
	close(pidfd);
	assert_int_equal(status, 0);
	return text;
}

static void a_child_has_its_descriptors_and_no_others(void **state)
{
	auto_free char *text = NULL;
	auto_fd int extra = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	/* a descriptor that somebody forgot to mark */
	int leaked = fcntl(extra, F_DUPFD, 3);

	(void)state;
	text = shell("for f in /proc/self/fd/[0-9]*; do echo ${f##*/}; done; readlink "
		     "/proc/$$/fd/3",
		     extra);
	assert_non_null(strstr(text, "3\n"));
	assert_non_null(strstr(text, "/dev/zero"));
	assert_null(strstr(text, "5\n"));
	close(leaked);
}

static void a_missing_program_is_named(void **state)
{
	const char *argv[] = { "x", NULL };
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };

	(void)state;
	s.path = "/no/such/program";
	s.argv = argv;
	assert_int_equal(spawn(&s, NULL, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "start /no/such/program: exec");
}

static void a_closed_folder_above_keeps_no_user_from_the_program(void **state)
{
	const char *argv[] = { "true", NULL };
	char top[] = "/tmp/berth-unit.XXXXXX";
	auto_free char *folder = NULL, *program = NULL, *make = NULL, *drop = NULL;
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	int pidfd, status;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(top));
	folder = mem_printf("%s/open", top);
	program = mem_printf("%s/true", folder);
	make = mem_printf("mkdir -m 755 %s && cp /bin/true %s", folder, program);
	drop = mem_printf("rm -r %s", top);
	assert_int_equal(system(make), 0);
	s.path = program;
	s.argv = argv;
	s.uid = s.gid = 65530;
	assert_int_equal(spawn(&s, NULL, &pidfd, &e), 0);
	assert_int_equal(spawn_wait(pidfd, &status, &e), 0);
	assert_int_equal(status, 0);
	close(pidfd);
	assert_int_equal(system(drop), 0);
}

static int worker(void *arg)
{
	return *(int *)arg;
}

static void a_worker_without_a_program_returns_its_code(void **state)
{
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	int code = 42, status, pidfd;

	(void)state;
	s.run = worker;
	s.arg = &code;
	assert_int_equal(spawn(&s, NULL, &pidfd, &e), 0);
	assert_int_equal(spawn_wait(pidfd, &status, &e), 0);
	assert_int_equal(status, 42);
	close(pidfd);
}

/* becomes the parent of a sleeper with another user, names it, and dies */
static int short_lived_parent(void *arg)
{
	const char *argv[] = { "sleep", "60", NULL };
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	pid_t pid = 0;

	(void)arg;
	s.path = "/bin/sleep";
	s.argv = argv;
	s.uid = s.gid = 65530;
	s.parent_death = SIGKILL;
	if (spawn(&s, &pid, NULL, &e) < 0 || write(1, &pid, sizeof(pid)) != sizeof(pid))
		return 1;
	return 0;
}

static void a_child_of_another_user_dies_with_its_parent(void **state)
{
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	int pidfd, status, out[2];
	struct pollfd p = { .events = POLLIN };
	pid_t sleeper;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(fd_pipe(out, 0, &e), 0);
	s.run = short_lived_parent;
	s.fds[1] = out[1];
	assert_int_equal(spawn(&s, NULL, &pidfd, &e), 0);
	assert_int_equal(read(out[0], &sleeper, sizeof(sleeper)), sizeof(sleeper));
	/* already gone is as good */
	p.fd = (int)syscall(SYS_pidfd_open, sleeper, 0);
	assert_int_equal(spawn_wait(pidfd, &status, &e), 0);
	assert_int_equal(status, 0);
	if (p.fd >= 0)
		assert_int_equal(poll(&p, 1, 5000), 1);
	close(p.fd);
	close(pidfd);
	close(out[0]);
	close(out[1]);
}

static void who_does_not_wait_finds_the_error_on_stderr(void **state)
{
	const char *argv[] = { "x", NULL };
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	auto_free char *text = NULL;
	int pidfd, status;
	int out[2];

	(void)state;
	assert_int_equal(fd_pipe(out, 0, &e), 0);
	s.path = "/no/such/program";
	s.argv = argv;
	s.fds[2] = out[1];
	s.early = 1;
	assert_int_equal(spawn(&s, NULL, &pidfd, &e), 0);
	close(out[1]);
	assert_int_equal(fd_read_all(out[0], 65536, &text, NULL, &e), 0);
	close(out[0]);
	assert_int_equal(spawn_wait(pidfd, &status, &e), 0);
	close(pidfd);
	assert_int_equal(status, 127);
	assert_string_equal(text, "<3>start /no/such/program: exec: No such file or directory\n");
}

static void a_child_that_is_ended_leaves_no_zombie(void **state)
{
	const char *argv[] = { "sleep", "1000", NULL };
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };
	pid_t pid;
	int pidfd;

	(void)state;
	s.path = "/bin/sleep";
	s.argv = argv;
	assert_int_equal(spawn(&s, &pid, &pidfd, &e), 0);
	spawn_end(pidfd);
	close(pidfd);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_child_has_its_descriptors_and_no_others),
	cmocka_unit_test(a_missing_program_is_named),
	cmocka_unit_test(a_closed_folder_above_keeps_no_user_from_the_program),
	cmocka_unit_test(who_does_not_wait_finds_the_error_on_stderr),
	cmocka_unit_test(a_worker_without_a_program_returns_its_code),
	cmocka_unit_test(a_child_that_is_ended_leaves_no_zombie),
	cmocka_unit_test(a_child_of_another_user_dies_with_its_parent),
};

TEST_MAIN(tests)
