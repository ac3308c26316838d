/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/dev.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/mounts.h"
#include "runtime/sync.h"
#include "runtime/tty.h"

static const struct spec_device dev_usual[] = {
	{ "/dev/null", 'c', 1, 3, 0666, 0, 0 },	   { "/dev/zero", 'c', 1, 5, 0666, 0, 0 },
	{ "/dev/full", 'c', 1, 7, 0666, 0, 0 },	   { "/dev/random", 'c', 1, 8, 0666, 0, 0 },
	{ "/dev/urandom", 'c', 1, 9, 0666, 0, 0 }, { "/dev/tty", 'c', 5, 0, 0666, 0, 0 },
};

static const struct dev_link {
	const char *name, *to;
} dev_links[] = {
	{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "core", "/proc/kcore" },
};

static mode_t dev_type(const struct spec_device *d)
{
	return d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
}

/* What is there already must be the very device: the image may bring its own. */
static int dev_check(int at, const char *name, const struct spec_device *d, struct err *e)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "stat %s", d->path);
	if ((st.st_mode & S_IFMT) != dev_type(d) ||
	    (d->type != 'p' && st.st_rdev != makedev(d->major, d->minor)))
		return err_set(e, EEXIST, "%s is something else", d->path);
	return 0;
}

#define DEV_USUAL (sizeof(dev_usual) / sizeof(dev_usual[0]))

/* The usual ones, then those of the spec. */
static const struct spec_device *dev_row(const struct birth *b, size_t i)
{
	return i < DEV_USUAL ? &dev_usual[i] : &b->spec->devices[i - DEV_USUAL];
}

static int dev_open_one(const struct spec_device *d, int *ret_fd, struct err *e)
{
	auto_fd int fd = -1;
	struct stat st;

	if (mnt_clone(AT_FDCWD, d->path, false, &fd, e) < 0)
		return -e->code;
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "stat %s", d->path);
	if ((st.st_mode & S_IFMT) != dev_type(d) || st.st_rdev != makedev(d->major, d->minor))
		return err_set(e, ENODEV, "%s of the host is something else", d->path);
	*ret_fd = fd_take(&fd);
	return 0;
}

int dev_open(struct birth *b, struct err *e)
{
	size_t count = DEV_USUAL + b->spec->device_count;

	if (!b->spec->ns[SPEC_NS_USER].given || mounts_dev_is_bound(b->spec))
		return 0;
	b->devices = mem_array(count, sizeof(*b->devices));
	for (size_t i = 0; i < count; i++)
		b->devices[i] = -1;
	for (size_t i = 0; i < count; i++) {
		const struct spec_device *d = dev_row(b, i);

		if (d->type != 'p' && dev_open_one(d, &b->devices[i], e) < 0)
			return err_wrap(e, "a device in a user namespace has to be the host's");
	}
	return 0;
}

/* What lies there may be the place for it, or the very device. */
static int dev_bind(int at, const char *name, const struct spec_device *d, int *node, struct err *e)
{
	auto_fd int target = -1;
	struct stat st;
	int fd = openat(at, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 && errno != EEXIST)
		return err_set(e, errno, "make a place for %s", d->path);
	fd_close(&fd);
	target = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &st) < 0)
		return err_set(e, errno, "open %s", d->path);
	if (!S_ISREG(st.st_mode))
		return dev_check(at, name, d, e);
	if (mnt_attach(*node, target, e) < 0)
		return err_wrap(e, "bind device %s", d->path);
	fd_close(node);
	return 0;
}

