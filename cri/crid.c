/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CRI daemon: start, loop, and the recovery that starting is. */
#include "cri/crid.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/ctr.h"
#include "cri/h2.h"
#include "cri/job.h"
#include "cri/method.h"
#include "cri/network.h"
#include "cri/pod.h"
#include "cri/stats.h"
#include "cri/stream_svc.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/notify.h"
#include "lib/path.h"
#include "lib/step.h"
#include "lib/str.h"

#define NOFILE 65536 /* two descriptors a pod, one a connection, and room */
#define MIRRORS_MAX 256
#define TRASH_MS 600000

int64_t crid_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *crid_why(const struct err *e)
{
	return e->code == EREMOTEIO ? e->msg : err_text(e);
}

void crid_loaded(struct crid *crid)
{
	if (crid->loaded)
		return;
	crid->loaded = true;
	ev_remove(&crid->load_timer);
	notify("READY=1");
	log_info("ready: %zu pods, %zu containers", crid->pods.count, crid->ctrs.count);
	while (!list_empty(&crid->held)) {
		struct call *call = list_entry(crid->held.next, struct call, held);

		list_remove(&call->held);
		call->stage = NULL;
		call->method->run(call);
	}
}

/* Objects that ended in this round; nobody's callback can reach them any more. */
static void on_bury(void *arg)
{
	struct crid *crid = arg;

	while (!list_empty(&crid->dead_ctrs))
		ctr_free(list_entry(crid->dead_ctrs.next, struct ctr, pod_node));
	while (!list_empty(&crid->dead_pods))
		pod_free(list_entry(crid->dead_pods.next, struct pod, dead_node));
}

/* The trash of containers -------------------------------------------------------- */

static void empty_trash(struct crid *crid);

