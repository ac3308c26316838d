/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/commit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/record.h"
#include "lib/str.h"

/* descriptors of the children */
#define STAGING_FD 4
#define LAYERS_FD 5
#define SYNC_FD 6
#define BLOBS_FD 4
#define IMAGES_FD 5

static int finish_one(const struct commit *c, size_t nth, struct err *e)
{
	auto_free char *done = mem_printf("%s/DONE", c->layers[nth].stage);

	if (finish_layer(c, nth, LAYERS_FD, STAGING_FD, e) < 0)
		return -e->code;
	return record_write(STAGING_FD, done, "layer", STORE_RECORD_VERSION, c->layers[nth].done,
			    PATH_FAST, e);
}

/* Everything below a staged name reaches the disk before the name that counts does. */
static int commit_run(const struct commit *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		if (finish_one(c, i, e) < 0)
			return err_wrap(e, "finish layer");
	}
	if (syncfs(SYNC_FD) < 0)
		return err_set(e, errno, "sync the store");
	for (size_t i = 0; i < c->n; i++) {
		const struct commit_layer *l = &c->layers[i];

		if (renameat2(STAGING_FD, l->stage, LAYERS_FD, c->chain[l->index],
			      RENAME_NOREPLACE) < 0)
			return err_set(e, errno, "put layer %s in place", c->chain[l->index]);
	}
	if (fsync(LAYERS_FD) < 0)
		return err_set(e, errno, "sync the layers");
	return 0;
}

static int commit_main(void *arg)
{
	struct err e = { 0 };
	int r = commit_run(arg, &e);

	return worker_exit(r, &e);
}

int commit_start(struct worker *w, const struct commit *c, void (*on_end)(void *arg), void *arg,
		 struct err *e)
{
	struct spawn s = SPAWN_INIT;

	s.run = commit_main;
	s.arg = (void *)(uintptr_t)c;
	s.fds[2] = STDERR_FILENO;
	s.fds[STAGING_FD] = c->store->staging_fd;
	s.fds[LAYERS_FD] = c->store->layers_fd;
	s.fds[SYNC_FD] = c->sync_fd;
	s.nfds = SYNC_FD + 1;
	return worker_start(w, c->store->ev, &s, on_end, arg, e);
}

static int publish_blobs(const struct publish *p, struct err *e)
{
	for (size_t i = 0; i < p->nblobs; i++) {
		const struct publish_blob *b = &p->blobs[i];

		if (path_exists(BLOBS_FD, digest_hex(b->digest)))
			continue;
		if (path_replace(BLOBS_FD, digest_hex(b->digest), b->data, b->len, 0600,
				 PATH_DURABLE, e) < 0)
			return err_wrap(e, "blob");
	}
	return 0;
}

static int publish_run(const struct publish *p, struct err *e)
{
	size_t i;
	bool fresh[4] = { false };

	if (publish_blobs(p, e) < 0)
		return -e->code;
	for (i = 0; i < p->nnames; i++) {
		auto_free char *json = store_record(&p->names[i], p->id);

		fresh[i] = !path_exists(IMAGES_FD, p->names[i].file);
		if (record_write(IMAGES_FD, p->names[i].file, "image", STORE_RECORD_VERSION, json,
				 PATH_DURABLE, e) < 0)
			goto undo;
	}
	return 0;
undo:
	while (i-- > 0) {
		if (fresh[i])
			unlinkat(IMAGES_FD, p->names[i].file, 0);
	}
	return -e->code;
}

static int publish_main(void *arg)
{
	struct err e = { 0 };
	int r = publish_run(arg, &e);

	return worker_exit(r, &e);
}

int publish_start(struct worker *w, const struct publish *p, void (*on_end)(void *arg), void *arg,
		  struct err *e)
{
	struct spawn s = SPAWN_INIT;

	s.run = publish_main;
	s.arg = (void *)(uintptr_t)p;
	s.fds[2] = STDERR_FILENO;
	s.fds[BLOBS_FD] = p->store->blobs_fd;
	s.fds[IMAGES_FD] = p->store->images_fd;
	s.nfds = IMAGES_FD + 1;
	return worker_start(w, p->store->ev, &s, on_end, arg, e);
}
