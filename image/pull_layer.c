/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layers of a pull: each by a row of helpers into a staged folder, then
 * in order of the chain into place. A layer that another pull is making is
 * waited for; when that one fails, it is taken over.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/pull_state.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"

#define UNPACK_DIR_FD 4
#define LAYER_OWN_BYTES 12288 /* its folder, its record */
#define LAYER_OWN_INODES 2

static const struct descriptor *descriptor_of(const struct layer_pull *l)
{
	return &l->p->manifest.layers[l->index];
}

/* Who waited for a layer looks again. */
static void tell_others(struct store *s)
{
	list_for_each(other, &s->pulls, struct pull, node)
		pull_mark(other);
}

int layers_begin(struct pull *p, struct err *e)
{
	p->sync_fd = openat(p->store->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->sync_fd < 0)
		return err_set(e, errno, "open the store");
	p->nlayers = p->config.nlayers;
	p->layers = mem_array(p->nlayers + 1, sizeof(p->layers[0]));
	for (size_t i = 0; i < p->nlayers; i++)
		p->layers[i] = (struct layer_pull){
			.p = p,
			.index = i,
			.fetch.report_fd = -1,
			.inflate.report_fd = -1,
			.unpack.report_fd = -1,
		};
	return 0;
}

static int make_stage(struct layer_pull *l, int *ret_fs, int *ret_notes, struct err *e)
{
	struct store *s = l->p->store;
	auto_free char *fs = NULL, *notes = NULL;

	l->stage = mem_printf("%.16s-%llu", s->run, (unsigned long long)s->serial++);
	fs = mem_printf("%s/fs", l->stage);
	notes = mem_printf("%s/notes", l->stage);
	if (mkdirat(s->staging_fd, l->stage, 0700) < 0 || mkdirat(s->staging_fd, fs, 0755) < 0)
		return err_set(e, errno, "make a folder for the layer");
	*ret_notes = openat(s->staging_fd, notes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*ret_notes < 0)
		return err_set(e, errno, "make notes");
	*ret_fs = openat(s->staging_fd, fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fs < 0)
		return err_set(e, errno, "open the folder for the layer");
	return 0;
}

static int start_inflate(struct layer_pull *l, int in, int out, struct err *e)
{
	uint64_t max = descriptor_of(l)->size * PULL_INFLATE_RATIO;
	auto_free char *limit = NULL;
	struct spawn s = SPAWN_INIT;
	const char *argv[] = { "berth-inflate", NULL, NULL };

	if (max < PULL_INFLATE_MIN)
		max = PULL_INFLATE_MIN;
	limit = mem_printf("%llu", (unsigned long long)max);
	argv[1] = limit;
	s.fds[0] = in;
	s.fds[1] = out;
	s.uid = l->p->setup->inflate_uid ?: PULL_INFLATE_UID;
	s.gid = s.uid;
	return pull_start_helper(l->p, &l->inflate, &s, argv[0], argv, pull_mark, l->p, e);
}

static int start_unpack(struct layer_pull *l, int in, int fs, int notes, struct err *e)
{
	struct spawn s = SPAWN_INIT;
	const char *const argv[] = { "berth-unpack", NULL };

	s.fds[0] = in;
	s.fds[1] = notes;
	s.fds[UNPACK_DIR_FD] = fs;
	s.nfds = UNPACK_DIR_FD + 1;
	return pull_start_helper(l->p, &l->unpack, &s, argv[0], argv, pull_mark, l->p, e);
}

/* A pipe with room enough that its ends do not wake each other for every page. */
static int wide_pipe(int *ret_in, int *ret_out, struct err *e)
{
	int fds[2];

	if (fd_pipe(fds, 0, e) < 0)
		return -e->code;
	(void)fcntl(fds[1], F_SETPIPE_SZ, PULL_PIPE_BYTES);
	*ret_in = fds[0];
	*ret_out = fds[1];
	return 0;
}

static int start_row(struct layer_pull *l, struct err *e)
{
	const struct descriptor *d = descriptor_of(l);
	struct pull_wish wish = {
		.kind = "blobs",
		.ref = d->digest,
		.digest = d->digest,
		.has_size = true,
		.size = d->size,
		.max = MANIFEST_LAYER_MAX,
	};
	auto_fd int blob_in = -1, blob_out = -1, tar_in = -1, tar_out = -1;
	auto_fd int fs = -1, notes = -1;

	if (make_stage(l, &fs, &notes, e) < 0 || wide_pipe(&blob_in, &blob_out, e) < 0 ||
	    wide_pipe(&tar_in, &tar_out, e) < 0)
		return -e->code;
	if (start_unpack(l, tar_in, fs, notes, e) < 0 || start_inflate(l, blob_in, tar_out, e) < 0)
		return -e->code;
	return pull_start_fetch(l->p, &l->fetch, &wish, fd_take(&blob_out), pull_mark, l->p, e);
}

