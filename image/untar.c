/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/untar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define BLOCK 4096

static const char wh_prefix[] = ".wh.";
static const char wh_opaque[] = ".wh..wh..opq";
static const char wh_reserved[] = ".wh..wh.";

/* the value of a map that is used as a set */
static char untar_there[] = "";

int untar_init(struct untar *u, int root, struct err *e)
{
	*u = (struct untar){ .root = root, .dir = { .fd = -1 } };
	map_set(&u->implicit, ".", untar_there);
	if (root < 0)
		return err_set(e, EBADF, "unpack");
	return 0;
}

/* Entries made in a folder changed its time; it gets back the one it had. */
static void dir_leave(struct untar *u)
{
	struct timespec times[2] = { u->dir.mtime, u->dir.mtime };

	if (u->dir.fd < 0)
		return;
	(void)futimens(u->dir.fd, times);
	fd_close(&u->dir.fd);
}

void untar_done(struct untar *u)
{
	dir_leave(u);
	map_done(&u->implicit);
	map_done(&u->opaque);
}

static int note(struct map *set, const char *path, struct err *e)
{
	if (set->count >= UNTAR_NOTES_MAX)
		return err_set(e, E2BIG, "more than %d folders without an entry", UNTAR_NOTES_MAX);
	map_set(set, path[0] ? path : ".", untar_there);
	return 0;
}

/* "a//./b/" becomes "a/b"; the root becomes "". */
static int clean_path(char dst[static UNTAR_PATH_MAX + 1], const char *src, struct err *e)
{
	size_t len = 0;
	int depth = 0;

	while (*src) {
		size_t n = strcspn(src, "/");

		if (n == 2 && src[0] == '.' && src[1] == '.')
			return err_set(e, EINVAL, "the path leads upwards");
		if (n > 0 && !(n == 1 && src[0] == '.')) {
			if (++depth > UNTAR_DEPTH_MAX || len + 1 + n > UNTAR_PATH_MAX)
				return err_set(e, ENAMETOOLONG, "the path is too long");
			if (len)
				dst[len++] = '/';
			memcpy(dst + len, src, n);
			len += n;
		}
		src += n + (src[n] == '/');
	}
	dst[len] = '\0';
	return 0;
}

/* Splits in place: "a/b/c" into "a/b" and "c", "c" into "" and "c". */
static const char *split_path(char *path, const char **ret_parent)
{
	char *slash = strrchr(path, '/');

	if (!slash) {
		*ret_parent = "";
		return path;
	}
	*slash = '\0';
	*ret_parent = path;
	return slash + 1;
}

/* Links inside the layer are followed as seen from its root. */
static int open_in(const struct untar *u, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, u->root, path[0] ? path : ".", &how, sizeof(how));
}

static int dir_take(struct untar *u, int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_set(e, errno, "look at folder %s", path);
	}
	u->dir.fd = fd;
	u->dir.mtime = st.st_mtim;
	strcpy(u->dir.path, path);
	return 0;
}

/* What lies there in this layer goes; its folder is the open one. */
static int remove_old(struct untar *u, const char *name, struct err *e)
{
	return path_remove_tree(u->dir.fd, name, e);
}

/*
 * A folder in the open one. Where the layer had something else (a file, a
 * whiteout) before, that hid the layers below, so the folder does too.
 */
static int make_dir(struct untar *u, const char *name, const char *path, bool *ret_new,
		    struct err *e)
{
	struct stat st;

