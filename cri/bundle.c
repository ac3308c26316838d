/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "cri/bundle_priv.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define WORDS_MAX 65536 /* arguments or environment of one request */
#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NOFILE_SOFT 1024 /* select(2) breaks above */
#define NOFILE_HARD 524288 /* enough for a server */

/* Whether mount_setattr(AT_RECURSIVE) is there: asked with a bad descriptor. */
static bool can_rro(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return syscall(SYS_mount_setattr, -1, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		       sizeof(attr)) < 0 &&
	       errno == EBADF;
}

/* Without CAP_SYS_RESOURCE nothing can be made less killable than crid is. */
static int lowest_oom_score(uint64_t caps)
{
	char text[32];
	int n = -1000;
	struct err e = { 0 };

	if (caps & (1ull << 24)) /* CAP_SYS_RESOURCE */
		return -1000;
	if (path_read_line(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text), &e) < 0 ||
	    str_to_int(text, &n) < 0)
		return 0;
	return n;
}

int bundle_host_probe(struct bundle_host *ret, const char *controllers_file, struct err *e)
{
	struct bundle_host h = { .rro = can_rro() };
	struct rlimit nofile;
	char text[120];
	int r;

	for (int i = 0; i < 64; i++) {
		int has = prctl(PR_CAPBSET_READ, i, 0, 0, 0);

		if (has < 0)
			break;
		if (has)
			h.caps |= 1ull << i;
	}
	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return err_set(e, errno, "read the limit of descriptors");
	h.nofile_max = h.caps & (1ull << 24) ? NOFILE_HARD : nofile.rlim_max;
	h.oom_score_adj_min = lowest_oom_score(h.caps);
	if (path_read_line(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof(text),
			   e) == 0)
		h.apparmor = text[0] == 'Y';
	*e = (struct err){ 0 };
	r = path_read_line(AT_FDCWD, controllers_file, text, sizeof(text), e);
	if (r < 0)
		return err_wrap(e, "find the cgroup controllers");
	h.hugetlb = strstr(text, "hugetlb") != NULL;
	*ret = h;
	return 0;
}

/* Arguments ---------------------------------------------------------------- */

static size_t count_of(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static void put_words(struct json_out *o, char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_out_text(o, NULL, words[i]);
}

/* command replaces the entrypoint, args the image's; a command alone drops the image's args. */
static int put_args(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__ContainerConfig *c = b->config;
	size_t nentry = count_of(b->image->entrypoint), ncmd = count_of(b->image->cmd);
	bool image_args = !c->n_args && !c->n_command;

	if (!c->n_command && !c->n_args && !nentry && !ncmd)
		return err_set(e, EINVAL, "no command: neither the request nor the image has one");
	if (c->n_command + c->n_args > WORDS_MAX || nentry + ncmd > WORDS_MAX)
		return err_set(e, E2BIG, "more than %d arguments", WORDS_MAX);
	json_out_array(o, "args");
	if (c->n_command)
		put_words(o, c->command, c->n_command);
	else
		for (size_t i = 0; i < nentry; i++)
			json_out_text(o, NULL, b->image->entrypoint[i]);
	put_words(o, c->args, c->n_args);
	for (size_t i = 0; image_args && i < ncmd; i++)
		json_out_text(o, NULL, b->image->cmd[i]);
	json_out_end(o);
	return 0;
}

/* Environment -------------------------------------------------------------- */

struct env {
	char **list; /* owned texts NAME=VALUE */
	size_t count;
	size_t room;
};

static void env_done(struct env *env)
{
	for (size_t i = 0; i < env->count; i++)
		free(env->list[i]);
	free(env->list);
}

/* Takes text; it replaces an earlier one of the same name. */
static void env_set(struct env *env, char *text)
{
	size_t len = strcspn(text, "=");

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->list[i], text, len) == 0 && env->list[i][len] == '=') {
			free(env->list[i]);
			env->list[i] = text;
			return;
		}
	mem_grow(&env->list, &env->room, env->count + 1, sizeof(*env->list));
	env->list[env->count++] = text;
}

static bool is_utf8(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = p[i] < 0x80	 ? 1
			   : p[i] < 0xc2 ? 0
			   : p[i] < 0xe0 ? 2
			   : p[i] < 0xf0 ? 3
			   : p[i] < 0xf5 ? 4
					 : 0;

		if (!n || !p[i] || i + n > len)
			return false;
		for (size_t k = 1; k < n; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		i += n;
	}
	return true;
}

