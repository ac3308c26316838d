/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/rootless.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/ns.h"

bool rootless(void)
{
	return geteuid() != 0;
}

char *rootless_root(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	auto_fd int proc = -1;

	if (!dir || dir[0] != '/')
		return NULL;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return rootless() || ns_in_user(proc) ? mem_printf("%s/berth-oci", dir) : NULL;
}

/* What anybody may map himself: his own id (user_namespaces(7)). */
static bool rootless_is_own(const struct spec_maps *maps, uint32_t id)
{
	return maps->count == 1 && maps->rows[0].inside == 0 && maps->rows[0].outside == id &&
	       maps->rows[0].size == 1;
}

/* From a file of this mount namespace: only that can be protected in it. */
static int rootless_again(char **argv, struct err *e)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return err_set(e, errno, "read /proc/self/exe");
	path[n] = '\0';
	execv(path, argv);
	return err_set(e, errno, "exec %s", path);
}

int rootless_enter(const struct spec *s, char **argv, struct err *e)
{
	const struct spec_namespace *user = &s->ns[SPEC_NS_USER];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	auto_free char *uids = mem_printf("0 %u 1", uid);
	auto_free char *gids = mem_printf("0 %u 1", gid);

	if (!user->given || user->path)
		return err_set(e, EPERM, "without root it takes a new user namespace");
	if (!rootless_is_own(&s->uid_maps, uid) || !rootless_is_own(&s->gid_maps, gid))
		return err_set(e, EPERM,
			       "linux.uidMappings: without root only %s, and gidMappings %s", uids,
			       gids);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_set(e, errno, "make a user namespace");
	if (path_write(AT_FDCWD, "/proc/self/setgroups", "deny", e) < 0 ||
	    path_write(AT_FDCWD, "/proc/self/uid_map", uids, e) < 0 ||
	    path_write(AT_FDCWD, "/proc/self/gid_map", gids, e) < 0)
		return -e->code;
	return rootless_again(argv, e);
}

int rootless_join(pid_t pid, char **argv, struct err *e)
{
	auto_free char *path = mem_printf("/proc/%d/ns/user", pid);
	auto_fd int ns = open(path, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWUSER) < 0)
		return err_set(e, errno, "join the container's user namespace");
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(e, errno, "make a mount namespace");
	return rootless_again(argv, e);
}

static bool rootless_is_ours(int proc, const char *file, const struct spec_maps *maps)
{
	struct spec_map ours;

	return maps->count == 1 && ns_only_map(proc, file, &ours) &&
	       ours.inside == maps->rows[0].inside && ours.outside == maps->rows[0].outside &&
	       ours.size == 1 && maps->rows[0].size == 1;
}

void rootless_settle(struct spec *s)
{
	struct spec_namespace *user = &s->ns[SPEC_NS_USER];
	auto_fd int proc = -1;

	if (!user->given || user->path)
		return;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!rootless_is_ours(proc, "uid_map", &s->uid_maps) ||
	    !rootless_is_ours(proc, "gid_map", &s->gid_maps))
		return;
	user->given = false;
	s->uid_maps.count = s->gid_maps.count = 0;
}
