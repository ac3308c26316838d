/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A layer that berth-unpack left is finished with the rights it lacks: folders
 * that no entry described take after the layers below, and opaque ones get
 * overlay's attribute. The trees are foreign: no link is followed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/commit.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define NOTES_MAX (64u << 20) /* bytes */
#define XATTRS_MAX 65536

static const char opaque[] = "trusted.overlay.opaque";

/* What the finishing of one layer needs. */
struct finish {
	const struct commit *c;
	size_t index; /* in the chain */
	int layers_fd;
	int staging_fd;
};

static int open_files(int dirfd, const char *name, int *ret, struct err *e)
{
	auto_free char *fs = mem_printf("%s/fs", name);
	int fd = openat(dirfd, fs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open layer %s", name);
	*ret = fd;
	return 0;
}

/* A folder of a layer below, which may be in the same batch and not in place yet. */
static int open_lower(const struct finish *f, size_t index, const char *path, int *ret,
		      struct err *e)
{
	auto_fd int root = -1;

	for (size_t i = 0; i < f->c->n && root < 0; i++) {
		if (f->c->layers[i].index == index &&
		    open_files(f->staging_fd, f->c->layers[i].stage, &root, e) < 0)
			return -EIO;
	}
	if (root < 0 && open_files(f->layers_fd, f->c->chain[index], &root, e) < 0)
		return -EIO;
	return path_open_beneath(root, path, O_RDONLY | O_DIRECTORY, ret, e);
}

static int copy_xattrs(int from, int to, struct err *e)
{
	auto_free char *names = mem_alloc(XATTRS_MAX);
	auto_free char *value = mem_alloc(XATTRS_MAX);
	ssize_t len = flistxattr(from, names, XATTRS_MAX);

	for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t n;

		if (!str_starts(name, "user.") && !str_starts(name, "system.posix_acl_"))
			continue;
		n = fgetxattr(from, name, value, XATTRS_MAX);
		if (n < 0 || (fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != EOPNOTSUPP))
			return err_set(e, errno, "copy attribute %.64s", name);
	}
	return 0;
}

static int copy_meta(int from, int to, struct err *e)
{
	struct stat st;
	struct timespec times[2];

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0)
		return err_set(e, errno, "copy owner and mode");
	if (copy_xattrs(from, to, e) < 0)
		return -e->code;
	times[0] = times[1] = st.st_mtim;
	if (futimens(to, times) < 0)
		return err_set(e, errno, "copy time");
	return 0;
}

/* The highest layer below that has the folder decides; something else there ends the search. */
static int take_after(const struct finish *f, int dir, const char *path, struct err *e)
{
	for (size_t index = f->index; index-- > 0;) {
		auto_fd int lower = -1;
		struct err miss = { 0 };
		int r = open_lower(f, index, path, &lower, &miss);

		if (r == 0)
			return copy_meta(lower, dir, e);
		if (r == -EIO)
			return err_set(e, miss.code, "%s", miss.msg);
		if (r != -ENOENT)
			return 0;
	}
	return 0;
}

/* The root of a mount is never opaque: each entry below it is hidden one by one. */
static int hide_entries(int root, int lower, struct err *e)
{
	int copy = fcntl(lower, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *d;
	int r = 0;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return err_set(e, errno, "read layer");
	}
	while (r == 0 && (d = readdir(dir))) {
		auto_fd int sub = -1;

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		if (mknodat(root, d->d_name, S_IFCHR, 0) == 0)
			continue;
		if (errno != EEXIST)
			r = err_set(e, errno, "hide an entry of the root");
		sub = openat(root, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (r == 0 && sub >= 0 && fsetxattr(sub, opaque, "y", 1, 0) < 0)
			r = err_set(e, errno, "hide an entry of the root");
	}
	closedir(dir);
	return r;
}

static int hide_root(const struct finish *f, int root, struct err *e)
{
	struct stat st;
	struct timespec times[2];

	if (fstat(root, &st) < 0)
		return err_set(e, errno, "look at the root");
	for (size_t index = f->index; index-- > 0;) {
		auto_fd int lower = -1;

		if (open_lower(f, index, ".", &lower, e) < 0 || hide_entries(root, lower, e) < 0)
			return -e->code;
	}
	times[0] = times[1] = st.st_mtim;
	(void)futimens(root, times);
	return 0;
}

static int apply_note(const struct finish *f, int fs, char kind, const char *path, struct err *e)
{
	auto_fd int dir = -1;
	struct err gone = { 0 };

	/* a later entry may have put something else there */
	if (path_open_beneath(fs, path, O_RDONLY | O_DIRECTORY, &dir, &gone) < 0)
		return gone.code == ENOENT || gone.code == ENOTDIR || gone.code == ELOOP
			       ? 0
			       : err_set(e, gone.code, "%s", gone.msg);
	if (kind == 'I')
		return take_after(f, dir, path, e);
	if (kind != 'O')
		return err_set(e, EBADMSG, "malformed notes");
	if (str_eq(path, "."))
		return hide_root(f, dir, e);
	if (fsetxattr(dir, opaque, "y", 1, 0) < 0)
		return err_set(e, errno, "make a folder opaque");
	return 0;
}

int finish_layer(const struct commit *c, size_t nth, int layers_fd, int staging_fd, struct err *e)
{
	struct finish f = {
		.c = c,
		.index = c->layers[nth].index,
		.layers_fd = layers_fd,
		.staging_fd = staging_fd,
	};
	auto_free char *file = mem_printf("%s/notes", c->layers[nth].stage);
	auto_free char *notes = NULL;
	auto_fd int fs = -1;
	size_t len, at = 0;

	if (open_files(staging_fd, c->layers[nth].stage, &fs, e) < 0 ||
	    path_read(staging_fd, file, NOTES_MAX, &notes, &len, e) < 0)
		return -e->code;
	while (at < len) {
		const char *note = notes + at;

		at += strlen(note) + 1;
		if (note[0] && apply_note(&f, fs, note[0], note + 1, e) < 0)
			return -e->code;
	}
	if (unlinkat(staging_fd, file, 0) < 0)
		return err_set(e, errno, "remove notes");
	return 0;
}
