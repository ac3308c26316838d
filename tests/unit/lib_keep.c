/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keep.h"
#include "lib/str.h"

/* The program falls and is this one again: what main does tells by its exit code. */
struct kept {
	int life, pipe;
	char text[100];
};

static char **own_argv;

static void __attribute__((noreturn)) fall(int life)
{
	/* not by raise(): code of the handler's own must do */
	if (life == 0)
		__builtin_trap();
	abort();
}

static int lives(char **argv)
{
	static struct kept kept;
	static struct keep keep;
	struct keep_fault fault = { 0 };
	struct err e = { 0 };
	int fds[2];
	char c;
	int r = keep_begin(&keep, argv, &kept, sizeof(kept), &fault, &e);

	if (r < 0 || (r == 0) != (fault.signo == 0))
		return 10;
	if (r == 0) {
		if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "x", 1) != 1)
			return 11;
		kept = (struct kept){ .life = 0, .pipe = fds[0], .text = "kept" };
		keep_limit(&keep, str_eq(argv[1], "loop") ? 3 : 0);
	} else {
		kept.life++;
	}
	keep_save(&keep, &kept, &kept.pipe, 1);
	if (kept.life < 2 || str_eq(argv[1], "loop"))
		fall(kept.life);
	if (fcntl(kept.pipe, F_GETFD) != FD_CLOEXEC || read(kept.pipe, &c, 1) != 1 || c != 'x')
		return 12;
	if (!str_eq(kept.text, "kept") || fault.count != 2 || fault.signo != SIGABRT)
		return 13;
	return 0;
}

/* As above, after the newer slot was damaged: the older one counts. */
static int damage(char **argv)
{
	static struct kept kept;
	static struct keep keep;
	struct keep_fault fault = { 0 };
	struct err e = { 0 };
	int r = keep_begin(&keep, argv, &kept, sizeof(kept), &fault, &e);

	if (r < 0)
		return 10;
	if (r == 0) {
		char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, KEEP_FD, 0);

		for (kept.life = 1; kept.life <= 2; kept.life++) {
			snprintf(kept.text, sizeof(kept.text), "number %d", kept.life);
			keep_save(&keep, &kept, &kept.pipe, 0);
		}
		*(char *)memmem(map, 65536, "number 2", 8) = 'N';
		fall(0);
	}
	return str_eq(kept.text, "number 1") ? 0 : 14;
}

static int run(const char *what)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", own_argv[0], what, (char *)NULL);
		_exit(20);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void state_and_descriptors_live_on(void **state)
{
	(void)state;
	assert_int_equal(run("lives"), 0);
}

static void a_loop_of_faults_ends(void **state)
{
	int status = run("loop");

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 128 + SIGABRT);
}

static void of_two_slots_the_whole_one_counts(void **state)
{
	(void)state;
	assert_int_equal(run("damage"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_and_descriptors_live_on),
		cmocka_unit_test(a_loop_of_faults_ends),
		cmocka_unit_test(of_two_slots_the_whole_one_counts),
	};

	own_argv = argv;
	if (argc > 1)
		return str_eq(argv[1], "damage") ? damage(argv) : lives(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
