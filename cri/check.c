/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of requests; see check.h. */
#include "cri/check.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "lib/str.h"

#define HOSTNAME_MAX 64

/* Pieces ----------------------------------------------------------------------- */

static int check_name(const char *field, const char *text, struct err *e)
{
	size_t len = strlen(text);

	if (!len)
		return err_set(e, EINVAL, "%s: empty", field);
	if (len > CHECK_NAME_MAX)
		return err_set(e, EINVAL, "%s: %zu bytes, at most %d", field, len, CHECK_NAME_MAX);
	return 0;
}

static bool has_dots(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	return false;
}

static int check_path(const char *field, const char *path, struct err *e)
{
	size_t len = strlen(path);

	if (len > CHECK_PATH_MAX)
		return err_set(e, EINVAL, "%s: %zu bytes, at most %d", field, len, CHECK_PATH_MAX);
	if (path[0] != '/')
		return err_set(e, EINVAL, "%s: %s is not absolute", field, path);
	return 0;
}

static int check_enum(const char *field, const ProtobufCEnumDescriptor *desc, int n, struct err *e)
{
	if (!protobuf_c_enum_descriptor_get_value(desc, n))
		return err_set(e, EINVAL, "%s: no %s of number %d", field, desc->short_name, n);
	return 0;
}

static int check_map(const char *field, size_t count, Cri__MapEntry *const *entries, struct err *e)
{
	if (count > CHECK_MAP_MAX)
		return err_set(e, EINVAL, "%s: %zu entries, at most %d", field, count,
			       CHECK_MAP_MAX);
	for (size_t i = 0; i < count; i++)
		if (!*entries[i]->key)
			return err_set(e, EINVAL, "%s: an empty key", field);
	return 0;
}

static int check_count(const char *field, size_t count, struct err *e)
{
	if (count > CHECK_LIST_MAX)
		return err_set(e, EINVAL, "%s: %zu entries, at most %d", field, count,
			       CHECK_LIST_MAX);
	return 0;
}

static int check_size(const ProtobufCMessage *msg, struct err *e)
{
	size_t len = protobuf_c_message_get_packed_size(msg);

	if (len > CHECK_CONFIG_MAX)
		return err_set(e, EINVAL, "%zu bytes, at most %u", len, CHECK_CONFIG_MAX);
	return 0;
}

static int check_userns(const Cri__UserNamespace *u, struct err *e)
{
	if (!u || u->mode == CRI__NAMESPACE_MODE__NODE)
		return 0;
	if (u->mode == CRI__NAMESPACE_MODE__POD)
		return err_set(e, EINVAL, "userns_options: user namespaces are not supported");
	return err_set(e, EINVAL, "userns_options: mode %d is neither POD nor NODE", (int)u->mode);
}

static int check_namespaces(const Cri__NamespaceOption *o, bool of_pod, struct err *e)
{
	if (!o)
		return 0;
	if (o->network != CRI__NAMESPACE_MODE__POD && o->network != CRI__NAMESPACE_MODE__NODE)
		return err_set(e, EINVAL, "network: mode %d is neither POD nor NODE",
			       (int)o->network);
	if (o->ipc != CRI__NAMESPACE_MODE__POD && o->ipc != CRI__NAMESPACE_MODE__NODE)
		return err_set(e, EINVAL, "ipc: mode %d is neither POD nor NODE", (int)o->ipc);
	if (check_enum("pid", &cri__namespace_mode__descriptor, (int)o->pid, e) < 0)
		return -e->code;
	if (of_pod && o->pid == CRI__NAMESPACE_MODE__TARGET)
		return err_set(e, EINVAL, "pid: TARGET is for containers");
	return check_userns(o->userns_options, e);
}

