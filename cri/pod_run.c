/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a pod comes to be: folders, cgroups, the shim with the namespaces, the network. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/bundle.h"
#include "cri/crid.h"
#include "cri/method.h"
#include "cri/network.h"
#include "cri/pod.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/spawn.h"
#include "lib/str.h"

#define HELLO_MS 10000
#define SHM_SIZE "64m"
#define SHIM_LOG "shim.log" /* what the shim has to say, also why it did not start */
#define SHIM_LOG_MAX 4096 /* bytes of it that are read */

/* Folders ---------------------------------------------------------------------- */

static void put_sysctls(struct json_out *out, const struct pod *pod)
{
	static const struct {
		const char *name, *value;
	} defaults[] = {
		/* ports below 1024 and ping need no privilege in a network of one's own */
		{ "net.ipv4.ip_unprivileged_port_start", "0" },
		{ "net.ipv4.ping_group_range", "0 2147483647" },
	};
	const Cri__LinuxPodSandboxConfig *linux = pod->config->linux;

	json_out_object(out, "sysctls");
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		bool asked = pod->host_network;

		for (size_t k = 0; linux && k < linux->n_sysctls; k++)
			asked = asked || str_eq(linux->sysctls[k]->key, defaults[i].name);
		if (!asked)
			json_out_text(out, defaults[i].name, defaults[i].value);
	}
	for (size_t k = 0; linux && k < linux->n_sysctls; k++)
		json_out_text(out, linux->sysctls[k]->key, linux->sysctls[k]->value);
	json_out_end(out);
}

static const char *pid_word(Cri__NamespaceMode mode)
{
	if (mode == CRI__NAMESPACE_MODE__NODE)
		return "host";
	return mode == CRI__NAMESPACE_MODE__POD ? "shared" : "none";
}

static char *pod_json(const struct pod *pod)
{
	auto_json_out out = { 0 };
	const char *net = pod->host_network ? "host" : "new";
	bool host_ipc = pod_ipc_mode(pod) == CRI__NAMESPACE_MODE__NODE;
	const char *name = pod->config->hostname;

	json_out_object(&out, NULL);
	json_out_text(&out, "id", pod->id);
	json_out_object(&out, "namespaces");
	json_out_text(&out, "net", net);
	json_out_text(&out, "ipc", host_ipc ? "host" : "new");
	json_out_text(&out, "uts", net); /* the node's name goes with the node's network */
	json_out_text(&out, "pid", pid_word(pod_pid_mode(pod)));
	json_out_end(&out);
	if (!pod->host_network)
		json_out_text(&out, "hostname", *name ? name : pod->crid->hostname);
	put_sysctls(&out, pod);
	json_out_text(&out, "cgroup_parent", pod->cgroup_parent);
	json_out_end(&out);
	return json_out_take(&out);
}

static int run_folder(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	auto_free char *name = mem_printf("pods/%s", pod->id);

	if (mkdirat(pod->crid->run, name, 0711) < 0)
		return err_set(e, errno, "make folder %s", name);
	return 0;
}

static int run_describe(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	auto_free char *file = mem_printf("pods/%s/pod.json", pod->id);
	auto_free char *json = pod_json(pod);

	return path_replace(pod->crid->run, file, json, strlen(json), 0600, PATH_FAST, e);
}

/* One tmpfs for all containers of the pod; it is charged to who writes into it. */
static int run_shm(void *ctx, struct err *e)
{
	static const struct mnt_option options[] = { { "size", SHM_SIZE }, { "mode", "1777" } };
	struct pod *pod = ctx;
	auto_free char *path = pod_path(pod, "shm");
	auto_fd int mount = -1;
	auto_fd int target = -1;

	if (pod_ipc_mode(pod) == CRI__NAMESPACE_MODE__NODE)
		return 0;
	if (mkdir(path, 0755) < 0)
		return err_set(e, errno, "make folder %s", path);
	target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return err_set(e, errno, "open %s", path);
	if (mnt_new("tmpfs", "shm", options, 2,
		    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &mount, e) < 0)
		return -e->code;
	return mnt_attach(mount, target, e);
}

