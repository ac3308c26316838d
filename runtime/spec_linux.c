/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <net/if.h>
#include <string.h>
#include <sys/personality.h>

#include "lib/str.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"
#include "runtime/sysctl.h"

#define SPEC_DEVICES_MAX 4096
#define SPEC_PATHS_MAX 4096

static const struct schema_word spec_namespaces[] = {
	{ "user", SPEC_NS_USER },   { "ipc", SPEC_NS_IPC },	{ "uts", SPEC_NS_UTS },
	{ "network", SPEC_NS_NET }, { "pid", SPEC_NS_PID },	{ "cgroup", SPEC_NS_CGROUP },
	{ "time", SPEC_NS_TIME },   { "mount", SPEC_NS_MOUNT }, { NULL, 0 },
};

#define AT(member) SCHEMA_AT(struct spec_namespace_row, member)
static const struct schema_row spec_namespace_rows[] = {
	{ "type", SCHEMA_WORD, SCHEMA_NEED, AT(type), .words = spec_namespaces },
	{ "path", SCHEMA_TEXT, AT(path), .check = schema_absolute },
	{ "" },
};
static const struct schema spec_namespace_schema = {
	.rows = spec_namespace_rows,
	.size = sizeof(struct spec_namespace_row),
};
#undef AT

static int spec_map_check(void *map, struct err *e)
{
	const struct spec_map *m = map;

	if (m->inside > UINT32_MAX - m->size || m->outside > UINT32_MAX - m->size)
		return err_set(e, ERANGE, "size: beyond the last id");
	return 0;
}

#define AT(member) SCHEMA_AT(struct spec_map, member)
static const struct schema_row spec_map_rows[] = {
	{ "containerID", SCHEMA_UINT, AT(inside) },
	{ "hostID", SCHEMA_UINT, AT(outside) },
	{ "size", SCHEMA_UINT, SCHEMA_NEED, AT(size), .min = 1 },
	{ "" },
};
const struct schema spec_map_schema = {
	.rows = spec_map_rows,
	.size = sizeof(struct spec_map),
	.check = spec_map_check,
};
#undef AT

#define AT(member) SCHEMA_AT(struct spec_offset, member)
static const struct schema_row spec_offset_rows[] = {
	{ "secs", SCHEMA_INT, AT(secs) },
	{ "nanosecs", SCHEMA_UINT, AT(nanosecs), .max = 999999999 },
	{ "" },
};
static const struct schema spec_offset_schema = { .rows = spec_offset_rows };
#undef AT

static const struct schema_word spec_device_types[] = {
	{ "c", 'c' }, { "u", 'c' }, { "b", 'b' }, { "p", 'p' }, { NULL, 0 },
};

static int spec_device_check(void *device, struct err *e)
{
	struct spec_device *d = device;

	(void)e;
	d->mode &= 07777; /* some write the type of the file too */
	return 0;
}

#define AT(member) SCHEMA_AT(struct spec_device, member)
static const struct schema_row spec_device_rows[] = {
	{ "type", SCHEMA_WORD, SCHEMA_NEED, AT(type), .words = spec_device_types },
	{ "path", SCHEMA_TEXT, SCHEMA_NEED, AT(path), .check = schema_absolute },
	{ "major", SCHEMA_UINT, AT(major), .max = 4095 },
	{ "minor", SCHEMA_UINT, AT(minor), .max = 1048575 },
	{ "fileMode", SCHEMA_UINT, AT(mode) },
	{ "uid", SCHEMA_UINT, AT(uid) },
	{ "gid", SCHEMA_UINT, AT(gid) },
	{ "" },
};
static const struct schema spec_device_schema = {
	.rows = spec_device_rows,
	.size = sizeof(struct spec_device),
	.init = &(const struct spec_device){ .mode = 0666 },
	.check = spec_device_check,
};
#undef AT

static bool spec_is_link_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && !strpbrk(name, "/: \t\n") && !str_eq(name, ".") &&
	       !str_eq(name, "..");
}

static int spec_netdev_check(void *netdev, struct err *e)
{
	struct spec_netdev *d = netdev;

	d->to = d->to ?: d->from;
	if (!spec_is_link_name(d->from) || !spec_is_link_name(d->to))
		return err_set(e, EINVAL, "name: no name of a link");
	return 0;
}

static const struct schema_row spec_netdev_rows[] = {
	{ "name", SCHEMA_TEXT, SCHEMA_AT(struct spec_netdev, to) },
	{ "" },
};
static const struct schema spec_netdev_schema = {
	.rows = spec_netdev_rows,
	.size = sizeof(struct spec_netdev),
	.check = spec_netdev_check,
};

static int spec_namespaces_check(struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->ns_row_count; i++) {
		const struct spec_namespace_row *row = &s->ns_rows[i];
		struct spec_namespace *ns = &s->ns[row->type];

		if (ns->given)
			return err_set(e, EINVAL, "namespaces[%zu].type: given twice", i);
		*ns = (struct spec_namespace){ true, row->path };
	}
	/* who is root there only may not mount in a namespace of the host's root */
	if (s->ns[SPEC_NS_USER].given && spec_shares(s, SPEC_NS_MOUNT))
		return err_set(e, EINVAL,
			       "namespaces: a user namespace needs a new mount namespace");
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