int check_resources(const Cri__LinuxContainerResources *r, struct err *e)
{
	static const struct {
		const char *name;
		size_t offset;
		int64_t min;
	} numbers[] = {
		{ "cpu_period", offsetof(Cri__LinuxContainerResources, cpu_period), 0 },
		{ "cpu_quota", offsetof(Cri__LinuxContainerResources, cpu_quota), -1 },
		{ "cpu_shares", offsetof(Cri__LinuxContainerResources, cpu_shares), 0 },
		{ "memory_limit_in_bytes",
		  offsetof(Cri__LinuxContainerResources, memory_limit_in_bytes), -1 },
		{ "memory_swap_limit_in_bytes",
		  offsetof(Cri__LinuxContainerResources, memory_swap_limit_in_bytes), -1 },
		{ "oom_score_adj", offsetof(Cri__LinuxContainerResources, oom_score_adj), -1000 },
	};

	for (size_t i = 0; r && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *at = (const char *)r + numbers[i].offset;
		int64_t n = *(const int64_t *)(const void *)at;

		if (n < numbers[i].min)
			return err_set(e, EINVAL, "%s: %lld", numbers[i].name, (long long)n);
	}
	if (r && r->oom_score_adj > 1000)
		return err_set(e, EINVAL, "oom_score_adj: %lld", (long long)r->oom_score_adj);
	return r ? check_map("unified", r->n_unified, r->unified, e) : 0;
}

static int check_profile(const char *field, const Cri__SecurityProfile *p, struct err *e)
{
	if (!p)
		return 0;
	if (check_enum(field, &cri__security_profile__profile_type__descriptor,
		       (int)p->profile_type, e) < 0)
		return -e->code;
	if (p->profile_type == CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost && !*p->localhost_ref)
		return err_set(e, EINVAL, "%s: Localhost without localhost_ref", field);
	return 0;
}

/* Pods ------------------------------------------------------------------------- */

static int check_port(const Cri__PortMapping *p, struct err *e)
{
	struct in6_addr addr;

	if (check_enum("protocol", &cri__protocol__descriptor, (int)p->protocol, e) < 0)
		return -e->code;
	if (p->container_port < 0 || p->container_port > 65535 ||
	    (p->host_port && !p->container_port))
		return err_set(e, EINVAL, "container_port: %d", p->container_port);
	if (p->host_port < 0 || p->host_port > 65535)
		return err_set(e, EINVAL, "host_port: %d", p->host_port);
	if (*p->host_ip && inet_pton(AF_INET, p->host_ip, &addr) != 1 &&
	    inet_pton(AF_INET6, p->host_ip, &addr) != 1)
		return err_set(e, EINVAL, "host_ip: %s is no address", p->host_ip);
	return 0;
}

static int check_hostname(const Cri__PodSandboxConfig *c, struct err *e)
{
	if (strlen(c->hostname) > HOSTNAME_MAX)
		return err_set(e, EINVAL, "hostname: %zu bytes, at most %d", strlen(c->hostname),
			       HOSTNAME_MAX);
	for (const char *p = c->hostname; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._",
			    *p))
			return err_set(e, EINVAL, "hostname: %s", c->hostname);
	return 0;
}

static int check_dns(const Cri__DNSConfig *d, struct err *e)
{
	const struct {
		const char *name;
		size_t count;
		char *const *texts;
	} lists[] = {
		{ "servers", d->n_servers, d->servers },
		{ "searches", d->n_searches, d->searches },
		{ "options", d->n_options, d->options },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (size_t k = 0; k < lists[i].count; k++)
			if (!*lists[i].texts[k] || strpbrk(lists[i].texts[k], " \t\r\n"))
				return err_set(e, EINVAL, "dns_config: %s: \"%s\"", lists[i].name,
					       lists[i].texts[k]);
	return 0;
}

/* Only what belongs to a namespace of the pod's own: the rest is the node's. */
static int check_sysctl(const char *name, const Cri__NamespaceOption *o, struct err *e)
{
	static const struct {
		const char *prefix;
		bool net;
	} rows[] = {
		{ "kernel.shm", false }, { "kernel.msg", false }, { "kernel.sem", false },
		{ "fs.mqueue.", false }, { "net.", true },
	};
	char dotted[256];

	if (!str_copy(dotted, sizeof(dotted), name))
		return err_set(e, EINVAL, "sysctls: %.200s: too long", name);
	if (strcspn(name, "/") < strcspn(name, "."))
		for (char *p = dotted; *p; p++)
			*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Cri__NamespaceMode mode = CRI__NAMESPACE_MODE__POD;

		if (!str_starts(dotted, rows[i].prefix))
			continue;
		if (o)
			mode = rows[i].net ? o->network : o->ipc;
		if (mode == CRI__NAMESPACE_MODE__NODE)
			return err_set(e, EINVAL, "sysctls: %s: the pod uses the node's namespace",
				       name);
		return 0;
	}
	return err_set(e, EINVAL, "sysctls: %s: not of a namespace", name);
}

