/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker gets one request at a time: first the configuration, then once
 * the list of living pods, then the jobs in order. Whatever it was doing when
 * it died stays first in the queue and is asked again.
 */
#include "cri/network.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/id.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/msg.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/spawn.h"
#include "lib/str.h"
#include "net/cidr.h"
#include "net/lease.h"
#include "net/podnet.h"
#include "net/podrange.h"

#define DEADLINE_MS 15000
#define TRIES_MAX 3
#define RETRY_MIN_MS 100 /* between two workers, or two tries to configure one */
#define RETRY_MAX_MS 5000

enum network_request {
	REQUEST_NONE,
	REQUEST_CONFIG,
	REQUEST_SYNC,
	REQUEST_JOB,
};

struct network_job {
	struct list node;
	uint32_t type; /* NET_ATTACH, NET_DETACH */
	char pod[ID_LEN + 1];
	char *body; /* owned */
	int netns; /* owned; -1: none */
	int tries;
	uint64_t expires_ms; /* however often the worker died */
	network_done_fn *done; /* NULL: nobody waits */
	void *arg;
};

struct network {
	struct ev *ev;
	struct ev_source child, socket, deadline, retry, expiry;
	const char *const *argv;
	int cgroup;
	uint64_t deadline_ms;
	int pods; /* folder of pods */
	char *pods_dir, *state_dir; /* owned */
	struct podrange range;
	bool masquerade;
	char **direct; /* owned, NULL at the end */
	char *sync_body; /* owned; NULL: done */
	pid_t pid; /* 0: no worker */
	int pidfd; /* to kill it; the loop reaps by a copy */
	int sock;
	uint64_t retry_ms;
	enum network_request asked;
	uint32_t id;
	bool configured, config_due;
	struct list jobs;
	struct err why; /* not ready, when code is set */
	struct msg in;
};

static void network_next(struct network *net);

static void texts_free(char **texts)
{
	for (char **t = texts; t && *t; t++)
		free(*t);
	free(texts);
}

static void texts_add(char ***texts, const char *text)
{
	size_t n = 0;

	while (*texts && (*texts)[n])
		n++;
	*texts = mem_realloc(*texts, (n + 2) * sizeof(**texts));
	(*texts)[n] = mem_strdup(text);
	(*texts)[n + 1] = NULL;
}

/* --- jobs ----------------------------------------------------------------- */

static void job_free(struct network_job *job)
{
	list_remove(&job->node);
	fd_close(&job->netns);
	free(job->body);
	free(job);
}

static void network_set_expiry(struct network *net)
{
	struct network_job *first = list_entry(net->jobs.next, struct network_job, node);
	uint64_t now = ev_now_ms();

	ev_timer_cancel(&net->expiry);
	if (!list_empty(&net->jobs))
		ev_timer_set(&net->expiry, first->expires_ms > now ? first->expires_ms - now : 0);
}

static struct network_job *job_add(struct network *net, uint32_t type, const char *pod, char *body,
				   network_done_fn *done, void *arg)
{
	struct network_job *job = mem_alloc(sizeof(*job));

	job->type = type;
	str_copy(job->pod, sizeof(job->pod), pod);
	job->body = body;
	job->netns = -1;
	job->expires_ms = ev_now_ms() + (TRIES_MAX + 1) * net->deadline_ms;
	job->done = done;
	job->arg = arg;
	list_add_tail(&net->jobs, &job->node);
	network_set_expiry(net);
	return job;
}

static char *job_body(const char *pod)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "pod", pod);
	json_out_end(&o);
	return json_out_take(&o);
}

/* The job is over; the callee may begin others. */
static void job_end(struct network *net, struct network_job *job,
		    const struct network_addresses *addresses, const struct err *e)
{
	network_done_fn *done = job->done;
	void *arg = job->arg;

	/* a try that was cut off may have made half of it */
	if (e && job->type == NET_ATTACH && job->tries > 0)
		job_add(net, NET_DETACH, job->pod, job_body(job->pod), NULL, NULL);
	if (e && !done)
		log_warn("pod %.12s: %s", job->pod, err_text(e));
	job_free(job);
	network_set_expiry(net);
	if (done)
		done(arg, addresses, e);
}