static int layer_start(struct layer_pull *l, struct err *e)
{
	struct pull *p = l->p;

	l->layer = store_layer_add(p->store, p->config.chain[l->index]);
	l->layer->busy = true;
	l->state = LAYER_RUNNING;
	if (start_row(l, e) < 0)
		return err_wrap(e, "layer %s", descriptor_of(l)->digest);
	return 0;
}

/* What another helper's end did to this one says nothing. */
static bool is_cause(const struct worker *w)
{
	return w->failure != PULL_OK && !(w->killed && !w->timed_out) && w->err.code != EPIPE;
}

static int layer_failed(struct layer_pull *l, struct err *e)
{
	const struct worker *row[] = { &l->fetch, &l->inflate, &l->unpack };
	const struct worker *cause = NULL;
	size_t n = sizeof(row) / sizeof(row[0]);

	/* upstream first: what came damaged makes the others fail too */
	for (size_t i = 0; i < n && !cause; i++) {
		if (is_cause(row[i]))
			cause = row[i];
	}
	for (size_t i = 0; i < n && !cause; i++) {
		if (row[i]->failure != PULL_OK)
			cause = row[i];
	}
	*e = cause->err;
	err_wrap(e, "layer %s", descriptor_of(l)->digest);
	return pull_fail(l->p, cause->failure, e);
}

static int layer_ended(struct layer_pull *l, struct err *e)
{
	const char *expected = l->p->config.diff_ids[l->index];
	const char *digest = "";

	if (l->fetch.failure || l->inflate.failure || l->unpack.failure)
		return layer_failed(l, e);
	if (json_get_u64(l->unpack.result, "bytes", &l->bytes, e) < 0 ||
	    json_get_u64(l->unpack.result, "inodes", &l->inodes, e) < 0 ||
	    json_get_text(l->inflate.result, "digest", &digest, e) < 0)
		return err_wrap(e, "layer %s", descriptor_of(l)->digest);
	if (!str_eq(digest, expected)) {
		err_set(e, EBADMSG, "layer %s: its tar has the digest %.80s, not %s",
			descriptor_of(l)->digest, digest, expected);
		return pull_fail(l->p, PULL_CORRUPT, e);
	}
	l->bytes += LAYER_OWN_BYTES;
	l->inodes += LAYER_OWN_INODES;
	l->state = LAYER_STAGED;
	return 0;
}

/*
 * One helper that fails ends the row, with one exception: when damage is found
 * behind berth-fetch, its digest shall say whether the registry is to blame.
 */
static int layer_watch(struct layer_pull *l, struct err *e)
{
	struct worker *row[] = { &l->fetch, &l->inflate, &l->unpack };
	size_t n = sizeof(row) / sizeof(row[0]);
	bool running = false, stop = false;

	for (size_t i = 0; i < n; i++) {
		const struct worker *w = row[i];

		if (w->running)
			running = true;
		else if (w->failure != PULL_OK && (i == 0 || w->failure != PULL_CORRUPT) &&
			 w->err.code != EPIPE)
			stop = true;
	}
	for (size_t i = 0; stop && i < n; i++) {
		if (row[i]->running && !row[i]->killed)
			worker_kill(row[i]);
	}
	return running ? 0 : layer_ended(l, e);
}

static void layer_settle(struct layer_pull *l)
{
	struct layer *layer = l->layer;

	layer->busy = false;
	layer->users++;
	layer->bytes = l->bytes;
	layer->inodes = l->inodes;
	l->p->store->usage.bytes += l->bytes;
	l->p->store->usage.inodes += l->inodes;
	mem_replace(&l->stage, NULL);
	l->state = LAYER_THERE;
}

static char *layer_record(const struct layer_pull *l)
{
	const struct pull *p = l->p;
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "chain", p->config.chain[l->index]);
	json_out_text(&o, "diff_id", p->config.diff_ids[l->index]);
	json_out_text(&o, "blob", descriptor_of(l)->digest);
	json_out_uint(&o, "blob_size", descriptor_of(l)->size);
	json_out_uint(&o, "bytes", l->bytes);
	json_out_uint(&o, "inodes", l->inodes);
	json_out_end(&o);
	return json_out_take(&o);
}

