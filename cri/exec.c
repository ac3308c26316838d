/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cri/bundle.h"
#include "cri/crid.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"

#define ANSWER_MS 60000 /* for the shim to say that it runs */
#define PROCESS_INLINE (MSG_BODY_MAX - 1024) /* bytes of a process object inside a message */
#define CONFIG_MAX (8u << 20) /* bytes of config.json */

struct exec {
	struct shimlink *link; /* outlives it: its end is our end */
	char id[ID_LEN + 1];
	const struct exec_owner *owner; /* NULL: dropped */
	void *arg;
	bool started;
	struct ev_source timer; /* from the hang-up to the kill */
};

static void exec_free(struct exec *x)
{
	ev_remove(&x->timer);
	free(x);
}

static void request_signal(struct exec *x, int signal)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "exec", x->id);
	json_out_int(&o, "signal", signal);
	json_out_end(&o);
	shimlink_request(x->link, SHIM_EXEC_KILL, o.s.text, NULL, 0, ANSWER_MS, NULL, NULL);
}

static void on_answer(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct exec *x = arg;
	const struct exec_owner *owner = x->owner;
	void *owner_arg = x->arg;

	(void)m;
	(void)body;
	if (!e->code) {
		x->started = true;
		if (owner)
			owner->started(owner_arg, NULL);
		return;
	}
	shimlink_unwatch_exec(x->link, x->id);
	if (e->code == ETIMEDOUT)
		request_signal(x, SIGKILL); /* it may have come to life meanwhile */
	exec_free(x);
	if (owner)
		owner->started(owner_arg, e);
}

static void on_end(void *arg, const struct json *body)
{
	struct exec *x = arg;
	const struct exec_owner *owner = x->owner;
	void *owner_arg = x->arg;
	const struct json *exit = json_get(body, "exit");
	bool timed_out = false;
	int code = -1;
	struct err e = { 0 };

	shimlink_forget(x->link, x);
	exec_free(x);
	if (!owner)
		return;
	if (!body || json_get_int(exit, "code", &code, &e) < 1) {
		err_set(&e, ECONNRESET, "the pod's shim is gone");
		owner->ended(owner_arg, -1, false, &e);
		return;
	}
	json_get_bool(body, "timed_out", &timed_out, &e);
	owner->ended(owner_arg, code, timed_out, NULL);
}

static void on_timer(void *arg)
{
	request_signal(arg, SIGKILL);
}

/* The process object, from the container's own in its bundle. */
static int make_process(struct ctr *ctr, char *const *args, size_t nargs, bool terminal, char **ret,
			struct err *e)
{
	auto_free char *path = ctr_path(ctr, "config.json");
	auto_free char *text = NULL;
	auto_json *config = NULL;
	size_t len = 0;

	if (path_read(AT_FDCWD, path, CONFIG_MAX, &text, &len, e) < 0 ||
	    json_parse(text, len, &config, e) < 0)
		return err_wrap(e, "container %s", ctr->id);
	return bundle_exec_process(config, args, nargs, terminal, ret, e);
}

/* process NULL: it goes apart. */
static char *request_body(struct exec *x, const char *ctr, const char *process, const int fds[3],
			  uint64_t timeout_ms)
{
	struct json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ctr", ctr);
	json_out_text(&o, "exec", x->id);
	json_out_bool(&o, "stdin", fds[0] >= 0);
	json_out_bool(&o, "stdout", fds[1] >= 0);
	json_out_bool(&o, "stderr", fds[2] >= 0);
	if (timeout_ms)
		json_out_uint(&o, "timeout_ms", timeout_ms);
	if (process)
		json_out_raw(&o, "process", process);
	json_out_end(&o);
	return json_out_take(&o);
}

/* A Kubernetes environment may be longer than a message: it goes as a file then. */
static int process_file(const char *process, int *ret_fd, struct err *e)
{
	auto_fd int fd = memfd_create("process", MFD_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "make a file for the process");
	if (fd_write_all(fd, process, strlen(process), e) < 0)
		return -e->code;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, errno, "rewind the file of the process");
	*ret_fd = fd_take(&fd);
	return 0;
}

int exec_begin(struct ctr *ctr, char *const *args, size_t nargs, bool terminal, const int fds[3],
	       uint64_t timeout_ms, const struct exec_owner *owner, void *arg, struct exec **ret,
	       struct err *e)
{
	auto_free char *process = NULL, *body = NULL;
	auto_free struct exec *x = mem_alloc(sizeof(*x));
	auto_fd int file = -1;
	int list[4];
	size_t n = 0;

	if (ctr->state != CTR_RUNNING)
		return err_set(e, ESRCH, "container %s is not running", ctr->id);
	if (make_process(ctr, args, nargs, terminal, &process, e) < 0 || id_new(x->id, e) < 0)
		return -e->code;
	x->link = &ctr->pod->shim;
	x->owner = owner;
	x->arg = arg;
	if (strlen(process) > PROCESS_INLINE && process_file(process, &file, e) < 0)
		return -e->code;
	body = request_body(x, ctr->id, file < 0 ? process : NULL, fds, timeout_ms);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			list[n++] = fds[i];
	if (file >= 0)
		list[n++] = file;
	ev_add_timer(&ctr->crid->ev, &x->timer, on_timer, x);
	shimlink_watch_exec(x->link, x->id, on_end, x);
	shimlink_request(x->link, SHIM_EXEC, body, list, n, ANSWER_MS, on_answer, x);
	*ret = mem_take(&x);
	return 0;
}

void exec_resize(struct exec *x, unsigned int width, unsigned int height)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "exec", x->id);
	json_out_uint(&o, "width", width);
	json_out_uint(&o, "height", height);
	json_out_end(&o);
	shimlink_request(x->link, SHIM_RESIZE, o.s.text, NULL, 0, ANSWER_MS, NULL, NULL);
}

void exec_drop(struct exec *x, uint64_t grace_ms)
{
	x->owner = NULL;
	if (grace_ms) {
		request_signal(x, SIGHUP);
		ev_timer_set(&x->timer, grace_ms);
	} else {
		request_signal(x, SIGKILL);
	}
}

int exec_shell_code(const struct err *e)
{
	/* "...: exec /no/such", or "...: exec: "such": executable file not found in $PATH" */
	if (!strstr(e->msg, ": exec ") && !strstr(e->msg, ": exec: "))
		return -1;
	switch (e->code) {
	case ENOENT:
		return 127;
	case EACCES:
	case EPERM:
	case ENOEXEC:
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return 126;
	}
	return -1;
}