static int env_of_request(struct env *env, const Cri__KeyValue *kv, struct err *e)
{
	if (!kv->key[0] || strchr(kv->key, '='))
		return err_set(e, EINVAL, "environment name \"%.64s\"", kv->key);
	/* config.json is JSON: other bytes would arrive changed */
	if (!is_utf8(kv->value.data, kv->value.len))
		return err_set(e, EINVAL, "environment %.64s: the value is no UTF-8 text", kv->key);
	env_set(env, mem_printf("%s=%.*s", kv->key, (int)kv->value.len,
				kv->value.len ? (const char *)kv->value.data : ""));
	return 0;
}

static int put_env(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__ContainerConfig *c = b->config;
	const char *host = b->pod->hostname[0] ? b->pod->hostname : b->node_name;
	const char *home = b->user->home ? b->user->home : "/";
	struct env env = { 0 };
	int r = 0;

	if (c->n_envs > WORDS_MAX || count_of(b->image->env) > WORDS_MAX)
		return err_set(e, E2BIG, "more than %d environment variables", WORDS_MAX);
	env_set(&env, mem_strdup(PATH_DEFAULT));
	if (host)
		env_set(&env, mem_printf("HOSTNAME=%s", host));
	if (c->tty)
		env_set(&env, mem_strdup("TERM=xterm"));
	env_set(&env, mem_printf("HOME=%s", home));
	for (size_t i = 0; b->image->env && b->image->env[i]; i++)
		if (strchr(b->image->env[i], '='))
			env_set(&env, mem_strdup(b->image->env[i]));
	for (size_t i = 0; r == 0 && i < c->n_envs; i++)
		r = env_of_request(&env, c->envs[i], e);
	json_out_array(o, "env");
	put_words(o, env.list, env.count);
	json_out_end(o);
	env_done(&env);
	return r;
}

/* Process ------------------------------------------------------------------ */

static void put_user(struct json_out *o, const struct bundle_user *u)
{
	json_out_object(o, "user");
	json_out_uint(o, "uid", u->uid);
	json_out_uint(o, "gid", u->gid);
	json_out_array(o, "additionalGids");
	for (size_t i = 0; i < u->ngroups; i++)
		json_out_uint(o, NULL, u->groups[i]);
	json_out_end(o);
	json_out_end(o);
}

static void put_caps(struct json_out *o, const struct bundle_caps *caps)
{
	json_out_object(o, "capabilities");
	bundle_caps_put(o, "bounding", caps->bounding);
	bundle_caps_put(o, "effective", caps->bounding);
	bundle_caps_put(o, "permitted", caps->bounding);
	/* never what the container was not told to keep over exec (CVE-2022-24769) */
	bundle_caps_put(o, "inheritable", caps->ambient);
	bundle_caps_put(o, "ambient", caps->ambient);
	json_out_end(o);
}

static void put_rlimits(struct json_out *o, uint64_t most)
{
	uint64_t hard = most < NOFILE_HARD ? most : NOFILE_HARD;

	json_out_array(o, "rlimits");
	json_out_object(o, NULL);
	json_out_text(o, "type", "RLIMIT_NOFILE");
	json_out_uint(o, "soft", hard < NOFILE_SOFT ? hard : NOFILE_SOFT);
	json_out_uint(o, "hard", hard);
	json_out_end(o);
	json_out_end(o);
}

static int put_oom_score(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__LinuxContainerResources *r =
		b->config->linux ? b->config->linux->resources : NULL;
	int64_t n = r ? r->oom_score_adj : 0;

	if (n < -1000 || n > 1000)
		return err_set(e, EINVAL, "oom_score_adj %lld", (long long)n);
	/* always written: otherwise the container would have crid's own */
	json_out_int(o, "oomScoreAdj",
		     n < b->host->oom_score_adj_min ? b->host->oom_score_adj_min : n);
	return 0;
}

static int put_process(struct json_out *o, const struct bundle *b, const struct bundle_caps *caps,
		       struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	const char *cwd =
		b->config->working_dir[0] ? b->config->working_dir : b->image->working_dir;

	if (cwd && cwd[0] && cwd[0] != '/')
		return err_set(e, EINVAL, "working directory %.128s is not absolute", cwd);
	json_out_object(o, "process");
	json_out_bool(o, "terminal", b->config->tty);
	put_user(o, b->user);
	if (put_args(o, b, e) < 0 || put_env(o, b, e) < 0)
		return -e->code;
	json_out_text(o, "cwd", cwd && cwd[0] ? cwd : "/");
	put_caps(o, caps);
	put_rlimits(o, b->host->nofile_max);
	json_out_bool(o, "noNewPrivileges", sc && sc->no_new_privs);
	if (bundle_apparmor(o, b, e) < 0 || put_oom_score(o, b, e) < 0)
		return -e->code;
	json_out_end(o);
	return 0;
}

