/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/ev.h"

#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"

uint64_t ev_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int ev_init(struct ev *ev, struct err *e)
{
	memset(ev, 0, sizeof(*ev));
	list_init(&ev->timers);
	list_init(&ev->work);
	ev->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ev->epoll < 0)
		return err_set(e, errno, "make epoll");
	return 0;
}

void ev_done(struct ev *ev)
{
	fd_close(&ev->epoll);
}

static int ev_watch(struct ev *ev, struct ev_source *s, uint32_t events, struct err *e)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (epoll_ctl(ev->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0) {
		s->kind = EV_UNUSED;
		return err_set(e, errno, "watch descriptor %d", s->fd);
	}
	return 0;
}

int ev_add_fd(struct ev *ev, struct ev_source *s, int fd, uint32_t events,
	      void (*on_fd)(void *arg, uint32_t events), void *arg, struct err *e)
{
	*s = (struct ev_source){ .kind = EV_FD, .ev = ev, .fd = fd, .arg = arg, .on_fd = on_fd };
	return ev_watch(ev, s, events, e);
}

int ev_set_events(struct ev_source *s, uint32_t events, struct err *e)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (epoll_ctl(s->ev->epoll, EPOLL_CTL_MOD, s->fd, &event) < 0)
		return err_set(e, errno, "watch descriptor %d", s->fd);
	return 0;
}

int ev_add_child(struct ev *ev, struct ev_source *s, int pidfd,
		 void (*on_child)(void *arg, int status), void *arg, struct err *e)
{
	*s = (struct ev_source){
		.kind = EV_CHILD, .ev = ev, .fd = pidfd, .arg = arg, .on_child = on_child
	};
	return ev_watch(ev, s, EPOLLIN, e);
}

int ev_add_signals(struct ev *ev, struct ev_source *s, const sigset_t *set,
		   void (*on_signal)(void *arg, const struct signalfd_siginfo *info), void *arg,
		   struct err *e)
{
	int fd;

	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return err_set(e, errno, "block signals");
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "make signalfd");
	*s = (struct ev_source){
		.kind = EV_SIGNAL, .ev = ev, .fd = fd, .arg = arg, .on_signal = on_signal
	};
	return ev_watch(ev, s, EPOLLIN, e);
}

void ev_add_timer(struct ev *ev, struct ev_source *s, void (*on_timer)(void *arg), void *arg)
{
	*s = (struct ev_source){
		.kind = EV_TIMER, .ev = ev, .fd = -1, .arg = arg, .on_timer = on_timer
	};
	list_init(&s->node);
}

void ev_timer_set(struct ev_source *s, uint64_t delay_ms)
{
	struct list *at = &s->ev->timers;

	list_remove(&s->node);
	s->due_ms = ev_now_ms() + delay_ms;
	/* from the end: most timers are set for later than those already there */
	while (at->prev != &s->ev->timers &&
	       list_entry(at->prev, struct ev_source, node)->due_ms > s->due_ms)
		at = at->prev;
	list_add_tail(at, &s->node);
}

void ev_timer_cancel(struct ev_source *s)
{
	if (s->kind == EV_TIMER)
		list_remove(&s->node);
}

bool ev_timer_armed(const struct ev_source *s)
{
	return s->kind == EV_TIMER && !list_empty(&s->node);
}

void ev_add_work(struct ev *ev, struct ev_source *s, void (*on_work)(void *arg), void *arg)
{
	*s = (struct ev_source){
		.kind = EV_WORK, .ev = ev, .fd = -1, .arg = arg, .on_work = on_work
	};
	list_init(&s->node);
}

void ev_mark(struct ev_source *s)
{
	if (list_empty(&s->node))
		list_add_tail(&s->ev->work, &s->node);
}

