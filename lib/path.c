/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/str.h"

/* a rename race in the tree makes openat2 answer EAGAIN; it is worth a few tries */
#define PATH_TRIES 32
#define PATH_DEPTH 128

static int path_openat2(int root, const char *path, int flags, mode_t mode, __u64 resolve)
{
	struct open_how how = {
		.flags = (__u64)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	int fd = -1;

	for (int i = 0; i < PATH_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int path_open_in(int root, const char *path, int flags, mode_t mode, int *ret_fd, struct err *e)
{
	int fd = path_openat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_fd = fd;
	return 0;
}

int path_open(int root, const char *path, int *ret_fd, struct err *e)
{
	return path_open_in(root, path, O_PATH, 0, ret_fd, e);
}

int path_open_strict(int root, const char *path, int flags, int *ret_fd, struct err *e)
{
	int fd = path_openat2(root, path, flags, 0,
			      RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_fd = fd;
	return 0;
}

int path_open_beneath(int root, const char *path, int flags, int *ret_fd, struct err *e)
{
	int fd = path_openat2(root, path, flags, 0,
			      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
				      RESOLVE_NO_XDEV);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_fd = fd;
	return 0;
}

/*
 * The longest prefix of path that exists is opened by openat2, so links in it
 * are honoured inside root. What is missing below it is made by mkdirat on
 * the descriptor: a name just made cannot be a link.
 */
int path_mkdir_in(int root, const char *path, mode_t mode, int *ret_fd, struct err *e)
{
	char prefix[PATH_MAX];
	size_t ends[PATH_DEPTH];
	size_t depth = 0;
	size_t have;
	auto_fd int at = -1;

	if (!str_copy(prefix, sizeof(prefix), path))
		return err_set(e, ENAMETOOLONG, "make folder");
	for (size_t i = 0; prefix[i]; i++) {
		if (prefix[i] != '/' && (prefix[i + 1] == '/' || !prefix[i + 1])) {
			if (depth == PATH_DEPTH)
				return err_set(e, ENAMETOOLONG, "make folder %s", path);
			ends[depth++] = i + 1;
		}
	}
	for (have = depth;; have--) {
		char saved = have ? prefix[ends[have - 1]] : '\0';

		if (have)
			prefix[ends[have - 1]] = '\0';
		at = path_openat2(root, have ? prefix : ".", O_PATH | O_DIRECTORY, 0,
				  RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (have)
			prefix[ends[have - 1]] = saved;
		if (at >= 0)
			break;
		if (errno != ENOENT || have == 0)
			return err_set(e, errno, "make folder %s", path);
	}
	for (; have < depth; have++) {
		size_t begin = have ? ends[have - 1] : 0;
		char name[NAME_MAX + 1];
		int next;

		begin += strspn(prefix + begin, "/");
		if (ends[have] - begin > NAME_MAX)
			return err_set(e, ENAMETOOLONG, "make folder %s", path);
		memcpy(name, prefix + begin, ends[have] - begin);
		name[ends[have] - begin] = '\0';
		if (str_eq(name, "..") || (mkdirat(at, name, mode) < 0 && errno != EEXIST))
			return err_set(e, str_eq(name, "..") ? EINVAL : errno, "make folder %s",
				       path);
		next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return err_set(e, errno, "make folder %s", path);
		close(at);
		at = next;
	}
	if (ret_fd)
		*ret_fd = fd_take(&at);
	return 0;
}

int path_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char buf[PATH_MAX];

	if (!str_copy(buf, sizeof(buf), path))
		return err_set(e, ENAMETOOLONG, "make folder");
	for (char *p = buf + 1;; p++) {
		char saved = *p;

		if (saved != '/' && saved != '\0')
			continue;
		*p = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST)
			return err_set(e, errno, "make folder %s", buf);
		*p = saved;
		if (saved == '\0')
			return 0;
	}
}

int path_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len,
	      struct err *e)
{
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	if (fd_read_all(fd, max, ret_data, ret_len, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

int path_snapshot(const char *path, size_t max, int *ret_fd, struct err *e)
{
	auto_free char *text = NULL;
	auto_fd int fd = -1;
	size_t len;

	if (path_read(AT_FDCWD, path, max, &text, &len, e) < 0)
		return -e->code;
	fd = memfd_create("snapshot", MFD_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "copy %s", path);
	if (fd_write_all(fd, text, len, e) < 0)
		return err_wrap(e, "copy %s", path);
	*ret_fd = fd_take(&fd);
	return 0;
}

int path_read_line(int dirfd, const char *path, char *buf, size_t size, struct err *e)
{
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	n = read(fd, buf, size - 1);
	if (n < 0)
		return err_set(e, errno, "read %s", path);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

int path_write(int dirfd, const char *path, const char *text, struct err *e)
{
	auto_fd int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "write %s to %s", text, path);
	if ((size_t)n != len)
		return err_set(e, EIO, "write %s to %s", text, path);
	return 0;
}

char *path_join(const char *folder, const char *path)
{
	return path[0] == '/' ? mem_strdup(path) : mem_printf("%s/%s", folder, path);
}

static int path_fill(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		     enum path_sync sync, struct err *e)
{
	auto_fd int fd =
		openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return err_set(e, errno, "create %s", name);
	if (fd_write_all(fd, data, len, e) < 0)
		return err_wrap(e, "%s", name);
	if (sync == PATH_DURABLE && fsync(fd) < 0)
		return err_set(e, errno, "fsync %s", name);
	return 0;
}

int path_create(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		struct err *e)
{
	return path_fill(dirfd, name, data, len, mode, PATH_FAST, e);
}

int path_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 enum path_sync sync, struct err *e)
{
	auto_free char *temp = mem_printf("%s.new", name);
	int r = path_fill(dirfd, temp, data, len, mode, sync, e);

	if (r == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		r = err_set(e, errno, "rename %s to %s", temp, name);
	if (r < 0) {
		unlinkat(dirfd, temp, 0);
		return r;
	}
	if (sync == PATH_DURABLE) {
		auto_free char *copy = mem_strdup(name);
		char *slash = strrchr(copy, '/');
		auto_fd int dir = -1;

		if (slash)
			*slash = '\0';
		dir = openat(dirfd, slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0 || fsync(dir) < 0)
			return err_set(e, errno, "fsync folder of %s", name);
	}
	return 0;
}

/* Depth is bounded by moving down one descriptor at a time, not by recursion on long paths. */
static int path_empty_dir(int dirfd, dev_t dev, int depth, struct err *e)
{
	DIR *dir;
	struct dirent *d;
	int copy = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	int r = 0;

	if (depth > 4096)
		r = -ELOOP;
	dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir || r < 0) {
		r = err_set(e, r < 0 ? ELOOP : errno, "open folder");
		if (dir)
			closedir(dir);
		else if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0 && (d = readdir(dir))) {
		struct stat st;
		auto_fd int sub = -1;

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		if (unlinkat(dirfd, d->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			r = err_set(e, errno, "remove %s", d->d_name);
			break;
		}
		sub = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || fstat(sub, &st) < 0)
			r = err_set(e, errno, "open %s", d->d_name);
		else if (st.st_dev != dev)
			r = err_set(e, EXDEV, "remove %s: something is mounted there", d->d_name);
		else
			r = path_empty_dir(sub, dev, depth + 1, e);
		if (r == 0 && unlinkat(dirfd, d->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = err_set(e, errno, "remove %s", d->d_name);
	}
	closedir(dir);
	return r;
}

int path_remove_tree(int dirfd, const char *name, struct err *e)
{
	auto_fd int fd = -1;
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_set(e, errno, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "open %s", name);
	if (path_empty_dir(fd, st.st_dev, 0, e) < 0)
		return err_wrap(e, "%s", name);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove %s", name);
	return 0;
}

bool path_exists(int dirfd, const char *path)
{
	return faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
