/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cri/bundle.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static char *no_words[] = { NULL };
static char *shell[] = { (char *)"sh", NULL };

/* A request with everything absent that may be. */
struct request {
	Cri__ContainerConfig config;
	Cri__ContainerMetadata name;
	Cri__ImageSpec image;
	Cri__LinuxContainerConfig linux_config;
	Cri__LinuxContainerSecurityContext sc;
	Cri__LinuxContainerResources resources;
	Cri__Capability caps;
	Cri__SecurityProfile seccomp;
	Cri__SecurityProfile apparmor;
	Cri__NamespaceOption ns;
	Cri__PodSandboxConfig pod;
	Cri__PodSandboxMetadata pod_name;
	Cri__LinuxPodSandboxConfig pod_linux;
	Cri__LinuxSandboxSecurityContext pod_sc;
	Cri__NamespaceOption pod_ns;
	struct image_config image_config;
	struct bundle_user user;
	struct bundle_host host;
	struct bundle b;
	struct json *out;
	struct err e;
};

static void fill(struct request *r)
{
	*r = (struct request){ 0 };
	cri__container_config__init(&r->config);
	cri__container_metadata__init(&r->name);
	cri__image_spec__init(&r->image);
	cri__linux_container_config__init(&r->linux_config);
	cri__linux_container_security_context__init(&r->sc);
	cri__linux_container_resources__init(&r->resources);
	cri__capability__init(&r->caps);
	cri__security_profile__init(&r->seccomp);
	cri__security_profile__init(&r->apparmor);
	cri__namespace_option__init(&r->ns);
	cri__pod_sandbox_config__init(&r->pod);
	cri__pod_sandbox_metadata__init(&r->pod_name);
	cri__linux_pod_sandbox_config__init(&r->pod_linux);
	cri__linux_sandbox_security_context__init(&r->pod_sc);
	cri__namespace_option__init(&r->pod_ns);
	r->config.metadata = &r->name;
	r->config.image = &r->image;
	r->config.linux = &r->linux_config;
	r->linux_config.security_context = &r->sc;
	r->linux_config.resources = &r->resources;
	r->sc.namespace_options = &r->ns;
	r->ns.pid = CRI__NAMESPACE_MODE__CONTAINER;
	r->pod.metadata = &r->pod_name;
	r->pod.linux = &r->pod_linux;
	r->pod_linux.security_context = &r->pod_sc;
	r->pod_sc.namespace_options = &r->pod_ns;
	r->image_config = (struct image_config){
		.env = no_words,
		.entrypoint = no_words,
		.cmd = shell,
		.working_dir = (char *)"",
		.user = (char *)"",
	};
	r->host = (struct bundle_host){
		.caps = UINT64_MAX,
		.rro = true,
		.oom_score_adj_min = -1000,
		.nofile_max = 1 << 20,
		.hugetlb = true,
	};
	r->b = (struct bundle){
		.id = "c0",
		.pod_id = "p0",
		.config = &r->config,
		.pod = &r->pod,
		.image = &r->image_config,
		.user = &r->user,
		.host = &r->host,
		.pod_dir = "/run/berth/pods/p0",
		.shm = "/run/berth/pods/p0/shm",
		.cgroups_path = "/kubepods/pod1/c0",
		.node_name = "node-1",
	};
}

static int write_it(struct request *r)
{
	auto_free char *text = NULL;
	int result;

	json_free(r->out);
	r->out = NULL;
	r->e = (struct err){ 0 };
	result = bundle_write(&r->b, &text, &r->e);
	if (result == 0)
		assert_int_equal(json_parse(text, strlen(text), &r->out, &r->e), 0);
	return result;
}

