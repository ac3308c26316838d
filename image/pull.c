/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pull as a table of steps. Callbacks only mark it; the end of the round
 * looks at the current step, goes on, or undoes what was done.
 */
#include "image/pull.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "image/auth.h"
#include "image/pull_state.h"
#include "image/report.h"
#include "image/sha256.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/record.h"
#include "lib/str.h"

/* begin once, then poll until it is 1; negative ends the pull */
struct pull_step {
	const char *name;
	int (*begin)(struct pull *p, struct err *e);
	int (*poll)(struct pull *p, struct err *e);
};

void pull_mark(void *pull)
{
	struct pull *p = pull;

	ev_mark(&p->work);
}

enum pull_failure pull_failure_of(int code)
{
	switch (code) {
	case EBADMSG:
		return PULL_CORRUPT;
	case ENOTSUP:
		return PULL_UNSUPPORTED;
	case ENOSPC:
	case EDQUOT:
		return PULL_NO_SPACE;
	default:
		return PULL_FAILED;
	}
}

int pull_fail(struct pull *p, enum pull_failure failure, const struct err *e)
{
	if (p->failure == PULL_OK) {
		p->failure = failure;
		p->err = *e;
	}
	return -e->code;
}

/* ---- documents ---- */

/* One with data is pinned; what no name came to need goes with its last pull. */
static void document_done(struct pull *p, struct document *doc)
{
	if (doc->data)
		store_blob_unpin(p->store, doc->digest);
	free(mem_take(&doc->data));
}

static void download_stop(struct download *d)
{
	ev_remove(&d->source);
	fd_close(&d->fd);
}

static void on_document(void *arg, uint32_t events)
{
	struct pull *p = arg;
	struct download *d = &p->download;
	char buf[16384];
	ssize_t n = read(d->fd, buf, sizeof(buf));

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0 && d->body.len + (size_t)n <= MANIFEST_MAX) {
		str_add_mem(&d->body, buf, (size_t)n);
		return;
	}
	if (n > 0)
		worker_kill(&d->worker);
	download_stop(d);
	pull_mark(p);
}

static int download_begin(struct pull *p, const struct pull_wish *wish, struct err *e)
{
	struct download *d = &p->download;
	int fds[2];

	download_stop(d);
	str_done(&d->body);
	if (fd_pipe(fds, 0, e) < 0)
		return -e->code;
	d->fd = fds[0];
	if (pull_start_fetch(p, &d->worker, wish, fds[1], pull_mark, p, e) < 0 ||
	    fd_set_nonblock(d->fd, true, e) < 0)
		return -e->code;
	return ev_add_fd(p->setup->ev, &d->source, d->fd, EPOLLIN, on_document, p, e);
}

/* 1 when the document is there and has the digest that was asked for (NULL: any). */
static int download_poll(struct pull *p, const char *digest, struct document *ret, struct err *e)
{
	struct download *d = &p->download;
	const char *source = "", *token = "";

	if (d->worker.running || (d->fd >= 0 && d->worker.failure == PULL_OK))
		return 0;
	if (d->worker.failure != PULL_OK) {
		*e = d->worker.err;
		return pull_fail(p, d->worker.failure, e);
	}
	ret->len = d->body.len;
	ret->data = str_take(&d->body);
	sha256_digest(ret->digest, ret->data, ret->len);
	if (digest && !str_eq(digest, ret->digest)) {
		free(mem_take(&ret->data));
		return err_set(e, EBADMSG, "the bytes have the digest %s", ret->digest);
	}
	store_blob_pin(p->store, ret->digest);
	if (json_get_text(d->worker.result, "source", &source, e) < 0 ||
	    json_get_text(d->worker.result, "token", &token, e) < 0)
		return -e->code;
	mem_replace(&p->source, source);
	mem_replace(&p->token, token[0] ? token : NULL);
	return 1;
}

/* A blob named by a descriptor: from the store when it is there, else from the registry. */
static int document_begin(struct pull *p, const struct descriptor *d, const char *kind,
			  struct document *ret, struct err *e)
{
	struct pull_wish wish = {
		.kind = kind,
		.ref = d->digest,
		.digest = d->digest,
		.has_size = true,
		.size = d->size,
		.max = MANIFEST_MAX,
	};
	struct err absent = { 0 };

