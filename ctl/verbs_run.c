/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that change pods and containers: run, exec, attach, stop, rm. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/attach.h"
#include "ctl/cri.h"
#include "lib/id.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/str.h"

#define LIST_MAX 64 /* mounts, ports or environment variables of one run */
#define STOP_S 10

/* run ---------------------------------------------------------------------- */

struct run {
	struct client *c;
	const char *image;
	char *name;
	char id[ID_LEN + 1]; /* random: uid and the rest of the name */
	const char *in_pod; /* a pod that is there; NULL: a new one */
	bool host_network;
	char **args;
	size_t nargs;
	Cri__PortMapping ports[LIST_MAX], *port_list[LIST_MAX];
	size_t nports;
	Cri__Mount mounts[LIST_MAX], *mount_list[LIST_MAX];
	size_t nmounts;
	Cri__KeyValue envs[LIST_MAX], *env_list[LIST_MAX];
	size_t nenvs;
	char *pod, *ctr; /* ids; owned */
};

static int too_many(size_t count, const char *what, struct err *e)
{
	return count < LIST_MAX ? 0 : err_set(e, E2BIG, "more than %d %s", LIST_MAX, what);
}

/* HOST:CONTAINER */
static int add_port(struct run *r, char *text, struct err *e)
{
	Cri__PortMapping *p = &r->ports[r->nports];
	char *colon = strchr(text, ':');
	uint32_t host, inside;

	if (too_many(r->nports, "ports", e) < 0)
		return -e->code;
	if (colon)
		*colon = 0;
	if (!colon || str_to_u32(text, &host) < 0 || str_to_u32(colon + 1, &inside) < 0 ||
	    host > 65535 || inside > 65535 || !host || !inside)
		return err_set(e, EINVAL, "-p takes HOST_PORT:CONTAINER_PORT");
	cri__port_mapping__init(p);
	p->host_port = (int32_t)host;
	p->container_port = (int32_t)inside;
	r->port_list[r->nports++] = p;
	return 0;
}

/* HOST:CONTAINER[:ro] */
static int add_mount(struct run *r, char *text, struct err *e)
{
	Cri__Mount *m = &r->mounts[r->nmounts];
	char *rest = text, *from = str_field(&rest, ":"), *to = str_field(&rest, ":");

	if (too_many(r->nmounts, "mounts", e) < 0)
		return -e->code;
	if (!to || from[0] != '/' || to[0] != '/' || (rest && !str_eq(rest, "ro")))
		return err_set(e, EINVAL, "-v takes /HOST/PATH:/CONTAINER/PATH[:ro]");
	cri__mount__init(m);
	m->host_path = from;
	m->container_path = to;
	m->readonly = rest != NULL;
	r->mount_list[r->nmounts++] = m;
	return 0;
}

/* NAME=VALUE */
static int add_env(struct run *r, char *text, struct err *e)
{
	Cri__KeyValue *v = &r->envs[r->nenvs];
	char *equals = strchr(text, '=');

	if (too_many(r->nenvs, "variables", e) < 0)
		return -e->code;
	if (!equals || equals == text)
		return err_set(e, EINVAL, "-e takes NAME=VALUE");
	*equals = 0;
	cri__key_value__init(v);
	v->key = text;
	v->value.data = (uint8_t *)equals + 1;
	v->value.len = strlen(equals + 1);
	r->env_list[r->nenvs++] = v;
	return 0;
}

static int run_options(struct run *r, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "pod", required_argument, NULL, 'P' },
		{ "host-network", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, result = 0;

	optind = 0; /* main() has been through it */
	opterr = 0;
	while (result == 0 && (opt = getopt_long(argc, argv, "+n:p:v:e:", options, NULL)) >= 0) {
		switch (opt) {
		case 'n':
			mem_replace(&r->name, optarg);
			break;
		case 'P':
			r->in_pod = optarg;
			break;
		case 'H':
			r->host_network = true;
			break;
		case 'p':
			result = add_port(r, optarg, e);
			break;
		case 'v':
			result = add_mount(r, optarg, e);
			break;
		case 'e':
			result = add_env(r, optarg, e);
			break;
		default:
			return err_set(e, EINVAL,
				       "run takes -n NAME, --pod POD, --host-network, -p, -v and "
				       "-e");
		}
	}
	if (result == 0 && optind >= argc)
		return err_set(e, EINVAL, "run what? The image is missing");
	if (result == 0) {
		r->image = argv[optind++];
		r->args = argv + optind;
		r->nargs = (size_t)(argc - optind);
	}
	return result;
}

