/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/worker.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/report.h"
#include "lib/fd.h"
#include "lib/mem.h"

void worker_done(struct worker *w)
{
	ev_remove(&w->report);
	ev_remove(&w->child);
	ev_remove(&w->deadline);
	fd_close(&w->report_fd);
	str_done(&w->lines);
	json_free(w->last);
	*w = (struct worker){ .report_fd = -1 };
}

void worker_kill(struct worker *w)
{
	w->killed = true;
	if (w->running && w->child.kind == EV_CHILD)
		syscall(SYS_pidfd_send_signal, w->child.fd, SIGKILL, NULL, 0);
}

int worker_exit(int r, const struct err *e)
{
	enum pull_failure failure = PULL_FAILED;

	if (r >= 0) {
		report_ok(NULL);
		return 0;
	}
	if (e->code == ENOSPC || e->code == EDQUOT)
		failure = PULL_NO_SPACE;
	report_failure(failure, e);
	return 1;
}

/* What it did not say itself is said for it. */
static void worker_judge(struct worker *w)
{
	if (w->timed_out) {
		w->failure = PULL_STALLED;
		err_set(&w->err, ETIMEDOUT, "%s made no progress for %u s", w->name,
			w->idle_ms / 1000);
	} else if (w->result) {
		if (w->status == 0)
			return;
		w->failure = PULL_FAILED;
		err_set(&w->err, EPROTO, "%s ended with %d", w->name, w->status);
	} else if (w->failure == PULL_OK) {
		w->failure = PULL_FAILED;
		if (w->status > 128)
			err_set(&w->err, EPROTO, "%s was ended by signal %d", w->name,
				w->status - 128);
		else
			err_set(&w->err, EPROTO, "%s ended with %d and said nothing", w->name,
				w->status);
	}
	w->result = NULL;
}

static void worker_check_end(struct worker *w)
{
	if (!w->running || !w->exited || w->report_fd >= 0)
		return;
	w->running = false;
	ev_remove(&w->deadline);
	worker_judge(w);
	w->on_end(w->arg);
}

static int take_line(struct worker *w, const char *line, size_t len, struct err *e)
{
	auto_json *root = NULL;
	const struct json *ok = NULL;
	const char *failure = NULL, *message = "";
	int code = EPROTO;

	if (json_parse(line, len, &root, e) < 0 || json_get_u64(root, "bytes", &w->bytes, e) < 0 ||
	    json_get_object(root, "ok", &ok, e) < 0 ||
	    json_get_text(root, "failure", &failure, e) < 0 ||
	    json_get_text(root, "message", &message, e) < 0 ||
	    json_get_int(root, "errno", &code, e) < 0)
		return -e->code;
	if (ok && !w->result && w->failure == PULL_OK) {
		w->result = ok;
		w->last = root;
		root = NULL;
	} else if (failure && w->failure == PULL_OK) {
		auto_free char *shown = mem_strdup(message);

		/* it was escaped there, but the one who wrote it is not trusted to */
		for (char *p = shown; *p; p++) {
			if (*p < ' ' || *p > '~')
				*p = '?';
		}
		w->failure = failure_from(failure);
		if (w->failure == PULL_OK)
			w->failure = PULL_FAILED;
		err_set(&w->err, code > 0 && code < 4096 ? code : EPROTO, "%s", shown);
	}
	return 0;
}

static int take_lines(struct worker *w, struct err *e)
{
	char *end;

	while (w->lines.len > 0 && (end = memchr(w->lines.text, '\n', w->lines.len))) {
		size_t len = (size_t)(end - w->lines.text);

		if (take_line(w, w->lines.text, len, e) < 0)
			return -e->code;
		str_drop(&w->lines, len + 1);
	}
	if (w->lines.len > REPORT_LINE_MAX)
		return err_set(e, EPROTO, "a line without an end");
	return 0;
}

static void on_report(void *arg, uint32_t events)
{
	struct worker *w = arg;
	struct err e = { 0 };
	char buf[4096];
	ssize_t n = read(w->report_fd, buf, sizeof(buf));

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		str_add_mem(&w->lines, buf, (size_t)n);
		if (w->idle_ms)
			ev_timer_set(&w->deadline, w->idle_ms);
		if (take_lines(w, &e) == 0)
			return;
		/* what talks nonsense is not waited for */
		worker_kill(w);
		w->failure = PULL_FAILED;
		err_set(&w->err, EPROTO, "%s reports nonsense", w->name);
	}
	ev_remove(&w->report);
	fd_close(&w->report_fd);
	worker_check_end(w);
}

static void on_child(void *arg, int status)
{
	struct worker *w = arg;

	w->exited = true;
	w->status = status;
	worker_check_end(w);
}

static void on_deadline(void *arg)
{
	struct worker *w = arg;

	w->timed_out = true;
	worker_kill(w);
}

int worker_start(struct worker *w, struct ev *ev, struct spawn *s, void (*on_end)(void *arg),
		 void *arg, struct err *e)
{
	const char *name = w->name;
	uint32_t idle_ms = w->idle_ms;
	int pidfd = -1;
	auto_fd int write_end = -1;
	int pipe_fds[2];

	worker_done(w);
	w->name = name;
	w->idle_ms = idle_ms;
	w->ev = ev;
	w->on_end = on_end;
	w->arg = arg;
	if (fd_pipe(pipe_fds, 0, e) < 0)
		return -e->code;
	w->report_fd = pipe_fds[0];
	write_end = pipe_fds[1];
	s->fds[REPORT_FD] = write_end;
	if (s->nfds <= REPORT_FD)
		s->nfds = REPORT_FD + 1;
	s->parent_death = SIGKILL;
	if (fd_set_nonblock(w->report_fd, true, e) < 0 || spawn(s, NULL, &pidfd, e) < 0) {
		worker_done(w);
		return err_wrap(e, "%s", name);
	}
	w->running = true;
	ev_add_timer(ev, &w->deadline, on_deadline, w);
	if (idle_ms)
		ev_timer_set(&w->deadline, idle_ms);
	if (ev_add_child(ev, &w->child, pidfd, on_child, w, e) < 0 ||
	    ev_add_fd(ev, &w->report, w->report_fd, EPOLLIN, on_report, w, e) < 0) {
		spawn_end(pidfd);
		if (w->child.kind == EV_UNUSED)
			close(pidfd);
		worker_done(w);
		return err_wrap(e, "%s", name);
	}
	return 0;
}