static int setup(void **state)
{
	struct request *r = mem_alloc(sizeof(*r));

	fill(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct request *r = *state;

	json_free(r->out);
	free(r);
	return 0;
}

/* "a.b.c" below root; a number picks from an array. */
static const struct json *at(const struct json *root, const char *path)
{
	auto_free char *copy = mem_strdup(path);
	char *rest = copy, *word;
	uint64_t n;

	while (root && (word = str_field(&rest, "/"))) {
		if (root->type == JSON_ARRAY && str_to_u64(word, &n) == 0) {
			root = root->first;
			while (root && n--)
				root = root->next;
		} else {
			root = json_get(root, word);
		}
	}
	return root;
}

static const char *text_at(const struct request *r, const char *path)
{
	const struct json *v = at(r->out, path);

	return v ? v->type == JSON_BOOL ? v->boolean ? "true" : "false" : v->text : NULL;
}

/* The words of an array with a blank between; the caller frees it. */
static char *joined(const struct json *array)
{
	struct str s = { 0 };

	json_each(v, array)
		str_printf(&s, "%s%s", s.len ? " " : "", v->text);
	return str_take(&s);
}

#define assert_words(r, path, expected)                              \
	do {                                                         \
		auto_free char *found_ = joined(at((r)->out, path)); \
		assert_string_equal(found_, expected);               \
	} while (0)

static const struct json *mount_at(const struct request *r, const char *to)
{
	json_each(m, json_get(r->out, "mounts"))
		if (str_eq(json_get(m, "destination")->text, to))
			return m;
	return NULL;
}

static char *mount_options(const struct request *r, const char *to)
{
	return joined(json_get(mount_at(r, to), "options"));
}

#define assert_options(r, to, expected)                        \
	do {                                                   \
		auto_free char *found_ = mount_options(r, to); \
		assert_string_equal(found_, expected);         \
	} while (0)

static bool has_ns(const struct request *r, const char *type, const char *path)
{
	json_each(n, at(r->out, "linux/namespaces")) {
		const struct json *p = json_get(n, "path");

		if (str_eq(json_get(n, "type")->text, type))
			return path ? p && str_eq(p->text, path) : !p;
	}
	return false;
}

static void command_and_args_replace_what_the_image_says(void **state)
{
	struct request *r = *state;
	char *entry[] = { (char *)"/entry", NULL }, *cmd[] = { (char *)"-d", NULL };
	char *command[] = { (char *)"/cmd" }, *args[] = { (char *)"a", (char *)"b" };

	r->image_config.entrypoint = entry;
	r->image_config.cmd = cmd;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/args", "/entry -d");
	r->config.args = args;
	r->config.n_args = 2;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/args", "/entry a b");
	r->config.command = command;
	r->config.n_command = 1;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/args", "/cmd a b");
	r->config.n_args = 0;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/args", "/cmd");
	r->config.n_command = 0;
	r->image_config.entrypoint = r->image_config.cmd = no_words;
	assert_int_equal(write_it(r), -EINVAL);
}

static void the_environment_is_layered(void **state)
{
	struct request *r = *state;
	char *env[] = { (char *)"A=image", (char *)"B=image", (char *)"PATH=/x", NULL };
	Cri__KeyValue a = CRI__KEY_VALUE__INIT;
	Cri__KeyValue *envs[] = { &a };

	a.key = (char *)"A";
	a.value.data = (uint8_t *)(char *)"asked";
	a.value.len = 5;
	r->image_config.env = env;
	r->config.envs = envs;
	r->config.n_envs = 1;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/env", "PATH=/x HOSTNAME=node-1 HOME=/ A=asked B=image");
	r->config.tty = true;
	r->pod.hostname = (char *)"web";
	r->user.home = (char *)"/root";
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/env",
		     "PATH=/x HOSTNAME=web TERM=xterm HOME=/root A=asked B=image");
	a.value.data = (uint8_t *)(char *)"\xff\xfe";
	a.value.len = 2;
	assert_int_equal(write_it(r), -EINVAL);
	a.key = (char *)"A=B";
	assert_int_equal(write_it(r), -EINVAL);
}

