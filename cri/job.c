/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Throwaway children; see job.h. */
#include "cri/job.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cri/crid.h"
#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proto.h"
#include "lib/spawn.h"

struct work {
	struct list node; /* in crid's jobs */
	char *name;
	job_end *on_end;
	void *arg;
	int sock;
	struct ev_source answer;
	struct ev_source child;
	struct ev_source timer;
	struct ev_source late; /* work: an error of the start, told after it */
	struct err err;
	bool told, reaped;
};

static void work_free(struct work *w)
{
	ev_remove(&w->answer);
	ev_remove(&w->child);
	ev_remove(&w->timer);
	ev_remove(&w->late);
	list_remove(&w->node);
	fd_close(&w->sock);
	free(w->name);
	free(w);
}

static void work_tell(struct work *w, struct msg *m, const struct json *body, struct err *e)
{
	w->told = true;
	ev_remove(&w->answer);
	ev_timer_cancel(&w->timer);
	if (e->code)
		err_wrap(e, "%s", w->name);
	if (w->on_end)
		w->on_end(w->arg, m, body, e);
	else if (e->code)
		log_warn("%s", err_text(e));
	if (w->reaped)
		work_free(w);
}

static void on_answer(void *arg, uint32_t events)
{
	struct work *w = arg;
	auto_msg m;
	auto_json *body = NULL;
	struct err e = { 0 };
	const char *text = NULL;
	int code = EIO;

	(void)events;
	m.nfds = 0;
	if (msg_recv(w->sock, &m, &e) <= 0) {
		if (!e.code)
			err_set(&e, EIO, "the child died");
	} else if (json_parse(m.body, m.h.length, &body, &e) == 0 && m.h.type != PROTO_OK) {
		json_get_int(body, "errno", &code, &e);
		json_get_text(body, "message", &text, &e);
		err_set(&e, code > 0 ? code : EIO, "%s", text ?: "failed");
	}
	work_tell(w, e.code ? NULL : &m, body, &e);
}

static void on_child(void *arg, int status)
{
	struct work *w = arg;

	(void)status;
	w->reaped = true;
	if (w->told)
		work_free(w); /* else the socket's end is on its way */
}

static void on_deadline(void *arg)
{
	struct work *w = arg;
	struct err e = { 0 };

	syscall(SYS_pidfd_send_signal, w->child.fd, SIGKILL, NULL, 0);
	err_set(&e, ETIMEDOUT, "no answer in time");
	work_tell(w, NULL, NULL, &e);
}

static void on_late(void *arg)
{
	struct work *w = arg;

	if (!w->told)
		work_tell(w, NULL, NULL, &w->err);
}

static int child_main(void *arg)
{
	const struct job *job = arg;
	struct job_answer answer = { 0 };
	auto_json_out out = { 0 };
	struct err e = { 0 };

	if (job->run(job->run_arg, &answer, &e) == 0) {
		msg_send(3, PROTO_OK, 0, answer.body ?: "{}", answer.fds, answer.nfds, &e);
		return 0;
	}
	json_out_object(&out, NULL);
	json_out_int(&out, "errno", e.code);
	json_out_text(&out, "message", e.msg);
	json_out_end(&out);
	msg_send(3, PROTO_ERROR, 0, out.s.text, NULL, 0, &e);
	return 1;
}

static int start(struct crid *crid, struct work *w, const struct job *job, struct err *e)
{
	struct spawn s = SPAWN_INIT;
	int pair[2];
	int pidfd;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "make a socket pair");
	w->sock = pair[0];
	s.run = child_main;
	s.arg = (void *)(uintptr_t)job;
	s.cgroup = crid->cgroup_jobs;
	s.parent_death = SIGKILL;
	s.fds[2] = STDERR_FILENO;
	s.fds[3] = pair[1];
	memcpy(s.fds + JOB_FD, job->fds, job->nfds * sizeof(int));
	s.nfds = JOB_FD + job->nfds;
	r = spawn(&s, NULL, &pidfd, e);
	close(pair[1]);
	if (r < 0)
		return r;
	if (ev_add_child(&crid->ev, &w->child, pidfd, on_child, w, e) < 0) {
		spawn_end(pidfd);
		close(pidfd);
		return -e->code;
	}
	if (ev_add_fd(&crid->ev, &w->answer, w->sock, EPOLLIN, on_answer, w, e) < 0) {
		spawn_end(pidfd);
		return -e->code;
	}
	ev_timer_set(&w->timer, job->deadline_ms);
	return 0;
}

void job_start(struct crid *crid, const struct job *job)
{
	struct work *w = mem_alloc(sizeof(*w));

	w->name = mem_strdup(job->name);
	w->on_end = job->on_end;
	w->arg = job->arg;
	w->sock = -1;
	ev_add_timer(&crid->ev, &w->timer, on_deadline, w);
	ev_add_work(&crid->ev, &w->late, on_late, w);
	list_add_tail(&crid->jobs, &w->node);
	if (start(crid, w, job, &w->err) < 0) {
		w->reaped = true;
		ev_mark(&w->late);
	}
}

void job_cancel(struct crid *crid, void *arg)
{
	list_for_each(w, &crid->jobs, struct work, node) {
		if (w->arg != arg || w->told || w->reaped)
			continue;
		syscall(SYS_pidfd_send_signal, w->child.fd, SIGKILL, NULL, 0);
		err_set(&w->err, ECANCELED, "given up on request");
		ev_mark(&w->late);
	}
}