	if (d->size > MANIFEST_MAX)
		return err_set(e, EBADMSG, "%s has more than %u bytes", d->digest, MANIFEST_MAX);
	if (store_read_blob(p->store, d->digest, &ret->data, &ret->len, &absent) == 0) {
		memcpy(ret->digest, d->digest, sizeof(ret->digest));
		store_blob_pin(p->store, ret->digest);
		return 0;
	}
	if (download_begin(p, &wish, e) < 0)
		return err_wrap(e, "%s", d->digest);
	return 0;
}

static int document_poll(struct pull *p, const struct descriptor *d, struct document *ret,
			 struct err *e)
{
	int r = ret->data ? 1 : download_poll(p, d->digest, ret, e);

	if (r < 0) {
		err_wrap(e, "%s", d->digest);
		if (p->failure != PULL_OK)
			p->err = *e;
	}
	return r;
}

/* ---- steps ---- */

static int top_begin(struct pull *p, struct err *e)
{
	struct pull_wish wish = {
		.kind = "manifests",
		.ref = p->ref.digest ?: p->ref.tag,
		.digest = p->ref.digest,
		.max = MANIFEST_MAX,
	};

	return download_begin(p, &wish, e);
}

/* The registry is asked for it each time: the credentials have to be good for this image. */
static int top_poll(struct pull *p, struct err *e)
{
	const char *type = "";
	int r = download_poll(p, p->ref.digest, &p->top, e);

	if (r <= 0)
		return r;
	if (json_get_text(p->download.worker.result, "content_type", &type, e) < 0)
		return -e->code;
	if (manifest_parse(p->top.data, p->top.len, type, &p->manifest, e) < 0)
		return err_wrap(e, "manifest %s", p->top.digest);
	return 1;
}

static int choose(struct pull *p, struct err *e)
{
	const struct descriptor *d;

	if (p->depth++ == PULL_INDEX_DEPTH)
		return err_set(e, EBADMSG, "an index in an index in an index");
	if (manifest_choose(&p->manifest, &d, e) < 0)
		return -e->code;
	free(p->chosen.media_type);
	p->chosen = *d;
	p->chosen.media_type = mem_strdup(d->media_type);
	document_done(p, &p->inner);
	return document_begin(p, &p->chosen, "manifests", &p->inner, e);
}

static int platform_begin(struct pull *p, struct err *e)
{
	return p->manifest.kind == MANIFEST_INDEX ? choose(p, e) : 0;
}

static int platform_poll(struct pull *p, struct err *e)
{
	struct manifest inner;
	int r;

	if (p->manifest.kind == MANIFEST_IMAGE)
		return 1;
	r = document_poll(p, &p->chosen, &p->inner, e);
	if (r <= 0)
		return r;
	if (manifest_parse(p->inner.data, p->inner.len,
			   p->chosen.media_type[0] ? p->chosen.media_type : NULL, &inner, e) < 0)
		return err_wrap(e, "manifest %s", p->inner.digest);
	manifest_done(&p->manifest);
	p->manifest = inner;
	if (inner.kind == MANIFEST_IMAGE)
		return 1;
	if (choose(p, e) < 0)
		return -e->code;
	/* what came from the store needs no event */
	pull_mark(p);
	return 0;
}

static int config_begin(struct pull *p, struct err *e)
{
	return document_begin(p, &p->manifest.config, "blobs", &p->config_doc, e);
}

static int config_poll(struct pull *p, struct err *e)
{
	int r = document_poll(p, &p->manifest.config, &p->config_doc, e);

	if (r <= 0)
		return r;
	if (config_parse(p->config_doc.data, p->config_doc.len, &p->config, e) < 0)
		return err_wrap(e, "%s", p->config_doc.digest);
	if (p->config.nlayers != p->manifest.nlayers)
		return err_set(e, EBADMSG, "%s has %zu layers, its manifest %zu",
			       p->config_doc.digest, p->config.nlayers, p->manifest.nlayers);
	return 1;
}

static const char *manifest_digest(const struct pull *p)
{
	return p->inner.data ? p->inner.digest : p->top.digest;
}