static void namespaces_follow_the_pod_but_pid(void **state)
{
	struct request *r = *state;

	assert_int_equal(write_it(r), 0);
	assert_true(has_ns(r, "pid", NULL));
	assert_true(has_ns(r, "network", "/run/berth/pods/p0/ns/net"));
	assert_true(has_ns(r, "uts", "/run/berth/pods/p0/ns/uts"));
	assert_true(has_ns(r, "ipc", "/run/berth/pods/p0/ns/ipc"));
	assert_true(has_ns(r, "cgroup", NULL));
	assert_true(has_ns(r, "mount", NULL));
	r->ns.pid = CRI__NAMESPACE_MODE__POD;
	assert_int_equal(write_it(r), 0);
	assert_true(has_ns(r, "pid", "/run/berth/pods/p0/ns/pid"));
	r->ns.pid = CRI__NAMESPACE_MODE__NODE;
	r->pod_ns.network = r->pod_ns.ipc = CRI__NAMESPACE_MODE__NODE;
	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/namespaces/2"));
	r->ns.pid = CRI__NAMESPACE_MODE__TARGET;
	assert_int_equal(write_it(r), -EINVAL);
	r->b.target_pid_ns = "/proc/7/ns/pid";
	assert_int_equal(write_it(r), 0);
	assert_true(has_ns(r, "pid", "/proc/7/ns/pid"));
	r->ns.pid = (Cri__NamespaceMode)9;
	assert_int_equal(write_it(r), -EINVAL);
}

static const char default_caps[] =
	"CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID "
	"CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE "
	"CAP_SETFCAP";

static void capabilities_start_from_the_default_set(void **state)
{
	struct request *r = *state;
	char *all[] = { (char *)"all" }, *chown[] = { (char *)"chown" };
	char *admin[] = { (char *)"CAP_NET_ADMIN" }, *odd[] = { (char *)"FLY" };

	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/capabilities/bounding", default_caps);
	assert_words(r, "process/capabilities/effective", default_caps);
	assert_words(r, "process/capabilities/permitted", default_caps);
	assert_words(r, "process/capabilities/inheritable", "");
	assert_words(r, "process/capabilities/ambient", "");
	r->sc.capabilities = &r->caps;
	r->caps.drop_capabilities = all;
	r->caps.n_drop_capabilities = 1;
	r->caps.add_capabilities = admin;
	r->caps.n_add_capabilities = 1;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/capabilities/bounding", "CAP_NET_ADMIN");
	r->caps.add_ambient_capabilities = chown;
	r->caps.n_add_ambient_capabilities = 1;
	assert_int_equal(write_it(r), 0);
	assert_words(r, "process/capabilities/ambient", "CAP_CHOWN");
	assert_words(r, "process/capabilities/bounding", "CAP_CHOWN CAP_NET_ADMIN");
	r->caps.n_add_ambient_capabilities = 0;
	r->caps.add_capabilities = all;
	r->caps.drop_capabilities = chown;
	assert_int_equal(write_it(r), 0);
	assert_null(strstr(text_at(r, "process/capabilities/bounding/0"), "CHOWN"));
	assert_non_null(at(r->out, "process/capabilities/bounding/39"));
	assert_null(at(r->out, "process/capabilities/bounding/40"));
	r->caps.add_capabilities = odd;
	assert_int_equal(write_it(r), -EINVAL);
	assert_string_equal(r->e.msg, "capability FLY is unknown");
}

static void a_privileged_container_sees_the_node(void **state)
{
	struct request *r = *state;
	char *masked[] = { (char *)"/proc/kcore" };

	r->sc.privileged = true;
	r->sc.masked_paths = masked;
	r->sc.n_masked_paths = 1;
	r->sc.seccomp = &r->seccomp;
	assert_int_equal(write_it(r), -EINVAL);
	r->pod_sc.privileged = true;
	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/maskedPaths"));
	assert_null(at(r->out, "linux/seccomp"));
	assert_false(has_ns(r, "cgroup", NULL));
	assert_options(r, "/sys", "nosuid noexec nodev rw");
	assert_options(r, "/sys/fs/cgroup", "nosuid noexec nodev relatime rw");
	assert_string_equal(text_at(r, "linux/resources/devices/0/allow"), "true");
	assert_null(at(r->out, "linux/resources/devices/1"));
	assert_non_null(at(r->out, "linux/devices/0"));
	assert_non_null(at(r->out, "process/capabilities/bounding/40"));
}