static int check_cgroup_parent(const char *path, struct err *e)
{
	if (!*path)
		return 0;
	if (str_ends(path, ".slice"))
		return err_set(e, EINVAL,
			       "cgroup_parent: %s is systemd's form, the cgroup driver is cgroupfs",
			       path);
	if (check_path("cgroup_parent", path, e) < 0)
		return -e->code;
	if (has_dots(path) || str_eq(path, "/berth") || str_starts(path, "/berth/"))
		return err_set(e, EINVAL, "cgroup_parent: %s", path);
	return 0;
}

static int check_pod_linux(const Cri__LinuxPodSandboxConfig *linux, struct err *e)
{
	const Cri__LinuxSandboxSecurityContext *sc = linux->security_context;
	const Cri__NamespaceOption *o = sc ? sc->namespace_options : NULL;

	if (check_cgroup_parent(linux->cgroup_parent, e) < 0)
		return -e->code;
	if (check_namespaces(o, true, e) < 0)
		return err_wrap(e, "namespace_options");
	if (sc && check_profile("seccomp", sc->seccomp, e) < 0)
		return -e->code;
	if (check_map("sysctls", linux->n_sysctls, linux->sysctls, e) < 0)
		return -e->code;
	for (size_t i = 0; i < linux->n_sysctls; i++)
		if (check_sysctl(linux->sysctls[i]->key, o, e) < 0)
			return -e->code;
	return 0;
}

int check_pod(const Cri__PodSandboxConfig *c, struct err *e)
{
	const Cri__PodSandboxMetadata *m = c->metadata;

	if (!m)
		return err_set(e, EINVAL, "metadata: missing");
	if (check_name("metadata.name", m->name, e) < 0 ||
	    check_name("metadata.namespace", m->namespace_, e) < 0 ||
	    check_name("metadata.uid", m->uid, e) < 0 || check_size(&c->base, e) < 0 ||
	    check_hostname(c, e) < 0 || check_map("labels", c->n_labels, c->labels, e) < 0 ||
	    check_map("annotations", c->n_annotations, c->annotations, e) < 0)
		return -e->code;
	if (*c->log_directory && check_path("log_directory", c->log_directory, e) < 0)
		return -e->code;
	if (c->dns_config && check_dns(c->dns_config, e) < 0)
		return -e->code;
	if (c->n_port_mappings > 256)
		return err_set(e, EINVAL, "port_mappings: %zu, at most 256", c->n_port_mappings);
	for (size_t i = 0; i < c->n_port_mappings; i++)
		if (check_port(c->port_mappings[i], e) < 0)
			return err_wrap(e, "port_mappings[%zu]", i);
	if (c->linux && check_pod_linux(c->linux, e) < 0)
		return err_wrap(e, "linux");
	return 0;
}

/* Containers ------------------------------------------------------------------- */

static int check_mount(const Cri__Mount *m, struct err *e)
{
	if (check_path("container_path", m->container_path, e) < 0)
		return -e->code;
	if (m->image && *m->image->image)
		return 0; /* what cannot be mounted is refused with its own words */
	if (check_path("host_path", m->host_path, e) < 0)
		return -e->code;
	if (check_enum("propagation", &cri__mount_propagation__descriptor, (int)m->propagation, e) <
	    0)
		return -e->code;
	if (m->n_uidmappings || m->n_gidmappings)
		return err_set(e, EINVAL, "uidMappings: user namespaces are not supported");
	if (m->n_mount_options)
		return err_set(e, EINVAL, "mount_options: %s is not supported",
			       m->mount_options[0]);
	return 0;
}

