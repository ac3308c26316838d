/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Image volumes: images' trees as read-only mounts of a container. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cri/bundle.h"
#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/rootfs.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define VOLUMES CRID_RUN "/volumes"
#define VOLUMES_MAX 64

static bool is_image(const Cri__Mount *m)
{
	return m->image && *m->image->image;
}

/* kubelet compares the beginning. */
static int refuse(struct err *e, const char *image, const char *why)
{
	return err_set(e, EREMOTEIO, BUNDLE_IMAGE_MOUNT_FAILED ": image %.150s: %s", image, why);
}

static int find_one(struct ctr *ctr, size_t i, struct err *e)
{
	const Cri__Mount *m = ctr->config->mounts[i];
	struct store *store = ctr->crid->store;
	const struct image *image = store_find(store, m->image->image);
	struct ctr_volume *v = &ctr->volumes[ctr->nvolumes];

	if (!image)
		return refuse(e, m->image->image, "not found");
	v->mount = i;
	v->id = mem_strdup(image->id);
	ctr->nvolumes++;
	return store_hold(store, v->id, &v->image, e);
}

int ctr_volumes_find(struct ctr *ctr, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < ctr->config->n_mounts; i++)
		n += is_image(ctr->config->mounts[i]);
	if (!n)
		return 0;
	if (n > VOLUMES_MAX)
		return err_set(e, EINVAL, "mounts: %zu images, at most %d", n, VOLUMES_MAX);
	ctr->volumes = mem_array(n, sizeof(*ctr->volumes));
	for (size_t i = 0; i < ctr->config->n_mounts; i++)
		if (is_image(ctr->config->mounts[i]) && find_one(ctr, i, e) < 0)
			return -e->code;
	return 0;
}

/* The path of what is below the tree, whatever links say: found by the kernel, inside. */
static int enter(char **path, const char *sub, struct err *e)
{
	auto_fd int tree = open(*path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;
	char link[64], found[PATH_MAX];
	ssize_t n;

	if (tree < 0)
		return err_set(e, errno, "open %s", *path);
	if (path_open(tree, sub, &fd, e) < 0)
		return -e->code;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, found, sizeof(found) - 1);
	if (n < 0)
		return err_set(e, errno, "find %s", sub);
	found[n] = '\0';
	mem_replace(path, found);
	return 0;
}

static int mount_one(struct ctr *ctr, struct ctr_volume *v, const char *layers, struct err *e)
{
	const Cri__Mount *m = ctr->config->mounts[v->mount];
	struct rootfs r = { .layers = layers,
			    .chain = v->image->layers,
			    .count = v->image->nlayers };
	/* not in the bundle's folder: there the container's root is mounted over it */
	auto_free char *target = mem_printf(VOLUMES "/%s/%zu", ctr->id, v->mount);

	if (rootfs_tree(&r, target, &v->path, e) < 0)
		return -e->code;
	return *m->image_sub_path ? enter(&v->path, m->image_sub_path, e) : 0;
}

int ctr_volumes_mount(struct ctr *ctr, struct err *e)
{
	auto_free char *layers = mem_printf("%s/layers", store_root(ctr->crid->store));
	auto_free char *folder = mem_printf(VOLUMES "/%s", ctr->id);

	if (ctr->nvolumes && path_mkdirs(folder, 0700, e) < 0)
		return -e->code;
	for (size_t i = 0; i < ctr->nvolumes; i++) {
		struct ctr_volume *v = &ctr->volumes[i];
		struct err why = { 0 };

		if (mount_one(ctr, v, layers, &why) < 0)
			return refuse(e, ctr->config->mounts[v->mount]->image->image,
				      err_text(&why));
	}
	return 0;
}

void ctr_volumes_put(const struct ctr *ctr, struct json_out *out)
{
	json_out_array(out, "volumes");
	for (size_t i = 0; i < ctr->nvolumes; i++) {
		const struct ctr_volume *v = &ctr->volumes[i];

		json_out_object(out, NULL);
		json_out_uint(out, "mount", v->mount);
		json_out_text(out, "id", v->id);
		json_out_text(out, "path", v->path ?: "");
		json_out_end(out);
	}
	json_out_end(out);
}

int ctr_volumes_take(struct ctr *ctr, const struct json *volumes, struct err *e)
{
	struct store *store = ctr->crid->store;

	if (!volumes || !volumes->count)
		return 0;
	ctr_volumes_done(ctr);
	ctr->volumes = mem_array(volumes->count, sizeof(*ctr->volumes));
	json_each(item, volumes) {
		struct ctr_volume *v = &ctr->volumes[ctr->nvolumes++];
		const char *id, *path;
		uint64_t mount = 0;
		struct err lost = { 0 };

		if (json_need_text(item, "id", &id, e) < 0 ||
		    json_need_text(item, "path", &path, e) < 0 ||
		    json_get_u64(item, "mount", &mount, e) < 0)
			return -e->code;
		if (mount >= ctr->config->n_mounts)
			return err_set(e, EBADMSG, "volumes: mount %zu", (size_t)mount);
		v->mount = (size_t)mount;
		v->id = mem_strdup(id);
		v->path = mem_strdup(path);
		store_hold(store, id, &v->image, &lost); /* gone: nothing to keep */
	}
	return 0;
}

int ctr_volumes_unmount(const char *id, struct err *e)
{
	auto_free char *folder = mem_printf(VOLUMES "/%s", id);
	DIR *dir = opendir(folder);
	struct dirent *d;

	if (!dir)
		return errno == ENOENT ? 0 : err_set(e, errno, "open %s", folder);
	while ((d = readdir(dir))) {
		auto_free char *path = mem_printf("%s/%s", folder, d->d_name);

		if (d->d_name[0] == '.')
			continue;
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		rmdir(path);
	}
	closedir(dir);
	if (rmdir(folder) < 0)
		return err_set(e, errno, "remove %s", folder);
	return 0;
}

void ctr_volumes_done(struct ctr *ctr)
{
	for (size_t i = 0; i < ctr->nvolumes; i++) {
		struct ctr_volume *v = &ctr->volumes[i];

		if (v->image)
			store_release(ctr->crid->store, v->image);
		free(v->id);
		free(v->path);
	}
	free(mem_take(&ctr->volumes));
	ctr->nvolumes = 0;
}