static void network_on_expiry(void *arg)
{
	struct network *net = arg;
	struct network_job *job = list_entry(net->jobs.next, struct network_job, node);
	struct err e = { 0 };

	if (list_empty(&net->jobs))
		return;
	if (net->why.code)
		err_set(&e, ETIMEDOUT, "pod network: %s", net->why.msg);
	else
		err_set(&e, ETIMEDOUT, "pod network: no answer in %d tries", job->tries + 1);
	if (net->asked == REQUEST_JOB) {
		/* nobody waits for this answer any more */
		net->asked = REQUEST_NONE;
		job->tries++;
		if (net->pid)
			syscall(SYS_pidfd_send_signal, net->pidfd, SIGKILL, NULL, 0);
	}
	job_end(net, job, NULL, &e);
}

/* --- the worker ----------------------------------------------------------- */

static void network_on_deadline(void *arg)
{
	struct network *net = arg;

	log_error("network worker %d: no answer in %llu ms, killed", net->pid,
		  (unsigned long long)net->deadline_ms);
	/* a worker in the kernel's hands dies when the kernel lets go; its end is an event too */
	syscall(SYS_pidfd_send_signal, net->pidfd, SIGKILL, NULL, 0);
}

static void network_back_off(struct network *net)
{
	ev_timer_set(&net->retry, net->retry_ms);
	net->retry_ms = net->retry_ms * 2 < RETRY_MAX_MS ? net->retry_ms * 2 : RETRY_MAX_MS;
}

static void network_on_child(void *arg, int status)
{
	struct network *net = arg;
	struct network_job *job = list_entry(net->jobs.next, struct network_job, node);
	enum network_request asked = net->asked;
	struct err e = { 0 };

	log_warn("network worker %d: ended with %d", net->pid, status);
	ev_remove(&net->socket);
	ev_timer_cancel(&net->deadline);
	fd_close(&net->sock);
	fd_close(&net->pidfd);
	net->pid = 0;
	net->configured = false;
	net->asked = REQUEST_NONE;
	err_set(&net->why, EAGAIN, "the network worker ended with %d", status);
	network_back_off(net);
	if (asked != REQUEST_JOB)
		return;
	if (++job->tries < TRIES_MAX)
		return;
	err_set(&e, EIO, "pod network: the worker died in %d tries", job->tries);
	job_end(net, job, NULL, &e);
}

static void network_on_socket(void *arg, uint32_t events);

static int network_spawn_child(struct network *net, int sock, struct err *e)
{
	static const char *const self[] = { "/proc/self/exe", "net", NULL };
	auto_free char *pods = mem_printf("BERTH_PODS_DIR=%s", net->pods_dir);
	auto_free char *level = mem_printf("BERTH_LOG=%s", getenv("BERTH_LOG") ?: "");
	const char *envp[] = { pods, getenv("BERTH_LOG") ? level : NULL, NULL };
	struct spawn s = SPAWN_INIT;
	int copy = -1;

	s.argv = net->argv ?: self;
	s.path = s.argv[0];
	s.envp = envp;
	s.fds[2] = STDERR_FILENO;
	s.fds[3] = sock;
	s.nfds = 4;
	s.cgroup = net->cgroup;
	s.parent_death = SIGKILL;
	if (spawn(&s, &net->pid, &net->pidfd, e) < 0)
		return -e->code;
	if (fd_dup(net->pidfd, &copy, e) < 0 ||
	    ev_add_child(net->ev, &net->child, copy, network_on_child, net, e) < 0) {
		fd_close(&copy);
		spawn_end(net->pidfd);
		fd_close(&net->pidfd);
		net->pid = 0;
		return -e->code;
	}
	return 0;
}

