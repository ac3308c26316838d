/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host paths of bind mounts, looked at before the container is made. All of
 * this may hang where the path is on a dead server, so it runs in a child.
 */
#include "cri/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

enum peers {
	PEERS_NONE = 0,
	PEERS_SHARED = 1, /* gives and takes mounts */
	PEERS_SLAVE = 2, /* takes them */
};

/*
 * A line is "ID PARENT DEV ROOT POINT OPTIONS [TAG...] - TYPE ...". Returns
 * what the mount with this id is.
 */
static int peers_of(uint64_t id, unsigned int *ret, struct err *e)
{
	FILE *in = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!in)
		return err_set(e, errno, "open mountinfo");
	*ret = PEERS_NONE;
	while (!found && getline(&line, &room, in) > 0) {
		char *rest = line, *word = str_field(&rest, " ");
		uint64_t n = 0;

		if (str_to_u64(word, &n) < 0 || n != id)
			continue;
		found = true;
		for (int i = 0; i < 5; i++)
			str_field(&rest, " ");
		while ((word = str_field(&rest, " ")) && !str_eq(word, "-")) {
			if (str_starts(word, "shared:"))
				*ret |= PEERS_SHARED;
			if (str_starts(word, "master:"))
				*ret |= PEERS_SLAVE;
		}
	}
	fclose(in);
	return found ? 0 : err_set(e, ENOENT, "find mount %llu", (unsigned long long)id);
}

static int check_peers(const Cri__Mount *m, uint64_t id, struct err *e)
{
	unsigned int peers;
	int r;

	if (m->propagation == CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
		return 0;
	r = peers_of(id, &peers, e);
	if (r < 0)
		return r;
	if (m->propagation == CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL &&
	    !(peers & PEERS_SHARED))
		return err_set(e, EINVAL, "it is not on a shared mount");
	if (!peers)
		return err_set(e, EINVAL, "it is on a private mount");
	return 0;
}

static int check_source(const Cri__Mount *m, struct err *e)
{
	struct statx st;

	if (statx(AT_FDCWD, m->host_path, 0, STATX_TYPE | STATX_MNT_ID, &st) < 0) {
		if (errno != ENOENT)
			return err_set(e, errno, "stat it");
		/* both known runtimes make a folder, and people have come to rely on it */
		if (path_mkdirs(m->host_path, 0755, e) < 0)
			return -e->code;
		if (statx(AT_FDCWD, m->host_path, 0, STATX_TYPE | STATX_MNT_ID, &st) < 0)
			return err_set(e, errno, "stat it");
	}
	return check_peers(m, st.stx_mnt_id, e);
}

int bundle_check_sources(const Cri__ContainerConfig *config, struct err *e)
{
	for (size_t i = 0; i < config->n_mounts; i++) {
		const Cri__Mount *m = config->mounts[i];

		if ((m->image && m->image->image[0]) || !m->host_path[0])
			continue;
		if (check_source(m, e) < 0)
			return err_wrap(e, "mount source %.128s", m->host_path);
	}
	return 0;
}