static void the_default_seccomp_profile_is_the_known_one(void **state)
{
	struct request *r = *state;
	auto_free char *text = NULL;
	auto_json *expected = NULL;
	size_t len, n = 0;

	r->sc.seccomp = &r->seccomp;
	assert_int_equal(write_it(r), 0);
	assert_int_equal(path_read(AT_FDCWD, TEST_DATA "/cri/seccomp-default.json", 1 << 20, &text,
				   &len, &r->e),
			 0);
	assert_int_equal(json_parse(text, len, &expected, &r->e), 0);
	assert_string_equal(text_at(r, "linux/seccomp/defaultAction"), "SCMP_ACT_ERRNO");
	assert_string_equal(text_at(r, "linux/seccomp/defaultErrnoRet"), "1");
	json_each(rule, at(expected, "seccomp/syscalls")) {
		auto_free char *path = mem_printf("linux/seccomp/syscalls/%zu", n++);
		const struct json *ours = at(r->out, path);
		auto_free char *names = joined(json_get(rule, "names"));
		auto_free char *our_names = joined(json_get(ours, "names"));

		assert_string_equal(our_names, names);
		assert_string_equal(json_get(ours, "action")->text, json_get(rule, "action")->text);
		json_each(m, at(rule, "args/0"))
			assert_string_equal(json_get(at(ours, "args/0"), m->key)->text, m->text);
		if (json_get(rule, "errnoRet"))
			assert_string_equal(json_get(ours, "errnoRet")->text,
					    json_get(rule, "errnoRet")->text);
	}
	assert_true(n > 10);
	assert_int_equal(at(r->out, "linux/seccomp/syscalls")->count, n);
}

static void seccomp_is_chosen_by_the_request(void **state)
{
	struct request *r = *state;
	char *admin[] = { (char *)"SYS_ADMIN" };

	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/seccomp"));
	r->sc.seccomp_profile_path = (char *)"runtime/default";
	assert_int_equal(write_it(r), 0);
	assert_non_null(at(r->out, "linux/seccomp"));
	r->sc.seccomp_profile_path = (char *)"nonsense";
	assert_int_equal(write_it(r), -EINVAL);
	r->sc.seccomp = &r->seccomp;
	r->seccomp.profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/seccomp"));
	r->seccomp.localhost_ref = (char *)"/x";
	assert_int_equal(write_it(r), -EINVAL);
	r->seccomp.profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
	r->seccomp.localhost_ref = (char *)"/no/such/profile.json";
	assert_int_equal(write_it(r), -ENOENT);
	r->seccomp.localhost_ref = (char *)"relative.json";
	assert_int_equal(write_it(r), -EINVAL);
	/* CAP_SYS_ADMIN takes clone and clone3 from the rules for others */
	r->seccomp.profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
	r->seccomp.localhost_ref = (char *)"";
	r->sc.capabilities = &r->caps;
	r->caps.add_capabilities = admin;
	r->caps.n_add_capabilities = 1;
	assert_int_equal(write_it(r), 0);
	json_each(rule, at(r->out, "linux/seccomp/syscalls"))
		assert_null(json_get(rule, "errnoRet"));
}

static void a_localhost_profile_must_be_oci(void **state)
{
	struct request *r = *state;
	char path[] = "/tmp/berth-unitXXXXXX";
	static const struct {
		const char *text;
		int result;
	} rows[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"chmod\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{}}]}",
		  0 },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{}]}", -ENOTSUP },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"x\"],"
		  "\"excludes\":{\"caps\":[\"A\"]}}]}",
		  -ENOTSUP },
		{ "{}", -EINVAL },
		{ "[]", -EINVAL },
		{ "{", -EINVAL },
		{ "", -EINVAL },
	};
	auto_fd int fd = mkostemp(path, O_CLOEXEC);

	r->sc.seccomp = &r->seccomp;
	r->seccomp.profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
	r->seccomp.localhost_ref = path;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0),
				 (ssize_t)strlen(rows[i].text));
		assert_int_equal(write_it(r), rows[i].result);
		if (rows[i].result == 0)
			assert_words(r, "linux/seccomp/syscalls/0/names", "chmod");
	}
	unlink(path);
}