static int network_spawn(struct network *net, struct err *e)
{
	auto_fd int theirs = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "make socket pair");
	net->sock = pair[0];
	theirs = pair[1];
	if (fd_set_nonblock(net->sock, true, e) < 0 || network_spawn_child(net, theirs, e) < 0) {
		fd_close(&net->sock);
		return -e->code;
	}
	if (ev_add_fd(net->ev, &net->socket, net->sock, EPOLLIN, network_on_socket, net, e) < 0)
		return -e->code;
	return 0;
}

static void network_on_retry(void *arg)
{
	struct network *net = arg;
	struct err e = { 0 };

	if (!net->pid && network_spawn(net, &e) < 0) {
		err_wrap(&e, "network worker");
		log_error("%s", err_text(&e));
		net->why = e;
		network_back_off(net);
		return;
	}
	network_next(net);
}

/* --- requests ------------------------------------------------------------- */

static void put_texts(struct json_out *o, const char *key, char **texts)
{
	json_out_array(o, key);
	for (char **t = texts; t && *t; t++)
		json_out_text(o, NULL, *t);
	json_out_end(o);
}

static char *network_config_body(const struct network *net)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_array(&o, "pod_cidrs");
	for (size_t i = 0; i < net->range.count; i++) {
		char text[CIDR_TEXT_MAX];

		json_out_text(&o, NULL, cidr_text(&net->range.ranges[i], text));
	}
	json_out_end(&o);
	json_out_bool(&o, "masquerade", net->masquerade);
	put_texts(&o, "no_masquerade", net->direct);
	json_out_end(&o);
	return json_out_take(&o);
}

static void network_ask(struct network *net, enum network_request what, uint32_t type,
			const char *body, int fd)
{
	struct err e = { 0 };

	net->asked = what;
	ev_timer_set(&net->deadline, net->deadline_ms);
	/* a failed send is a dying worker: its end repeats the request, or the deadline does */
	if (msg_send(net->sock, type, ++net->id, body, &fd, fd >= 0, &e) < 0)
		log_warn("network worker %d: %s", net->pid, err_text(&e));
}

/* Asks for what is due, when the worker is free. */
static void network_next(struct network *net)
{
	struct network_job *job = list_entry(net->jobs.next, struct network_job, node);

	if (!net->pid || net->sock < 0 || net->asked != REQUEST_NONE)
		return;
	if (!net->configured || net->config_due) {
		auto_free char *body = network_config_body(net);

		/* a refused configuration is tried again by the timer */
		if (!net->config_due && ev_timer_armed(&net->retry))
			return;
		net->config_due = false;
		network_ask(net, REQUEST_CONFIG, NET_CONFIG, body, -1);
	} else if (net->sync_body) {
		network_ask(net, REQUEST_SYNC, NET_SYNC, net->sync_body, -1);
	} else if (!list_empty(&net->jobs)) {
		network_ask(net, REQUEST_JOB, job->type, job->body, job->netns);
	}
}

static int network_parse_addresses(const struct json *answer, struct network_addresses *ret,
				   struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(answer, "addresses", &list, e) < 0)
		return -e->code;
	json_each(item, list) {
		if (item->type != JSON_STRING || ret->count == 2 ||
		    !str_copy(ret->text[ret->count++], INET6_ADDRSTRLEN, item->text))
			return err_set(e, EPROTO, "the worker's addresses");
	}
	return 0;
}

/* The answer's error, or its addresses; 0 when the request succeeded. */
static int network_parse(const struct network *net, struct network_addresses *ret, struct err *e)
{
	auto_json *answer = NULL;
	const char *message = NULL;
	int code = 0;

	if (json_parse(net->in.body, net->in.h.length, &answer, e) < 0)
		return err_wrap(e, "the worker's answer");
	if (net->in.h.type == PROTO_OK)
		return network_parse_addresses(answer, ret, e);
	if (json_get_int(answer, "errno", &code, e) < 0 ||
	    json_need_text(answer, "message", &message, e) < 0)
		return err_wrap(e, "the worker's answer");
	return err_set(e, code > 0 ? code : EIO, "%s", message);
}

