/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that tell: state, list, ps, features, spec. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "config.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/criu.h"
#include "runtime/oci.h"
#include "runtime/options.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_profile.h"
#include "runtime/spec_int.h"

static void info_state(const struct oci *oci, const struct state *s, struct json_out *o)
{
	const char *status = state_status(&oci->engine, s, NULL);
	bool dead = str_eq(status, "stopped") || str_eq(status, "creating");

	json_out_object(o, NULL);
	json_out_text(o, "ociVersion", SPEC_VERSION);
	json_out_text(o, "id", s->name);
	json_out_int(o, "pid", dead ? 0 : s->pid);
	json_out_text(o, "status", status);
	json_out_text(o, "bundle", s->bundle ?: "");
	json_out_text(o, "rootfs", s->rootfs ?: "");
	json_out_text(o, "created", s->created ?: "");
	if (s->annotations)
		json_out_raw(o, "annotations", s->annotations);
	json_out_text(o, "owner", s->owner == 0 ? "root" : "");
	json_out_end(o);
}

static void info_print(struct json_out *o)
{
	auto_free char *text = json_out_take(o);

	printf("%s\n", text);
}

int oci_verb_state(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	auto_state s = { .dir = -1 };
	auto_json_out o = { 0 };

	(void)argc;
	if (oci_open(oci, e) < 0 || state_load(oci->root, argv[1], &s, e) < 0)
		return -e->code;
	info_state(oci, &s, &o);
	info_print(&o);
	return 0;
}

int oci_names(int root, char ***ret, size_t *ret_count, struct err *e)
{
	int copy = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	char **names = NULL;
	size_t room = 0;
	size_t count = 0;

	if (!d) {
		fd_close(&copy);
		return err_set(e, errno, "list containers");
	}
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		mem_grow(&names, &room, count + 1, sizeof(*names));
		names[count++] = mem_strdup(entry->d_name);
	}
	closedir(d);
	*ret = names;
	*ret_count = count;
	return 0;
}

static void info_list_one(const struct oci *oci, const char *name, const char *format, bool quiet,
			  struct json_out *o)
{
	auto_state s = { .dir = -1 };
	struct err ignored = { 0 };
	const char *status;

	if (state_load(oci->root, name, &s, &ignored) < 0)
		return; /* it went away, or was never whole */
	status = state_status(&oci->engine, &s, NULL);
	if (quiet)
		printf("%s\n", name);
	else if (str_eq(format, "json"))
		info_state(oci, &s, o);
	else
		printf("%-24s %-8d %-10s %-40s %s\n", name, str_eq(status, "stopped") ? 0 : s.pid,
		       status, s.bundle ?: "", s.created ?: "");
}

