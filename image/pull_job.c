/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The start of a pull's helpers: who runs as whom, and what berth-fetch is told. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "image/pull_state.h"
#include "image/report.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"

#define JOB_MAX (48u << 10) /* below a pipe's 64 KiB, so that writing it never blocks */

static bool is_loopback(const char *host)
{
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	auto_free char *bare = mem_strndup(host, len);

	return str_eq(bare, "localhost") || str_eq(bare, "[::1]") || str_starts(bare, "127.");
}

/* As Docker does: plain HTTP to this machine, HTTPS to all others. */
static char *registry_url(const char *host)
{
	if (str_eq(host, "docker.io"))
		return mem_strdup("https://registry-1.docker.io");
	return mem_printf("%s://%s", is_loopback(host) ? "http" : "https", host);
}

static void add_source(struct json_out *o, const char *url, bool origin)
{
	json_out_object(o, NULL);
	json_out_text(o, "url", url);
	json_out_bool(o, "origin", origin);
	json_out_end(o);
}

/* The source that had the manifest comes first, so that all of it is of one piece. */
static void add_sources(struct json_out *o, const struct pull *p)
{
	const struct pull_setup *setup = p->setup;
	auto_free char *origin = registry_url(p->ref.host);

	json_out_array(o, "sources");
	if (p->source)
		add_source(o, p->source, str_eq(p->source, origin));
	for (size_t i = 0; i < setup->nmirrors; i++) {
		const struct pull_mirror *m = &setup->mirrors[i];

		if ((str_eq(m->host, "*") || str_eq(m->host, p->ref.host)) &&
		    !(p->source && str_eq(p->source, m->url)))
			add_source(o, m->url, false);
	}
	if (!p->source || !str_eq(p->source, origin))
		add_source(o, origin, true);
	json_out_end(o);
}

char *pull_job(const struct pull *p, const struct pull_wish *wish)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	add_sources(&o, p);
	json_out_text(&o, "host", p->ref.host);
	json_out_text(&o, "path", p->ref.path);
	json_out_text(&o, "kind", wish->kind);
	json_out_text(&o, "ref", wish->ref);
	if (str_eq(wish->kind, "manifests"))
		json_out_text(&o, "accept", manifest_accept);
	if (wish->digest)
		json_out_text(&o, "digest", wish->digest);
	if (wish->has_size)
		json_out_uint(&o, "size", wish->size);
	json_out_uint(&o, "max", wish->max);
	json_out_uint(&o, "stall_ms", p->setup->stall_ms ?: PULL_STALL_MS);
	json_out_text(&o, "user", p->user);
	json_out_text(&o, "password", p->password);
	json_out_text(&o, "identity_token", p->identity_token);
	json_out_text(&o, "registry_token", p->registry_token);
	if (p->token) {
		json_out_text(&o, "token", p->token);
		json_out_text(&o, "token_source", p->source);
	}
	json_out_end(&o);
	return json_out_take(&o);
}

int pull_start_helper(struct pull *p, struct worker *w, struct spawn *s, const char *program,
		      const char *const *argv, void (*on_end)(void *arg), void *arg, struct err *e)
{
	auto_free char *path = mem_printf("%s/%s", p->setup->libexec, program);

	s->path = path;
	s->argv = argv;
	s->fds[2] = STDERR_FILENO;
	s->cgroup = p->cgroup;
	w->name = program;
	w->idle_ms = 2 * (p->setup->stall_ms ?: PULL_STALL_MS) + 60000;
	return worker_start(w, p->setup->ev, s, on_end, arg, e);
}

int pull_start_fetch(struct pull *p, struct worker *w, const struct pull_wish *wish, int out,
		     void (*on_end)(void *arg), void *arg, struct err *e)
{
	const char *const argv[] = { "berth-fetch", NULL };
	auto_free char *job = pull_job(p, wish);
	size_t len = strlen(job);
	struct spawn s = SPAWN_INIT;
	auto_fd int output = out;
	auto_fd int input = -1;
	int pipe_fds[2];
	int r;

	if (len > JOB_MAX)
		return err_set(e, E2BIG, "credentials of more than %u bytes", JOB_MAX);
	if (fd_pipe(pipe_fds, 0, e) < 0)
		return -e->code;
	input = pipe_fds[0];
	r = fd_write_all(pipe_fds[1], job, len, e);
	close(pipe_fds[1]);
	explicit_bzero(job, len);
	if (r < 0)
		return r;
	s.fds[0] = input;
	s.fds[1] = output;
	s.uid = p->setup->fetch_uid ?: PULL_FETCH_UID;
	s.gid = s.uid;
	return pull_start_helper(p, w, &s, "berth-fetch", argv, on_end, arg, e);
}
