/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <net/if.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/sysmacros.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"
#include "runtime/sysctl.h"

#define SPEC_DEVICES_MAX 4096
#define SPEC_PATHS_MAX 4096

static const struct spec_word spec_namespaces[] = {
	{ "user", SPEC_NS_USER },   { "ipc", SPEC_NS_IPC },	{ "uts", SPEC_NS_UTS },
	{ "network", SPEC_NS_NET }, { "pid", SPEC_NS_PID },	{ "cgroup", SPEC_NS_CGROUP },
	{ "time", SPEC_NS_TIME },   { "mount", SPEC_NS_MOUNT }, { NULL, 0 },
};

static int spec_namespaces_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(node, "namespaces", &list, e) < 0)
		return -e->code;
	json_each(row, list) {
		const char *type = NULL;
		const char *path = NULL;
		unsigned long ns;

		if (json_need_text(row, "type", &type, e) < 0 ||
		    json_get_text(row, "path", &path, e) < 0)
			return err_wrap(e, "namespaces");
		if (!spec_word_find(spec_namespaces, type, &ns))
			return err_set(e, EINVAL, "namespaces: %.32s is unknown", type);
		if (s->ns[ns].given)
			return err_set(e, EINVAL, "namespaces: %s twice", type);
		if (path && *path && *path != '/')
			return err_set(e, EINVAL, "namespaces: %s: path is not absolute", type);
		s->ns[ns].given = true;
		s->ns[ns].path = path && *path ? path : NULL;
	}
	if (!s->ns[SPEC_NS_MOUNT].given || s->ns[SPEC_NS_MOUNT].path)
		return err_set(e, ENOTSUP, "namespaces: without a new mount namespace");
	return 0;
}

int spec_maps_read(const struct json *node, const char *key, struct spec_maps *ret, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(node, key, &list, e) < 0)
		return -e->code;
	if (!list || list->count == 0)
		return 0;
	if (list->count > SPEC_MAPS_MAX)
		return err_set(e, E2BIG, "%s: more than %d", key, SPEC_MAPS_MAX);
	ret->rows = mem_array(list->count, sizeof(*ret->rows));
	json_each(row, list) {
		struct spec_map *m = &ret->rows[ret->count];

		if (json_get_u32(row, "containerID", &m->inside, e) < 0 ||
		    json_get_u32(row, "hostID", &m->outside, e) < 0 ||
		    json_get_u32(row, "size", &m->size, e) < 0)
			return err_wrap(e, "%s[%zu]", key, ret->count);
		if (m->size == 0)
			return err_set(e, EINVAL, "%s[%zu].size: 0", key, ret->count);
		if (m->inside > UINT32_MAX - m->size || m->outside > UINT32_MAX - m->size)
			return err_set(e, ERANGE, "%s[%zu]: beyond the last id", key, ret->count);
		ret->count++;
	}
	return 0;
}

/* A new user namespace without a root could not even be set up. */
static int spec_maps_check(const struct spec_maps *maps, const char *key, struct err *e)
{
	for (size_t i = 0; i < maps->count; i++) {
		if (maps->rows[i].inside == 0)
			return 0;
	}
	return err_set(e, EINVAL, "%s: containerID 0 is not mapped", key);
}

static int spec_userns_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct spec_namespace *user = &s->ns[SPEC_NS_USER];

	if (spec_maps_read(node, "uidMappings", &s->uid_maps, e) < 0 ||
	    spec_maps_read(node, "gidMappings", &s->gid_maps, e) < 0)
		return -e->code;
	if ((s->uid_maps.count || s->gid_maps.count) && !user->given)
		return err_set(e, EINVAL, "uidMappings: without a user namespace");
	if (!user->given || user->path)
		return 0;
	if (spec_maps_check(&s->uid_maps, "uidMappings", e) < 0 ||
	    spec_maps_check(&s->gid_maps, "gidMappings", e) < 0)
		return -e->code;
	return 0;
}

static int spec_offset_read(const struct json *offsets, const char *clock, struct spec_offset *ret,
			    struct err *e)
{
	const struct json *node = NULL;