static int need_image(struct run *r, struct err *e)
{
	Cri__ImageStatusRequest q = CRI__IMAGE_STATUS_REQUEST__INIT;
	Cri__PullImageRequest pull = CRI__PULL_IMAGE_REQUEST__INIT;
	Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
	auto_cri Cri__ImageStatusResponse *a = NULL;
	auto_cri Cri__PullImageResponse *pulled = NULL;

	image.image = (char *)r->image;
	q.image = pull.image = &image;
	a = cri_call(r->c, CRI_IMAGE, "ImageStatus", &q.base,
		     &cri__image_status_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (a->image)
		return 0;
	fprintf(stderr, "berthctl: pulling %s\n", r->image);
	pulled = cri_call(r->c, CRI_IMAGE, "PullImage", &pull.base,
			  &cri__pull_image_response__descriptor, CLIENT_PULL_MS, e);
	return pulled ? 0 : -e->code;
}

/* The pod's config serves both calls. */
struct pod_parts {
	Cri__PodSandboxConfig config;
	Cri__PodSandboxMetadata metadata;
	Cri__LinuxPodSandboxConfig linux_config;
	Cri__LinuxSandboxSecurityContext sc;
	Cri__NamespaceOption ns;
	char *log_directory; /* owned */
};

static void make_pod(struct run *r, struct pod_parts *p)
{
	cri__pod_sandbox_config__init(&p->config);
	cri__pod_sandbox_metadata__init(&p->metadata);
	cri__linux_pod_sandbox_config__init(&p->linux_config);
	cri__linux_sandbox_security_context__init(&p->sc);
	cri__namespace_option__init(&p->ns);
	p->log_directory = mem_printf("/var/log/pods/default_%s_%.12s", r->name, r->id);
	p->metadata.name = r->name;
	p->metadata.namespace_ = (char *)"default";
	p->metadata.uid = r->id;
	p->ns.pid = CRI__NAMESPACE_MODE__CONTAINER;
	if (r->host_network)
		p->ns.network = CRI__NAMESPACE_MODE__NODE;
	p->sc.namespace_options = &p->ns;
	p->linux_config.security_context = &p->sc;
	p->config.metadata = &p->metadata;
	p->config.hostname = r->host_network ? (char *)"" : r->name;
	p->config.log_directory = p->log_directory;
	p->config.linux = &p->linux_config;
	p->config.n_port_mappings = r->nports;
	p->config.port_mappings = r->port_list;
}

static int run_pod(struct run *r, struct pod_parts *p, struct err *e)
{
	Cri__RunPodSandboxRequest q = CRI__RUN_POD_SANDBOX_REQUEST__INIT;
	auto_cri Cri__RunPodSandboxResponse *a = NULL;

	q.config = &p->config;
	a = cri_call(r->c, CRI_RUNTIME, "RunPodSandbox", &q.base,
		     &cri__run_pod_sandbox_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	r->pod = mem_strdup(a->pod_sandbox_id);
	return 0;
}

static int create_container(struct run *r, struct pod_parts *p, struct err *e)
{
	Cri__CreateContainerRequest q = CRI__CREATE_CONTAINER_REQUEST__INIT;
	Cri__ContainerConfig config = CRI__CONTAINER_CONFIG__INIT;
	Cri__ContainerMetadata metadata = CRI__CONTAINER_METADATA__INIT;
	Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
	Cri__LinuxContainerConfig linux_config = CRI__LINUX_CONTAINER_CONFIG__INIT;
	Cri__LinuxContainerSecurityContext sc = CRI__LINUX_CONTAINER_SECURITY_CONTEXT__INIT;
	Cri__SecurityProfile seccomp = CRI__SECURITY_PROFILE__INIT;
	auto_cri Cri__CreateContainerResponse *a = NULL;
	auto_free char *log_path = mem_printf("%s/0.log", r->name);

	metadata.name = r->name;
	image.image = (char *)r->image;
	sc.namespace_options = &p->ns;
	sc.seccomp = &seccomp;
	linux_config.security_context = &sc;
	config.metadata = &metadata;
	config.image = &image;
	config.args = r->args;
	config.n_args = r->nargs;
	config.envs = r->env_list;
	config.n_envs = r->nenvs;
	config.mounts = r->mount_list;
	config.n_mounts = r->nmounts;
	config.log_path = log_path;
	config.linux = &linux_config;
	q.pod_sandbox_id = r->pod;
	q.config = &config;
	q.sandbox_config = &p->config;
	a = cri_call(r->c, CRI_RUNTIME, "CreateContainer", &q.base,
		     &cri__create_container_response__descriptor, CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	r->ctr = mem_strdup(a->container_id);
	return 0;
}

static int start_container(struct run *r, struct err *e)
{
	Cri__StartContainerRequest q = CRI__START_CONTAINER_REQUEST__INIT;
	auto_cri Cri__StartContainerResponse *a = NULL;

	q.container_id = r->ctr;
	a = cri_call(r->c, CRI_RUNTIME, "StartContainer", &q.base,
		     &cri__start_container_response__descriptor, CLIENT_CALL_MS, e);
	return a ? 0 : -e->code;
}

static int remove_pod(struct client *c, char *id, struct err *e)
{
	Cri__RemovePodSandboxRequest q = CRI__REMOVE_POD_SANDBOX_REQUEST__INIT;
	auto_cri Cri__RemovePodSandboxResponse *a = NULL;

	q.pod_sandbox_id = id;
	a = cri_call(c, CRI_RUNTIME, "RemovePodSandbox", &q.base,
		     &cri__remove_pod_sandbox_response__descriptor, CLIENT_CALL_MS, e);
	return a ? 0 : -e->code;
}

static int remove_container(struct client *c, char *id, struct err *e)
{
	Cri__RemoveContainerRequest q = CRI__REMOVE_CONTAINER_REQUEST__INIT;
	auto_cri Cri__RemoveContainerResponse *a = NULL;

	q.container_id = id;
	a = cri_call(c, CRI_RUNTIME, "RemoveContainer", &q.base,
		     &cri__remove_container_response__descriptor, CLIENT_CALL_MS, e);
	return a ? 0 : -e->code;
}

/* The pod to go into, a new one or one that is there; its own config says where logs are. */
static int need_pod(struct run *r, struct pod_parts *p, struct err *e)
{
	enum cri_kind kind;

	if (!r->in_pod)
		return run_pod(r, p, e);
	if (cri_find(r->c, r->in_pod, &kind, &r->pod, e) < 0)
		return -e->code;
	return kind == CRI_POD ? 0 : err_set(e, EINVAL, "%.64s is no pod", r->in_pod);
}

static int run_all(struct run *r, int json, struct err *e)
{
	struct pod_parts p = { 0 };
	struct err ignored = { 0 };
	auto_json_out o = { 0 };
	int result = need_image(r, e);

	make_pod(r, &p);
	if (result == 0)
		result = need_pod(r, &p, e);
	if (result == 0)
		result = create_container(r, &p, e);
	if (result == 0)
		result = start_container(r, e);
	/* what failed stays nowhere */
	if (result < 0 && r->pod && !r->in_pod)
		remove_pod(r->c, r->pod, &ignored);
	else if (result < 0 && r->ctr)
		remove_container(r->c, r->ctr, &ignored);
	free(p.log_directory);
	if (result < 0)
		return result;
	json_out_object(&o, NULL);
	json_out_text(&o, "pod", r->pod);
	json_out_text(&o, "container", r->ctr);
	json_out_end(&o);
	if (json)
		printf("%s\n", o.s.text);
	else
		printf("pod %.13s\ncontainer %.13s\n", r->pod, r->ctr);
	return 0;
}

static int verb_run_image(void *ctx, int argc, char **argv, struct err *e)
{
	const struct ctl *ctl = ctx;
	struct run r = { 0 };
	int result = id_new(r.id, e);

	if (result == 0)
		result = run_options(&r, argc, argv, e);
	if (result == 0 && !r.name)
		r.name = mem_printf("run-%.8s", r.id);
	if (result == 0)
		result = cri_open(ctl, &r.c, e);
	if (result == 0)
		result = run_all(&r, ctl->json, e);
	client_close(r.c);
	free(r.name);
	free(r.pod);
	free(r.ctr);
	return result;
}

/* exec and attach ---------------------------------------------------------- */

static int exec_sync(struct client *c, char *id, char **args, size_t nargs, struct err *e)
{
	Cri__ExecSyncRequest q = CRI__EXEC_SYNC_REQUEST__INIT;
	auto_cri Cri__ExecSyncResponse *a = NULL;

	q.container_id = id;
	q.cmd = args;
	q.n_cmd = nargs;
	a = cri_call(c, CRI_RUNTIME, "ExecSync", &q.base, &cri__exec_sync_response__descriptor,
		     CLIENT_PULL_MS, e);
	if (!a)
		return -e->code;
	if (a->stdout.len)
		fwrite(a->stdout.data, 1, a->stdout.len, stdout);
	if (a->stderr.len)
		fwrite(a->stderr.data, 1, a->stderr.len, stderr);
	return a->exit_code;
}

/* Flags before the operands, as -i, -t, -it. Returns where the operands begin. */
static int exec_flags(int argc, char **argv, bool *in, bool *terminal, struct err *e)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strspn(argv[at] + 1, "it") != strlen(argv[at] + 1) || !argv[at][1])
			return err_set(e, EINVAL, "unknown option %s", argv[at]);
		*in = *in || strchr(argv[at], 'i');
		*terminal = *terminal || strchr(argv[at], 't');
	}
	return at;
}