static int check_device(const Cri__Device *d, struct err *e)
{
	if (check_path("container_path", d->container_path, e) < 0 ||
	    check_path("host_path", d->host_path, e) < 0)
		return -e->code;
	if (d->permissions[strspn(d->permissions, "rwm")])
		return err_set(e, EINVAL, "permissions: %s", d->permissions);
	return 0;
}

static int check_ctr_linux(const Cri__LinuxContainerConfig *linux, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = linux->security_context;

	if (check_resources(linux->resources, e) < 0)
		return err_wrap(e, "resources");
	if (!sc)
		return 0;
	if (check_namespaces(sc->namespace_options, false, e) < 0)
		return err_wrap(e, "namespace_options");
	if (check_profile("seccomp", sc->seccomp, e) < 0 ||
	    check_profile("apparmor", sc->apparmor, e) < 0 ||
	    check_enum("supplemental_groups_policy", &cri__supplemental_groups_policy__descriptor,
		       (int)sc->supplemental_groups_policy, e) < 0)
		return -e->code;
	if (sc->run_as_user && (sc->run_as_user->value < 0 || sc->run_as_user->value > UINT32_MAX))
		return err_set(e, EINVAL, "run_as_user: %lld", (long long)sc->run_as_user->value);
	if (sc->run_as_group &&
	    (sc->run_as_group->value < 0 || sc->run_as_group->value > UINT32_MAX))
		return err_set(e, EINVAL, "run_as_group: %lld", (long long)sc->run_as_group->value);
	return 0;
}

static int check_lists(const Cri__ContainerConfig *c, struct err *e)
{
	if (check_map("labels", c->n_labels, c->labels, e) < 0 ||
	    check_map("annotations", c->n_annotations, c->annotations, e) < 0 ||
	    check_count("mounts", c->n_mounts, e) < 0 ||
	    check_count("devices", c->n_devices, e) < 0 || check_count("envs", c->n_envs, e) < 0)
		return -e->code;
	for (size_t i = 0; i < c->n_mounts; i++)
		if (check_mount(c->mounts[i], e) < 0)
			return err_wrap(e, "mounts[%zu]", i);
	for (size_t i = 0; i < c->n_devices; i++)
		if (check_device(c->devices[i], e) < 0)
			return err_wrap(e, "devices[%zu]", i);
	for (size_t i = 0; i < c->n_envs; i++)
		if (!*c->envs[i]->key || strchr(c->envs[i]->key, '='))
			return err_set(e, EINVAL, "envs[%zu]: key \"%s\"", i, c->envs[i]->key);
	if (c->n_cdi_devices)
		return err_set(e, EINVAL, "CDI_devices: %s: CDI is not supported",
			       c->cdi_devices[0]->name);
	return 0;
}

int check_ctr(const Cri__ContainerConfig *c, struct err *e)
{
	if (!c->metadata)
		return err_set(e, EINVAL, "metadata: missing");
	if (check_name("metadata.name", c->metadata->name, e) < 0 || check_size(&c->base, e) < 0)
		return -e->code;
	if (!c->image || !*c->image->image)
		return err_set(e, EINVAL, "image: missing");
	if (*c->log_path && (c->log_path[0] == '/' || has_dots(c->log_path) ||
			     strlen(c->log_path) > CHECK_PATH_MAX))
		return err_set(e, EINVAL, "log_path: %.200s is no path below log_directory",
			       c->log_path);
	if (check_enum("stop_signal", &cri__signal__descriptor, (int)c->stop_signal, e) < 0 ||
	    check_lists(c, e) < 0)
		return -e->code;
	if (c->linux && check_ctr_linux(c->linux, e) < 0)
		return err_wrap(e, "linux");
	return 0;
}
