/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/ns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

static const struct ns_type {
	const char *name, *file;
	int flag;
} ns_types[SPEC_NS_COUNT] = {
	[SPEC_NS_USER] = { "user", "user", CLONE_NEWUSER },
	[SPEC_NS_IPC] = { "ipc", "ipc", CLONE_NEWIPC },
	[SPEC_NS_UTS] = { "uts", "uts", CLONE_NEWUTS },
	[SPEC_NS_NET] = { "network", "net", CLONE_NEWNET },
	[SPEC_NS_PID] = { "pid", "pid", CLONE_NEWPID },
	[SPEC_NS_CGROUP] = { "cgroup", "cgroup", CLONE_NEWCGROUP },
	[SPEC_NS_TIME] = { "time", "time", CLONE_NEWTIME },
	[SPEC_NS_MOUNT] = { "mount", "mnt", CLONE_NEWNS },
};

void ns_close(int fds[SPEC_NS_COUNT])
{
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		fd_close(&fds[i]);
}

int ns_open(const struct spec *s, int ret_fds[SPEC_NS_COUNT], struct err *e)
{
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		ret_fds[i] = -1;
	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		const char *path = s->ns[i].path;
		int type;

		if (!path)
			continue;
		/* a fifo in that place must not stop us */
		ret_fds[i] = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (ret_fds[i] < 0)
			err_set(e, errno, "%s namespace %s", ns_types[i].name, path);
		else if ((type = ioctl(ret_fds[i], NS_GET_NSTYPE)) < 0)
			err_set(e, EINVAL, "%s namespace %s: not a namespace", ns_types[i].name,
				path);
		else if (type != ns_types[i].flag)
			err_set(e, EINVAL, "%s namespace %s: of another type", ns_types[i].name,
				path);
		else
			continue;
		ns_close(ret_fds);
		return -e->code;
	}
	return 0;
}

unsigned long ns_clone_flags(const struct spec *s)
{
	unsigned long flags = 0;

	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		if (s->ns[i].given && !s->ns[i].path && i != SPEC_NS_CGROUP && i != SPEC_NS_TIME)
			flags |= (unsigned long)ns_types[i].flag;
	}
	return flags;
}

int ns_join(const int fds[SPEC_NS_COUNT], struct err *e)
{
	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		if (fds[i] < 0 || i == SPEC_NS_PID || i == SPEC_NS_USER)
			continue;
		if (setns(fds[i], ns_types[i].flag) < 0)
			return err_set(e, errno, "join the %s namespace", ns_types[i].name);
	}
	return 0;
}

int ns_join_user(int ns, struct err *e)
{
	if (ns >= 0 && setns(ns, CLONE_NEWUSER) < 0)
		return err_set(e, errno, "join the user namespace");
	return 0;
}

static int ns_write_map(int proc, pid_t pid, const char *file, const struct spec_maps *maps,
			struct err *e)
{
	auto_free char *path = mem_printf("%d/%s", pid, file);
	auto_str text = { 0 };

	for (size_t i = 0; i < maps->count; i++)
		str_printf(&text, "%u %u %u\n", maps->rows[i].inside, maps->rows[i].outside,
			   maps->rows[i].size);
	return path_write(proc, path, text.text, e);
}

int ns_write_maps(int proc, pid_t pid, const struct spec_maps *uids, const struct spec_maps *gids,
		  struct err *e)
{
	if (ns_write_map(proc, pid, "uid_map", uids, e) < 0 ||
	    ns_write_map(proc, pid, "gid_map", gids, e) < 0)
		return -e->code;
	return 0;
}

bool ns_only_map(int proc, const char *file, struct spec_map *ret)
{
	auto_free char *path = mem_printf("self/%s", file);
	struct err ignored = { 0 };
	uint32_t numbers[3];
	char text[64];
	char *rest;

	/* three numbers with blanks before each: user_namespaces(7) */
	if (path_read_line(proc, path, text, sizeof(text), &ignored) < 0)
		return false;
	rest = text + strspn(text, " ");
	for (int i = 0; i < 3; i++) {
		if (!rest || str_to_u32(str_field(&rest, " "), &numbers[i]) < 0)
			return false;
		if (rest)
			rest += strspn(rest, " ");
	}
	*ret = (struct spec_map){ numbers[0], numbers[1], numbers[2] };
	return !rest;
}

bool ns_in_user(int proc)
{
	struct spec_map all;

	/* the first one maps every id to itself */
	return !ns_only_map(proc, "uid_map", &all) || all.inside || all.outside ||
	       all.size != UINT32_MAX;
}

unsigned long ns_of_others(int proc, pid_t pid, unsigned long flags)
{
	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		auto_free char *ours = mem_printf("self/ns/%s", ns_types[i].file);
		auto_free char *theirs = mem_printf("%d/ns/%s", pid, ns_types[i].file);
		struct stat a, b;

		if (fstatat(proc, ours, &a, 0) == 0 && fstatat(proc, theirs, &b, 0) == 0 &&
		    a.st_ino == b.st_ino)
			flags &= ~(unsigned long)ns_types[i].flag;
	}
	return flags;
}

int ns_time_offsets(const struct spec *s, int self, struct err *e)
{
	auto_free char *text = NULL;

	if (!s->ns[SPEC_NS_TIME].given || s->ns[SPEC_NS_TIME].path)
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(e, errno, "make a time namespace");
	if (!s->has_offsets)
		return 0;
	text = mem_printf("monotonic %lld %u\nboottime %lld %u\n", (long long)s->monotonic.secs,
			  s->monotonic.nanosecs, (long long)s->boottime.secs, s->boottime.nanosecs);
	if (path_write(self, "timens_offsets", text, e) < 0)
		return err_wrap(e, "linux.timeOffsets");
	return 0;
}

int ns_pid_for_children(int ns, struct err *e)
{
	if (setns(ns, CLONE_NEWPID) < 0)
		return err_set(e, errno, "join the pid namespace");
	return 0;
}

int ns_loopback_up(struct err *e)
{
	auto_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	/* a kernel without IPv4 has no use for it either */
	if (sock < 0)
		return errno == EAFNOSUPPORT ? 0 : err_set(e, errno, "set lo up");
	if (ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
		return err_set(e, errno, "set lo up");
	return 0;
}
