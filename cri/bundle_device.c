/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device nodes of a container: those asked for, or all of the node's for a privileged one. */
#include "cri/bundle_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define DEPTH_MAX 8

void bundle_devices_done(struct bundle_devices *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->list[i].path);
	free(d->list);
	*d = (struct bundle_devices){ 0 };
}

static int add(struct bundle_devices *d, const char *path, const struct stat *st,
	       const char *access, struct err *e)
{
	struct bundle_device *new;

	if (d->count == BUNDLE_DEVICES_MAX)
		return err_set(e, E2BIG, "more than %d devices", BUNDLE_DEVICES_MAX);
	mem_grow(&d->list, &d->room, d->count + 1, sizeof(*d->list));
	new = &d->list[d->count++];
	*new = (struct bundle_device){
		.path = mem_strdup(path),
		.type = S_ISBLK(st->st_mode) ? 'b' : 'c',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
	str_copy(new->access, sizeof(new->access), access);
	return 0;
}

static bool is_node(mode_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

/* Folders with devices of their own making, and the container's own console. */
static bool skipped(const char *name)
{
	static const char *const names[] = { "pts", "shm", "fd", "mqueue", "console" };

	if (name[0] == '.')
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

/* Takes dir. Every device below it, as path/NAME in the container. */
static int add_folder(struct bundle_devices *d, int dir, const char *path, const char *access,
		      int depth, struct err *e)
{
	DIR *in = fdopendir(dir);
	struct dirent *entry;
	int r = 0;

	if (!in) {
		r = err_set(e, errno, "list devices in %s", path);
		close(dir);
		return r;
	}
	while (r == 0 && (entry = readdir(in))) {
		auto_free char *to = mem_printf("%s/%s", path, entry->d_name);
		struct stat st;
		int sub;

		if (skipped(entry->d_name) ||
		    fstatat(dirfd(in), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (is_node(st.st_mode))
			r = add(d, to, &st, access, e);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			sub = openat(dirfd(in), entry->d_name,
				     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				r = add_folder(d, sub, to, access, depth + 1, e);
		}
	}
	closedir(in);
	return r;
}

static int check_device(const Cri__Device *c, struct err *e)
{
	const char *p = c->permissions;

	if (c->host_path[0] != '/' || c->container_path[0] != '/')
		return err_set(e, EINVAL, "device %.64s: paths must be absolute", c->host_path);
	if (!p[0] || strlen(p) > 3 || strspn(p, "rwm") != strlen(p))
		return err_set(e, EINVAL, "device %.64s: permissions \"%.8s\" are not of rwm",
			       c->host_path, p);
	return 0;
}

static int add_asked(struct bundle_devices *d, const Cri__Device *c, struct err *e)
{
	auto_fd int fd = -1;
	struct stat st;

	if (check_device(c, e) < 0)
		return -e->code;
	fd = open(c->host_path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "device %.128s", c->host_path);
	if (is_node(st.st_mode))
		return add(d, c->container_path, &st, c->permissions, e);
	if (S_ISDIR(st.st_mode)) {
		int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0)
			return err_set(e, errno, "device folder %.128s", c->host_path);
		return add_folder(d, dir, c->container_path, c->permissions, 0, e);
	}
	return err_set(e, ENODEV, "%.128s is no device", c->host_path);
}

int bundle_devices_find(const struct bundle *b, struct bundle_devices *ret, struct err *e)
{
	int r = 0;

	if (bundle_privileged(b)) {
		int dir = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0)
			return err_set(e, errno, "open /dev");
		return add_folder(ret, dir, "/dev", "rwm", 0, e);
	}
	for (size_t i = 0; r == 0 && i < b->config->n_devices; i++)
		r = add_asked(ret, b->config->devices[i], e);
	return r;
}

void bundle_devices_put(struct json_out *o, const struct bundle_devices *d)
{
	if (!d->count)
		return;
	json_out_array(o, "devices");
	for (size_t i = 0; i < d->count; i++) {
		const struct bundle_device *one = &d->list[i];

		json_out_object(o, NULL);
		json_out_text(o, "path", one->path);
		json_out_text(o, "type", one->type == 'b' ? "b" : "c");
		json_out_uint(o, "major", one->major);
		json_out_uint(o, "minor", one->minor);
		json_out_uint(o, "fileMode", one->mode);
		json_out_uint(o, "uid", one->uid);
		json_out_uint(o, "gid", one->gid);
		json_out_end(o);
	}
	json_out_end(o);
}