	if (json_get_object(offsets, clock, &node, e) < 0)
		return -e->code;
	if (json_get_i64(node, "secs", &ret->secs, e) < 0 ||
	    json_get_u32(node, "nanosecs", &ret->nanosecs, e) < 0)
		return err_wrap(e, "%s", clock);
	if (ret->nanosecs > 999999999)
		return err_set(e, ERANGE, "%s.nanosecs: a second or more", clock);
	return 0;
}

static int spec_offsets_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct json *offsets = NULL;

	if (json_get_object(node, "timeOffsets", &offsets, e) < 0)
		return -e->code;
	if (!offsets || offsets->count == 0)
		return 0;
	if (!s->ns[SPEC_NS_TIME].given || s->ns[SPEC_NS_TIME].path)
		return err_set(e, EINVAL, "timeOffsets: without a new time namespace");
	json_each(clock, offsets) {
		if (!str_eq(clock->key, "monotonic") && !str_eq(clock->key, "boottime"))
			return err_set(e, EINVAL, "timeOffsets: clock %.32s has no offset",
				       clock->key);
	}
	s->has_offsets = true;
	if (spec_offset_read(offsets, "monotonic", &s->monotonic, e) < 0 ||
	    spec_offset_read(offsets, "boottime", &s->boottime, e) < 0)
		return err_wrap(e, "timeOffsets");
	return 0;
}

static int spec_device_read(const struct json *node, struct spec_device *d, struct err *e)
{
	const char *type = NULL;
	uint64_t major = 0;
	uint64_t minor = 0;
	uint32_t mode = 0666;
	uint32_t uid = 0;
	uint32_t gid = 0;

	if (json_need_text(node, "type", &type, e) < 0 ||
	    json_need_text(node, "path", &d->path, e) < 0 ||
	    json_get_u64(node, "major", &major, e) < 0 ||
	    json_get_u64(node, "minor", &minor, e) < 0 ||
	    json_get_u32(node, "fileMode", &mode, e) < 0 ||
	    json_get_u32(node, "uid", &uid, e) < 0 || json_get_u32(node, "gid", &gid, e) < 0)
		return -e->code;
	if (strlen(type) != 1 || !strchr("cubp", *type))
		return err_set(e, EINVAL, "type: none of c, u, b, p");
	if (d->path[0] != '/')
		return err_set(e, EINVAL, "path: not absolute");
	if (major > 4095 || minor > 1048575)
		return err_set(e, ERANGE, "major or minor: too big");
	d->type = *type == 'u' ? 'c' : *type;
	d->major = (unsigned int)major;
	d->minor = (unsigned int)minor;
	d->mode = mode & 07777;
	d->uid = uid;
	d->gid = gid;
	return 0;
}

static int spec_devices_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(node, "devices", &list, e) < 0)
		return -e->code;
	if (!list || list->count == 0)
		return 0;
	if (list->count > SPEC_DEVICES_MAX)
		return err_set(e, E2BIG, "devices: more than %d", SPEC_DEVICES_MAX);
	s->devices = mem_array(list->count, sizeof(*s->devices));
	json_each(row, list) {
		if (spec_device_read(row, &s->devices[s->device_count], e) < 0)
			return err_wrap(e, "devices[%zu]", s->device_count);
		s->device_count++;
	}
	return 0;
}

static int spec_paths_read(const struct json *node, const char *key, const char ***ret,
			   struct err *e)
{
	size_t count = 0;

	if (json_get_texts(node, key, ret, &count, e) < 0)
		return -e->code;
	if (count > SPEC_PATHS_MAX)
		return err_set(e, E2BIG, "%s: more than %d", key, SPEC_PATHS_MAX);
	for (size_t i = 0; i < count; i++) {
		if ((*ret)[i][0] != '/')
			return err_set(e, EINVAL, "%s[%zu]: not absolute", key, i);
	}
	return 0;
}

static int spec_personality_read(const struct json *node, struct spec *s, struct err *e)
{
	static const struct spec_word domains[] = {
		{ "LINUX", PER_LINUX },
		{ "LINUX32", PER_LINUX32 },
		{ NULL, 0 },
	};
	const struct json *personality = NULL;
	const char *domain = NULL;
	const struct json *flags = NULL;

	if (json_get_object(node, "personality", &personality, e) < 0)
		return -e->code;
	if (!personality)
		return 0;
	if (json_need_text(personality, "domain", &domain, e) < 0 ||
	    json_get_array(personality, "flags", &flags, e) < 0)
		return err_wrap(e, "personality");
	if (!spec_word_find(domains, domain, &s->common.personality))
		return err_set(e, EINVAL, "personality.domain: %.32s is unknown", domain);
	if (flags && flags->count > 0)
		return err_set(e, EINVAL, "personality.flags: none is known");
	s->common.has_personality = true;
	return 0;
}