static int verb_exec(void *ctx, int argc, char **argv, struct err *e)
{
	Cri__ExecRequest q = CRI__EXEC_REQUEST__INIT;
	auto_cri Cri__ExecResponse *a = NULL;
	auto_client *c = NULL;
	auto_free char *id = NULL;
	bool in = false, terminal = false;
	int at = exec_flags(argc, argv, &in, &terminal, e);

	if (at < 0)
		return at;
	if (argc - at < 2)
		return err_set(e, EINVAL, "usage: exec [-i] [-t] CONTAINER COMMAND...");
	if (cri_open(ctx, &c, e) < 0 || cri_find_container(c, argv[at], &id, e) < 0)
		return -e->code;
	at++;
	if (!in && !terminal)
		return exec_sync(c, id, argv + at, (size_t)(argc - at), e);
	q.container_id = id;
	q.cmd = argv + at;
	q.n_cmd = (size_t)(argc - at);
	q.stdin = in;
	q.stdout = true;
	q.stderr = !terminal;
	q.tty = terminal;
	a = cri_call(c, CRI_RUNTIME, "Exec", &q.base, &cri__exec_response__descriptor,
		     CLIENT_CALL_MS, e);
	return a ? attach_run(a->url, in, terminal, e) : -e->code;
}

static int verb_attach(void *ctx, int argc, char **argv, struct err *e)
{
	Cri__AttachRequest q = CRI__ATTACH_REQUEST__INIT;
	auto_cri Cri__AttachResponse *a = NULL;
	auto_client *c = NULL;
	auto_free char *id = NULL;
	bool in = false, terminal = false;
	int at = exec_flags(argc, argv, &in, &terminal, e);

	if (at < 0)
		return at;
	if (argc - at != 1)
		return err_set(e, EINVAL, "usage: attach [-i] [-t] CONTAINER");
	if (cri_open(ctx, &c, e) < 0 || cri_find_container(c, argv[at], &id, e) < 0)
		return -e->code;
	q.container_id = id;
	q.stdin = in;
	q.stdout = true;
	q.stderr = !terminal;
	q.tty = terminal;
	a = cri_call(c, CRI_RUNTIME, "Attach", &q.base, &cri__attach_response__descriptor,
		     CLIENT_CALL_MS, e);
	return a ? attach_run(a->url, in, terminal, e) : -e->code;
}

