/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/spawn.h"
#include "lib/str.h"
#include "runtime/spec_int.h"

char *hooks_state_text(const struct hooks_state *s)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ociVersion", SPEC_VERSION);
	json_out_text(&o, "id", s->id);
	json_out_text(&o, "status", s->status);
	if (s->pid > 0)
		json_out_int(&o, "pid", s->pid);
	json_out_text(&o, "bundle", s->bundle);
	if (s->annotations)
		json_out_raw(&o, "annotations", s->annotations);
	json_out_end(&o);
	return json_out_take(&o);
}

/* 0 when it ended in time; its exit code or 128 + signal in *ret. */
static int hooks_wait(int pidfd, int timeout_s, int *ret, struct err *e)
{
	uint64_t end = ev_now_ms() + (uint64_t)timeout_s * 1000;
	int n;

	do {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		uint64_t now = ev_now_ms();

		n = poll(&p, 1, now >= end ? 0 : (int)(end - now));
	} while (n < 0 && errno == EINTR);
	/* one of a container may have become another user: it ends with the container */
	if (n <= 0 && pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0)
		return err_set(e, ETIMEDOUT, "not done in %d s", timeout_s);
	if (spawn_wait(pidfd, ret, e) < 0)
		return -e->code;
	if (n <= 0)
		return err_set(e, ETIMEDOUT, "not done in %d s", timeout_s);
	return 0;
}

static int hooks_fail(int status, int output, struct err *e)
{
	char text[120];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (status > 128)
		err_set(e, EIO, "killed by signal %d", status - 128);
	else
		err_set(e, EIO, "exit status %d", status);
	if (text[0]) {
		auto_free char *clean = str_escape(text, strlen(text), sizeof(text));
		struct err cause = *e;

		return err_set(e, EIO, "%s: %s", cause.msg, clean);
	}
	return -e->code;
}

static int hooks_run_one(const struct spec_hook *h, const char *state, const struct hooks_way *w,
			 struct err *e)
{
	const char *alone[] = { h->path, NULL };
	/* files in memory: neither side can make the other wait */
	auto_fd int input = memfd_create("state", MFD_CLOEXEC);
	auto_fd int output = memfd_create("output", MFD_CLOEXEC);
	auto_fd int pidfd = -1;
	struct spawn s = SPAWN_INIT;
	int status = 0;

	if (input < 0 || output < 0)
		return err_set(e, errno, "make a file in memory");
	if (fd_write_all(input, state, strlen(state), e) < 0)
		return -e->code;
	lseek(input, 0, SEEK_SET);
	s.path = h->path;
	s.argv = h->args && h->args[0] ? h->args : alone;
	s.envp = h->env ?: w->env ?: (const char *const *)environ;
	s.cwd = w->cwd;
	s.stay = !w->cwd;
	s.fds[0] = input;
	s.fds[1] = output;
	s.fds[2] = output;
	if (spawn(&s, NULL, &pidfd, e) < 0)
		return -e->code;
	if (hooks_wait(pidfd, h->timeout_s ?: HOOKS_TIMEOUT_S, &status, e) < 0)
		return -e->code;
	return status == 0 ? 0 : hooks_fail(status, output, e);
}

/* In the words of runc, which callers look for. */
static int hooks_wrap(const struct spec_hooks *h, enum spec_hook_kind kind, size_t i, struct err *e)
{
	return err_wrap(e, "error running %s hook #%zu: %s", spec_hooks_schema.rows[kind].key, i,
			h->rows[i].path);
}

int hooks_run(const struct spec_hooks hooks[SPEC_HOOK_KINDS], enum spec_hook_kind kind,
	      const struct hooks_state *s, const struct hooks_way *w, struct err *e)
{
	const struct spec_hooks *h = &hooks[kind];
	auto_free char *state = h->count > 0 ? hooks_state_text(s) : NULL;

	for (size_t i = 0; i < h->count; i++) {
		if (hooks_run_one(&h->rows[i], state, w, e) < 0)
			return hooks_wrap(h, kind, i, e);
	}
	return 0;
}

/* One that fails is told of, and keeps none of the others from being run. */
static int hooks_run_each(const struct spec_hooks hooks[SPEC_HOOK_KINDS], enum spec_hook_kind kind,
			  const struct hooks_state *s, const struct hooks_way *w, struct err *e)
{
	const struct spec_hooks *h = &hooks[kind];
	auto_free char *state = h->count > 0 ? hooks_state_text(s) : NULL;
	struct err first = { 0 };

	for (size_t i = 0; i < h->count; i++) {
		if (hooks_run_one(&h->rows[i], state, w, e) == 0)
			continue;
		hooks_wrap(h, kind, i, e);
		if (first.code)
			log_warn("%s: %s", s->id, err_text(e));
		else
			first = *e;
	}
	*e = first;
	return -e->code;
}

char *hooks_save(const struct spec *s)
{
	const struct json *hooks = json_get(s->json, "hooks");
	auto_json_out o = { 0 };

	if (s->hooks[SPEC_POSTSTART].count == 0 && s->hooks[SPEC_POSTSTOP].count == 0)
		return NULL;
	json_out_object(&o, NULL);
	if (s->hooks[SPEC_POSTSTART].count > 0)
		json_out_json(&o, "poststart", json_get(hooks, "poststart"));
	if (s->hooks[SPEC_POSTSTOP].count > 0)
		json_out_json(&o, "poststop", json_get(hooks, "poststop"));
	json_out_end(&o);
	return json_out_take(&o);
}

int hooks_run_saved(const char *saved, enum spec_hook_kind kind, const struct hooks_state *s,
		    struct err *e)
{
	auto_json *json = NULL;
	struct spec_hooks hooks[SPEC_HOOK_KINDS] = { 0 };
	struct hooks_way way = { .cwd = s->bundle };
	int r;

	if (!saved)
		return 0;
	if (kind == SPEC_POSTSTOP && !path_exists(AT_FDCWD, s->bundle))
		way.cwd = "/";
	r = json_parse(saved, strlen(saved), &json, e);
	if (r == 0)
		r = spec_hooks_read(json, hooks, e);
	if (r == 0 && kind == SPEC_POSTSTOP)
		r = hooks_run_each(hooks, kind, s, &way, e);
	else if (r == 0)
		r = hooks_run(hooks, kind, s, &way, e);
	spec_hooks_done(hooks);
	return r;
}
