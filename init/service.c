/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/service.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "init/init.h"
#include "init/logsink.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"
#include "lib/spawn.h"
#include "lib/str.h"

#define STABLE_MS 10000 /* ready for so long: the next end is a first one */
#define EMPTY_MS 2000 /* for the rest of a killed cgroup to go */
#define NOTIFY_BATCH 64 /* datagrams a round */

const char *service_phase_name(enum service_phase phase)
{
	static const char *const names[] = { "stopped", "waiting",  "starting",
					     "ready",	"stopping", "ended" };

	return names[phase];
}

/* limit_ms 0: the phase has no end of its own */
static void service_enter(struct service *s, enum service_phase phase, uint64_t limit_ms)
{
	s->state.phase = phase;
	s->state.since_ms = ev_now_ms();
	ev_timer_cancel(&s->timer);
	if (limit_ms)
		ev_timer_set(&s->timer, limit_ms);
	ev_mark(&s->in->services.work);
}

static void service_became_ready(struct service *s)
{
	char name[sizeof(s->in->kept.chart.note[0].name)];

	log_info("service %s: ready", s->spec.name);
	if (!s->state.was_ready) {
		snprintf(name, sizeof(name), "service %s", s->spec.name);
		chart_note(&s->in->kept.chart, name, s->in->kept.services_us, 0);
	}
	s->state.was_ready = true;
	service_enter(s, SERVICE_READY, s->spec.watchdog_ms);
}

