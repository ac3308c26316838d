/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/copyup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

#define COPYUP_DEPTH_MAX 128
#define COPYUP_XATTRS_MAX 65536 /* bytes */

/* What the new file system cannot hold is left out; the rest is not. */
static int copyup_xattrs(int from, int to, struct err *e)
{
	auto_free char *names = mem_alloc(COPYUP_XATTRS_MAX);
	auto_free char *value = mem_alloc(COPYUP_XATTRS_MAX);
	ssize_t len = flistxattr(from, names, COPYUP_XATTRS_MAX);

	for (char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, value, COPYUP_XATTRS_MAX);

		if (size >= 0 && fsetxattr(to, name, value, (size_t)size, 0) < 0 &&
		    errno != ENOTSUP && errno != EPERM)
			return err_set(e, errno, "attribute %s", name);
	}
	return 0;
}

static int copyup_attributes(int from, int to, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* owner first: a change of owner takes set-user-ID away */
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return err_set(e, errno, "owner or mode");
	if (copyup_xattrs(from, to, e) < 0)
		return -e->code;
	if (futimens(to, times) < 0)
		return err_set(e, errno, "times");
	return 0;
}

static int copyup_file(int from, int to, const char *name, struct err *e)
{
	auto_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_fd int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	ssize_t n;

	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return err_set(e, errno, "open");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ESTALE, "it changed meanwhile");
	do {
		n = sendfile(out, in, NULL, 1 << 24);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return err_set(e, errno, "copy");
	return copyup_attributes(in, out, &st, e);
}

static int copyup_link(int from, int to, const char *name, const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(e, errno, "read link");
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "make link");
	return 0;
}

static int copyup_special(int to, const char *name, const struct stat *st, struct err *e)
{
	if (mknodat(to, name, st->st_mode, st->st_rdev) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "make node");
	return 0;
}

static int copyup_folder(int from, int to, dev_t dev, int depth, struct err *e);

static int copyup_subfolder(int from, int to, const char *name, dev_t dev, int depth, struct err *e)
{
	auto_fd int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_fd int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return err_set(e, errno, "open");
	if (mkdirat(to, name, 0700) < 0)
		return err_set(e, errno, "make folder");
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return err_set(e, errno, "open");
	if (st.st_dev == dev && copyup_folder(in, out, dev, depth + 1, e) < 0)
		return -e->code;
	return copyup_attributes(in, out, &st, e);
}

static int copyup_entry(int from, int to, const char *name, dev_t dev, int depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "stat");
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return copyup_subfolder(from, to, name, dev, depth, e);
	case S_IFREG:
		return copyup_file(from, to, name, e);
	case S_IFLNK:
		return copyup_link(from, to, name, &st, e);
	case S_IFSOCK:
		return 0; /* nobody listens there any more */
	default:
		return copyup_special(to, name, &st, e);
	}
}

static int copyup_folder(int from, int to, dev_t dev, int depth, struct err *e)
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!d || depth > COPYUP_DEPTH_MAX) {
		r = err_set(e, d ? ELOOP : errno, "read folder");
		if (d)
			closedir(d);
		else
			fd_close(&copy);
		return r;
	}
	while (r == 0 && (entry = readdir(d))) {
		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		r = copyup_entry(from, to, entry->d_name, dev, depth, e);
		if (r < 0) {
			auto_free char *name = str_escape(entry->d_name, strlen(entry->d_name), 64);

			err_wrap(e, "%s", name);
		}
	}
	closedir(d);
	return r;
}

int copyup(int from, int to, struct err *e)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_set(e, errno, "copy up");
	if (copyup_folder(from, to, st.st_dev, 0, e) < 0)
		return err_wrap(e, "copy up");
	return 0;
}