static void apparmor_is_refused_where_it_is_off(void **state)
{
	struct request *r = *state;

	r->sc.apparmor = &r->apparmor;
	assert_int_equal(write_it(r), -ENOTSUP);
	r->apparmor.profile_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
	assert_int_equal(write_it(r), 0);
	r->sc.apparmor = NULL;
	r->sc.apparmor_profile = (char *)"localhost/some";
	assert_int_equal(write_it(r), -ENOTSUP);
	r->sc.apparmor_profile = (char *)"unconfined";
	assert_int_equal(write_it(r), 0);
}

static void standard_mounts_give_way(void **state)
{
	struct request *r = *state;
	Cri__Mount shm = CRI__MOUNT__INIT, deep = CRI__MOUNT__INIT, top = CRI__MOUNT__INIT;
	Cri__Mount *mounts[] = { &deep, &top, &shm };
	const struct json *last = NULL;

	assert_int_equal(write_it(r), 0);
	assert_options(r, "/sys", "nosuid noexec nodev ro");
	assert_options(r, "/dev/shm", "rbind rprivate nosuid nodev noexec");
	assert_options(r, "/etc/hosts", "rbind rprivate rw");
	shm.container_path = (char *)"/dev//shm/";
	shm.host_path = (char *)"/host/shm";
	deep.container_path = (char *)"/data/a/b";
	deep.host_path = (char *)"/host/b";
	top.container_path = (char *)"/data";
	top.host_path = (char *)"/host/data";
	top.readonly = true;
	r->config.mounts = mounts;
	r->config.n_mounts = 3;
	r->sc.readonly_rootfs = true;
	assert_int_equal(write_it(r), 0);
	assert_options(r, "/dev/shm", "rbind rprivate rw");
	assert_string_equal(json_get(mount_at(r, "/dev/shm"), "source")->text, "/host/shm");
	assert_options(r, "/data", "rbind rprivate ro");
	assert_options(r, "/etc/hosts", "rbind rprivate ro");
	json_each(m, json_get(r->out, "mounts"))
		last = m;
	assert_string_equal(json_get(last, "destination")->text, "/data/a/b");
	r->config.n_mounts = 0;
	r->pod_ns.ipc = CRI__NAMESPACE_MODE__NODE;
	assert_int_equal(write_it(r), 0);
	assert_string_equal(json_get(mount_at(r, "/dev/shm"), "source")->text, "/dev/shm");
	r->pod_ns.ipc = CRI__NAMESPACE_MODE__POD;
	r->b.shm = NULL;
	assert_int_equal(write_it(r), 0);
	assert_options(r, "/dev/shm", "nosuid nodev noexec mode=1777 size=65536k");
}

