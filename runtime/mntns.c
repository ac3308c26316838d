/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/mntns.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"

#define MNTNS_LAYERS_MAX 64

/* Linux 6.8: an id that is never given again; older kernels tell the other one. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

/* Opens the folder and tells on which mount it is, and whether it is the root of that. */
static int mntns_look(const char *rootfs, int *ret_fd, struct statx *ret, struct err *e)
{
	auto_fd int fd = open(rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, ret) < 0)
		return err_set(e, errno, "open %s", rootfs);
	*ret_fd = fd_take(&fd);
	return 0;
}

int mntns_under(const struct spec *s, const char *rootfs, uint64_t *ret_under, struct err *e)
{
	auto_fd int fd = -1;
	auto_fd int top = -1;
	struct statx st;
	struct statx here;

	*ret_under = 0;
	if (s->ns[SPEC_NS_MOUNT].given)
		return 0; /* new, or somebody else's who has to know what is in it */
	if (mntns_look(rootfs, &fd, &st, e) < 0)
		return -e->code;
	if (mntns_look("/", &top, &here, e) < 0)
		return -e->code;
	if (here.stx_mnt_id == st.stx_mnt_id && here.stx_ino == st.stx_ino)
		return err_set(e, EINVAL, "root.path: / needs a new mount namespace");
	*ret_under = st.stx_mnt_id;
	return 0;
}

int mntns_clear(const char *rootfs, uint64_t under, struct err *e)
{
	for (int i = 0; under && i < MNTNS_LAYERS_MAX; i++) {
		auto_fd int fd = -1;
		struct statx st;
		char path[32];

		if (mntns_look(rootfs, &fd, &st, e) < 0)
			return e->code == ENOENT ? 0 : -e->code;
		if (st.stx_mnt_id == under || !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
			return 0;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (umount2(path, MNT_DETACH) < 0)
			return err_set(e, errno, "unmount %s", rootfs);
	}
	return 0;
}