static int spec_userns_check(const struct spec *s, struct err *e)
{
	const struct spec_namespace *user = &s->ns[SPEC_NS_USER];

	if ((s->uid_maps.count || s->gid_maps.count) && !user->given)
		return err_set(e, EINVAL, "%s: without a user namespace",
			       s->uid_maps.count ? "uidMappings" : "gidMappings");
	if (!user->given || user->path)
		return 0;
	if (spec_maps_check(&s->uid_maps, "uidMappings", e) < 0 ||
	    spec_maps_check(&s->gid_maps, "gidMappings", e) < 0)
		return -e->code;
	return 0;
}

static int spec_linux_check(void *spec, struct err *e)
{
	struct spec *s = spec;

	if (spec_namespaces_check(s, e) < 0 || spec_userns_check(s, e) < 0)
		return -e->code;
	if (s->has_offsets && (!s->ns[SPEC_NS_TIME].given || s->ns[SPEC_NS_TIME].path))
		return err_set(e, EINVAL, "timeOffsets: without a new time namespace");
	if (s->netdev_count && !s->ns[SPEC_NS_NET].given)
		return err_set(e, EINVAL, "netDevices: without a network namespace");
	return sysctl_check(s, e);
}

#define AT(member) SCHEMA_AT(struct spec, member)
#define IF(member) .mark = offsetof(struct spec, member)
static const struct schema_row spec_offsets_rows[] = {
	{ "monotonic", SCHEMA_OBJECT, AT(monotonic), .sub = &spec_offset_schema },
	{ "boottime", SCHEMA_OBJECT, AT(boottime), .sub = &spec_offset_schema },
	{ "" },
};
static const struct schema spec_offsets_schema = {
	.rows = spec_offsets_rows, .closed = true, /* no other clock has an offset */
};

static const struct schema_word spec_domains[] = {
	{ "LINUX", PER_LINUX },
	{ "LINUX32", PER_LINUX32 },
	{ NULL, 0 },
};
static const struct schema_word spec_no_words[] = { { NULL, 0 } };

static const struct schema_row spec_personality_rows[] = {
	{ "domain", SCHEMA_WORD, SCHEMA_NEED, AT(common.personality), .words = spec_domains },
	{ "flags", SCHEMA_WORDS, AT(common.personality), .words = spec_no_words },
	{ "" },
};
static const struct schema spec_personality_schema = { .rows = spec_personality_rows };

/* What depends on the kernel is refused, if at all, when a container is made. */
static const struct schema_row spec_rdt_rows[] = {
	{ "closID", SCHEMA_TEXT, AT(rdt.clos), .check = rdt_check_clos },
	{ "schemata", SCHEMA_TEXTS, AT(rdt.schemata), .max = SPEC_PATHS_MAX,
	  .check = rdt_check_line },
	{ "l3CacheSchema", SCHEMA_TEXT, AT(rdt.l3), .check = rdt_check_line },
	{ "memBwSchema", SCHEMA_TEXT, AT(rdt.bandwidth), .check = rdt_check_line },
	{ "enableMonitoring", SCHEMA_BOOL, AT(rdt.monitored) },
	{ "" },
};
static const struct schema spec_rdt_schema = { .rows = spec_rdt_rows };

static const struct schema_row spec_linux_rows[] = {
	{ "namespaces", SCHEMA_LIST, AT(ns_rows), IF(ns_row_count), .sub = &spec_namespace_schema },
	{ "uidMappings", SCHEMA_LIST, AT(uid_maps.rows), IF(uid_maps.count), .max = SPEC_MAPS_MAX,
	  .sub = &spec_map_schema },
	{ "gidMappings", SCHEMA_LIST, AT(gid_maps.rows), IF(gid_maps.count), .max = SPEC_MAPS_MAX,
	  .sub = &spec_map_schema },
	{ "timeOffsets", SCHEMA_OBJECT, IF(has_offsets), .sub = &spec_offsets_schema },
	{ "devices", SCHEMA_LIST, AT(devices), IF(device_count), .max = SPEC_DEVICES_MAX,
	  .sub = &spec_device_schema },
	{ "netDevices", SCHEMA_MAP, AT(netdevs), IF(netdev_count), .max = SPEC_NETDEVS_MAX,
	  .sub = &spec_netdev_schema },
	{ "cgroupsPath", SCHEMA_TEXT, AT(cgroups_path) },
	{ "resources", SCHEMA_TREE, AT(resources) },
	{ "rootfsPropagation", SCHEMA_WORD, AT(root_propagation), .words = spec_propagations },
	{ "seccomp", SCHEMA_TREE, AT(seccomp) },
	{ "sysctl", SCHEMA_TEXT_TREE, AT(sysctl) },
	{ "maskedPaths", SCHEMA_TEXTS, AT(masked), .max = SPEC_PATHS_MAX,
	  .check = schema_absolute },
	{ "readonlyPaths", SCHEMA_TEXTS, AT(readonly), .max = SPEC_PATHS_MAX,
	  .check = schema_absolute },
	{ "mountLabel", SCHEMA_TEXT, AT(mount_label) },
	{ "personality", SCHEMA_OBJECT, IF(common.has_personality),
	  .sub = &spec_personality_schema },
	{ "memoryPolicy", SCHEMA_OBJECT, AT(common), IF(common.has_memory_policy),
	  .sub = &spec_memory_policy_schema },
	{ "intelRdt", SCHEMA_OBJECT, IF(rdt.given), .sub = &spec_rdt_schema },
	{ "" },
};
const struct schema spec_linux_schema = {
	.rows = spec_linux_rows,
	.check = spec_linux_check,
};
