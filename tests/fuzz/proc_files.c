/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of /proc, whose readers ask for them by their own paths: the modules
 * are taken in here with what they open replaced by the input, and with what
 * they would do to mounts left out. The first byte chooses the reader.
 */
#include "fuzz.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include "cri/crid.h"
#include "cri/stats_priv.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/log.h"

static const char *input;
static size_t unmounted;

static int fake_read(char **ret, size_t *ret_len)
{
	*ret = mem_strdup(input);
	if (ret_len)
		*ret_len = strlen(input);
	return 0;
}

static int fake_read_line(char *buf, size_t size, struct err *e)
{
	size_t len = strlen(input);

	if (len >= size)
		return err_set(e, EFBIG, "too long");
	memcpy(buf, input, len + 1);
	if (len > 0 && buf[len - 1] == '\n')
		buf[len - 1] = '\0';
	return 0;
}

/* The mounts of the list are never those of this machine: nothing but a count is done to them. */
static int fake_umount(const char *path)
{
	assert(path);
	unmounted++;
	errno = EBUSY;
	return -1;
}

static FILE *fake_open(void)
{
	return fmemopen((char *)(uintptr_t)input, strlen(input) ?: 1, "re");
}

#define path_read(dir, path, max, ret, len, e) ((void)(path), fake_read(ret, len))
#define path_read_line(dir, path, buf, size, e) ((void)(path), fake_read_line(buf, size, e))
#define umount2(path, flags) fake_umount(path)
#define mount(source, target, type, flags, data) (0)
#define fopen(path, mode) fake_open() /* "re" */
#include "lib/mnt.c"
#include "cgroups/cgroup.c"
#include "cri/bundle_source.c"
#include "runtime/state.c"
#undef path_read
#undef path_read_line
#undef umount2
#undef mount
#undef fopen

/* Every line's fifth word but "/" is tried once in the first round and once in the last. */
static void mounts(char *text)
{
	static const char *const keep[] = { "/proc", "/dev", NULL };
	struct err e = { 0 };

	(void)text;
	unmounted = 0;
	mnt_unmount_all(keep, &e);
	assert(unmounted % 2 == 0);
	FUZZ_PLANT(unmounted == 6);
}

static void peers(char *text)
{
	unsigned int found = 0;
	struct err e = { 0 };

	(void)text;
	if (peers_of(29, &found, &e) < 0)
		assert(e.code == ENOENT && e.msg[0]);
	else
		assert(strstr(input, "29") && found <= (PEERS_SHARED | PEERS_SLAVE));
}

static void cgroup(char *text)
{
	auto_free char *path = NULL;
	struct err e = { 0 };

	(void)text;
	if (cgroup_of(1, &path, &e) < 0)
		assert(e.code == ENOENT);
	else
		assert(path[0] == '/' && strstr(input, path) && !strchr(path, '\n'));
}

/* The start is the twentieth word behind the name. */
static void process(char *text)
{
	char *rest = strrchr(text, ')'), *word = NULL;
	uint64_t got, wanted;
	int r = state_pid_start(1, &got);

	if (r < 0) {
		assert(r == -ESRCH);
		return;
	}
	text[strlen(text) - str_ends(text, "\n")] = '\0';
	rest = strrchr(text, ')') + 2;
	for (int i = 0; i < 20; i++)
		word = strsep(&rest, " ");
	assert(word && str_to_u64(word, &wanted) == 0 && wanted == got);
}

static void links(char *text)
{
	struct stats_net s;

	stats_net_parse(text, &s);
	assert(s.count <= STATS_INTERFACES_MAX);
	for (size_t i = 0; i < s.count; i++)
		assert(s.list[i].name[0] != ' ' && !str_eq(s.list[i].name, "lo"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(char *) = { mounts, peers, cgroup, process, links };
	auto_free char *text = NULL, *copy = NULL;

	log_to(-1);
	if (size < 1)
		return 0;
	text = mem_strndup((const char *)data + 1, size - 1);
	copy = mem_strdup(text);
	input = copy;
	kinds[data[0] % 5](text);
	return 0;
}