void pod_unmount_shm(const struct pod *pod)
{
	auto_free char *path = pod_path(pod, "shm");

	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static int undo_shm(void *ctx, struct err *e)
{
	(void)e;
	pod_unmount_shm(ctx);
	return 0;
}

/* Cgroups ---------------------------------------------------------------------- */

static int run_cgroups(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	struct crid *crid = pod->crid;
	int fd;

	if (cgroup_create(crid->cgroup, pod->cgroup_parent, 0, &fd, &pod->cgroup_made, e) < 0)
		return -e->code;
	close(fd);
	if (mkdirat(crid->cgroup_shims, pod->id, 0755) < 0 && errno != EEXIST) {
		err_set(e, errno, "make cgroup berth/shims/%s", pod->id);
		cgroup_remove_made(crid->cgroup, pod->cgroup_parent, pod->cgroup_made);
		return -e->code;
	}
	return 0;
}

static int undo_cgroups(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	struct crid *crid = pod->crid;

	pod_remove_cgroups(pod);
	return cgroup_remove(crid->cgroup_shims, pod->id, e);
}

/* The shim --------------------------------------------------------------------- */

struct shim_start {
	const struct pod *pod;
	const char *program, *folder;
};

/*
 * From a read-only copy of its mount, as it would run itself again otherwise; when that cannot be
 * had it does, or says why not.
 */
static void shim_exec(const struct shim_start *s, char *const *argv)
{
	auto_free char *libexec = mem_printf(SHIM_LIBEXEC_ENV "=%s", s->pod->crid->libexec);
	char *envp[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", libexec, NULL };
	auto_fd int copy = -1;
	struct err e = { 0 };

	if (mnt_clone(AT_FDCWD, s->program, 0, &copy, &e) == 0 &&
	    mnt_set(copy, MOUNT_ATTR_RDONLY, 0, 0, 0, &e) == 0)
		execveat(copy, "", argv, envp, AT_EMPTY_PATH);
	execve(s->program, argv, envp);
	dprintf(STDERR_FILENO, "start %s: %s\n", s->program, strerror(errno));
}

/* In the child: what may hang is done here, not on the loop. */
static int shim_main(void *arg)
{
	const struct shim_start *s = arg;
	const char *log_directory = s->pod->config->log_directory;
	char *argv[] = { (char *)(uintptr_t) "berth-shim", (char *)(uintptr_t)s->folder, NULL };
	struct err e = { 0 };

	if (*log_directory && path_mkdirs(log_directory, 0755, &e) < 0) {
		dprintf(STDERR_FILENO, "log_directory: %s\n", err_text(&e));
		return 1;
	}
	if (setrlimit(RLIMIT_NOFILE, &s->pod->crid->nofile) == 0)
		shim_exec(s, argv);
	else
		dprintf(STDERR_FILENO, "limit descriptors: %s\n", strerror(errno));
	return 127;
}

/* The last line of what it said. */
static void why_not(const struct pod *pod, int status, struct err *e)
{
	auto_free char *path = pod_path(pod, SHIM_LOG);
	auto_free char *text = NULL;
	struct err ignored = { 0 };
	char *line;
	size_t len;

	if (path_read(AT_FDCWD, path, SHIM_LOG_MAX, &text, &len, &ignored) < 0 || !len) {
		err_set(e, EREMOTEIO, "the shim ended with status %d", status);
		return;
	}
	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	err_set(e, EREMOTEIO, "%s", line ? line + 1 : text);
}

static void on_shim_started(void *arg, int status)
{
	struct pod *pod = arg;
	struct err e = { 0 };

	ev_timer_cancel(&pod->timer);
	if (status)
		why_not(pod, status, &e);
	flow_continue(&pod->flow, &e);
}

static void on_shim_late(void *arg)
{
	struct pod *pod = arg;
	struct err e = { 0 };

	ev_remove(&pod->child); /* it is killed with its cgroup and reaped by nobody but the end */
	err_set(&e, ETIMEDOUT, "the shim does not start");
	flow_continue(&pod->flow, &e);
}

static int spawn_shim(struct pod *pod, int cgroup, int log, struct err *e)
{
	auto_free char *folder = pod_path(pod, "");
	auto_free char *program = mem_printf("%s/berth-shim", pod->crid->libexec);
	struct shim_start start = { .pod = pod, .program = program, .folder = folder };
	struct spawn s = SPAWN_INIT;
	int pidfd;

	s.run = shim_main;
	s.arg = &start;
	s.cgroup = cgroup;
	s.fds[2] = log;
	if (spawn(&s, NULL, &pidfd, e) < 0)
		return -e->code;
	if (ev_add_child(&pod->crid->ev, &pod->child, pidfd, on_shim_started, pod, e) < 0) {
		spawn_end(pidfd);
		close(pidfd);
		return -e->code;
	}
	ev_add_timer(&pod->crid->ev, &pod->timer, on_shim_late, pod);
	ev_timer_set(&pod->timer, HELLO_MS);
	return FLOW_WAIT;
}

static int run_shim(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	auto_free char *log_path = pod_path(pod, SHIM_LOG);
	auto_fd int cgroup = -1;
	auto_fd int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (log < 0)
		return err_set(e, errno, "open %s", log_path);
	if (cgroup_open(pod->crid->cgroup_shims, pod->id, &cgroup, e) < 0)
		return -e->code;
	return spawn_shim(pod, cgroup, log, e);
}

/* Whatever came of the next step, its processes end here. */
static int undo_guard(void *ctx, struct err *e)
{
	(void)e;
	return pod_kill(ctx);
}

static void on_hello(void *arg, struct msg *m, const struct json *body, const struct err *failed)
{
	struct pod *pod = arg;
	struct err e = *failed;

	if (!e.code && !pod->host_network && m->nfds != 1)
		err_set(&e, EPROTO, "the shim sent no network namespace");
	if (!e.code) {
		fd_close(&pod->netns);
		if (m->nfds)
			pod->netns = fd_take(&m->fds[0]);
		json_get_int(body, "pid", &pod->shim_pid, &e);
		json_get_int(body, "pause_pid", &pod->pause_pid, &e);
	}
	flow_continue(&pod->flow, &e);
}

int pod_hello(struct pod *pod, struct err *e)
{
	auto_free char *path = pod_path(pod, "shim.sock");

	if (shimlink_open(&pod->shim, path, pod_shim_event, pod_shim_died, pod, e) < 0)
		return -e->code;
	shimlink_request(&pod->shim, SHIM_HELLO, "{\"version\":1}", NULL, 0, HELLO_MS, on_hello,
			 pod);
	return FLOW_WAIT;
}

static int run_hello(void *ctx, struct err *e)
{
	return pod_hello(ctx, e);
}

static int undo_hello(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	(void)e;
	shimlink_close(&pod->shim);
	fd_close(&pod->netns);
	return 0;
}

/* The network ------------------------------------------------------------------ */

static void on_attached(void *arg, const struct network_addresses *addresses,
			const struct err *failed)
{
	struct pod *pod = arg;

	if (failed) {
		pod->network_up = false;
		flow_continue(&pod->flow, failed);
		return;
	}
	for (size_t i = 0; i < addresses->count && i < POD_IPS_MAX; i++)
		str_copy(pod->ips[i], sizeof(pod->ips[i]), addresses->text[i]);
	flow_continue(&pod->flow, NULL);
}

static const char *protocol_name(Cri__Protocol p)
{
	if (p == CRI__PROTOCOL__UDP)
		return "udp";
	return p == CRI__PROTOCOL__SCTP ? "sctp" : "tcp";
}

static int run_network(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	const Cri__PodSandboxConfig *c = pod->config;
	auto_free struct network_port *ports = mem_array(c->n_port_mappings + 1, sizeof(*ports));
	struct network_pod n = { .id = pod->id, .netns = pod->netns, .ports = ports };

	if (pod->host_network)
		return 0;
	for (size_t i = 0; i < c->n_port_mappings; i++) {
		const Cri__PortMapping *p = c->port_mappings[i];

		if (!p->host_port)
			continue;
		ports[n.nports++] = (struct network_port){
			.protocol = protocol_name(p->protocol),
			.host_ip = p->host_ip,
			.host_port = (uint16_t)p->host_port,
			.container_port = (uint16_t)p->container_port,
		};
	}
	if (network_attach(pod->crid->network, &n, on_attached, pod, e) < 0)
		return -e->code;
	pod->network_up = true;
	return FLOW_WAIT;
}

static void on_detached(void *arg, const struct network_addresses *addresses,
			const struct err *failed)
{
	struct pod *pod = arg;

	(void)addresses;
	if (!failed) {
		pod->network_up = false;
		memset(pod->ips, 0, sizeof(pod->ips));
	}
	flow_continue(&pod->flow, failed);
}

int pod_detach_network(struct pod *pod, struct err *e)
{
	if (!pod->network_up)
		return 0;
	if (network_detach(pod->crid->network, pod->id, on_detached, pod, e) < 0)
		return -e->code;
	return FLOW_WAIT;
}

static int undo_network(void *ctx, struct err *e)
{
	return pod_detach_network(ctx, e);
}

static int run_files(void *ctx, struct err *e)
{
	struct pod *pod = ctx;
	auto_free char *path = pod_path(pod, "");
	const char *ip = pod->host_network ? NULL : pod->ips[0];

	return bundle_pod_files(path, pod->config, pod->crid->hostname, ip, "/etc/resolv.conf", e);
}

static int run_ready(void *ctx, struct err *e)
{
	struct pod *pod = ctx;

	if (pod->error) /* it ended meanwhile, while a step waited for somebody else */
		return err_set(e, ECONNRESET, "%s", pod->error);
	pod->state = POD_READY;
	if (pod_record(pod, e) < 0) {
		pod->state = POD_CREATING;
		return -e->code;
	}
	return 0;
}

/* The intent is on disk before the first side effect. */
static int run_intent(void *ctx, struct err *e)
{
	return pod_record(ctx, e);
}

static const struct flow_step steps[] = {
	{ "write the record", run_intent, pod_unrecord },
	{ "make the folder", run_folder, pod_remove_folder },
	{ "describe it to the shim", run_describe, NULL },
	{ "make /dev/shm", run_shm, undo_shm },
	{ "make cgroups", run_cgroups, undo_cgroups },
	{ "guard the shim", NULL, undo_guard },
	{ "start the shim", run_shim, NULL },
	{ "greet the shim", run_hello, undo_hello },
	{ "attach the network", run_network, undo_network },
	{ "write hosts and resolv.conf", run_files, NULL },
	{ "get ready", run_ready, NULL },
};

static void answer_run(struct pod *pod, const struct err *e)
{
	Cri__RunPodSandboxResponse r = CRI__RUN_POD_SANDBOX_RESPONSE__INIT;
	const Cri__PodSandboxMetadata *m = pod->config->metadata;

	r.pod_sandbox_id = pod->id;
	list_for_each(call, &pod->run_calls, struct call, node) {
		list_remove(&call->node);
		if (e->code)
			call_fail(call, grpc_code_of(e), "run pod %s/%s: %s", m->namespace_,
				  m->name, crid_why(e));
		else
			call_reply(call, &r.base);
	}
}

static void on_end(void *ctx, const struct err *e)
{
	struct pod *pod = ctx;

	if (!e->code) {
		log_info("pod %s: ready, %s/%s", pod->id, pod->config->metadata->namespace_,
			 pod->config->metadata->name);
	} else if (pod->flow.dirty) {
		/* something is left: it stays visible so that somebody stops it again */
		pod->state = POD_NOTREADY;
		pod->unclean = true;
		mem_replace(&pod->error, e->msg);
		pod_changed(pod);
	}
	answer_run(pod, e);
	if (e->code && !pod->flow.dirty) {
		pod_gone(pod);
		return;
	}
	pod_next(pod);
}

void pod_run(struct pod *pod)
{
	flow_start(&pod->flow, steps, sizeof(steps) / sizeof(steps[0]), pod, on_end);
}