static void add_name(struct pull *p, char *ref)
{
	struct name *n = &p->names[p->nnames++];

	n->ref = ref;
	n->file = store_file(ref);
	memcpy(n->target, p->top.digest, sizeof(n->target));
	memcpy(n->manifest, manifest_digest(p), sizeof(n->manifest));
	n->size = (p->inner.data ? p->inner.len : p->top.len) + p->config_doc.len;
	for (size_t i = 0; i < p->manifest.nlayers; i++)
		n->size += p->manifest.layers[i].size;
}

static bool names_known(struct pull *p)
{
	for (size_t i = 0; i < p->nnames; i++) {
		const struct name *n = map_get(&p->store->names, p->names[i].ref);

		if (!n || !str_eq(n->target, p->names[i].target) ||
		    !str_eq(n->manifest, p->names[i].manifest) ||
		    !str_eq(n->image->id, p->config_doc.digest))
			return false;
	}
	return true;
}

static void add_blob(struct pull *p, const struct document *doc)
{
	struct publish_blob *b = &p->publish.blobs[p->publish.nblobs];

	if (!doc->data)
		return;
	b->data = doc->data;
	b->len = doc->len;
	memcpy(b->digest, doc->digest, sizeof(b->digest));
	p->publish.nblobs++;
}

/* By digest always, so that the image keeps a name when its tag moves on. */
static int publish_begin(struct pull *p, struct err *e)
{
	auto_free char *name = ref_name(&p->ref);

	(void)e;
	add_name(p, mem_printf("%s@%s", name, p->top.digest));
	if (p->ref.tag)
		add_name(p, mem_strdup(p->name));
	p->publish.store = p->store;
	p->publish.names = p->names;
	p->publish.nnames = p->nnames;
	p->publish.id = p->config_doc.digest;
	add_blob(p, &p->top);
	add_blob(p, &p->inner);
	add_blob(p, &p->config_doc);
	return 0;
}

static void look_blob(struct pull *p, struct document *doc)
{
	doc->fresh = doc->data && !path_exists(p->store->blobs_fd, digest_hex(doc->digest));
}

static int publish_write(struct pull *p, struct err *e)
{
	if (p->store->publishing)
		return 0;
	look_blob(p, &p->top);
	look_blob(p, &p->inner);
	look_blob(p, &p->config_doc);
	p->committer.name = "publish";
	p->committer.idle_ms = PULL_COMMIT_MS;
	if (publish_start(&p->committer, &p->publish, pull_mark, p, e) < 0)
		return -e->code;
	p->publishing = p->store->publishing = true;
	return 0;
}

/* Others may write names now. */
static void publish_end(struct pull *p)
{
	if (!p->publishing)
		return;
	p->publishing = p->store->publishing = false;
	list_for_each(other, &p->store->pulls, struct pull, node)
		pull_mark(other);
}

static void count_blob(struct pull *p, const struct document *doc)
{
	if (!doc->fresh)
		return;
	p->store->usage.bytes += (doc->len + 4095) / 4096 * 4096;
	p->store->usage.inodes++;
}

/* A removal that went on at the same time may have taken a record away again. */
static bool records_there(const struct pull *p)
{
	for (size_t i = 0; i < p->nnames; i++) {
		if (!path_exists(p->store->images_fd, p->names[i].file))
			return false;
	}
	return true;
}

/* What a kill between writing and renaming left. */
static void drop_unfinished(int dirfd, const char *file)
{
	auto_free char *unfinished = mem_printf("%s.new", file);

	unlinkat(dirfd, unfinished, 0);
}

/*
 * What a publisher that was killed left: new names go, one that it moved is moved back; blobs
 * in place go with their documents.
 */
static void publish_undo(struct pull *p)
{
	struct store *s = p->store;

	for (size_t i = 0; i < p->nnames; i++) {
		const char *file = p->names[i].file;
		const struct name *old = map_get(&s->names, p->names[i].ref);
		auto_free char *json = old ? store_record(old, old->image->id) : NULL;
		struct err e = { 0 };

		drop_unfinished(s->images_fd, file);
		if (!old)
			unlinkat(s->images_fd, file, 0);
		else if (record_write(s->images_fd, file, "image", STORE_RECORD_VERSION, json,
				      PATH_FAST, &e) < 0)
			log_warn("%s", err_text(&e));
	}
	for (size_t i = 0; i < p->publish.nblobs; i++)
		drop_unfinished(s->blobs_fd, digest_hex(p->publish.blobs[i].digest));
}

