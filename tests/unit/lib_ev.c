/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/msg.h"

struct seen {
	struct ev ev;
	struct ev_source a, b, work;
	int fds[2];
	char trace[32];
};

static void see(struct seen *s, char c)
{
	size_t n = strlen(s->trace);

	s->trace[n] = c;
	s->trace[n + 1] = '\0';
}

static void on_late(void *arg)
{
	struct seen *s = arg;

	see(s, 'l');
	ev_mark(&s->work);
}

static void on_early(void *arg)
{
	see(arg, 'e');
}

static void on_work(void *arg)
{
	struct seen *s = arg;

	see(s, 'w');
	ev_stop(&s->ev, 4);
}

static void timers_run_in_order_and_work_after_them(void **state)
{
	struct seen s = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ev_init(&s.ev, &e), 0);
	ev_add_timer(&s.ev, &s.a, on_late, &s);
	ev_add_timer(&s.ev, &s.b, on_early, &s);
	ev_add_work(&s.ev, &s.work, on_work, &s);
	ev_timer_set(&s.a, 20);
	ev_timer_set(&s.b, 1);
	assert_true(ev_timer_armed(&s.b));
	assert_int_equal(ev_run(&s.ev, &e), 4);
	assert_string_equal(s.trace, "elw");
	assert_false(ev_timer_armed(&s.b));
	ev_done(&s.ev);
}

static void on_removes_the_other(void *arg, uint32_t events)
{
	struct seen *s = arg;

	(void)events;
	see(s, 'r');
	ev_remove(&s->a);
	ev_remove(&s->b);
}

static void a_removed_source_is_not_called_in_the_same_round(void **state)
{
	struct seen s = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ev_init(&s.ev, &e), 0);
	assert_int_equal(fd_pipe(s.fds, 0, &e), 0);
	int second;
	assert_int_equal(fd_dup(s.fds[0], &second, &e), 0);
	assert_int_equal(write(s.fds[1], "xx", 2), 2);
	ev_add_fd(&s.ev, &s.a, s.fds[0], EPOLLIN, on_removes_the_other, &s, &e);
	ev_add_fd(&s.ev, &s.b, second, EPOLLIN, on_removes_the_other, &s, &e);
	assert_int_equal(ev_round(&s.ev, 1000, &e), 0);
	assert_int_equal(ev_round(&s.ev, 0, &e), 0);
	assert_string_equal(s.trace, "r");
	close(second);
	close(s.fds[0]);
	close(s.fds[1]);
	ev_done(&s.ev);
}

static void on_child(void *arg, int status)
{
	struct seen *s = arg;

	ev_stop(&s->ev, status);
}

static void a_child_is_reaped_with_its_code(void **state)
{
	struct seen s = { 0 };
	struct err e = { 0 };
	int pidfd;
	pid_t pid;

	(void)state;
	assert_int_equal(ev_init(&s.ev, &e), 0);
	pid = fork();
	if (pid == 0)
		_exit(7);
	assert_int_equal(fd_pidfd(pid, &pidfd, &e), 0);
	assert_int_equal(ev_add_child(&s.ev, &s.a, pidfd, on_child, &s, &e), 0);
	assert_int_equal(ev_run(&s.ev, &e), 7);
	assert_int_equal(s.a.kind, EV_UNUSED);
	ev_done(&s.ev);
}

static void messages_carry_their_body_and_descriptors(void **state)
{
	struct err e = { 0 };
	int socks[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
	struct msg *got = calloc(1, sizeof(*got));
	assert_int_equal(msg_send(socks[0], 103, 9, "{}", &socks[0], 1, &e), 0);
	assert_int_equal(msg_recv(socks[1], got, &e), 1);
	assert_int_equal(got->h.type, 103);
	assert_int_equal(got->h.id, 9);
	assert_string_equal(got->body, "{}");
	assert_int_equal(got->nfds, 1);
	msg_done(got);
	assert_int_equal(send(socks[0], "short", 5, 0), 5);
	assert_int_equal(msg_recv(socks[1], got, &e), -EPROTO);
	close(socks[0]);
	assert_int_equal(msg_recv(socks[1], got, &e), 0);
	close(socks[1]);
	free(got);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(timers_run_in_order_and_work_after_them),
	cmocka_unit_test(a_removed_source_is_not_called_in_the_same_round),
	cmocka_unit_test(a_child_is_reaped_with_its_code),
	cmocka_unit_test(messages_carry_their_body_and_descriptors),
};

TEST_MAIN(tests)