static void mounts_are_checked(void **state)
{
	struct request *r = *state;
	Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
	Cri__Mount m = CRI__MOUNT__INIT;
	Cri__Mount *mounts[] = { &m };
	char *odd[] = { (char *)"suid" }, *good[] = { (char *)"noexec", (char *)"nosuid" };
	const char *trees[] = { "/layers/x" };

	r->config.mounts = mounts;
	r->config.n_mounts = 1;
	m.container_path = (char *)"data";
	m.host_path = (char *)"/host";
	assert_int_equal(write_it(r), -EINVAL);
	m.container_path = (char *)"/x/../..";
	assert_int_equal(write_it(r), -EINVAL);
	m.container_path = (char *)"/data";
	m.host_path = (char *)"host";
	assert_int_equal(write_it(r), -EINVAL);
	m.host_path = (char *)"/host";
	m.propagation = CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL;
	assert_int_equal(write_it(r), 0);
	assert_options(r, "/data", "rbind rshared rw");
	assert_string_equal(text_at(r, "linux/rootfsPropagation"), "rshared");
	m.recursive_read_only = true;
	assert_int_equal(write_it(r), -EINVAL);
	m.readonly = true;
	assert_int_equal(write_it(r), -EINVAL);
	m.propagation = CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE;
	assert_int_equal(write_it(r), 0);
	assert_options(r, "/data", "rbind rprivate rro");
	r->host.rro = false;
	assert_int_equal(write_it(r), -ENOTSUP);
	assert_true(str_starts(r->e.msg, "RROUnsupported"));
	m.recursive_read_only = false;
	m.mount_options = odd;
	m.n_mount_options = 1;
	assert_int_equal(write_it(r), -EINVAL);
	m.mount_options = good;
	m.n_mount_options = 2;
	assert_int_equal(write_it(r), 0);
	assert_options(r, "/data", "rbind rprivate ro noexec nosuid");
	image.image = (char *)"sha256:1";
	m.image = &image;
	m.host_path = (char *)"";
	assert_int_equal(write_it(r), -ENOTSUP);
	assert_true(str_starts(r->e.msg, "ImageVolumeMountFailed"));
	r->b.image_paths = trees;
	assert_int_equal(write_it(r), 0);
	assert_string_equal(json_get(mount_at(r, "/data"), "source")->text, "/layers/x");
	m.readonly = false;
	assert_int_equal(write_it(r), -EINVAL);
}

static void resources_keep_only_what_is_set(void **state)
{
	struct request *r = *state;
	Cri__LinuxContainerResources *l = &r->resources;
	Cri__MapEntry u = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *unified[] = { &u };
	Cri__HugepageLimit page = CRI__HUGEPAGE_LIMIT__INIT;
	Cri__HugepageLimit *pages[] = { &page };

	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/resources/cpu"));
	assert_null(at(r->out, "linux/resources/memory"));
	assert_string_equal(text_at(r, "process/oomScoreAdj"), "0");
	l->cpu_shares = 512;
	l->cpu_quota = -1;
	l->memory_limit_in_bytes = 1 << 25;
	l->oom_score_adj = -998;
	r->host.oom_score_adj_min = -100;
	u.key = (char *)"memory.oom.group";
	u.value = (char *)"1";
	l->unified = unified;
	l->n_unified = 1;
	page.page_size = (char *)"2MB";
	l->hugepage_limits = pages;
	l->n_hugepage_limits = 1;
	assert_int_equal(write_it(r), 0);
	assert_string_equal(text_at(r, "linux/resources/cpu/shares"), "512");
	assert_string_equal(text_at(r, "linux/resources/cpu/quota"), "-1");
	assert_null(at(r->out, "linux/resources/cpu/period"));
	assert_string_equal(text_at(r, "linux/resources/memory/swap"), "33554432");
	assert_string_equal(text_at(r, "process/oomScoreAdj"), "-100");
	assert_string_equal(text_at(r, "linux/resources/unified/memory.oom.group"), "1");
	assert_string_equal(text_at(r, "linux/resources/hugepageLimits/0/pageSize"), "2MB");
	r->host.hugetlb = false;
	assert_int_equal(write_it(r), 0);
	assert_null(at(r->out, "linux/resources/hugepageLimits"));
	l->memory_swap_limit_in_bytes = 1;
	assert_int_equal(write_it(r), -EINVAL);
	l->memory_swap_limit_in_bytes = 0;
	u.key = (char *)"../memory.max";
	assert_int_equal(write_it(r), -EINVAL);
	l->n_unified = 0;
	l->oom_score_adj = 1001;
	assert_int_equal(write_it(r), -EINVAL);
}