static void network_answered(struct network *net)
{
	struct network_job *job = list_entry(net->jobs.next, struct network_job, node);
	struct network_addresses addresses = { 0 };
	enum network_request asked = net->asked;
	struct err e = { 0 };
	int r = network_parse(net, &addresses, &e);

	ev_timer_cancel(&net->deadline);
	net->asked = REQUEST_NONE;
	switch (asked) {
	case REQUEST_CONFIG:
		net->configured = r == 0;
		if (r < 0) {
			err_wrap(&e, "configure the pod network");
			log_error("%s", err_text(&e));
			net->why = e;
			network_back_off(net);
		}
		break;
	case REQUEST_SYNC:
		/* what could not be removed is left for the next start; pods can run */
		if (r < 0)
			log_error("pod network: %s", err_text(&e));
		free(mem_take(&net->sync_body));
		break;
	case REQUEST_JOB:
		job_end(net, job, r == 0 ? &addresses : NULL, r == 0 ? NULL : &e);
		break;
	case REQUEST_NONE:
		log_warn("network worker %d: an answer to nothing", net->pid);
		break;
	}
	if (net->configured && !net->sync_body) {
		net->why = (struct err){ 0 };
		net->retry_ms = RETRY_MIN_MS;
	}
}

static void network_on_socket(void *arg, uint32_t events)
{
	struct network *net = arg;
	struct err e = { 0 };
	int r = msg_recv(net->sock, &net->in, &e);

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		/* it is ending, or beyond help; its end is the next event */
		ev_remove(&net->socket);
		syscall(SYS_pidfd_send_signal, net->pidfd, SIGKILL, NULL, 0);
		return;
	}
	msg_done(&net->in);
	if (net->in.h.id == net->id)
		network_answered(net);
	network_next(net);
}

/* --- settings ------------------------------------------------------------- */

static int network_read_conf(struct network *net, const struct conf *conf, struct err *e)
{
	const char *text;

	for (size_t i = 0; (text = conf_nth(conf, "net.no_masquerade", i)); i++) {
		struct cidr c;

		if (cidr_parse(text, &c, e) < 0)
			return err_wrap(e, "net.no_masquerade");
		texts_add(&net->direct, text);
	}
	if (podrange_load(conf, net->state_dir, &net->range, e) < 0)
		return -e->code;
	return conf_bool(conf, "net.masquerade", true, &net->masquerade, e);
}

int network_set_pod_cidr(struct network *net, const char *cidrs, struct err *e)
{
	struct podrange range;

	if (podrange_parse(cidrs, &range, e) < 0)
		return -e->code;
	if (range.count == 0 || podrange_equal(&range, &net->range))
		return 0;
	if (net->range.fixed) {
		log_info("pod range %s is not used: net.pod_cidrs is set", cidrs);
		return 0;
	}
	net->range = range;
	net->config_due = true;
	network_next(net);
	return podrange_save(&range, net->state_dir, e);
}

/* --- the calls ------------------------------------------------------------ */

static char *network_sync_body(const char *const *pods, size_t npods)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_array(&o, "pods");
	for (size_t i = 0; i < npods; i++)
		json_out_text(&o, NULL, pods[i]);
	json_out_end(&o);
	json_out_end(&o);
	return json_out_take(&o);
}

