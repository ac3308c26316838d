/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that look at pods and containers: pods, ps, inspect, stats, version, logs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/cri.h"
#include "ctl/output.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

#define FOLLOW_MS 1000 /* without a new line: does it still run, was its log rotated? */

static int verb_version(void *ctx, int argc, char **argv, struct err *e)
{
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	Cri__VersionRequest q = CRI__VERSION_REQUEST__INIT;
	auto_client *c = NULL;
	auto_cri Cri__VersionResponse *a = NULL;

	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	a = cri_call(c, CRI_RUNTIME, "Version", &q.base, &cri__version_response__descriptor,
		     CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (json)
		cri_print(&a->base);
	else
		printf("%s %s, CRI %s\n", a->runtime_name, a->runtime_version,
		       a->runtime_api_version);
	return 0;
}

static int verb_pods(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = { "POD", "NAME",    "NAMESPACE", "STATE",
					    "AGE", "ATTEMPT", NULL };
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	Cri__ListPodSandboxRequest q = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
	auto_client *c = NULL;
	auto_cri Cri__ListPodSandboxResponse *a = NULL;
	auto_table t;
	char id[CRI_SHORT_ID + 1], age[24];

	table_init(&t, head);
	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	a = cri_call(c, CRI_RUNTIME, "ListPodSandbox", &q.base,
		     &cri__list_pod_sandbox_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (json) {
		cri_print(&a->base);
		return 0;
	}
	for (size_t i = 0; i < a->n_items; i++) {
		const Cri__PodSandbox *p = a->items[i];

		cri_age(p->created_at, age);
		table_add(&t, cri_short(p->id, id));
		table_add(&t, p->metadata ? p->metadata->name : "-");
		table_add(&t, p->metadata ? p->metadata->namespace_ : "-");
		table_add(&t, p->state == CRI__POD_SANDBOX_STATE__SANDBOX_READY ? "ready"
										: "not ready");
		table_add(&t, age);
		table_printf(&t, "%u", p->metadata ? p->metadata->attempt : 0);
	}
	table_print(&t, stdout);
	return 0;
}

static const char *state_name(Cri__ContainerState state)
{
	switch (state) {
	case CRI__CONTAINER_STATE__CONTAINER_CREATED:
		return "created";
	case CRI__CONTAINER_STATE__CONTAINER_RUNNING:
		return "running";
	case CRI__CONTAINER_STATE__CONTAINER_EXITED:
		return "exited";
	case CRI__CONTAINER_STATE__CONTAINER_UNKNOWN:
	case _CRI__CONTAINER_STATE_IS_INT_SIZE:
		break;
	}
	return "unknown";
}

static void add_ctr(struct table *t, const Cri__Container *p)
{
	char id[CRI_SHORT_ID + 1], pod[CRI_SHORT_ID + 1], age[24];

	cri_age(p->created_at, age);
	table_add(t, cri_short(p->id, id));
	table_add(t, p->metadata ? p->metadata->name : "-");
	table_add(t, p->image ? p->image->image : "-");
	table_add(t, state_name(p->state));
	table_add(t, age);
	table_printf(t, "%u", p->metadata ? p->metadata->attempt : 0);
	table_add(t, cri_short(p->pod_sandbox_id, pod));
}

static int verb_ps(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = { "CONTAINER", "NAME",    "IMAGE", "STATE",
					    "AGE",	 "ATTEMPT", "POD",   NULL };
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	bool all = argc > 1 && str_eq(argv[1], "-a");
	Cri__ListContainersRequest q = CRI__LIST_CONTAINERS_REQUEST__INIT;
	auto_client *c = NULL;
	auto_cri Cri__ListContainersResponse *a = NULL;
	auto_table t;

	table_init(&t, head);
	if (argc > (all ? 2 : 1))
		return err_set(e, EINVAL, "usage: ps [-a] [--json]");
	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	a = cri_call(c, CRI_RUNTIME, "ListContainers", &q.base,
		     &cri__list_containers_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (json) {
		cri_print(&a->base);
		return 0;
	}
	for (size_t i = 0; i < a->n_containers; i++)
		if (all || a->containers[i]->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
			add_ctr(&t, a->containers[i]);
	table_print(&t, stdout);
	return 0;
}

/* inspect ------------------------------------------------------------------ */

static int inspect_container(struct client *c, char *id, struct err *e)
{
	Cri__ContainerStatusRequest q = CRI__CONTAINER_STATUS_REQUEST__INIT;
	auto_cri Cri__ContainerStatusResponse *a = NULL;

	q.container_id = id;
	q.verbose = true;
	a = cri_call(c, CRI_RUNTIME, "ContainerStatus", &q.base,
		     &cri__container_status_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	cri_print(&a->base);
	return 0;
}

static int inspect_pod(struct client *c, char *id, struct err *e)
{
	Cri__PodSandboxStatusRequest q = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
	auto_cri Cri__PodSandboxStatusResponse *a = NULL;

	q.pod_sandbox_id = id;
	q.verbose = true;
	a = cri_call(c, CRI_RUNTIME, "PodSandboxStatus", &q.base,
		     &cri__pod_sandbox_status_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	cri_print(&a->base);
	return 0;
}

static int inspect_image(struct client *c, char *name, struct err *e)
{
	Cri__ImageStatusRequest q = CRI__IMAGE_STATUS_REQUEST__INIT;
	Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
	auto_cri Cri__ImageStatusResponse *a = NULL;

	image.image = name;
	q.image = &image;
	q.verbose = true;
	a = cri_call(c, CRI_IMAGE, "ImageStatus", &q.base, &cri__image_status_response__descriptor,
		     CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (!a->image)
		return err_set(e, ENOENT, "no container, pod or image %.128s", name);
	cri_print(&a->base);
	return 0;
}

static int verb_inspect(void *ctx, int argc, char **argv, struct err *e)
{
	auto_client *c = NULL;
	auto_free char *id = NULL;
	enum cri_kind kind = CRI_NEITHER;

	cri_take_json(ctx, &argc, argv); /* it is JSON in any case */
	if (argc != 2)
		return err_set(e, EINVAL, "usage: inspect CONTAINER|POD|IMAGE");
	if (cri_open(ctx, &c, e) < 0)
		return -e->code;
	if (cri_is_id(argv[1]) && cri_find(c, argv[1], &kind, &id, e) < 0)
		return -e->code;
	switch (kind) {
	case CRI_CONTAINER:
		return inspect_container(c, id, e);
	case CRI_POD:
		return inspect_pod(c, id, e);
	case CRI_NEITHER:
		break;
	}
	return inspect_image(c, argv[1], e);
}

/* stats -------------------------------------------------------------------- */

static void add_stats(struct table *t, const Cri__ContainerStats *s)
{
	char id[CRI_SHORT_ID + 1], size[16];

	table_add(t, cri_short(s->attributes ? s->attributes->id : "", id));
	table_add(t,
		  s->attributes && s->attributes->metadata ? s->attributes->metadata->name : "-");
	if (s->cpu && s->cpu->usage_nano_cores)
		table_printf(t, "%.1f %%", (double)s->cpu->usage_nano_cores->value / 1e7);
	else
		table_add(t, "-");
	if (s->cpu && s->cpu->usage_core_nano_seconds)
		table_printf(t, "%.2f s", (double)s->cpu->usage_core_nano_seconds->value / 1e9);
	else
		table_add(t, "-");
	if (s->memory && s->memory->working_set_bytes) {
		cri_size(s->memory->working_set_bytes->value, size);
		table_add(t, size);
	} else {
		table_add(t, "-");
	}
}

static int verb_stats(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = {
		"CONTAINER", "NAME", "CPU", "CPU TIME", "MEMORY", NULL
	};
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	Cri__ListContainerStatsRequest q = CRI__LIST_CONTAINER_STATS_REQUEST__INIT;
	Cri__ContainerStatsFilter filter = CRI__CONTAINER_STATS_FILTER__INIT;
	auto_client *c = NULL;
	auto_free char *id = NULL;
	auto_cri Cri__ListContainerStatsResponse *a = NULL;
	auto_table t;

	table_init(&t, head);
	if (argc > 2)
		return err_set(e, EINVAL, "usage: stats [--json] [CONTAINER]");
	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	if (argc == 2) {
		if (cri_find_container(c, argv[1], &id, e) < 0)
			return -e->code;
		filter.id = id;
		q.filter = &filter;
	}
	a = cri_call(c, CRI_RUNTIME, "ListContainerStats", &q.base,
		     &cri__list_container_stats_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (json) {
		cri_print(&a->base);
		return 0;
	}
	for (size_t i = 0; i < a->n_stats; i++)
		add_stats(&t, a->stats[i]);
	table_print(&t, stdout);
	return 0;
}

/* logs --------------------------------------------------------------------- */

/* "TIME STREAM TAG TEXT\n": the text goes where the container wrote it; P has no newline. */
static void print_record(char *line, size_t len)
{
	char *end = line + len, *stream = memchr(line, ' ', len);
	char *tag = stream ? memchr(stream + 1, ' ', (size_t)(end - stream - 1)) : NULL;
	char *text = tag ? memchr(tag + 1, ' ', (size_t)(end - tag - 1)) : NULL;
	FILE *out = stream && str_starts(stream + 1, "stderr ") ? stderr : stdout;

	if (!text)
		return;
	fwrite(text + 1, 1, (size_t)(end - text - 1), out);
	if (tag[1] == 'F')
		fputc('\n', out);
}

/* Prints what is whole in the file from where it stands. */
static int print_new(FILE *in, char **line, size_t *room, struct err *e)
{
	ssize_t n;
	long begin = ftell(in);

	while ((n = getline(line, room, in)) > 0 && (*line)[n - 1] == '\n') {
		print_record(*line, (size_t)n - 1);
		begin = ftell(in);
	}
	if (ferror(in))
		return err_set(e, EIO, "read the log");
	clearerr(in);
	fseek(in, begin, SEEK_SET);
	fflush(stdout);
	fflush(stderr);
	return 0;
}

static int log_of(struct client *c, char *id, char **ret_path, bool *ret_running, struct err *e)
{
	Cri__ContainerStatusRequest q = CRI__CONTAINER_STATUS_REQUEST__INIT;
	auto_cri Cri__ContainerStatusResponse *a = NULL;

	q.container_id = id;
	a = cri_call(c, CRI_RUNTIME, "ContainerStatus", &q.base,
		     &cri__container_status_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (!a->status || !a->status->log_path[0])
		return err_set(e, ENODATA, "container %.64s keeps no log", id);
	mem_replace(ret_path, a->status->log_path);
	*ret_running = a->status->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING;
	return 0;
}

/* Goes on in the new file when path is another one than before. */
static int follow_rotation(const char *path, FILE **in, int watch, char **line, size_t *room,
			   struct err *e)
{
	struct stat now, old;

	if (stat(path, &now) < 0 || fstat(fileno(*in), &old) < 0 ||
	    (now.st_ino == old.st_ino && now.st_dev == old.st_dev))
		return 0;
	if (print_new(*in, line, room, e) < 0)
		return -e->code;
	*in = freopen(path, "re", *in);
	if (!*in)
		return err_set(e, errno, "open %s", path);
	inotify_add_watch(watch, path, IN_MODIFY);
	return 0;
}

/* Until the container ended and its log was read to the end. */
static int follow(struct client *c, char *id, FILE **in, struct err *e)
{
	auto_free char *line = NULL, *path = NULL;
	auto_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	size_t room = 0;
	bool running = true;

	if (watch < 0)
		return err_set(e, errno, "watch the log");
	if (log_of(c, id, &path, &running, e) < 0)
		return -e->code;
	inotify_add_watch(watch, path, IN_MODIFY);
	for (;;) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		bool was_running = running;
		char buf[4096];

		if (print_new(*in, &line, &room, e) < 0)
			return -e->code;
		if (!was_running)
			return 0;
		if (poll(&p, 1, FOLLOW_MS) > 0) {
			if (read(watch, buf, sizeof(buf)) < 0 && errno != EAGAIN)
				return err_set(e, errno, "watch the log");
			continue;
		}
		if (log_of(c, id, &path, &running, e) < 0 ||
		    follow_rotation(path, in, watch, &line, &room, e) < 0)
			return -e->code;
	}
}

static int verb_logs(void *ctx, int argc, char **argv, struct err *e)
{
	bool follows = argc == 3 && str_eq(argv[1], "-f"), running;
	auto_client *c = NULL;
	auto_free char *id = NULL, *path = NULL, *line = NULL;
	size_t room = 0;
	FILE *in;
	int r;

	if (argc != (follows ? 3 : 2))
		return err_set(e, EINVAL, "usage: logs [-f] CONTAINER");
	if (cri_open(ctx, &c, e) < 0 || cri_find_container(c, argv[argc - 1], &id, e) < 0 ||
	    log_of(c, id, &path, &running, e) < 0)
		return -e->code;
	in = fopen(path, "re");
	if (!in)
		return err_set(e, errno, "open %s", path);
	r = follows ? follow(c, id, &in, e) : print_new(in, &line, &room, e);
	if (in)
		fclose(in);
	return r;
}

const struct verb verbs_pod[] = {
	{ "pods", "[--json]", 0, 1, verb_pods, "the pods of this node" },
	{ "ps", "[-a] [--json]", 0, 2, verb_ps, "the running containers; -a: all" },
	{ "inspect", "CONTAINER|POD|IMAGE", 1, 2, verb_inspect, "all that is known, as JSON" },
	{ "stats", "[--json] [CONTAINER]", 0, 2, verb_stats, "what running containers use" },
	{ "logs", "[-f] CONTAINER", 1, 2, verb_logs, "a container's output; -f: follow it" },
	{ "version", "[--json]", 0, 1, verb_version, "of the CRI server" },
};
const size_t verbs_pod_count = sizeof(verbs_pod) / sizeof(verbs_pod[0]);