static void devices_are_looked_up(void **state)
{
	struct request *r = *state;
	Cri__Device d = CRI__DEVICE__INIT;
	Cri__Device *devices[] = { &d };

	r->config.devices = devices;
	r->config.n_devices = 1;
	d.host_path = (char *)"/dev/zero";
	d.container_path = (char *)"/dev/nought";
	d.permissions = (char *)"rw";
	assert_int_equal(write_it(r), 0);
	assert_string_equal(text_at(r, "linux/devices/0/path"), "/dev/nought");
	assert_string_equal(text_at(r, "linux/devices/0/minor"), "5");
	assert_string_equal(text_at(r, "linux/resources/devices/0/allow"), "false");
	assert_string_equal(text_at(r, "linux/resources/devices/1/access"), "rw");
	d.permissions = (char *)"x";
	assert_int_equal(write_it(r), -EINVAL);
	d.permissions = (char *)"r";
	d.host_path = (char *)"/dev/no-such";
	assert_int_equal(write_it(r), -ENOENT);
	d.host_path = (char *)"/etc/passwd";
	assert_int_equal(write_it(r), -ENODEV);
}

static void what_is_not_there_is_refused_by_name(void **state)
{
	struct request *r = *state;
	Cri__CDIDevice cdi = CRI__CDIDEVICE__INIT;
	Cri__CDIDevice *devices[] = { &cdi };
	Cri__MapEntry a = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *annotations[] = { &a };
	Cri__UserNamespace user = CRI__USER_NAMESPACE__INIT;
	Cri__IDMapping map = CRI__IDMAPPING__INIT;
	Cri__IDMapping *maps[] = { &map };

	cdi.name = (char *)"vendor.com/gpu=0";
	r->config.cdi_devices = devices;
	r->config.n_cdi_devices = 1;
	assert_int_equal(write_it(r), -ENOTSUP);
	assert_string_equal(r->e.msg, "CDI devices are not implemented: vendor.com/gpu=0");
	r->config.n_cdi_devices = 0;
	a.key = (char *)"cdi.k8s.io/x";
	r->config.annotations = annotations;
	r->config.n_annotations = 1;
	assert_int_equal(write_it(r), -ENOTSUP);
	r->config.n_annotations = 0;
	user.uids = maps;
	user.n_uids = 1;
	r->ns.userns_options = &user;
	assert_int_equal(write_it(r), -ENOTSUP);
	assert_string_equal(r->e.msg, "user namespaces are not implemented");
	user.mode = CRI__NAMESPACE_MODE__NODE;
	assert_int_equal(write_it(r), 0);
}

static void an_exec_is_the_containers_process_with_other_arguments(void **state)
{
	struct request *r = *state;
	char *args[] = { (char *)"ls", (char *)"-l" };
	auto_free char *text = NULL;

	r->user = (struct bundle_user){ .uid = 5, .gid = 6 };
	assert_int_equal(write_it(r), 0);
	assert_int_equal(bundle_exec_process(r->out, args, 2, true, &text, &r->e), 0);
	json_free(r->out);
	r->out = NULL;
	assert_int_equal(json_parse(text, strlen(text), &r->out, &r->e), 0);
	assert_words(r, "args", "ls -l");
	assert_string_equal(text_at(r, "terminal"), "true");
	assert_string_equal(text_at(r, "user/uid"), "5");
	assert_string_equal(text_at(r, "cwd"), "/");
	assert_non_null(at(r->out, "capabilities/bounding/0"));
	assert_non_null(strstr(text, "TERM=xterm"));
	assert_int_equal(bundle_exec_process(r->out, args, 0, true, &text, &r->e), -EINVAL);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(command_and_args_replace_what_the_image_says),
	T(the_environment_is_layered),
	T(namespaces_follow_the_pod_but_pid),
	T(capabilities_start_from_the_default_set),
	T(a_privileged_container_sees_the_node),
	T(the_default_seccomp_profile_is_the_known_one),
	T(seccomp_is_chosen_by_the_request),
	T(a_localhost_profile_must_be_oci),
	T(apparmor_is_refused_where_it_is_off),
	T(standard_mounts_give_way),
	T(mounts_are_checked),
	T(resources_keep_only_what_is_set),
	T(devices_are_looked_up),
	T(what_is_not_there_is_refused_by_name),
	T(an_exec_is_the_containers_process_with_other_arguments),
};

TEST_MAIN(tests)