static bool spec_is_link_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && !strpbrk(name, "/: \t\n") && !str_eq(name, ".") &&
	       !str_eq(name, "..");
}

static int spec_netdevs_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_object(node, "netDevices", &list, e) < 0)
		return -e->code;
	if (!list || list->count == 0)
		return 0;
	if (list->count > SPEC_NETDEVS_MAX)
		return err_set(e, E2BIG, "netDevices: more than %d", SPEC_NETDEVS_MAX);
	if (!s->ns[SPEC_NS_NET].given)
		return err_set(e, EINVAL, "netDevices: without a network namespace");
	s->netdevs = mem_array(list->count, sizeof(*s->netdevs));
	json_each(row, list) {
		struct spec_netdev *d = &s->netdevs[s->netdev_count++];

		d->from = d->to = row->key;
		if (row->type != JSON_OBJECT || json_get_text(row, "name", &d->to, e) < 0)
			return err_set(e, EINVAL, "netDevices.%.32s: not an object with a name",
				       row->key);
		if (!d->to[0])
			d->to = d->from;
		if (!spec_is_link_name(d->from) || !spec_is_link_name(d->to))
			return err_set(e, EINVAL, "netDevices.%.32s: no name of a link", row->key);
	}
	return 0;
}

/* What depends on the kernel is refused, if at all, when a container is made. */
static int spec_kernel_read(const struct json *node, struct spec *s, struct err *e)
{
	const struct json *rdt = NULL;

	if (json_get_object(node, "intelRdt", &rdt, e) < 0 ||
	    json_get_text(node, "mountLabel", &s->mount_label, e) < 0)
		return -e->code;
	s->has_intel_rdt = rdt && rdt->count > 0;
	if (s->mount_label && !s->mount_label[0])
		s->mount_label = NULL;
	return 0;
}

static int spec_linux_paths_read(const struct json *node, struct spec *s, struct err *e)
{
	const char *propagation = NULL;

	if (json_get_text(node, "rootfsPropagation", &propagation, e) < 0 ||
	    json_get_text(node, "cgroupsPath", &s->cgroups_path, e) < 0 ||
	    spec_paths_read(node, "maskedPaths", &s->masked, e) < 0 ||
	    spec_paths_read(node, "readonlyPaths", &s->readonly, e) < 0)
		return -e->code;
	if (propagation && *propagation && !spec_propagation(propagation, &s->root_propagation))
		return err_set(e, EINVAL, "rootfsPropagation: %.32s is unknown", propagation);
	if (s->cgroups_path && !s->cgroups_path[0])
		s->cgroups_path = NULL;
	return 0;
}

static int spec_linux_fill(const struct json *node, struct spec *s, struct err *e)
{
	if (spec_namespaces_read(node, s, e) < 0 || spec_userns_read(node, s, e) < 0 ||
	    spec_offsets_read(node, s, e) < 0 || spec_devices_read(node, s, e) < 0 ||
	    spec_linux_paths_read(node, s, e) < 0 ||
	    json_get_object(node, "resources", &s->resources, e) < 0 ||
	    json_get_object(node, "seccomp", &s->seccomp, e) < 0 ||
	    json_get_object(node, "sysctl", &s->sysctl, e) < 0 ||
	    spec_personality_read(node, s, e) < 0 ||
	    spec_memory_policy_read(node, &s->common, e) < 0 || spec_netdevs_read(node, s, e) < 0 ||
	    spec_kernel_read(node, s, e) < 0)
		return -e->code;
	return sysctl_check(s, e);
}

int spec_linux_read(const struct json *root, struct spec *s, struct err *e)
{
	const struct json *node = NULL;

	if (json_get_object(root, "linux", &node, e) < 0)
		return -e->code;
	if (!node)
		return err_set(e, EINVAL, "linux: missing");
	if (spec_linux_fill(node, s, e) < 0)
		return err_wrap(e, "linux");
	return 0;
}