/* A cgroup that was killed once kills who is born into it (6.14): each start gets a new one. */
static int service_birthplace(const struct service *s)
{
	unlinkat(s->cgroup, "main", AT_REMOVEDIR);
	mkdirat(s->cgroup, "main", 0755);
	return openat(s->cgroup, "main", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void service_run(struct service *s)
{
	struct spawn sp = SPAWN_INIT;
	auto_fd int cgroup = service_birthplace(s);
	struct err e = { 0 };
	char path[64];
	char score[16];

	sp.path = s->spec.argv[0];
	sp.argv = s->spec.argv;
	sp.envp = s->spec.env;
	sp.fds[1] = sp.fds[2] = s->state.pipe[1];
	sp.cgroup = cgroup;
	sp.uid = s->spec.uid;
	sp.gid = s->spec.gid;
	sp.session = 1;
	sp.early = 1; /* exec of a file on a dead disk never returns */
	sp.tty = s->spec.tty;
	if (s == s->in->services.row)
		logsink_prepare(s->in, &sp);
	s->state.text[0] = '\0';
	if (spawn(&sp, &s->state.pid, NULL, &e) < 0) {
		log_error("service %s: %s", s->spec.name, err_text(&e));
		s->state.pid = 0;
		s->state.want = str_eq(s->spec.restart, "always");
		service_enter(s, SERVICE_WAITING, service_backoff_ms(++s->state.fails));
		return;
	}
	s->state.starts++;
	kept_save(s->in);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", s->state.pid);
	snprintf(score, sizeof(score), "%d", s->spec.oom_score_adj);
	if (s->spec.oom_score_adj && path_write(AT_FDCWD, path, score, &e) < 0)
		log_warn("service %s: %s", s->spec.name, err_text(&e));
	log_info("service %s: started as process %d", s->spec.name, s->state.pid);
	if (str_eq(s->spec.type, "notify"))
		service_enter(s, SERVICE_STARTING, s->spec.ready_ms);
	else
		service_became_ready(s);
}

static void service_kill(struct service *s)
{
	struct err e = { 0 };

	if (cgroup_kill(s->cgroup, &e) < 0)
		log_error("service %s: %s", s->spec.name, err_text(&e));
}

static void service_stop(struct service *s)
{
	kill(s->state.pid, SIGTERM);
	service_enter(s, SERVICE_STOPPING, s->spec.stop_ms ?: 1);
}

static void service_on_timer(void *arg)
{
	static const char *const texts[] = {
		[SERVICE_STARTING] = "not ready in time: killed",
		[SERVICE_READY] = "no sign of life: killed",
		[SERVICE_STOPPING] = "still there after TERM: killed",
		[SERVICE_ENDED] = "a killed process hangs in the kernel",
	};
	struct service *s = arg;
	const char *text = texts[s->state.phase];

	if (text)
		log_warn("service %s: %s (%llu ms)", s->spec.name, text,
			 (unsigned long long)(ev_now_ms() - s->state.since_ms));
	if (text && s->state.phase != SERVICE_ENDED)
		service_kill(s);
	ev_mark(&s->in->services.work);
}

bool service_may_stop(const struct services *all, size_t row)
{
	for (size_t i = row + 1; i < all->count; i++) {
		if ((all->row[i].spec.after_rows & 1u << row) &&
		    all->row[i].state.phase != SERVICE_STOPPED)
			return false;
	}
	return true;
}

static bool service_may_start(const struct services *all, const struct service *s)
{
	for (size_t i = 0; i < all->count; i++) {
		if ((s->spec.after_rows & 1u << i) && !all->row[i].state.was_ready)
			return false;
	}
	return !ev_timer_armed(&s->timer);
}

/* Moves a row on as far as it can go by itself. */
static void service_look(struct services *all, struct service *s)
{
	bool populated = false;

	switch (s->state.phase) {
	case SERVICE_STOPPED:
		if (s->state.want)
			service_enter(s, SERVICE_WAITING, 0);
		break;
	case SERVICE_WAITING:
		if (!s->state.want)
			service_enter(s, SERVICE_STOPPED, 0);
		else if (service_may_start(all, s))
			service_run(s);
		break;
	case SERVICE_STARTING:
	case SERVICE_READY:
		if (!s->state.want && (!all->stopped || service_may_stop(all, s - all->row)))
			service_stop(s);
		break;
	case SERVICE_ENDED:
		if (ev_timer_armed(&s->timer))
			cgroup_populated(s->cgroup, &populated, &(struct err){ 0 });
		if (!populated)
			service_enter(s, s->state.want ? SERVICE_WAITING : SERVICE_STOPPED,
				      s->state.want ? service_backoff_ms(s->state.fails) : 0);
		break;
	case SERVICE_STOPPING:
		break;
	}
}

static void services_look(void *arg)
{
	struct init *in = arg;
	struct services *all = &in->services;
	void (*stopped)(struct init *) = all->stopped;
	bool up = false;

	for (size_t i = all->count; i-- > 0;) {
		service_look(all, &all->row[i]);
		up |= i >= all->floor && all->row[i].state.phase != SERVICE_STOPPED;
	}
	if (stopped && !up) {
		all->stopped = NULL;
		stopped(in);
	}
}

/* The process is gone; whatever it left in its cgroup goes too. */
static void service_on_end(struct service *s, int status)
{
	bool asked = s->state.phase == SERVICE_STOPPING;
	bool is_log = s == s->in->services.row; /* all others wait for it when their pipe is full */
	bool stable =
		s->state.phase == SERVICE_READY && ev_now_ms() - s->state.since_ms >= STABLE_MS;

	s->state.pid = 0;
	s->state.status = status;
	s->state.fails = asked ? 0 : stable || is_log ? 1 : s->state.fails + 1;
	if (!asked && str_eq(s->spec.restart, "no"))
		s->state.want = false;
	if (asked || (status == 0 && !s->state.want))
		log_info("service %s: ended with status %d", s->spec.name, status);
	else
		log_error("service %s: ended by itself with status %d", s->spec.name, status);
	/* died in the middle of a line? the next process begins a new one */
	fd_write_apart(s->state.pipe[1], "\n");
	service_kill(s);
	service_enter(s, SERVICE_ENDED, EMPTY_MS);
}

bool services_reaped(struct init *in, pid_t pid, int status)
{
	/* a stranger may have been the last one of a killed cgroup */
	ev_mark(&in->services.work);
	for (size_t i = 0; i < in->services.count; i++) {
		if (in->services.row[i].state.pid == pid) {
			service_on_end(&in->services.row[i], status);
			return true;
		}
	}
	return false;
}

void service_set(struct service *s, bool want, bool again)
{
	s->state.want = want;
	s->state.fails = 0;
	if (s->state.phase == SERVICE_WAITING)
		ev_timer_cancel(&s->timer);
	else if (again && s->state.pid && s->state.phase != SERVICE_STOPPING)
		service_stop(s);
	ev_mark(&s->in->services.work);
}

void services_end(struct init *in, size_t floor, void (*stopped)(struct init *in))
{
	if (in->services.work.kind == EV_UNUSED)
		return stopped(in); /* rescue: supervision never began */
	in->services.floor = floor;
	in->services.stopped = stopped;
	for (size_t i = floor; i < in->services.count; i++)
		service_set(&in->services.row[i], false, false);
	ev_mark(&in->services.work); /* there may be no such row */
}

static void services_on_notify(void *arg, uint32_t events)
{
	struct init *in = arg;
	struct notify n;
	struct err e = { 0 };

	(void)events;
	for (int i = 0; i < NOTIFY_BATCH && notify_receive(in->services.notify.fd, &n, &e) > 0;
	     i++) {
		struct service *s = in->services.row;

		while (s < in->services.row + in->services.count &&
		       (s->state.pid != n.pid || n.uid != 0))
			s++;
		if (s == in->services.row + in->services.count || n.pid <= 0)
			continue;
		if (n.has_status)
			memcpy(s->state.text, n.status, sizeof(n.status));
		if (n.ready && s->state.phase == SERVICE_STARTING)
			service_became_ready(s);
		if (n.alive && s->state.phase == SERVICE_READY && s->spec.watchdog_ms)
			ev_timer_set(&s->timer, s->spec.watchdog_ms);
	}
}

/* A row of the life before: its timer, and a process that was born when nobody could note it. */
static void service_resume(struct service *s)
{
	uint64_t now = ev_now_ms(), due = s->state.due_ms;
	bool populated = false;

	if (due)
		ev_timer_set(&s->timer, due > now ? due - now : 0);
	if (s->state.phase == SERVICE_STOPPED || s->state.phase == SERVICE_WAITING)
		cgroup_populated(s->cgroup, &populated, &(struct err){ 0 });
	if (populated) {
		service_kill(s);
		service_enter(s, SERVICE_ENDED, EMPTY_MS);
	}
}

int services_start(void *ctx, struct err *e)
{
	struct init *in = ctx;
	struct services *all = &in->services;
	struct kept *k = &in->kept;

	k->services_us = k->services_us ?: step_now_us();
	ev_add_work(&in->ev, &all->work, services_look, in);
	ev_mark(&all->work);
	for (size_t i = 0; i < all->count; i++) {
		ev_add_timer(&in->ev, &all->row[i].timer, service_on_timer, &all->row[i]);
		service_resume(&all->row[i]);
	}
	logsink_start(in);
	if (k->notify < 0 && notify_listen(INIT_NOTIFY_PATH, &k->notify, e) < 0)
		return -e->code;
	return ev_add_fd(&in->ev, &all->notify, k->notify, EPOLLIN, services_on_notify, in, e);
}