/* stop and rm -------------------------------------------------------------- */

static int stop_pod(struct client *c, char *id, struct err *e)
{
	Cri__StopPodSandboxRequest q = CRI__STOP_POD_SANDBOX_REQUEST__INIT;
	auto_cri Cri__StopPodSandboxResponse *a = NULL;

	q.pod_sandbox_id = id;
	a = cri_call(c, CRI_RUNTIME, "StopPodSandbox", &q.base,
		     &cri__stop_pod_sandbox_response__descriptor, CLIENT_CALL_MS, e);
	return a ? 0 : -e->code;
}

static int stop_container(struct client *c, char *id, int64_t timeout_s, struct err *e)
{
	Cri__StopContainerRequest q = CRI__STOP_CONTAINER_REQUEST__INIT;
	auto_cri Cri__StopContainerResponse *a = NULL;

	q.container_id = id;
	q.timeout = timeout_s;
	a = cri_call(c, CRI_RUNTIME, "StopContainer", &q.base,
		     &cri__stop_container_response__descriptor,
		     CLIENT_CALL_MS + (uint64_t)timeout_s * 1000, e);
	return a ? 0 : -e->code;
}

static int find(struct client *c, const char *text, enum cri_kind *ret_kind, char **ret_id,
		struct err *e)
{
	if (cri_find(c, text, ret_kind, ret_id, e) < 0)
		return -e->code;
	return *ret_kind == CRI_NEITHER ? err_set(e, ENOENT, "container or pod %.64s", text) : 0;
}

