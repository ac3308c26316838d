/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: one epoll a process, and nothing blocks it. Sources live in
 * their owner's object; the loop allocates nothing. A round waits, runs the
 * callbacks of what happened, then the marked work in the order it was marked.
 * Removing a source (from anywhere) makes all its pending events vanish.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "lib/err.h"
#include "lib/list.h"

struct ev;

enum ev_kind {
	EV_UNUSED,
	EV_FD,
	EV_CHILD,
	EV_SIGNAL,
	EV_TIMER,
	EV_WORK,
};

struct ev_source {
	enum ev_kind kind;
	struct ev *ev;
	int fd; /* the caller's for EV_FD and EV_CHILD, the loop's own for EV_SIGNAL */
	void *arg;
	union {
		void (*on_fd)(void *arg, uint32_t events);
		void (*on_child)(void *arg, int status);
		void (*on_signal)(void *arg, const struct signalfd_siginfo *info);
		void (*on_timer)(void *arg);
		void (*on_work)(void *arg);
	};
	struct list node; /* EV_TIMER: in order of due time; EV_WORK: in order of marking */
	uint64_t due_ms;
};

#define EV_BATCH 64
#define EV_WORK_MAX 4096 /* pieces of a round; the rest waits for the next one */

struct ev {
	int epoll;
	struct list timers;
	struct list work;
	struct epoll_event batch[EV_BATCH];
	int nbatch;
	bool stopped;
	int result;
};

int ev_init(struct ev *ev, struct err *e);
void ev_done(struct ev *ev);

/* fd stays the caller's: remove the source before closing it. events: EPOLLIN etc. (level
 * triggered) */
int ev_add_fd(struct ev *ev, struct ev_source *s, int fd, uint32_t events,
	      void (*on_fd)(void *arg, uint32_t events), void *arg, struct err *e);
int ev_set_events(struct ev_source *s, uint32_t events, struct err *e);

/*
 * Reaps the child of pidfd when it ended, closes the pidfd (owned by the
 * source from here) and removes the source before the callback runs.
 * status: the exit code, or 128 + signal.
 */
int ev_add_child(struct ev *ev, struct ev_source *s, int pidfd,
		 void (*on_child)(void *arg, int status), void *arg, struct err *e);

/* Blocks the signals of set and delivers them one by one. */
int ev_add_signals(struct ev *ev, struct ev_source *s, const sigset_t *set,
		   void (*on_signal)(void *arg, const struct signalfd_siginfo *info), void *arg,
		   struct err *e);

/* A timer at rest; ev_timer_set() arms it once. */
void ev_add_timer(struct ev *ev, struct ev_source *s, void (*on_timer)(void *arg), void *arg);
void ev_timer_set(struct ev_source *s, uint64_t delay_ms);
void ev_timer_cancel(struct ev_source *s);
bool ev_timer_armed(const struct ev_source *s);

/* Work runs at the end of a round in which (or before which) it was marked. */
void ev_add_work(struct ev *ev, struct ev_source *s, void (*on_work)(void *arg), void *arg);
void ev_mark(struct ev_source *s);

/* Harmless on an unused source. */
void ev_remove(struct ev_source *s);

/* One round; waits at most timeout_ms (-1: until something happens). */
int ev_round(struct ev *ev, int timeout_ms, struct err *e);
/* Rounds until ev_stop(); returns its result, or a negative errno. */
int ev_run(struct ev *ev, struct err *e);
void ev_stop(struct ev *ev, int result);

/* Milliseconds of CLOCK_BOOTTIME: suspended time counts, as kubelet's deadlines do. */
uint64_t ev_now_ms(void);
