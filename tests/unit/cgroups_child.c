/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/child.h"

struct parent {
	struct ev ev;
	struct ev_source signals;
	struct children children;
	int strangers;
};

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct parent *p = arg;
	int status;
	pid_t pid;

	(void)info;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		p->strangers += !children_reaped(&p->children, pid, status);
	}
}

static void parent_init(struct parent *p)
{
	struct err e = { 0 };
	sigset_t set;

	*p = (struct parent){ .children = { .ev = &p->ev, .dir = -1 } };
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	assert_int_equal(ev_init(&p->ev, &e), 0);
	assert_int_equal(ev_add_signals(&p->ev, &p->signals, &set, on_signal, p, &e), 0);
}

static void parent_done(struct parent *p)
{
	ev_remove(&p->signals);
	ev_done(&p->ev);
}

static int exit_with(void *arg)
{
	return *(int *)arg;
}

static int hang(void *arg)
{
	(void)arg;
	return pause();
}

static void a_child_is_waited_for(void **state)
{
	struct spawn s = SPAWN_INIT;
	struct parent p;
	struct err e = { 0 };
	int code = 0;

	(void)state;
	parent_init(&p);
	s.run = exit_with;
	s.arg = &code;
	assert_int_equal(child_run(&p.children, "count", &s, 10000, &e), 0);
	code = 3;
	assert_int_equal(child_run(&p.children, "count", &s, 10000, &e), -EIO);
	assert_string_equal(e.msg, "count: exit status 3");
	assert_int_equal(p.strangers, 0);
	parent_done(&p);
}

static void a_child_has_a_limit(void **state)
{
	struct spawn s = SPAWN_INIT;
	struct parent p;
	struct err e = { 0 };

	(void)state;
	parent_init(&p);
	s.run = hang;
	assert_int_equal(child_run(&p.children, "hang", &s, 50, &e), -ETIMEDOUT);
	/* its place is free when it is reaped */
	while (p.children.child[0].pid)
		assert_int_equal(ev_round(&p.ev, 1000, &e), 0);
	parent_done(&p);
}

static void ended(void *arg, int status)
{
	*(int *)arg += status;
}

static void there_are_so_many_places(void **state)
{
	struct spawn s = SPAWN_INIT;
	struct parent p;
	struct err e = { 0 };
	int sum = 0;

	(void)state;
	parent_init(&p);
	s.run = hang;
	for (int i = 0; i < CHILDREN_MAX; i++)
		assert_int_equal(child_start(&p.children, "hang", &s, 10000, ended, &sum, &e), 0);
	assert_int_equal(child_start(&p.children, "hang", &s, 10000, ended, &sum, &e), -EBUSY);
	for (int i = 0; i < CHILDREN_MAX; i++)
		kill(p.children.child[i].pid, SIGKILL);
	while (sum < CHILDREN_MAX * (128 + SIGKILL))
		assert_int_equal(ev_round(&p.ev, 1000, &e), 0);
	assert_int_equal(child_start(&p.children, "hang", &s, 1, NULL, NULL, &e), 0);
	while (p.children.child[0].pid)
		assert_int_equal(ev_round(&p.ev, 1000, &e), 0);
	parent_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_waited_for),
		cmocka_unit_test(a_child_has_a_limit),
		cmocka_unit_test(there_are_so_many_places),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