static int dev_node(struct birth *b, int at, const char *name, size_t i, struct err *e)
{
	const struct spec_device *d = dev_row(b, i);

	auto_fd int host = -1;

	if (b->devices && b->devices[i] >= 0)
		return dev_bind(at, name, d, &b->devices[i], e);
	if (mknodat(at, name, dev_type(d) | d->mode, makedev(d->major, d->minor)) < 0) {
		if (errno == EEXIST)
			return dev_check(at, name, d, e);
		/* as root of a user namespace we make none either */
		if (errno != EPERM)
			return err_set(e, errno, "make device %s", d->path);
		if (dev_open_one(d, &host, e) < 0)
			return -e->code;
		return dev_bind(at, name, d, &host, e);
	}
	if ((d->uid || d->gid) && fchownat(at, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "own device %s", d->path);
	return 0;
}

/* In /dev by name, elsewhere by its folder inside of the rootfs. */
static int dev_listed(struct birth *b, int dev, size_t i, struct err *e)
{
	const struct spec_device *d = dev_row(b, i);
	char folder[PATH_MAX];
	char *name;
	auto_fd int at = -1;

	if (!str_copy(folder, sizeof(folder), d->path))
		return err_set(e, ENAMETOOLONG, "device");
	for (size_t len = strlen(folder); len > 1 && folder[len - 1] == '/'; len--)
		folder[len - 1] = '\0';
	name = strrchr(folder, '/');
	*name++ = '\0';
	if (!*name || str_eq(name, ".") || str_eq(name, ".."))
		return err_set(e, EINVAL, "%s is no device's name", d->path);
	if (str_eq(folder, "/dev"))
		return dev_node(b, dev, name, i, e);
	if (path_mkdir_in(b->root, folder, 0755, &at, e) < 0)
		return -e->code;
	return dev_node(b, at, name, i, e);
}

/* A usual device that config.json has too is as it says there. */
static bool dev_is_listed(const struct spec *s, const char *path)
{
	for (size_t i = 0; i < s->device_count; i++) {
		if (str_eq(s->devices[i].path, path))
			return true;
	}
	return false;
}

static int dev_nodes(struct birth *b, int dev, struct err *e)
{
	for (size_t i = 0; i < DEV_USUAL; i++) {
		if (dev_is_listed(b->spec, dev_usual[i].path))
			continue;
		if (dev_node(b, dev, dev_usual[i].path + strlen("/dev/"), i, e) < 0)
			return -e->code;
	}
	for (size_t i = 0; i < b->spec->device_count; i++) {
		if (dev_listed(b, dev, DEV_USUAL + i, e) < 0)
			return err_wrap(e, "linux.devices[%zu]", i);
	}
	return 0;
}

static int dev_make_links(struct birth *b, int dev, struct err *e)
{
	for (size_t i = 0; i < sizeof(dev_links) / sizeof(dev_links[0]); i++) {
		const struct dev_link *l = &dev_links[i];

		if (str_eq(l->name, "core") && !path_exists(b->engine->proc, "kcore"))
			continue;
		if (symlinkat(l->to, dev, l->name) < 0 && errno != EEXIST)
			return err_set(e, errno, "link /dev/%s", l->name);
	}
	/* an image's own ptmx node would open the host's terminals */
	if (unlinkat(dev, "ptmx", 0) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove /dev/ptmx");
	if (symlinkat("pts/ptmx", dev, "ptmx") < 0)
		return err_set(e, errno, "link /dev/ptmx");
	return 0;
}

static int dev_console(struct birth *b, int dev, struct err *e)
{
	auto_fd int master = -1;

	if (!b->process->terminal)
		return 0;
	if (tty_open(b->root, b->process->rows, b->process->columns, &master, &b->slave, e) < 0 ||
	    (b->plain_console && tty_set_plain(master, e) < 0))
		return -e->code;
	if (dev >= 0 && tty_bind_console(dev, b->slave, e) < 0)
		return -e->code;
	return sync_send(b->sync, SYNC_CONSOLE, NULL, master, e);
}

int dev_make(struct birth *b, struct err *e)
{
	auto_fd int dev = -1;
	int r;

	if (mounts_dev_is_bound(b->spec))
		return dev_console(b, -1, e);
	if (mkdirat(b->root, "dev", 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make /dev");
	r = path_open_strict(b->root, "dev", O_PATH | O_DIRECTORY, &dev, e);
	if (r == -ELOOP || r == -ENOTDIR)
		return err_set(e, -r, "/dev of the rootfs is no folder");
	if (r < 0 || dev_nodes(b, dev, e) < 0 || dev_make_links(b, dev, e) < 0)
		return -e->code;
	return dev_console(b, dev, e);
}