/* Namespaces --------------------------------------------------------------- */

/* name: link in the pod's ns folder; NULL: a new namespace. */
static void put_ns(struct json_out *o, const struct bundle *b, const char *type, const char *name,
		   const char *path)
{
	json_out_object(o, NULL);
	json_out_text(o, "type", type);
	if (name) {
		auto_free char *link = mem_printf("%s/ns/%s", b->pod_dir, name);

		json_out_text(o, "path", link);
	} else if (path) {
		json_out_text(o, "path", path);
	}
	json_out_end(o);
}

static int put_pid_ns(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	const Cri__NamespaceOption *ns = sc ? sc->namespace_options : NULL;
	Cri__NamespaceMode mode = ns ? ns->pid : CRI__NAMESPACE_MODE__POD;

	switch (mode) {
	case CRI__NAMESPACE_MODE__POD:
		put_ns(o, b, "pid", "pid", NULL);
		return 0;
	case CRI__NAMESPACE_MODE__CONTAINER:
		put_ns(o, b, "pid", NULL, NULL);
		return 0;
	case CRI__NAMESPACE_MODE__NODE:
		return 0;
	case CRI__NAMESPACE_MODE__TARGET:
		if (!b->target_pid_ns)
			return err_set(e, EINVAL, "the target container's pid namespace is gone");
		put_ns(o, b, "pid", NULL, b->target_pid_ns);
		return 0;
	case _CRI__NAMESPACE_MODE_IS_INT_SIZE:
		break;
	}
	return err_set(e, EINVAL, "pid namespace mode %d is unknown", (int)mode);
}

static int put_namespaces(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__NamespaceOption *pod = bundle_pod_ns(b);
	bool host_net = pod && pod->network == CRI__NAMESPACE_MODE__NODE;
	bool host_ipc = pod && pod->ipc == CRI__NAMESPACE_MODE__NODE;

	json_out_array(o, "namespaces");
	put_ns(o, b, "mount", NULL, NULL);
	if (put_pid_ns(o, b, e) < 0)
		return -e->code;
	if (!host_net) {
		put_ns(o, b, "network", "net", NULL);
		put_ns(o, b, "uts", "uts", NULL);
	}
	if (!host_ipc)
		put_ns(o, b, "ipc", "ipc", NULL);
	if (!bundle_privileged(b))
		put_ns(o, b, "cgroup", NULL, NULL);
	json_out_end(o);
	return 0;
}

/* The rest ----------------------------------------------------------------- */

static int put_paths(struct json_out *o, const char *key, char *const *paths, size_t count,
		     struct err *e)
{
	json_out_array(o, key);
	for (size_t i = 0; i < count; i++) {
		if (paths[i][0] != '/')
			return err_set(e, EINVAL, "%s: %.128s is not absolute", key, paths[i]);
		json_out_text(o, NULL, paths[i]);
	}
	json_out_end(o);
	return 0;
}

static int put_resources(struct json_out *o, const struct bundle *b,
			 const struct bundle_devices *devices, struct err *e)
{
	const Cri__LinuxContainerConfig *l = b->config->linux;
	bool privileged = bundle_privileged(b);

	json_out_object(o, "resources");
	json_out_array(o, "devices");
	json_out_object(o, NULL);
	json_out_bool(o, "allow", privileged);
	json_out_text(o, "access", "rwm");
	json_out_end(o);
	for (size_t i = 0; !privileged && i < devices->count; i++) {
		const struct bundle_device *d = &devices->list[i];

		json_out_object(o, NULL);
		json_out_bool(o, "allow", true);
		json_out_text(o, "type", d->type == 'b' ? "b" : "c");
		json_out_uint(o, "major", d->major);
		json_out_uint(o, "minor", d->minor);
		json_out_text(o, "access", d->access);
		json_out_end(o);
	}
	json_out_end(o);
	if (bundle_limits(o, l ? l->resources : NULL, b->host, e) < 0)
		return -e->code;
	json_out_end(o);
	return 0;
}

static int put_linux(struct json_out *o, const struct bundle *b, const struct bundle_caps *caps,
		     struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	struct bundle_devices devices = { 0 };
	int r;

	json_out_object(o, "linux");
	json_out_text(o, "cgroupsPath", b->cgroups_path);
	json_out_text(o, "rootfsPropagation", bundle_root_propagation(b));
	r = put_namespaces(o, b, e);
	if (r == 0)
		r = bundle_devices_find(b, &devices, e);
	if (r == 0) {
		bundle_devices_put(o, &devices);
		r = put_resources(o, b, &devices, e);
	}
	bundle_devices_done(&devices);
	if (r == 0 && sc && !sc->privileged) {
		r = put_paths(o, "maskedPaths", sc->masked_paths, sc->n_masked_paths, e);
		if (r == 0)
			r = put_paths(o, "readonlyPaths", sc->readonly_paths, sc->n_readonly_paths,
				      e);
	}
	if (r == 0)
		r = bundle_seccomp(o, b, caps->bounding, e);
	json_out_end(o);
	return r;
}