int network_start(struct ev *ev, const struct network_options *o, const char *const *pods,
		  size_t npods, struct network **ret, struct err *e)
{
	struct network *net = mem_alloc(sizeof(*net));

	net->ev = ev;
	net->argv = o->argv;
	net->cgroup = o->cgroup;
	net->deadline_ms = o->deadline_ms ?: DEADLINE_MS;
	net->pods_dir = mem_strdup(o->pods_dir ?: PODNET_DIR);
	net->state_dir = mem_strdup(o->state_dir ?: PODRANGE_STATE);
	net->retry_ms = RETRY_MIN_MS;
	net->pidfd = net->sock = net->pods = -1;
	list_init(&net->jobs);
	ev_add_timer(ev, &net->deadline, network_on_deadline, net);
	ev_add_timer(ev, &net->retry, network_on_retry, net);
	ev_add_timer(ev, &net->expiry, network_on_expiry, net);
	err_set(&net->why, EAGAIN, "the network worker is starting");
	net->sync_body = network_sync_body(pods, npods);
	if (path_mkdirs(net->pods_dir, 0700, e) < 0)
		goto undo;
	net->pods = open(net->pods_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (net->pods < 0) {
		err_set(e, errno, "open %s", net->pods_dir);
		goto undo;
	}
	if (network_read_conf(net, o->conf, e) < 0)
		goto undo;
	ev_timer_set(&net->retry, 0);
	*ret = net;
	return 0;
undo:
	network_free(net);
	return -e->code;
}

void network_free(struct network *net)
{
	if (!net)
		return;
	if (net->pid) {
		struct err ignored = { 0 };
		int status;

		ev_remove(&net->child);
		syscall(SYS_pidfd_send_signal, net->pidfd, SIGKILL, NULL, 0);
		spawn_wait(net->pidfd, &status, &ignored);
	}
	ev_remove(&net->socket);
	ev_remove(&net->deadline);
	ev_remove(&net->retry);
	ev_remove(&net->expiry);
	list_for_each(job, &net->jobs, struct network_job, node)
		job_free(job);
	fd_close(&net->pidfd);
	fd_close(&net->sock);
	fd_close(&net->pods);
	texts_free(net->direct);
	free(net->sync_body);
	free(net->pods_dir);
	free(net->state_dir);
	free(net);
}

static char *network_attach_body(const struct network_pod *pod)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "pod", pod->id);
	json_out_text(&o, "prefer", pod->prefer6 ? "ipv6" : "ipv4");
	json_out_array(&o, "ports");
	for (size_t i = 0; i < pod->nports; i++) {
		const struct network_port *p = &pod->ports[i];

		json_out_object(&o, NULL);
		json_out_text(&o, "protocol", p->protocol);
		json_out_text(&o, "host_ip", p->host_ip ?: "");
		json_out_uint(&o, "host_port", p->host_port);
		json_out_uint(&o, "container_port", p->container_port);
		json_out_end(&o);
	}
	json_out_end(&o);
	json_out_end(&o);
	return json_out_take(&o);
}

int network_attach(struct network *net, const struct network_pod *pod, network_done_fn *done,
		   void *arg, struct err *e)
{
	auto_free char *body = network_attach_body(pod);
	auto_fd int netns = -1;
	struct network_job *job;

	if (strlen(body) > MSG_BODY_MAX)
		return err_set(e, E2BIG, "pod %.12s: too many host ports", pod->id);
	if (fd_dup(pod->netns, &netns, e) < 0)
		return err_wrap(e, "network namespace of pod %.12s", pod->id);
	job = job_add(net, NET_ATTACH, pod->id, mem_take(&body), done, arg);
	job->netns = fd_take(&netns);
	network_next(net);
	return 0;
}

int network_detach(struct network *net, const char *pod, network_done_fn *done, void *arg,
		   struct err *e)
{
	if (!id_valid(pod))
		return err_set(e, EINVAL, "pod %.80s is no id", pod);
	job_add(net, NET_DETACH, pod, job_body(pod), done, arg);
	network_next(net);
	return 0;
}

void network_forget(struct network *net, void *arg)
{
	list_for_each(job, &net->jobs, struct network_job, node) {
		if (job->arg == arg)
			job->done = NULL;
	}
}

bool network_ready(const struct network *net, const char **ret_why)
{
	if (ret_why)
		*ret_why = net->why.code ? net->why.msg : "";
	return net->why.code == 0;
}

int network_worker_pid(const struct network *net)
{
	return net->pid;
}

int network_lookup(struct network *net, const char *pod, struct network_addresses *ret,
		   struct err *e)
{
	auto_lease l = { 0 };

	if (lease_read(net->pods, pod, &l, e) < 0)
		return -e->code;
	ret->count = lease_addresses(&l, ret->text);
	return 0;
}
