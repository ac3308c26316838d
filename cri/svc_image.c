/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image service: the store and pulls as the interface wants them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "cri/api/api.pb-c.h"
#include "cri/crid.h"
#include "cri/list.h"
#include "cri/method.h"
#include "image/pull.h"
#include "image/ref.h"
#include "image/store.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"

/* Telling ---------------------------------------------------------------------- */

/* An image in the interface's form; texts are the store's. */
struct shown {
	Cri__Image image;
	Cri__Int64Value uid;
	Cri__ImageSpec spec;
};

static size_t count(char *const *texts)
{
	size_t n = 0;

	while (texts[n])
		n++;
	return n;
}

/* "1000", "1000:50": a uid; "name", "name:group": a username. buf holds the name. */
static void set_user(struct shown *s, const char *user, char *buf, size_t size)
{
	uint32_t uid;

	snprintf(buf, size, "%.*s", (int)strcspn(user, ":"), user);
	if (str_to_u32(buf, &uid) == 0) {
		s->uid.value = uid;
		s->image.uid = &s->uid;
	} else {
		s->image.username = buf;
	}
}

#define USER_MAX 256

static void show(struct shown *s, const struct image *i, char user[static USER_MAX])
{
	cri__image__init(&s->image);
	cri__int64_value__init(&s->uid);
	cri__image_spec__init(&s->spec);
	s->image.id = i->id;
	s->image.n_repo_tags = count(i->repo_tags);
	s->image.repo_tags = i->repo_tags;
	s->image.n_repo_digests = count(i->repo_digests);
	s->image.repo_digests = i->repo_digests;
	s->image.size = i->size;
	s->spec.image = i->id;
	s->image.spec = &s->spec;
	if (*i->config.user)
		set_user(s, i->config.user, user, USER_MAX);
}

static const char *wanted_name(const Cri__ImageSpec *spec)
{
	return spec ? spec->image : "";
}

void svc_list_images(struct call *call)
{
	const Cri__ListImagesRequest *q = (const void *)call->request;
	const char *name = wanted_name(q->filter ? q->filter->image : NULL);
	const struct image *only = *name ? store_find(call->crid->store, name) : NULL;
	auto_str out = { 0 };

	list_for_each(i, store_images(call->crid->store), struct image, node) {
		struct shown s;
		char user[USER_MAX];
		auto_free uint8_t *packed = NULL;
		size_t len;

		if (*name && i != only)
			continue;
		show(&s, i, user);
		len = cri__image__get_packed_size(&s.image);
		packed = mem_alloc(len);
		cri__image__pack(&s.image, packed);
		list_add_entry(&out, packed, len);
	}
	call_reply_packed(call, out.text, out.len);
}

void svc_image_status(struct call *call)
{
	const Cri__ImageStatusRequest *q = (const void *)call->request;
	const char *name = wanted_name(q->image);
	const struct image *i = *name ? store_find(call->crid->store, name) : NULL;
	Cri__ImageStatusResponse r = CRI__IMAGE_STATUS_RESPONSE__INIT;
	Cri__MapEntry info = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *infos[1] = { &info };
	static char key[] = "imageSpec";
	struct shown s;
	char user[USER_MAX];

	if (!*name) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "image: missing");
		return;
	}
	if (i) {
		show(&s, i, user);
		r.image = &s.image;
	}
	if (i && q->verbose) {
		info.key = key;
		info.value = i->config_json;
		r.n_info = 1;
		r.info = infos;
	}
	call_reply(call, &r.base);
}

static void set_usage(Cri__FilesystemUsage *u, Cri__FilesystemIdentifier *id,
		      Cri__UInt64Value values[2], const char *path)
{
	cri__filesystem_usage__init(u);
	cri__filesystem_identifier__init(id);
	cri__uint64_value__init(&values[0]);
	cri__uint64_value__init(&values[1]);
	id->mountpoint = (char *)(uintptr_t)path;
	u->timestamp = crid_now_ns();
	u->fs_id = id;
	u->used_bytes = &values[0];
	u->inodes_used = &values[1];
}

void svc_image_fs_info(struct call *call)
{
	const struct store *store = call->crid->store;
	struct store_usage usage = store_usage(store);
	Cri__FilesystemUsage rows[2];
	Cri__FilesystemIdentifier ids[2];
	Cri__UInt64Value values[2][2];
	Cri__FilesystemUsage *images[1] = { &rows[0] }, *containers[1] = { &rows[1] };
	Cri__ImageFsInfoResponse r = CRI__IMAGE_FS_INFO_RESPONSE__INIT;

	/* one file system holds both; what containers wrote is counted in their own statistics */
	for (size_t i = 0; i < 2; i++)
		set_usage(&rows[i], &ids[i], values[i], store_root(store));
	values[0][0].value = usage.bytes;
	values[0][1].value = usage.inodes;
	r.n_image_filesystems = 1;
	r.image_filesystems = images;
	r.n_container_filesystems = 1;
	r.container_filesystems = containers;
	call_reply(call, &r.base);
}

/* Removing --------------------------------------------------------------------- */

