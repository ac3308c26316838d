/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/shutdown.h"

#include <sys/reboot.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cgroups/stop.h"
#include "init/init.h"
#include "init/logsink.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mnt.h"

#define SHUTDOWN_LIMIT_MS (300 * 1000) /* of the whole way down */
#define PODS_MS 30000 /* from TERM to KILL, init.pods_stop_ms */
#define STRAYS_MS 2000
#define KILL_MS 2000 /* from KILL to an empty cgroup */
#define UNMOUNT_MS 30000
#define SYNC_MS 30000

static void shutdown_next(struct init *in)
{
	in->kept.shutdown.stage++;
	ev_timer_set(&in->shutdown_next, 0);
}

static void shutdown_on_job(void *arg, int status)
{
	(void)status;
	shutdown_next(arg);
}

static void shutdown_job(struct init *in, const char *name, int (*run)(void *), void *arg,
			 uint64_t limit_ms)
{
	struct spawn s = SPAWN_INIT;
	struct err e = { 0 };

	s.run = run;
	s.arg = arg;
	s.fds[2] = in->log_before;
	s.fds[3] = in->cgroup;
	s.nfds = 4;
	if (child_start(&in->jobs, name, &s, limit_ms, shutdown_on_job, in, &e) == 0)
		return;
	log_error("shutdown: %s", err_text(&e));
	shutdown_next(in);
}

/* The first row on which pods hang and those above it outlive the pods. */
static void stage_above(struct init *in)
{
	size_t floor = 1;

	for (size_t i = 1; i < in->services.count; i++) {
		if (in->services.row[i].spec.pods)
			floor = i + 1;
	}
	services_end(in, floor, shutdown_next);
}

/* Children's work; descriptor 3 is the node's cgroup root. */
static int shutdown_stop_pods(void *arg)
{
	static const char *const skip[] = { "berth", NULL };

	return cgroup_stop_below(3, skip, *(const int *)arg, KILL_MS, &(struct err){ 0 }) < 0;
}

/* Shims, the debug shell, and who else is left beside us, the log role and this job. */
static int shutdown_stop_strays(void *arg)
{
	static const char *const skip[] = { "init", "log", "jobs", NULL };
	auto_fd int dir = -1;

	(void)arg;
	return cgroup_open(3, "berth", &dir, &(struct err){ 0 }) < 0 ||
	       cgroup_stop_below(dir, skip, STRAYS_MS, KILL_MS, &(struct err){ 0 }) < 0;
}

static void stage_pods(struct init *in)
{
	uint64_t ms = PODS_MS;
	int limit;

	conf_u64(&in->conf, "init.pods_stop_ms", PODS_MS, &ms, &(struct err){ 0 });
	limit = ms < SHUTDOWN_LIMIT_MS ? (int)ms : PODS_MS;
	shutdown_job(in, "stop pods", shutdown_stop_pods, &limit, (uint64_t)limit + 2 * KILL_MS);
}

static void stage_services(struct init *in)
{
	services_end(in, 1, shutdown_next);
}

static void stage_strays(struct init *in)
{
	shutdown_job(in, "stop strays", shutdown_stop_strays, NULL, STRAYS_MS + 2 * KILL_MS);
}

static void stage_log(struct init *in)
{
	log_info("shutdown: nothing runs any more");
	logsink_end(in);
	services_end(in, 0, shutdown_next);
}

static int shutdown_unmount(void *arg)
{
	static const char *const keep[] = { "/proc", "/sys", "/dev", "/run", NULL };
	struct err e = { 0 };

	(void)arg;
	if (mnt_unmount_all(keep, &e) == 0)
		return 0;
	log_error("shutdown: %s", err_text(&e));
	return 1;
}

static void stage_unmount(struct init *in)
{
	shutdown_job(in, "unmount", shutdown_unmount, NULL, UNMOUNT_MS);
}

static int shutdown_sync(void *arg)
{
	(void)arg;
	sync();
	return 0;
}

static void stage_sync(struct init *in)
{
	shutdown_job(in, "sync", shutdown_sync, NULL, SYNC_MS);
}

/* reboot(2) in a pid namespace ends it, and its parent sees which one it was. */
static void stage_last(struct init *in)
{
	bool again = in->kept.shutdown.kind == SHUTDOWN_REBOOT;

	log_info("shutdown: %s", again ? "reboot" : "power off");
	if (in->mode == INIT_CONTAINER && !again)
		_exit(in->rescue);
	reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
	if (in->mode == INIT_CONTAINER)
		_exit(1);
	log_error("shutdown: the kernel refuses: %m");
	reboot(RB_HALT_SYSTEM);
}

static const struct stage {
	void (*begin)(struct init *in);
	unsigned int modes;
} stages[] = {
	{ stage_above, INIT_NODE },   { stage_pods, INIT_NODE }, { stage_services, INIT_NODE },
	{ stage_strays, INIT_NODE },  { stage_log, INIT_NODE },	 { stage_unmount, INIT_MACHINE },
	{ stage_sync, INIT_MACHINE }, { stage_last, ~0u },
};

static void shutdown_on_next(void *arg)
{
	struct init *in = arg;

	while (!(stages[in->kept.shutdown.stage].modes & in->mode))
		in->kept.shutdown.stage++;
	stages[in->kept.shutdown.stage].begin(in);
}

static void shutdown_on_limit(void *arg)
{
	log_error("shutdown: not done after %d s", SHUTDOWN_LIMIT_MS / 1000);
	stage_last(arg);
}

void shutdown_resume(struct init *in)
{
	uint64_t now = ev_now_ms(), due = in->kept.shutdown.limit_due_ms;

	ev_add_timer(&in->ev, &in->shutdown_next, shutdown_on_next, in);
	ev_timer_set(&in->shutdown_next, 0);
	ev_add_timer(&in->ev, &in->shutdown_limit, shutdown_on_limit, in);
	ev_timer_set(&in->shutdown_limit, due > now ? due - now : 0);
}

void shutdown_begin(struct init *in, enum shutdown_kind kind, const char *why)
{
	struct shutdown *s = &in->kept.shutdown;

	if (s->begun)
		return;
	log_warn("shutdown: %s: %s", kind == SHUTDOWN_REBOOT ? "reboot" : "power off", why);
	*s = (struct shutdown){ .begun = true,
				.kind = kind,
				.limit_due_ms = ev_now_ms() + SHUTDOWN_LIMIT_MS };
	kept_save(in);
	shutdown_resume(in);
}
