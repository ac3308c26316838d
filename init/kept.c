/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/kept.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "init/init.h"
#include "lib/log.h"

#define REASON_PATH INIT_LOG_FOLDER "/last-fault"
#define JOBS_MS 5000 /* for the jobs of the life before to go */

void kept_begin(struct init *in, char **argv)
{
	struct kept *k = &in->kept;
	struct err e = { 0 };
	int r = keep_begin(&in->keep, argv, k, sizeof(*k), &in->fault, &e);
	int kmsg = r == 1 ? k->kmsg : -1;

	if (r < 0)
		log_error("%s", err_text(&e));
	in->keep.reason_path = REASON_PATH;
	in->keep.reboot = in->mode != INIT_CONTAINER;
	/* fell right after it had changed the root: this is the root's first life */
	if (r == 1 && k->mode == in->mode)
		return;
	memset(k, 0, sizeof(*k));
	memset(k->files, -1, sizeof(k->files));
	k->kmsg = kmsg;
	k->rings = k->notify = k->ctl = -1;
	k->mode = in->mode;
	if (in->mode == INIT_CONTAINER)
		k->chart.begin_us = step_now_us();
	keep_limit(&in->keep, FAULTS_A_MINUTE);
}

void kept_save(struct init *in)
{
	struct kept *k = &in->kept;
	int fds[4 + SERVICES_MAX * 3];
	size_t n = 0;

	for (size_t i = 0; i < in->services.count; i++) {
		struct service *s = &in->services.row[i];

		k->count = in->services.count;
		s->state.due_ms = ev_timer_armed(&s->timer) ? s->timer.due_ms : 0;
		k->rows[i] = s->state;
		fds[n++] = s->state.pipe[0];
		fds[n++] = s->state.pipe[1];
	}
	for (size_t i = 0; i < SERVICES_MAX; i++)
		fds[n++] = k->files[i];
	fds[n++] = k->kmsg;
	fds[n++] = k->rings;
	fds[n++] = k->notify;
	fds[n++] = k->ctl;
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		k->jobs[i] = in->jobs.child[i].pid;
	keep_save(&in->keep, k, fds, n);
}

/* Steps and stages begin again from their start: what is left of the last try must not meddle. */
void kept_end_jobs(struct init *in)
{
	struct err e = { 0 };

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		in->jobs.child[i].pid = in->kept.jobs[i];
		if (in->jobs.dir < 0 && in->kept.jobs[i])
			kill(in->kept.jobs[i], SIGKILL);
	}
	if (in->jobs.dir >= 0 &&
	    (cgroup_kill(in->jobs.dir, &e) < 0 || cgroup_wait_empty(in->jobs.dir, JOBS_MS, &e) < 0))
		log_error("jobs of the life before: %s", err_text(&e));
}

void kept_resume(struct init *in)
{
	keep_log_fault(&in->fault);
	if (!in->fault.signo)
		keep_log_reason(REASON_PATH);
	kept_save(in);
	if (in->kept.shutdown.begun)
		shutdown_resume(in);
}
