/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths of cgroups as callers write them. What is opened lies below the root
 * and is no link's target; what is removed too.
 */
#include "fuzz.h"

#include <sys/stat.h>

#include "cgroups/cgroup.h"
#include "lib/fd.h"

static int set_up(void)
{
	int top = fuzz_folder();

	mkdirat(top, "outer", 0700);
	mkdirat(top, "outer/kept", 0700);
	mkdirat(top, "root", 0700);
	mkdirat(top, "root/a", 0700);
	mkdirat(top, "root/a/b", 0700);
	mkdirat(top, "root/a/b/c", 0700);
	symlinkat("../../outer", top, "root/a/link");
	symlinkat("b", top, "root/a/inside");
	return openat(top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void opened(int fd)
{
	auto_free char *below = mem_printf("%s/root", fuzz_path);
	char link[64], where[256] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, where, sizeof(where) - 1) < 0)
		abort();
	assert(str_starts(where, below));
	assert(!where[strlen(below)] || where[strlen(below)] == '/');
	FUZZ_PLANT(str_ends(where, "/a/b/c"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *path = mem_strndup((const char *)data, size);
	auto_fd int root = set_up();
	auto_fd int fd = -1;
	struct err e = { 0 };

	if (cgroup_open(root, path, &fd, &e) == 0)
		opened(fd);
	else
		assert(e.code && e.msg[0]);
	/* a cgroup has no links: only the opening is proof against them */
	unlinkat(root, "a/link", 0);
	cgroup_remove_made(root, path, (int)(size % 4));
	cgroup_remove_now(root, path, &e);
	assert(path_exists(fuzz_folder(), "outer/kept") && path_exists(fuzz_folder(), "root"));
	return 0;
}