static int verb_stop(void *ctx, int argc, char **argv, struct err *e)
{
	auto_client *c = NULL;
	uint32_t timeout_s = STOP_S;
	int at = 1;

	if (argc > 2 && str_eq(argv[1], "-t")) {
		if (str_to_u32(argv[2], &timeout_s) < 0)
			return err_set(e, EINVAL, "-t takes seconds");
		at = 3;
	}
	if (at >= argc)
		return err_set(e, EINVAL, "usage: stop [-t SECONDS] CONTAINER|POD...");
	if (cri_open(ctx, &c, e) < 0)
		return -e->code;
	for (; at < argc; at++) {
		auto_free char *id = NULL;
		enum cri_kind kind;

		if (find(c, argv[at], &kind, &id, e) < 0)
			return -e->code;
		if ((kind == CRI_POD ? stop_pod(c, id, e) : stop_container(c, id, timeout_s, e)) <
		    0)
			return -e->code;
	}
	return 0;
}

static int verb_rm(void *ctx, int argc, char **argv, struct err *e)
{
	auto_client *c = NULL;

	if (cri_open(ctx, &c, e) < 0)
		return -e->code;
	for (int i = 1; i < argc; i++) {
		auto_free char *id = NULL;
		enum cri_kind kind;

		if (find(c, argv[i], &kind, &id, e) < 0)
			return -e->code;
		if ((kind == CRI_POD ? remove_pod(c, id, e) : remove_container(c, id, e)) < 0)
			return -e->code;
	}
	return 0;
}

const struct verb verbs_run[] = {
	{ "run", "[OPTION...] IMAGE [ARG...]", 1, -1, verb_run_image,
	  "a container; --pod POD, --name, --host-network, -p, -v, -e" },
	{ "exec", "[-i] [-t] CONTAINER CMD...", 2, -1, verb_exec, "a command in a container" },
	{ "attach", "[-i] [-t] CONTAINER", 1, -1, verb_attach, "this terminal to a container" },
	{ "stop", "[-t SECONDS] CONTAINER|POD...", 1, -1, verb_stop,
	  "end containers, or pods with all of theirs" },
	{ "rm", "CONTAINER|POD...", 1, -1, verb_rm,
	  "remove containers, or pods with all of theirs" },
};
const size_t verbs_run_count = sizeof(verbs_run) / sizeof(verbs_run[0]);