static void on_removed(void *arg, const struct err *e)
{
	struct call *call = arg;
	const Cri__RemoveImageRequest *q = (const void *)call->request;
	Cri__RemoveImageResponse r = CRI__REMOVE_IMAGE_RESPONSE__INIT;

	if (e && e->code)
		call_fail(call, grpc_code_of(e), "remove image %s: %s", q->image->image,
			  err_text(e));
	else
		call_reply(call, &r.base);
}

void svc_remove_image(struct call *call)
{
	const Cri__RemoveImageRequest *q = (const void *)call->request;

	if (!*wanted_name(q->image)) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "image: missing");
		return;
	}
	call->stage = "the image's removal";
	store_remove(call->crid->store, q->image->image, on_removed, call);
}

/* Pulling ---------------------------------------------------------------------- */

/* A pull for a call, in a cgroup of its own: /berth/crid/pull-N. */
struct work {
	struct crid *crid;
	struct call *call; /* gone when the pull was cancelled */
	struct pull *pull;
	char cgroup[32];
	int cgroup_fd;
};

static void work_free(void *work)
{
	struct work *w = work;
	struct err e = { 0 };

	if (w->cgroup_fd >= 0) {
		close(w->cgroup_fd);
		/* nobody comes back to it: what fails for want of something may pass now */
		if (cgroup_remove(w->crid->cgroup_crid, w->cgroup, &e) < 0 &&
		    cgroup_remove(w->crid->cgroup_crid, w->cgroup, &e) < 0)
			log_warn("%s", err_text(&e));
	}
	free(w);
}

/* Code and words by which kubelet tells its user what is wrong. */
static void fail(struct call *call, const struct pull_result *r)
{
	static const struct {
		enum grpc_code code;
		const char *prefix;
	} rows[] = {
		[PULL_OK] = { GRPC_INTERNAL, "" },
		[PULL_BAD_NAME] = { GRPC_INVALID_ARGUMENT, "" },
		/* kubelet compares the beginning, and only where the code is UNKNOWN */
		[PULL_UNAVAILABLE] = { GRPC_UNKNOWN, "RegistryUnavailable: " },
		[PULL_DENIED] = { GRPC_PERMISSION_DENIED, "" },
		[PULL_NOT_FOUND] = { GRPC_NOT_FOUND, "" },
		[PULL_CORRUPT] = { GRPC_DATA_LOSS, "" },
		[PULL_UNSUPPORTED] = { GRPC_INVALID_ARGUMENT, "" },
		[PULL_STALLED] = { GRPC_DEADLINE_EXCEEDED, "" },
		[PULL_NO_SPACE] = { GRPC_RESOURCE_EXHAUSTED, "" },
		[PULL_FAILED] = { GRPC_UNKNOWN, "" },
	};

	/* only a full disk is told best by its errno */
	call_fail(call, rows[r->failure].code, "%s%s", rows[r->failure].prefix,
		  r->failure == PULL_NO_SPACE ? err_text(&r->err) : r->err.msg);
}

static void on_pulled(void *arg, const struct pull_result *result)
{
	struct work *w = arg;
	struct call *call = w->call;
	Cri__PullImageResponse r = CRI__PULL_IMAGE_RESPONSE__INIT;
	auto_free char *id = NULL;

	work_free(w);
	call->arg = NULL;
	if (result->failure != PULL_OK) {
		fail(call, result);
		return;
	}
	id = mem_strdup(result->id);
	r.image_ref = id;
	call_reply(call, &r.base);
}

/* The client does not want it any more: what was fetched so far is undone. */
static void on_gone(struct call *call)
{
	struct work *w = call->arg;

	/* its cgroup is empty when the last helper is gone, not before */
	pull_cancel(w->pull, work_free, w);
	call_fail(call, GRPC_CANCELLED, "the pull was cancelled");
}

static void open_cgroup(struct work *w)
{
	struct crid *crid = w->crid;
	struct err e = { 0 };

	snprintf(w->cgroup, sizeof(w->cgroup), "pull-%u", ++crid->pulls);
	if (cgroup_create(crid->cgroup_crid, w->cgroup, 0, &w->cgroup_fd, NULL, &e) < 0) {
		w->cgroup_fd = -1;
		log_warn("pull: %s", err_text(&e));
	}
}

void svc_pull_image(struct call *call)
{
	const Cri__PullImageRequest *q = (const void *)call->request;
	const char *name = wanted_name(q->image);
	struct work *w;
	struct pull_ask ask = { .ref = name, .cgroup = -1 };
	struct err e = { 0 };

	if (!*name) {
		call_fail(call, GRPC_INVALID_ARGUMENT, "image: missing");
		return;
	}
	if (q->auth)
		ask.auth = (struct pull_auth){
			.username = q->auth->username,
			.password = q->auth->password,
			.auth = q->auth->auth,
			.server_address = q->auth->server_address,
			.identity_token = q->auth->identity_token,
			.registry_token = q->auth->registry_token,
		};
	w = mem_alloc(sizeof(*w));
	w->crid = call->crid;
	w->call = call;
	open_cgroup(w);
	ask.cgroup = w->cgroup_fd;
	call->stage = "the pull";
	if (pull_start(&call->crid->pull, &ask, on_pulled, w, &w->pull, &e) < 0) {
		work_free(w);
		call_fail(call, GRPC_INVALID_ARGUMENT, "image: %s", err_text(&e));
		return;
	}
	call->arg = w;
	call->on_gone = on_gone;
}