/* For other runtimes and tools that look into the bundle; the user's own stay out, because some
 * runtimes take orders from annotations. */
static void put_annotations(struct json_out *o, const struct bundle *b)
{
	const Cri__PodSandboxMetadata *m = b->pod->metadata;
	const struct {
		const char *key;
		const char *value;
	} rows[] = {
		{ "container-type", "container" },
		{ "sandbox-id", b->pod_id },
		{ "sandbox-name", m ? m->name : "" },
		{ "sandbox-namespace", m ? m->namespace_ : "" },
		{ "sandbox-uid", m ? m->uid : "" },
		{ "container-name", b->config->metadata ? b->config->metadata->name : "" },
		{ "image-name", b->config->image ? b->config->image->image : "" },
	};
	char key[64];

	json_out_object(o, "annotations");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(key, sizeof(key), "io.kubernetes.cri.%s", rows[i].key);
		json_out_text(o, key, rows[i].value);
	}
	json_out_end(o);
}

/* What we do not do is said, not left out. */
static int refuse(const struct bundle *b, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	const Cri__LinuxPodSandboxConfig *pod = b->pod->linux;
	const Cri__NamespaceOption *ns = sc ? sc->namespace_options : NULL;

	if (sc && sc->privileged &&
	    !(pod && pod->security_context && pod->security_context->privileged))
		return err_set(e, EINVAL, "a privileged container needs a privileged pod");
	if (ns && ns->userns_options && ns->userns_options->mode == CRI__NAMESPACE_MODE__POD &&
	    ns->userns_options->n_uids)
		return err_set(e, ENOTSUP, "user namespaces are not implemented");
	if (b->config->n_cdi_devices)
		return err_set(e, ENOTSUP, "CDI devices are not implemented: %.128s",
			       b->config->cdi_devices[0]->name);
	for (size_t i = 0; i < b->config->n_annotations; i++)
		if (str_starts(b->config->annotations[i]->key, "cdi.k8s.io/"))
			return err_set(e, ENOTSUP, "CDI devices are not implemented: %.128s",
				       b->config->annotations[i]->key);
	return 0;
}

int bundle_write(const struct bundle *b, char **ret_json, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	auto_json_out o = { 0 };
	struct bundle_caps caps;

	if (refuse(b, e) < 0 || bundle_caps_find(b, &caps, e) < 0)
		return -e->code;
	json_out_object(&o, NULL);
	json_out_text(&o, "ociVersion", "1.0.2");
	json_out_object(&o, "root");
	json_out_text(&o, "path", "rootfs");
	json_out_bool(&o, "readonly", sc && sc->readonly_rootfs);
	json_out_end(&o);
	if (put_process(&o, b, &caps, e) < 0 || bundle_mounts(&o, b, e) < 0 ||
	    put_linux(&o, b, &caps, e) < 0)
		return -e->code;
	put_annotations(&o, b);
	json_out_end(&o);
	*ret_json = json_out_take(&o);
	return 0;
}

int bundle_exec_process(const struct json *config, char *const *args, size_t nargs, bool terminal,
			char **ret_json, struct err *e)
{
	const struct json *process = json_get(config, "process");
	auto_json_out o = { 0 };
	bool term = false;

	if (!nargs)
		return err_set(e, EINVAL, "no command");
	if (!process || process->type != JSON_OBJECT)
		return err_set(e, EINVAL, "config.json has no process");
	json_out_object(&o, NULL);
	json_each(m, process) {
		if (str_eq(m->key, "args") || str_eq(m->key, "terminal"))
			continue;
		if (!str_eq(m->key, "env")) {
			json_out_json(&o, m->key, m);
			continue;
		}
		json_out_array(&o, "env");
		json_each(v, m) {
			term = term || str_starts(v->text, "TERM=");
			json_out_text(&o, NULL, v->text);
		}
		if (terminal && !term)
			json_out_text(&o, NULL, "TERM=xterm");
		json_out_end(&o);
	}
	json_out_bool(&o, "terminal", terminal);
	json_out_array(&o, "args");
	put_words(&o, args, nargs);
	json_out_end(&o);
	json_out_end(&o);
	*ret_json = json_out_take(&o);
	return 0;
}