static void commit_clear(struct pull *p)
{
	for (size_t i = 0; i < p->commit.n; i++)
		free(p->commit.layers[i].done);
	p->commit.n = 0;
}

/* All layers that are ready and stand on layers in place go into place by one child. */
static int commit_ready(struct pull *p, struct err *e)
{
	struct commit *c = &p->commit;

	c->store = p->store;
	c->sync_fd = p->sync_fd;
	c->chain = p->config.chain;
	for (size_t i = 0; i < p->nlayers && c->n < COMMIT_BATCH; i++) {
		struct layer_pull *l = &p->layers[i];

		if (l->state == LAYER_THERE)
			continue;
		if (l->state != LAYER_STAGED)
			break;
		l->state = LAYER_COMMITTING;
		c->layers[c->n++] = (struct commit_layer){
			.stage = l->stage,
			.done = layer_record(l),
			.index = i,
		};
	}
	if (c->n == 0)
		return 0;
	p->committer.name = "commit";
	p->committer.idle_ms = PULL_COMMIT_MS;
	return commit_start(&p->committer, c, pull_mark, p, e);
}

static int commit_watch(struct pull *p, struct err *e)
{
	if (p->commit.n == 0)
		return commit_ready(p, e);
	if (p->committer.running)
		return 0;
	if (p->committer.failure != PULL_OK) {
		*e = p->committer.err;
		return pull_fail(p, p->committer.failure, e);
	}
	for (size_t i = 0; i < p->commit.n; i++)
		layer_settle(&p->layers[p->commit.layers[i].index]);
	commit_clear(p);
	tell_others(p->store);
	return commit_ready(p, e);
}

static int layer_look(struct layer_pull *l, size_t *running, struct err *e)
{
	struct layer *there;

	switch (l->state) {
	case LAYER_WANTED:
		there = store_layer(l->p->store, l->p->config.chain[l->index]);
		if (there && !there->busy) {
			there->users++;
			l->layer = there;
			l->state = LAYER_THERE;
		} else if (!there && *running < PULL_PARALLEL) {
			(*running)++;
			return layer_start(l, e);
		}
		return 0;
	case LAYER_RUNNING:
		return layer_watch(l, e);
	case LAYER_STAGED:
	case LAYER_COMMITTING:
	case LAYER_THERE:
		return 0;
	}
	return 0;
}

int layers_poll(struct pull *p, struct err *e)
{
	size_t running = 0, there = 0;

	for (size_t i = 0; i < p->nlayers; i++)
		running += p->layers[i].state == LAYER_RUNNING;
	for (size_t i = 0; i < p->nlayers; i++) {
		if (layer_look(&p->layers[i], &running, e) < 0)
			return -e->code;
	}
	if (commit_watch(p, e) < 0)
		return -e->code;
	for (size_t i = 0; i < p->nlayers; i++)
		there += p->layers[i].state == LAYER_THERE;
	return there == p->nlayers;
}

bool layers_stop(struct pull *p)
{
	bool running = p->committer.running;

	for (size_t i = 0; i < p->nlayers; i++) {
		struct worker *row[] = { &p->layers[i].fetch, &p->layers[i].inflate,
					 &p->layers[i].unpack };

		for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
			if (row[k]->running) {
				worker_kill(row[k]);
				running = true;
			}
		}
	}
	return !running;
}

/* A commit that failed half-way has put some of its layers in place: they are taken back. */
static void layer_abandon(struct layer_pull *l)
{
	struct store *s = l->p->store;

	if (l->stage)
		store_discard(s, s->staging_fd, l->stage);
	if (l->state == LAYER_COMMITTING)
		store_discard(s, s->layers_fd, l->layer->hex);
	if (l->state == LAYER_THERE)
		store_layer_drop(s, l->layer);
	else if (l->layer)
		store_layer_forget(s, l->layer);
}

void layers_done(struct pull *p)
{
	for (size_t i = 0; i < p->nlayers; i++) {
		struct layer_pull *l = &p->layers[i];

		layer_abandon(l);
		free(l->stage);
		worker_done(&l->fetch);
		worker_done(&l->inflate);
		worker_done(&l->unpack);
	}
	free(p->layers);
	p->layers = NULL;
	p->nlayers = 0;
	commit_clear(p);
	fd_close(&p->sync_fd);
	tell_others(p->store);
}