static int publish_poll(struct pull *p, struct err *e)
{
	struct image *image;

	if (!p->publishing)
		return names_known(p) ? 1 : publish_write(p, e);
	if (p->committer.running)
		return 0;
	if (p->committer.failure != PULL_OK)
		publish_undo(p);
	publish_end(p);
	if (p->committer.failure != PULL_OK) {
		*e = p->committer.err;
		return pull_fail(p, p->committer.failure, e);
	}
	if (!records_there(p))
		return publish_write(p, e);
	image = store_image(p->store, p->config_doc.digest);
	if (!image)
		image = store_image_add(p->store, p->config_doc.digest, &p->config,
					p->config_doc.data);
	count_blob(p, &p->top);
	count_blob(p, &p->inner);
	count_blob(p, &p->config_doc);
	for (size_t i = 0; i < p->nnames; i++)
		store_name_set(p->store, &p->names[i], image);
	return 1;
}

static const struct pull_step steps[] = {
	{ "manifest", top_begin, top_poll },	    { "platform", platform_begin, platform_poll },
	{ "config", config_begin, config_poll },    { "layers", layers_begin, layers_poll },
	{ "publish", publish_begin, publish_poll },
};

#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- the object ---- */

static void pull_free(struct pull *p)
{
	list_remove(&p->node);
	ev_remove(&p->work);
	ev_remove(&p->undo_limit);
	download_stop(&p->download);
	worker_done(&p->download.worker);
	str_done(&p->download.body);
	worker_done(&p->committer);
	ref_done(&p->ref);
	free(p->name);
	free(p->user);
	if (p->password)
		explicit_bzero(p->password, strlen(p->password));
	free(p->password);
	free(p->identity_token);
	free(p->registry_token);
	free(p->source);
	free(p->token);
	document_done(p, &p->top);
	document_done(p, &p->inner);
	document_done(p, &p->config_doc);
	manifest_done(&p->manifest);
	config_done(&p->config);
	free(p->chosen.media_type);
	for (size_t i = 0; i < p->nnames; i++) {
		free(p->names[i].ref);
		free(p->names[i].file);
	}
	fd_close(&p->cgroup);
	free(p);
}

/* Once, and as the last thing: the callee may start and cancel pulls. */
static void pull_tell(struct pull *p, bool last)
{
	struct pull_result result = { .failure = p->failure, .err = p->err };
	char id[DIGEST_LEN + 1];
	pull_done *done = p->done;
	void *arg = p->arg;
	void (*ended)(void *) = last ? p->ended : NULL;
	void *ended_arg = p->ended_arg;

	memcpy(id, p->config_doc.digest, sizeof(id));
	if (p->failure == PULL_OK)
		result.id = id;
	p->done = NULL;
	if (last)
		pull_free(p);
	if (done)
		done(arg, &result);
	if (ended)
		ended(ended_arg);
}

static void on_emptied(void *arg, const struct err *e)
{
	(void)e;
	pull_tell(arg, true);
}

/* When the last child is gone, nothing of this pull is left on disk but what others use. */
static void pull_undo(struct pull *p)
{
	bool stopped = layers_stop(p);

	worker_kill(&p->download.worker);
	if (!stopped || p->download.worker.running || p->committer.running || p->emptying)
		return;
	if (p->publishing)
		publish_undo(p);
	publish_end(p);
	layers_done(p);
	document_done(p, &p->top);
	document_done(p, &p->inner);
	document_done(p, &p->config_doc);
	p->emptying = true;
	store_empty_trash(p->store, on_emptied, p);
}

/* Something hangs in the kernel. The answer goes out; the undoing goes on. */
static void on_undo_limit(void *arg)
{
	pull_tell(arg, false);
}