int oci_verb_list(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	const char *format = "table";
	bool quiet = false;
	const struct option_row rows[] = {
		{ "format", 'f', OPTION_TEXT, &format },
		{ "quiet", 'q', OPTION_FLAG, &quiet },
	};
	auto_json_out o = { 0 };
	char **names = NULL;
	size_t count = 0;

	argc--;
	argv++;
	if (options_parse(rows, 2, &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 0 || (!str_eq(format, "table") && !str_eq(format, "json")))
		return err_set(e, EINVAL, "usage: list [--format table|json] [--quiet]");
	if (oci_open(oci, e) < 0 || oci_names(oci->root, &names, &count, e) < 0)
		return -e->code;
	json_out_array(&o, NULL);
	if (!quiet && str_eq(format, "table"))
		printf("%-24s %-8s %-10s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
	for (size_t i = 0; i < count; i++) {
		info_list_one(oci, names[i], format, quiet, &o);
		free(names[i]);
	}
	free(names);
	json_out_end(&o);
	if (!quiet && str_eq(format, "json"))
		info_print(&o);
	return 0;
}

static void info_process(pid_t pid)
{
	auto_free char *path = mem_printf("/proc/%d/comm", pid);
	struct err ignored = { 0 };
	char name[64];

	if (path_read_line(AT_FDCWD, path, name, sizeof(name), &ignored) == 0)
		printf("%-8d %s\n", pid, name);
}

int oci_verb_ps(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	const char *format = "table";
	const struct option_row rows[] = { { "format", 'f', OPTION_TEXT, &format } };
	auto_state s = { .dir = -1 };
	auto_json_out o = { 0 };
	auto_fd int cgroup = -1;
	auto_free pid_t *pids = NULL;
	size_t count = 0;

	argc--;
	argv++;
	if (options_parse(rows, 1, &argc, &argv, e) < 0)
		return -e->code;
	if (argc < 1 || (!str_eq(format, "table") && !str_eq(format, "json")))
		return err_set(e, EINVAL, "usage: ps [--format table|json] ID");
	if (oci_open(oci, e) < 0 || state_load(oci->root, argv[0], &s, e) < 0)
		return -e->code;
	if (!s.cgroup_path || cgroup_open(oci->engine.cgroup_root, s.cgroup_path, &cgroup, e) < 0)
		return err_set(e, ESRCH, "container not running");
	if (cgroup_procs(cgroup, &pids, &count, e) < 0)
		return -e->code;
	if (str_eq(format, "json")) {
		json_out_array(&o, NULL);
		for (size_t i = 0; i < count; i++)
			json_out_int(&o, NULL, pids[i]);
		json_out_end(&o);
		info_print(&o);
		return 0;
	}
	printf("%-8s %s\n", "PID", "COMMAND");
	for (size_t i = 0; i < count; i++)
		info_process(pids[i]);
	return 0;
}

static void info_texts(struct json_out *o, const char *key, const char *const *texts)
{
	json_out_array(o, key);
	for (; *texts; texts++)
		json_out_text(o, NULL, *texts);
	json_out_end(o);
}

static void info_words(struct json_out *o, const char *key, const struct schema_word *words)
{
	json_out_array(o, key);
	for (; words->name; words++)
		json_out_text(o, NULL, words->name);
	json_out_end(o);
}

static void info_enabled(struct json_out *o, const char *key, bool enabled)
{
	json_out_object(o, key);
	json_out_bool(o, "enabled", enabled);
	json_out_end(o);
}

static void info_linux(struct json_out *o)
{
	static const char *const namespaces[] = { "cgroup", "ipc",  "mount", "network", "pid",
						  "time",   "user", "uts",   NULL };

	json_out_object(o, "linux");
	info_texts(o, "namespaces", namespaces);
	json_out_array(o, "capabilities");
	for (unsigned int i = 0; caps_name(i); i++)
		json_out_text(o, NULL, caps_name(i));
	json_out_end(o);
	json_out_object(o, "cgroup");
	json_out_bool(o, "v1", false);
	json_out_bool(o, "v2", true);
	json_out_bool(o, "systemd", false);
	json_out_bool(o, "systemdUser", false);
	json_out_bool(o, "rdma", true);
	json_out_end(o);
	json_out_object(o, "seccomp");
	json_out_bool(o, "enabled", true);
	info_words(o, "actions", seccomp_actions);
	info_words(o, "operators", seccomp_operators);
	info_texts(o, "archs", seccomp_archs);
	info_words(o, "knownFlags", seccomp_flags);
	info_words(o, "supportedFlags", seccomp_flags);
	json_out_end(o);
	info_enabled(o, "apparmor", true);
	info_enabled(o, "selinux", true);
	json_out_object(o, "intelRdt");
	json_out_bool(o, "enabled", true);
	json_out_bool(o, "schemata", true);
	json_out_bool(o, "monitoring", true);
	json_out_end(o);
	json_out_object(o, "memoryPolicy");
	info_words(o, "modes", spec_memory_modes);
	info_words(o, "flags", spec_memory_flags);
	json_out_end(o);
	info_enabled(o, "netDevices", true);
	json_out_object(o, "mountExtensions");
	info_enabled(o, "idmap", true);
	json_out_end(o);
	json_out_end(o);
}

int oci_verb_features(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const hooks[] = { "prestart",
					     "createRuntime",
					     "createContainer",
					     "startContainer",
					     "poststart",
					     "poststop",
					     NULL };
	auto_json_out o = { 0 };

	(void)ctx;
	(void)argc;
	(void)argv;
	(void)e;
	json_out_object(&o, NULL);
	json_out_text(&o, "ociVersionMin", "1.0.0");
	json_out_text(&o, "ociVersionMax", SPEC_VERSION);
	info_texts(&o, "hooks", hooks);
	json_out_array(&o, "mountOptions");
	for (size_t i = 0; spec_mount_words(i); i++)
		json_out_text(&o, NULL, spec_mount_words(i));
	json_out_end(&o);
	info_linux(&o);
	json_out_object(&o, "annotations");
	json_out_text(&o, "berth.version", PACKAGE_VERSION);
	/* the name that callers look for */
	json_out_text(&o, "org.opencontainers.runc.checkpoint.enabled",
		      criu_found() ? "true" : "false");
	json_out_end(&o);
	json_out_end(&o);
	info_print(&o);
	return 0;
}

/* devpts' group, mounts of /sys, then of linux what comes first, and the last namespaces */
static const char info_spec[] =
	"{\n"
	"\t\"ociVersion\": \"1.2.0\",\n"
	"\t\"process\": {\n"
	"\t\t\"terminal\": true,\n"
	"\t\t\"user\": { \"uid\": 0, \"gid\": 0 },\n"
	"\t\t\"args\": [ \"sh\" ],\n"
	"\t\t\"env\": [ \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
	"\t\t\t\"TERM=xterm\" ],\n"
	"\t\t\"cwd\": \"/\",\n"
	"\t\t\"capabilities\": {\n"
	"\t\t\t\"bounding\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
	"\t\t\t\"effective\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
	"\t\t\t\"permitted\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ]\n"
	"\t\t},\n"
	"\t\t\"noNewPrivileges\": true\n"
	"\t},\n"
	"\t\"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
	"\t\"hostname\": \"berth\",\n"
	"\t\"mounts\": [\n"
	"\t\t{ \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },\n"
	"\t\t{ \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ] },\n"
	"\t\t{ \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\",\n"
	"\t\t\t\t\"mode=0620\"%s ] },\n"
	"\t\t{ \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\",\n"
	"\t\t\t\t\"size=65536k\" ] },\n"
	"\t\t{ \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\" ] },\n"
	"%s"
	"\t],\n"
	"\t\"linux\": {\n"
	"%s"
	"\t\t\"namespaces\": [ { \"type\": \"pid\" }, { \"type\": \"ipc\" }, { \"type\": \"uts\" "
	"},\n"
	"\t\t\t{ \"type\": \"mount\" }, { \"type\": \"cgroup\" }, { \"type\": \"%s\" } ],\n"
	"\t\t\"maskedPaths\": [ \"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\",\n"
	"\t\t\t\"/proc/keys\", \"/proc/latency_stats\", \"/proc/timer_list\",\n"
	"\t\t\t\"/proc/timer_stats\", \"/proc/sched_debug\", \"/sys/firmware\",\n"
	"\t\t\t\"/proc/scsi\", \"/proc/interrupts\",\n"
	"\t\t\t\"/sys/devices/virtual/powercap\" ],\n"
	"\t\t\"readonlyPaths\": [ \"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\",\n"
	"\t\t\t\"/proc/sysrq-trigger\" ]\n"
	"\t}\n"
	"}\n";

static const char info_sys[] =
	"\t\t{ \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] },\n"
	"\t\t{ \"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
	"\t\t\t\"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\" ] }\n";

static const char info_devices[] =
	"\t\t\"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },\n";

/* sysfs belongs to the owner of the network namespace */
static const char info_sys_of_host[] =
	"\t\t{ \"destination\": \"/sys\", \"type\": \"none\", \"source\": \"/sys\",\n"
	"\t\t\t\"options\": [ \"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] }\n";

/* For a user without rights: ids of his own alone, and the host's network. */
static char *info_spec_rootless(void)
{
	auto_free char *maps = mem_printf(
		"\t\t\"uidMappings\": [ { \"containerID\": 0, \"hostID\": %u, \"size\": 1 } ],\n"
		"\t\t\"gidMappings\": [ { \"containerID\": 0, \"hostID\": %u, \"size\": 1 } ],\n",
		geteuid(), getegid());

	return mem_printf(info_spec, "", info_sys_of_host, maps, "user");
}

int oci_verb_spec(void *ctx, int argc, char **argv, struct err *e)
{
	const char *bundle = ".";
	bool rootless = false;
	const struct option_row rows[] = {
		{ "bundle", 'b', OPTION_TEXT, &bundle },
		{ "rootless", '\0', OPTION_FLAG, &rootless },
	};
	auto_free char *path = NULL;
	auto_free char *text = NULL;
	auto_fd int fd = -1;

	(void)ctx;
	argc--;
	argv++;
	if (options_parse(rows, 2, &argc, &argv, e) < 0)
		return -e->code;
	text = rootless ? info_spec_rootless()
			: mem_printf(info_spec, ", \"gid=5\"", info_sys, info_devices, "network");
	path = mem_printf("%s/config.json", bundle);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "make %s", path);
	return fd_write_all(fd, text, strlen(text), e);
}