	*ret_new = true;
	if (mkdirat(u->dir.fd, name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(u->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "make folder");
	if (S_ISDIR(st.st_mode)) {
		*ret_new = false;
		return 0;
	}
	if (unlinkat(u->dir.fd, name, 0) < 0 || mkdirat(u->dir.fd, name, 0755) < 0)
		return err_set(e, errno, "make folder");
	return note(&u->opaque, path, e);
}

static int dir_enter(struct untar *u, const char *path, struct err *e);

static int dir_make(struct untar *u, const char *path, struct err *e)
{
	char copy[UNTAR_PATH_MAX + 1];
	const char *parent, *name;
	struct stat st;
	bool fresh;

	strcpy(copy, path);
	name = split_path(copy, &parent);
	if (dir_enter(u, parent, e) < 0)
		return -e->code;
	/* what stands in the way stays, unless it is a whiteout */
	if (fstatat(u->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
	    !(S_ISCHR(st.st_mode) && st.st_rdev == 0))
		return err_set(e, ENOTDIR, "%s is no folder", path);
	if (make_dir(u, name, path, &fresh, e) < 0)
		return -e->code;
	if (fresh) {
		u->inodes++;
		u->bytes += BLOCK;
		if (!map_get(&u->opaque, path))
			return note(&u->implicit, path, e);
	}
	return 0;
}

/* Makes path the open folder; what is missing on the way is made and noted. */
static int dir_enter(struct untar *u, const char *path, struct err *e)
{
	int fd;

	if (u->dir.fd >= 0 && str_eq(u->dir.path, path))
		return 0;
	fd = open_in(u, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && path[0]) {
		if (dir_make(u, path, e) < 0)
			return -e->code;
		fd = open_in(u, path, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0)
		return err_set(e, errno, "open folder %s", path);
	dir_leave(u);
	return dir_take(u, fd, path, e);
}

/* What is set on a lower layer's inode; the rest (labels, trusted.*) is the node's business. */
static bool xattr_wanted(const char *name, mode_t type)
{
	if (str_starts(name, "user."))
		return S_ISREG(type) || S_ISDIR(type);
	return str_eq(name, "security.capability") || str_eq(name, "system.posix_acl_access") ||
	       str_eq(name, "system.posix_acl_default");
}

/* fd -1: of the name in the open folder, which is the working folder then */
static int set_xattrs(struct untar *u, struct archive_entry *entry, int fd, const char *name,
		      struct err *e)
{
	const char *key;
	const void *value;
	size_t len, total = 0;

	if (archive_entry_xattr_reset(entry) == 0)
		return 0;
	if (fd < 0 && fchdir(u->dir.fd) < 0)
		return err_set(e, errno, "enter folder");
	while (archive_entry_xattr_next(entry, &key, &value, &len) == ARCHIVE_OK) {
		int r;

		total += strlen(key) + len;
		if (total > UNTAR_XATTRS_MAX)
			return err_set(e, E2BIG, "attributes of more than %d bytes",
				       UNTAR_XATTRS_MAX);
		if (!xattr_wanted(key, archive_entry_filetype(entry)))
			continue;
		r = fd >= 0 ? fsetxattr(fd, key, value, len, 0)
			    : lsetxattr(name, key, value, len, 0);
		/* a file system without them, as tmpfs once was */
		if (r < 0 && !(errno == EOPNOTSUPP && str_starts(key, "user.")))
			return err_set(e, errno, "set attribute %.64s", key);
	}
	return 0;
}

static int entry_owner(struct archive_entry *entry, uid_t *ret_uid, gid_t *ret_gid, struct err *e)
{
	int64_t uid = archive_entry_uid(entry);
	int64_t gid = archive_entry_gid(entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, EINVAL, "owner out of range");
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return 0;
}

static void entry_times(struct archive_entry *entry, struct timespec times[2])
{
	times[0] = times[1] = (struct timespec){
		.tv_sec = archive_entry_mtime(entry),
		.tv_nsec = archive_entry_mtime_nsec(entry),
	};
}

/* Owner before mode (it clears set-id bits) before attributes (it clears capabilities); time last.
 */
static int set_meta(struct untar *u, struct archive_entry *entry, int fd, struct err *e)
{
	struct timespec times[2];
	uid_t uid = 0;
	gid_t gid = 0;

	if (entry_owner(entry, &uid, &gid, e) < 0)
		return -e->code;
	entry_times(entry, times);
	if (fchown(fd, uid, gid) < 0)
		return err_set(e, errno, "set owner");
	if (fchmod(fd, archive_entry_perm(entry) & 07777) < 0)
		return err_set(e, errno, "set mode");
	if (set_xattrs(u, entry, fd, NULL, e) < 0)
		return -e->code;
	if (futimens(fd, times) < 0)
		return err_set(e, errno, "set time");
	return 0;
}

/* The same for what cannot be opened: links, devices, pipes. */
static int set_meta_at(struct untar *u, struct archive_entry *entry, const char *name,
		       struct err *e)
{
	struct timespec times[2];
	uid_t uid = 0;
	gid_t gid = 0;

	if (entry_owner(entry, &uid, &gid, e) < 0)
		return -e->code;
	entry_times(entry, times);
	if (fchownat(u->dir.fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "set owner");
	/* the name was made a moment ago, by us, in a folder only we can reach */
	if (archive_entry_filetype(entry) != AE_IFLNK &&
	    fchmodat(u->dir.fd, name, archive_entry_perm(entry) & 07777, 0) < 0)
		return err_set(e, errno, "set mode");
	if (set_xattrs(u, entry, -1, name, e) < 0)
		return -e->code;
	if (utimensat(u->dir.fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "set time");
	return 0;
}

static int put_dir(struct untar *u, struct archive_entry *entry, const char *name, const char *path,
		   struct err *e)
{
	bool fresh;
	int fd;

	if (make_dir(u, name, path, &fresh, e) < 0)
		return -e->code;
	if (fresh) {
		u->inodes++;
		u->bytes += BLOCK;
	}
	fd = openat(u->dir.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open folder");
	map_remove(&u->implicit, path);
	if (set_meta(u, entry, fd, e) < 0) {
		close(fd);
		return -e->code;
	}
	/* its entries come next, as a rule */
	dir_leave(u);
	return dir_take(u, fd, path, e);
}

static int put_root(struct untar *u, struct archive_entry *entry, struct err *e)
{
	if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry))
		return err_set(e, EINVAL, "the root is no folder");
	map_remove(&u->implicit, ".");
	if (dir_enter(u, "", e) < 0 || set_meta(u, entry, u->dir.fd, e) < 0)
		return -e->code;
	u->dir.mtime = (struct timespec){ .tv_sec = archive_entry_mtime(entry),
					  .tv_nsec = archive_entry_mtime_nsec(entry) };
	return 0;
}

static int write_at(int fd, const char *data, size_t len, int64_t offset, struct err *e)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "write");
		data += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

static int copy_data(struct untar *u, struct archive *a, struct archive_entry *entry, int fd,
		     struct err *e)
{
	int64_t size = archive_entry_size(entry);
	int64_t end = 0;
	uint64_t written = 0;
	const void *data;
	int64_t offset;
	size_t len;
	int r;

	if (size == 0)
		return 0;
	while ((r = archive_read_data_block(a, &data, &len, &offset)) == ARCHIVE_OK) {
		if (write_at(fd, data, len, offset, e) < 0)
			return -e->code;
		end = offset + (int64_t)len;
		written += len;
		report_progress(&u->progress, (uint64_t)archive_filter_bytes(a, 0));
	}
	u->bytes += (written + BLOCK - 1) / BLOCK * BLOCK;
	if (r != ARCHIVE_EOF)
		return err_set(e, EBADMSG, "%s", archive_error_string(a) ?: "damaged");
	/* a hole at the end */
	if (end < size && ftruncate(fd, size) < 0)
		return err_set(e, errno, "set size");
	return 0;
}

static int put_file(struct untar *u, struct archive *a, struct archive_entry *entry,
		    const char *name, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	auto_fd int fd = openat(u->dir.fd, name, flags, 0600);

	if (fd < 0 && errno == EEXIST) {
		if (remove_old(u, name, e) < 0)
			return -e->code;
		fd = openat(u->dir.fd, name, flags, 0600);
	}
	if (fd < 0)
		return err_set(e, errno, "create");
	u->inodes++;
	if (copy_data(u, a, entry, fd, e) < 0)
		return -e->code;
	return set_meta(u, entry, fd, e);
}

/* Links and nodes have no descriptor to work on: made by name, once more when one was in the way.
 */
static int make_node(struct untar *u, struct archive_entry *entry, const char *name)
{
	mode_t type = archive_entry_filetype(entry);

	if (type == AE_IFLNK)
		return symlinkat(archive_entry_symlink(entry), u->dir.fd, name);
	return mknodat(u->dir.fd, name, type | 0600,
		       makedev((unsigned int)archive_entry_rdevmajor(entry),
			       (unsigned int)archive_entry_rdevminor(entry)));
}

static int put_node(struct untar *u, struct archive_entry *entry, const char *name, struct err *e)
{
	mode_t type = archive_entry_filetype(entry);

	if (type == AE_IFLNK && !archive_entry_symlink(entry))
		return err_set(e, EINVAL, "a link to nothing");
	if (type == AE_IFCHR && archive_entry_rdevmajor(entry) == 0 &&
	    archive_entry_rdevminor(entry) == 0)
		return err_set(e, EINVAL, "device 0:0 is kept for whiteouts");
	if (make_node(u, entry, name) < 0) {
		if (errno != EEXIST)
			return err_set(e, errno, "make");
		if (remove_old(u, name, e) < 0)
			return -e->code;
		if (make_node(u, entry, name) < 0)
			return err_set(e, errno, "make");
	}
	u->inodes++;
	return set_meta_at(u, entry, name, e);
}

static bool same_inode(int fd_a, const char *a, int fd_b, const char *b)
{
	struct stat x, y;

	return fstatat(fd_a, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(fd_b, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static int put_hardlink(struct untar *u, const char *target, const char *name, struct err *e)
{
	char path[UNTAR_PATH_MAX + 1];
	auto_free char *shown = str_escape(target, strlen(target), 80);
	const char *parent, *base;
	auto_fd int fd = -1;
	struct stat st;

	if (clean_path(path, target, e) < 0)
		return err_wrap(e, "hard link to %s", shown);
	if (!path[0])
		return err_set(e, EINVAL, "hard link to the root");
	base = split_path(path, &parent);
	fd = open_in(u, parent, O_PATH | O_DIRECTORY);
	if (fd < 0 || fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "hard link to %s, which is not in this layer", shown);
	if (linkat(fd, base, u->dir.fd, name, 0) == 0 || same_inode(fd, base, u->dir.fd, name))
		return 0;
	if (errno == EEXIST) {
		if (remove_old(u, name, e) < 0)
			return -e->code;
		if (linkat(fd, base, u->dir.fd, name, 0) == 0)
			return 0;
	}
	return err_set(e, errno, "hard link to %s", shown);
}

/* It hides what the layers below have; what this layer has stays. */
static int put_whiteout(struct untar *u, const char *name, const char *dir, struct err *e)
{
	auto_free char *path = mem_printf("%s%s%s", dir, dir[0] ? "/" : "", name);
	struct stat st;

	if (!name[0] || str_eq(name, ".") || str_eq(name, ".."))
		return err_set(e, EINVAL, "a whiteout of nothing");
	if (mknodat(u->dir.fd, name, S_IFCHR, 0) == 0) {
		u->inodes++;
		return 0;
	}
	if (errno != EEXIST || fstatat(u->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "make whiteout");
	if (!S_ISDIR(st.st_mode))
		return 0;
	map_remove(&u->implicit, path);
	return note(&u->opaque, path, e);
}

static int put_entry(struct untar *u, struct archive *a, struct archive_entry *entry,
		     const char *path, struct err *e)
{
	char copy[UNTAR_PATH_MAX + 1];
	const char *parent, *name;

	strcpy(copy, path);
	name = split_path(copy, &parent);
	if (dir_enter(u, parent, e) < 0)
		return -e->code;
	if (str_eq(name, wh_opaque)) {
		if (!parent[0])
			return note(&u->opaque, "", e);
		return note(&u->opaque, parent, e);
	}
	if (str_starts(name, wh_reserved))
		return 0;
	if (str_starts(name, wh_prefix))
		return put_whiteout(u, name + strlen(wh_prefix), parent, e);
	if (archive_entry_hardlink(entry))
		return put_hardlink(u, archive_entry_hardlink(entry), name, e);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return put_dir(u, entry, name, path, e);
	case AE_IFREG:
		return put_file(u, a, entry, name, e);
	case AE_IFLNK:
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return put_node(u, entry, name, e);
	default:
		return err_set(e, EINVAL, "a type that no layer has");
	}
}

int untar_entry(struct untar *u, struct archive *a, struct archive_entry *entry, struct err *e)
{
	const char *text = archive_entry_pathname(entry) ?: "";
	auto_free char *shown = NULL;
	char path[UNTAR_PATH_MAX + 1];
	int r;

	report_progress(&u->progress, (uint64_t)archive_filter_bytes(a, 0));
	if (++u->entries > UNTAR_ENTRIES_MAX)
		return err_set(e, E2BIG, "more than %d entries", UNTAR_ENTRIES_MAX);
	r = clean_path(path, text, e);
	if (r == 0)
		r = path[0] ? put_entry(u, a, entry, path, e) : put_root(u, entry, e);
	if (r == 0)
		return 0;
	shown = str_escape(text, strlen(text), 120);
	return err_wrap(e, "entry %s", shown);
}

static void add_notes(struct str *s, const struct map *set, char kind)
{
	map_for_each(entry, set) {
		str_add_char(s, kind);
		str_add_mem(s, entry->key, strlen(entry->key) + 1);
	}
}

int untar_end(struct untar *u, int notes, struct err *e)
{
	auto_str s = { 0 };

	dir_leave(u);
	add_notes(&s, &u->implicit, 'I');
	add_notes(&s, &u->opaque, 'O');
	if (s.len > 0 && fd_write_all(notes, s.text, s.len, e) < 0)
		return err_wrap(e, "write notes");
	return 0;
}