static void pull_undo_begin(struct pull *p, const struct err *e)
{
	if (p->failure == PULL_OK)
		pull_fail(p, pull_failure_of(e->code), e);
	if (!p->err.code)
		p->err = *e;
	err_wrap(&p->err, "pull %s: %s", p->name, p->step < NSTEPS ? steps[p->step].name : "end");
	if (p->done)
		log_warn("%s (%s)", p->err.msg, failure_name(p->failure));
	p->undoing = true;
	ev_timer_set(&p->undo_limit, PULL_UNDO_MS);
	pull_undo(p);
}

static void pull_finish(struct pull *p)
{
	log_info("pull %s: image %s, %zu layers", p->name, p->config_doc.digest, p->nlayers);
	layers_done(p);
	pull_tell(p, true);
}

static void pull_work(void *arg)
{
	struct pull *p = arg;
	struct err e = { 0 };

	if (p->undoing) {
		pull_undo(p);
		return;
	}
	while (p->step < NSTEPS) {
		const struct pull_step *s = &steps[p->step];
		int r = 0;

		if (!p->begun)
			r = s->begin(p, &e);
		p->begun = true;
		if (r == 0)
			r = s->poll(p, &e);
		if (r < 0) {
			pull_undo_begin(p, &e);
			return;
		}
		if (r == 0)
			return;
		p->step++;
		p->begun = false;
	}
	pull_finish(p);
}

static char *nonempty(const char *text)
{
	return text && text[0] ? mem_strdup(text) : NULL;
}

/* "https://index.docker.io/v1/" speaks of docker.io */
static bool is_server_of(const char *address, const char *host)
{
	const char *scheme = strstr(address, "://");
	const char *begin = scheme ? scheme + 3 : address;
	auto_free char *bare = mem_strndup(begin, strcspn(begin, "/"));

	if (str_eq(bare, "index.docker.io") || str_eq(bare, "registry-1.docker.io"))
		return str_eq(host, "docker.io");
	return strcasecmp(bare, host) == 0;
}

static int take_auth(struct pull *p, const struct pull_auth *auth, struct err *e)
{
	if (auth->server_address && auth->server_address[0] &&
	    !is_server_of(auth->server_address, p->ref.host))
		return 0;
	p->user = nonempty(auth->username);
	p->password = nonempty(auth->password);
	p->identity_token = nonempty(auth->identity_token);
	p->registry_token = nonempty(auth->registry_token);
	if (!p->user && auth->auth && auth->auth[0])
		return auth_split(auth->auth, &p->user, &p->password, e);
	return 0;
}

static int pull_init(struct pull *p, const struct pull_ask *ask, struct err *e)
{
	if (ref_parse(ask->ref, &p->ref, e) < 0)
		return -e->code;
	p->name = ref_text(&p->ref);
	if (take_auth(p, &ask->auth, e) < 0)
		return err_wrap(e, "pull %s", p->name);
	if (ask->cgroup >= 0 && fd_dup(ask->cgroup, &p->cgroup, e) < 0)
		return err_wrap(e, "pull %s: cgroup", p->name);
	return 0;
}

int pull_start(const struct pull_setup *setup, const struct pull_ask *ask, pull_done *done,
	       void *arg, struct pull **ret, struct err *e)
{
	struct pull *p = mem_alloc(sizeof(*p));

	p->setup = setup;
	p->store = setup->store;
	p->done = done;
	p->arg = arg;
	p->cgroup = p->sync_fd = p->download.fd = -1;
	p->download.worker.report_fd = p->committer.report_fd = -1;
	list_init(&p->node);
	ev_add_work(setup->ev, &p->work, pull_work, p);
	ev_add_timer(setup->ev, &p->undo_limit, on_undo_limit, p);
	if (pull_init(p, ask, e) < 0) {
		pull_free(p);
		return -e->code;
	}
	list_add_tail(&p->store->pulls, &p->node);
	pull_mark(p);
	if (ret)
		*ret = p;
	return 0;
}

void pull_cancel(struct pull *p, void (*ended)(void *arg), void *arg)
{
	struct err e = { 0 };

	p->done = NULL;
	p->ended = ended;
	p->ended_arg = arg;
	if (p->undoing)
		return;
	err_set(&e, ECANCELED, "cancelled");
	pull_undo_begin(p, &e);
}
