/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/job.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "init/init.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"

static void job_path(const struct init *in, const struct job *job, char path[static 64],
		     const char *file)
{
	snprintf(path, 64, "berth/jobs/%d%s", (int)(job - in->jobs), file);
}

static void job_finish(struct job *job, int status)
{
	job_done *done = job->done;

	ev_remove(&job->limit);
	job->done = NULL;
	if (done)
		done(job->in, job->arg, status);
}

static void job_on_limit(void *arg)
{
	struct job *job = arg;
	struct err e = { 0 };
	char path[64];

	log_warn("job %s: killed at its limit", job->name);
	job_path(job->in, job, path, "/cgroup.kill");
	if (job->in->cgroup < 0 || path_write(job->in->cgroup, path, "1", &e) < 0)
		kill(job->pid, SIGKILL);
	job_finish(job, -ETIMEDOUT);
}

int job_start(struct init *in, const char *name, struct spawn *s, uint64_t limit_ms, job_done *done,
	      void *arg, struct err *e)
{
	struct job *job = in->jobs;
	auto_fd int cgroup = -1;
	char path[64];

	while (job < in->jobs + JOBS_MAX && job->pid)
		job++;
	if (job == in->jobs + JOBS_MAX)
		return err_set(e, EBUSY, "job %s: %d jobs hang", name, JOBS_MAX);
	if (in->cgroup >= 0) {
		job_path(in, job, path, "");
		mkdirat(in->cgroup, path, 0755);
		cgroup = openat(in->cgroup, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	s->cgroup = cgroup;
	if (spawn(s, &job->pid, NULL, e) < 0) {
		job->pid = 0;
		return err_wrap(e, "job %s", name);
	}
	job->name = name;
	job->in = in;
	job->done = done;
	job->arg = arg;
	ev_add_timer(&in->ev, &job->limit, job_on_limit, job);
	ev_timer_set(&job->limit, limit_ms);
	return 0;
}

static void job_note_status(struct init *in, void *arg, int status)
{
	(void)in;
	*(int *)arg = status;
}

int job_run(struct init *in, const char *name, struct spawn *s, uint64_t limit_ms, struct err *e)
{
	int status = -EINPROGRESS;

	if (job_start(in, name, s, limit_ms, job_note_status, &status, e) < 0)
		return -e->code;
	while (status == -EINPROGRESS) {
		if (ev_round(&in->ev, -1, e) < 0)
			return -e->code;
	}
	if (status < 0)
		return err_set(e, -status, "job %s", name);
	if (status > 0)
		return err_set(e, EIO, "job %s: exit status %d", name, status);
	return 0;
}

bool job_reaped(struct init *in, pid_t pid, int status)
{
	for (struct job *job = in->jobs; job < in->jobs + JOBS_MAX; job++) {
		if (job->pid != pid)
			continue;
		job->pid = 0;
		job_finish(job, status);
		return true;
	}
	return false;
}