static void ev_forget(struct ev_source *s)
{
	struct ev *ev = s->ev;

	epoll_ctl(ev->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	for (int i = 0; i < ev->nbatch; i++) {
		if (ev->batch[i].data.ptr == s)
			ev->batch[i].data.ptr = NULL;
	}
}

void ev_remove(struct ev_source *s)
{
	switch (s->kind) {
	case EV_UNUSED:
		return;
	case EV_FD:
		ev_forget(s);
		break;
	case EV_CHILD:
	case EV_SIGNAL:
		ev_forget(s);
		fd_close(&s->fd);
		break;
	case EV_TIMER:
	case EV_WORK:
		list_remove(&s->node);
		break;
	}
	s->kind = EV_UNUSED;
}

static void ev_reap(struct ev_source *s)
{
	siginfo_t info = { 0 };
	int status, r = waitid(P_PIDFD, (id_t)s->fd, &info, WEXITED | WNOHANG);

	if (r < 0 ? errno == EINTR : info.si_pid == 0)
		return; /* the descriptor stays ready */
	status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	ev_remove(s);
	s->on_child(s->arg, status);
}

static void ev_read_signals(struct ev_source *s)
{
	struct signalfd_siginfo info;

	while (s->kind == EV_SIGNAL && read(s->fd, &info, sizeof(info)) == sizeof(info))
		s->on_signal(s->arg, &info);
}

static void ev_dispatch(struct ev_source *s, uint32_t events)
{
	switch (s->kind) {
	case EV_FD:
		s->on_fd(s->arg, events);
		break;
	case EV_CHILD:
		ev_reap(s);
		break;
	case EV_SIGNAL:
		ev_read_signals(s);
		break;
	case EV_TIMER:
	case EV_WORK:
	case EV_UNUSED:
		break;
	}
}

static int ev_wait_ms(struct ev *ev, int timeout_ms)
{
	uint64_t now;
	uint64_t left;

	if (!list_empty(&ev->work))
		return 0;
	if (list_empty(&ev->timers))
		return timeout_ms;
	now = ev_now_ms();
	left = list_entry(ev->timers.next, struct ev_source, node)->due_ms;
	left = left > now ? left - now : 0;
	if (left > INT_MAX)
		left = INT_MAX;
	return timeout_ms >= 0 && (uint64_t)timeout_ms < left ? timeout_ms : (int)left;
}

static void ev_run_timers(struct ev *ev)
{
	uint64_t now = ev_now_ms();

	while (!list_empty(&ev->timers)) {
		struct ev_source *s = list_entry(ev->timers.next, struct ev_source, node);

		if (s->due_ms > now)
			break;
		list_remove(&s->node);
		s->on_timer(s->arg);
	}
}

/* Work may mark and remove work, itself too; what never rests lets the loop go round. */
static void ev_run_work(struct ev *ev)
{
	for (int i = 0; i < EV_WORK_MAX && !list_empty(&ev->work); i++) {
		struct ev_source *s = list_entry(ev->work.next, struct ev_source, node);

		list_remove(&s->node);
		s->on_work(s->arg);
	}
}

int ev_round(struct ev *ev, int timeout_ms, struct err *e)
{
	int n = epoll_wait(ev->epoll, ev->batch, EV_BATCH, ev_wait_ms(ev, timeout_ms));

	if (n < 0 && errno != EINTR)
		return err_set(e, errno, "wait for events");
	ev->nbatch = n < 0 ? 0 : n;
	for (int i = 0; i < ev->nbatch; i++) {
		if (ev->batch[i].data.ptr)
			ev_dispatch(ev->batch[i].data.ptr, ev->batch[i].events);
	}
	ev->nbatch = 0;
	ev_run_timers(ev);
	ev_run_work(ev);
	return 0;
}

int ev_run(struct ev *ev, struct err *e)
{
	ev->stopped = false;
	while (!ev->stopped) {
		int r = ev_round(ev, -1, e);

		if (r < 0)
			return r;
	}
	return ev->result;
}

void ev_stop(struct ev *ev, int result)
{
	ev->stopped = true;
	ev->result = result;
}
