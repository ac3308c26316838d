/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Removal: a name goes by unlink, a layer by a rename into trash/, and a
 * child does what takes long: it makes that durable, then deletes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store_state.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

/* descriptors of the child */
#define TRASH_FD 4
#define LAYERS_FD 5
#define IMAGES_FD 6

void store_discard(struct store *s, int dirfd, const char *name)
{
	auto_free char *to = mem_printf("%.16s-%llu", s->run, (unsigned long long)s->serial++);

	if (renameat(dirfd, name, s->trash_fd, to) < 0 && errno != ENOENT)
		log_error("move %s to the trash: %s", name, strerror(errno));
}

static int trash_empty(struct err *e)
{
	int copy = fcntl(TRASH_FD, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *d;
	int r = 0;

	if (!dir)
		return err_set(e, errno, "read trash");
	rewinddir(dir);
	while ((d = readdir(dir))) {
		struct err one = { 0 };

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		/* one that cannot go does not keep the others */
		if (path_remove_tree(TRASH_FD, d->d_name, &one) < 0) {
			*e = one;
			r = -one.code;
		}
	}
	closedir(dir);
	return r;
}

static int trash_main(void *arg)
{
	struct err e = { 0 };
	int r = 0;

	(void)arg;
	/* a name that is gone must stay gone, also where its layers still lie */
	if (fsync(IMAGES_FD) < 0 || fsync(LAYERS_FD) < 0)
		r = err_set(&e, errno, "fsync the store");
	if (r == 0)
		r = trash_empty(&e);
	return worker_exit(r, &e);
}

static void tell(struct list *waits, const struct err *e)
{
	list_for_each(w, waits, struct trash_wait, node) {
		store_removed *done = w->done;
		void *arg = w->arg;

		list_remove(&w->node);
		free(w);
		if (done)
			done(arg, e);
	}
}

static void trash_ended(void *arg);

static void trash_start(struct store *s)
{
	struct spawn sp = SPAWN_INIT;
	struct err e = { 0 };

	while (!list_empty(&s->trash_next)) {
		struct list *first = s->trash_next.next;

		list_remove(first);
		list_add_tail(&s->trash_now, first);
	}
	sp.run = trash_main;
	sp.fds[2] = STDERR_FILENO;
	sp.fds[TRASH_FD] = s->trash_fd;
	sp.fds[LAYERS_FD] = s->layers_fd;
	sp.fds[IMAGES_FD] = s->images_fd;
	sp.nfds = IMAGES_FD + 1;
	if (worker_start(&s->trash, s->ev, &sp, trash_ended, s, &e) < 0) {
		log_error("empty the trash: %s; again in a second", err_text(&e));
		ev_timer_set(&s->trash_retry, 1000);
	}
}

void store_trash_retry(void *arg)
{
	trash_start(arg);
}

static void trash_ended(void *arg)
{
	struct store *s = arg;
	struct err e = s->trash.err;
	struct list waits;

	if (e.code)
		log_error("empty the trash: %s", err_text(&e));
	/* a waiter may ask for more, which starts the next child */
	list_init(&waits);
	while (!list_empty(&s->trash_now)) {
		struct list *first = s->trash_now.next;

		list_remove(first);
		list_add_tail(&waits, first);
	}
	if (!list_empty(&s->trash_next))
		trash_start(s);
	tell(&waits, &e);
}

void store_empty_trash(struct store *s, store_removed *done, void *arg)
{
	struct trash_wait *w = mem_alloc(sizeof(*w));

	w->done = done;
	w->arg = arg;
	list_add_tail(&s->trash_next, &w->node);
	if (!s->trash.running && !ev_timer_armed(&s->trash_retry))
		trash_start(s);
}

/* The figures are estimates: never below nothing. */
static void usage_take(struct store *s, uint64_t bytes, uint64_t inodes)
{
	struct store_usage *u = &s->usage;

	u->bytes -= bytes < u->bytes ? bytes : u->bytes;
	u->inodes -= inodes < u->inodes ? inodes : u->inodes;
}

void store_layer_drop(struct store *s, struct layer *l)
{
	if (l->users > 0)
		l->users--;
	if (l->users > 0 || l->busy)
		return;
	usage_take(s, l->bytes, l->inodes);
	store_discard(s, s->layers_fd, l->hex);
	store_layer_forget(s, l);
}

static bool blob_used(struct store *s, const char *digest)
{
	if (map_get(&s->pinned, digest))
		return true;
	map_for_each(entry, &s->names) {
		struct name *n = entry->value;

		if (str_eq(n->target, digest) || str_eq(n->manifest, digest) ||
		    str_eq(n->image->id, digest))
			return true;
	}
	list_for_each(i, &s->removed, struct image, node) {
		if (str_eq(i->id, digest))
			return true;
	}
	return false;
}

void store_blob_drop(struct store *s, const char *digest)
{
	struct stat st;

	if (blob_used(s, digest) ||
	    fstatat(s->blobs_fd, digest_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (unlinkat(s->blobs_fd, digest_hex(digest), 0) < 0) {
		log_error("remove blob %s: %s", digest, strerror(errno));
		return;
	}
	usage_take(s, (uint64_t)st.st_blocks * 512, 1);
}

void store_blob_pin(struct store *s, const char *digest)
{
	uintptr_t count = (uintptr_t)map_get(&s->pinned, digest);

	map_set(&s->pinned, digest, (void *)(count + 1));
}

void store_blob_unpin(struct store *s, const char *digest)
{
	uintptr_t count = (uintptr_t)map_get(&s->pinned, digest);

	if (count > 1) {
		map_set(&s->pinned, digest, (void *)(count - 1));
		return;
	}
	map_remove(&s->pinned, digest);
	store_blob_drop(s, digest);
}

void store_image_drop(struct store *s, struct image *image)
{
	auto_free char *id = NULL;

	if (image->holds > 0 || !image->removed)
		return;
	id = mem_strdup(image->id);
	list_remove(&image->node);
	for (size_t i = 0; i < image->nlayers; i++)
		store_layer_drop(s, store_layer(s, image->layers[i]));
	store_image_free(image);
	store_blob_drop(s, id);
	store_empty_trash(s, NULL, NULL);
}

static void drop_name(struct store *s, struct name *n)
{
	char target[DIGEST_LEN + 1], manifest[DIGEST_LEN + 1];

	memcpy(target, n->target, sizeof(target));
	memcpy(manifest, n->manifest, sizeof(manifest));
	if (unlinkat(s->images_fd, n->file, 0) < 0 && errno != ENOENT)
		log_error("remove the record of %s: %s", n->ref, strerror(errno));
	map_remove(&s->names, n->ref);
	free(n->ref);
	free(n->file);
	free(n);
	store_blob_drop(s, manifest);
	store_blob_drop(s, target);
}

void store_remove(struct store *s, const char *text, store_removed *done, void *arg)
{
	const struct image *found = store_find(s, text);
	struct image *image = found ? store_image(s, found->id) : NULL;

	if (image) {
		map_for_each(entry, &s->names) {
			struct name *n = entry->value;

			if (n->image == image)
				drop_name(s, n);
		}
		log_info("image %s: removed", image->id);
		store_image_rename(s, image);
		store_image_drop(s, image);
	}
	/* also for what others are just removing: the answer means that it is gone */
	store_empty_trash(s, done, arg);
}

static void sweep_blobs(struct store *s)
{
	int copy = openat(s->blobs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *d;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((d = readdir(dir))) {
		char digest[DIGEST_LEN + 1];

		snprintf(digest, sizeof(digest), "sha256:%.64s", d->d_name);
		if (digest_valid(digest))
			store_blob_drop(s, digest);
	}
	closedir(dir);
}

void store_sweep(struct store *s)
{
	map_for_each(entry, &s->layers) {
		struct layer *l = entry->value;

		if (l->users == 0 && !l->busy)
			store_layer_drop(s, l);
	}
	sweep_blobs(s);
	store_empty_trash(s, NULL, NULL);
}