/* The folder stays: more may be on its way into it. */
static int empty_main(void *arg, struct job_answer *ret, struct err *e)
{
	int fd = openat(JOB_FD, "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	(void)arg;
	(void)ret;
	while (dir && !e->code && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			path_remove_tree(fd, d->d_name, e);
	if (dir)
		closedir(dir);
	return -e->code;
}

static void on_emptied(void *arg, struct msg *m, const struct json *body, const struct err *e)
{
	struct crid *crid = arg;

	(void)m;
	(void)body;
	if (e->code)
		log_warn("%s", err_text(e)); /* the next one, or the next start, tries again */
	crid->emptying = false;
	if (crid->trash_again)
		empty_trash(crid);
}

static void empty_trash(struct crid *crid)
{
	struct job job = { .name = "empty the trash",
			   .run = empty_main,
			   .fds = { crid->active },
			   .nfds = 1,
			   .deadline_ms = TRASH_MS,
			   .on_end = on_emptied,
			   .arg = crid };

	crid->trash_again = crid->emptying;
	if (crid->emptying)
		return;
	crid->emptying = true;
	job_start(crid, &job);
}

int crid_trash(struct crid *crid, const char *id, struct err *e)
{
	auto_free char *to = mem_printf("trash/%s", id);

	if (renameat(crid->active, id, crid->active, to) == 0)
		empty_trash(crid);
	else if (errno != ENOENT)
		return err_set(e, errno, "move active/%s to the trash", id);
	return 0;
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct crid *crid = arg;

	log_info("ending on signal %u; pods go on", info->ssi_signo);
	ev_stop(&crid->ev, 0);
}

/* Start, step by step -------------------------------------------------------- */

static int start_conf(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	char name[256] = "";

	if (conf_load(CONF_PATH, &crid->conf, e) < 0)
		return -e->code;
	crid->libexec = conf_text(&crid->conf, "node.libexec", CRID_LIBEXEC);
	crid->cgroup_parent =
		mem_strdup(conf_text(&crid->conf, "cri.cgroup_parent", "/berth-pods"));
	if (gethostname(name, sizeof(name) - 1) < 0)
		return err_set(e, errno, "get the host's name");
	crid->hostname = mem_strdup(name);
	crid->started_at = crid_now_ns();
	return 0;
}

static int start_limits(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	struct rlimit want;

	if (getrlimit(RLIMIT_NOFILE, &crid->nofile) < 0)
		return err_set(e, errno, "read the limit of descriptors");
	want = crid->nofile;
	if (want.rlim_cur < NOFILE)
		want.rlim_cur = want.rlim_max < NOFILE ? want.rlim_max : NOFILE;
	if (setrlimit(RLIMIT_NOFILE, &want) < 0)
		log_warn("cannot raise the limit of descriptors: %s", strerror(errno));
	umask(022);
	signal(SIGPIPE, SIG_IGN); /* an exec's stdin may close at any time */
	return 0;
}

static int open_folder(const char *path, mode_t mode, int *ret_fd, struct err *e)
{
	if (path_mkdirs(path, mode, e) < 0)
		return -e->code;
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(e, errno, "open %s", path) : 0;
}

static int start_folders(void *ctx, struct err *e)
{
	struct crid *crid = ctx;

	if (open_folder(CRID_RUN, 0711, &crid->run, e) < 0 ||
	    open_folder(CRID_STATE "/records", 0700, &crid->records, e) < 0 ||
	    open_folder(CRID_STATE "/active", 0700, &crid->active, e) < 0)
		return -e->code;
	/* now: a full disk may not take it when it is needed */
	if (mkdirat(crid->active, "trash", 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make active/trash");
	if (path_mkdirs(CRID_RUN "/pods", 0711, e) < 0 ||
	    path_mkdirs(CRID_RUN "/ctrs", 0700, e) < 0)
		return -e->code;
	return 0;
}

static void cgroup_end(int root, const char *name)
{
	struct err e = { 0 };
	int fd;

	if (cgroup_open(root, name, &fd, &e) < 0)
		return;
	if (cgroup_kill(fd, &e) == 0)
		cgroup_wait_empty(fd, 1000, &e);
	close(fd);
}

/*
 * A cgroup that was killed once kills who is born into it (6.14), and PID 1
 * kills all of a service at its end: what is left of the last life is made anew.
 */
static void remove_old_cgroups(int service)
{
	int fd = openat(service, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		struct err e = { 0 };

		if (d->d_type != DT_DIR || d->d_name[0] == '.' || str_eq(d->d_name, "main"))
			continue;
		cgroup_end(service, d->d_name);
		if (cgroup_remove(service, d->d_name, &e) < 0)
			log_warn("%s", err_text(&e));
	}
	if (dir)
		closedir(dir);
}

static int start_cgroups(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	const char *rule = conf_text(&crid->conf, "cri.missing_controllers", "error");

	if (cgroup_open_root(CRID_CGROUP_ROOT, &crid->cgroup, e) < 0 ||
	    cgroup_create(crid->cgroup, "berth/shims", 0, &crid->cgroup_shims, NULL, e) < 0 ||
	    cgroup_create(crid->cgroup, "berth/crid", 0, &crid->cgroup_crid, NULL, e) < 0)
		return -e->code;
	remove_old_cgroups(crid->cgroup_crid);
	if (cgroup_create(crid->cgroup, "berth/crid/jobs", 0, &crid->cgroup_jobs, NULL, e) < 0 ||
	    cgroup_create(crid->cgroup, "berth/crid/net", 0, &crid->cgroup_net, NULL, e) < 0)
		return -e->code;
	if (!str_eq(rule, "error") && !str_eq(rule, "warn"))
		return err_set(e, EINVAL, "cri.missing_controllers: %s is neither error nor warn",
			       rule);
	if (bundle_host_probe(&crid->host, CRID_CGROUP_ROOT "/cgroup.controllers", e) < 0)
		return -e->code;
	crid->warn_missing_controllers = str_eq(rule, "warn");
	return 0;
}

static int start_store(void *ctx, struct err *e)
{
	struct crid *crid = ctx;

	return store_open(&crid->ev, CRID_STATE, &crid->store, e);
}

/* image.mirrors: HOST=URL, tried in the order given */
static int start_pull(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	size_t room = 0;

	crid->pull = (struct pull_setup){ .ev = &crid->ev,
					  .store = crid->store,
					  .libexec = crid->libexec };
	for (size_t i = 0; i < MIRRORS_MAX; i++) {
		const char *text = conf_nth(&crid->conf, "image.mirrors", i);
		const char *equals = text ? strchr(text, '=') : NULL;
		struct pull_mirror *m;

		if (!text)
			break;
		if (!equals)
			return err_set(e, EINVAL, "image.mirrors: %s is not HOST=URL", text);
		mem_grow(&crid->mirrors, &room, i + 1, sizeof(*m));
		m = &crid->mirrors[i];
		m->host = mem_strndup(text, (size_t)(equals - text));
		m->url = mem_strdup(equals + 1);
		crid->pull.nmirrors = i + 1;
	}
	crid->pull.mirrors = crid->mirrors;
	return 0;
}

static int start_streams(void *ctx, struct err *e)
{
	struct crid *crid = ctx;

	crid->samples = stats_samples_new(crid);
	return stream_svc_open(crid, e);
}

static int start_listen(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (ev_add_signals(&crid->ev, &crid->signals, &set, on_signal, crid, e) < 0)
		return -e->code;
	h2_init(crid->h2, &crid->ev, crid, method_find);
	return h2_listen(crid->h2, CRID_SOCKET, e);
}

static int start_records(void *ctx, struct err *e)
{
	struct crid *crid = ctx;

	(void)e;
	pod_load_all(crid);
	ctr_load_all(crid);
	return 0;
}

static int start_network(void *ctx, struct err *e)
{
	struct crid *crid = ctx;
	struct network_options options = { .conf = &crid->conf, .cgroup = crid->cgroup_net };
	auto_free const char **live = mem_array(crid->pods.count + 1, sizeof(*live));
	size_t n = 0;

	map_for_each(entry, &crid->pods) {
		const struct pod *pod = entry->value;

		if (pod->network_up)
			live[n++] = pod->id;
	}
	return network_start(&crid->ev, &options, live, n, &crid->network, e);
}

static int start_recovery(void *ctx, struct err *e)
{
	struct crid *crid = ctx;

	(void)e;
	pod_recover_all(crid);
	return 0;
}

static const struct step steps[] = {
	{ "read the configuration", start_conf, NULL },
	{ "set limits", start_limits, NULL },
	{ "open folders", start_folders, NULL },
	{ "make cgroups", start_cgroups, NULL },
	{ "open the image store", start_store, NULL },
	{ "prepare pulls", start_pull, NULL },
	{ "open the streaming server", start_streams, NULL },
	{ "listen", start_listen, NULL },
	{ "read the records", start_records, NULL },
	{ "start the network worker", start_network, NULL },
	{ "take up what is alive", start_recovery, NULL },
};

static void crid_init(struct crid *crid)
{
	*crid = (struct crid){
		.run = -1,
		.records = -1,
		.active = -1,
		.cgroup = -1,
		.cgroup_shims = -1,
		.cgroup_crid = -1,
		.cgroup_jobs = -1,
		.cgroup_net = -1,
	};
	crid->h2 = mem_alloc(sizeof(*crid->h2));
	list_init(&crid->held);
	list_init(&crid->jobs);
	list_init(&crid->dead_pods);
	list_init(&crid->dead_ctrs);
}

int crid_serve(struct err *e)
{
	auto_free struct crid *crid = mem_alloc(sizeof(*crid));

	crid_init(crid);
	if (ev_init(&crid->ev, e) < 0)
		return -e->code;
	ev_add_work(&crid->ev, &crid->bury, on_bury, crid);
	if (step_run(steps, sizeof(steps) / sizeof(steps[0]), crid, e) < 0)
		return -e->code;
	/* crash-only: the end frees nothing that the kernel does not free */
	return ev_run(&crid->ev, e);
}
