/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers: the object and its record; see ctr.h. */
#include "cri/ctr.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cri/api/pbjson.h"
#include "cri/crid.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"

#define RECORD_KIND "ctr"
#define RECORD_PREFIX "ctr-"
#define RECORD_NAME (sizeof(RECORD_PREFIX) + ID_LEN)

static const char *const state_names[] = {
	[CTR_CREATING] = "CREATING", [CTR_CREATED] = "CREATED",	  [CTR_RUNNING] = "RUNNING",
	[CTR_EXITED] = "EXITED",     [CTR_REMOVING] = "REMOVING",
};

const char *ctr_state_name(enum ctr_state state)
{
	return state_names[state];
}

char *ctr_key(const struct pod *pod, const Cri__ContainerConfig *config)
{
	return mem_printf("%s/%s/%u", pod->id, config->metadata->name, config->metadata->attempt);
}

static char *log_path(const struct pod *pod, const Cri__ContainerConfig *config)
{
	const char *folder = pod->config->log_directory;

	if (!*config->log_path || !*folder)
		return NULL;
	return mem_printf("%s/%s", folder, config->log_path);
}

struct ctr *ctr_new(struct pod *pod, const char *id, Cri__ContainerConfig *config)
{
	struct crid *crid = pod->crid;
	struct ctr *ctr = mem_alloc(sizeof(*ctr));
	bool root = str_eq(pod->cgroup_parent, "/");

	ctr->crid = crid;
	ctr->pod = pod;
	str_copy(ctr->id, sizeof(ctr->id), id);
	ctr->key = ctr_key(pod, config);
	ctr->config = config;
	ctr->log_path = log_path(pod, config);
	ctr->cgroup = mem_printf("%s/%s", root ? "" : pod->cgroup_parent, id);
	ctr->stop_signal = SIGTERM;
	ctr->rootfs = -1;
	ctr->flow.label = ctr->id;
	list_init(&ctr->create_calls);
	list_init(&ctr->start_calls);
	list_init(&ctr->stop_calls);
	list_init(&ctr->remove_calls);
	list_add_tail(&pod->ctrs, &ctr->pod_node);
	map_set(&crid->ctrs, ctr->id, ctr);
	if (!map_get(&crid->ctr_keys, ctr->key))
		map_set(&crid->ctr_keys, ctr->key, ctr);
	return ctr;
}

void ctr_bury(struct ctr *ctr)
{
	struct crid *crid = ctr->crid;

	map_remove(&crid->ctrs, ctr->id);
	if (map_get(&crid->ctr_keys, ctr->key) == ctr)
		map_remove(&crid->ctr_keys, ctr->key);
	list_remove(&ctr->pod_node);
	list_add_tail(&crid->dead_ctrs, &ctr->pod_node);
	ev_mark(&crid->bury);
}

void ctr_free(struct ctr *ctr)
{
	list_remove(&ctr->pod_node);
	ev_remove(&ctr->stop_timer);
	if (ctr->image)
		store_release(ctr->crid->store, ctr->image);
	fd_close(&ctr->rootfs);
	ctr_volumes_done(ctr);
	bundle_user_done(&ctr->user);
	cri__container_config__free_unpacked(ctr->config, NULL);
	free(ctr->image_id);
	free(ctr->log_path);
	free(ctr->cgroup);
	free(ctr->reason);
	free(ctr->message);
	free(ctr->entry);
	free(ctr->key);
	free(ctr);
}

static bool is_shown(const struct ctr *ctr)
{
	return ctr->state != CTR_CREATING && ctr->state != CTR_REMOVING;
}

struct ctr *ctr_find(struct crid *crid, const char *id)
{
	struct ctr *found = map_get(&crid->ctrs, id);
	size_t len = strlen(id);

	if (found)
		return is_shown(found) ? found : NULL;
	if (!len || len >= ID_LEN)
		return NULL;
	map_for_each(entry, &crid->ctrs) {
		struct ctr *ctr = entry->value;

		if (!is_shown(ctr) || strncmp(ctr->id, id, len) != 0)
			continue;
		if (found)
			return NULL;
		found = ctr;
	}
	return found;
}

char *ctr_path(const struct ctr *ctr, const char *name)
{
	return mem_printf(CRID_RUN "/ctrs/%s%s%s", ctr->id, *name ? "/" : "", name);
}

int ctr_signal(const char *text)
{
	int n;

	if (str_to_int(text, &n) == 0)
		return n > 0 && n < NSIG ? n : 0;
	if (str_starts(text, "SIG"))
		text += 3;
	if (str_starts(text, "RTMIN")) {
		if (text[5] == '+' && str_to_int(text + 6, &n) == 0 && n <= SIGRTMAX - SIGRTMIN)
			return SIGRTMIN + n;
		return text[5] ? 0 : SIGRTMIN;
	}
	if (str_starts(text, "RTMAX")) {
		if (text[5] == '-' && str_to_int(text + 6, &n) == 0 && n <= SIGRTMAX - SIGRTMIN)
			return SIGRTMAX - n;
		return text[5] ? 0 : SIGRTMAX;
	}
	for (n = 1; n < SIGRTMIN; n++) {
		const char *name = sigabbrev_np(n);

		if (name && str_eq(name, text))
			return n;
	}
	return str_eq(text, "IOT") ? SIGABRT : str_eq(text, "CLD") ? SIGCHLD : 0;
}

/* Records ---------------------------------------------------------------------- */

static Cri__ContainerState api_state(const struct ctr *ctr)
{
	switch (ctr->state) {
	case CTR_CREATING:
	case CTR_CREATED:
		return CRI__CONTAINER_STATE__CONTAINER_CREATED;
	case CTR_RUNNING:
		return CRI__CONTAINER_STATE__CONTAINER_RUNNING;
	case CTR_EXITED:
	case CTR_REMOVING:
		break;
	}
	return CRI__CONTAINER_STATE__CONTAINER_EXITED;
}

static void renew_entry(struct ctr *ctr)
{
	Cri__Container c = CRI__CONTAINER__INIT;

	c.id = ctr->id;
	c.pod_sandbox_id = ctr->pod->id;
	c.metadata = ctr->config->metadata;
	c.image = ctr->config->image;
	c.image_ref = ctr->image_id;
	c.image_id = ctr->image_id;
	c.state = api_state(ctr);
	c.created_at = ctr->created_at;
	c.n_labels = ctr->config->n_labels;
	c.labels = ctr->config->labels;
	c.n_annotations = ctr->config->n_annotations;
	c.annotations = ctr->config->annotations;
	ctr->entry_len = cri__container__get_packed_size(&c);
	free(ctr->entry);
	ctr->entry = mem_alloc(ctr->entry_len);
	cri__container__pack(&c, ctr->entry);
}

static void record_name(char name[static RECORD_NAME], const char *id)
{
	snprintf(name, RECORD_NAME, RECORD_PREFIX "%s", id);
}

int ctr_unrecord(void *ctx, struct err *e)
{
	const struct ctr *ctr = ctx;
	char name[RECORD_NAME];

	record_name(name, ctr->id);
	if (unlinkat(ctr->crid->records, name, 0) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove record %s", name);
	return 0;
}

static void put_user(struct json_out *out, const struct bundle_user *u)
{
	json_out_object(out, "user");
	json_out_uint(out, "uid", u->uid);
	json_out_uint(out, "gid", u->gid);
	json_out_array(out, "groups");
	for (size_t i = 0; i < u->ngroups; i++)
		json_out_uint(out, NULL, u->groups[i]);
	json_out_end(out);
	json_out_end(out);
}

int ctr_record(struct ctr *ctr, struct err *e)
{
	auto_json_out out = { 0 };
	char name[RECORD_NAME];

	renew_entry(ctr);
	record_name(name, ctr->id);
	json_out_object(&out, NULL);
	json_out_text(&out, "id", ctr->id);
	json_out_text(&out, "pod", ctr->pod->id);
	json_out_text(&out, "state", ctr_state_name(ctr->state));
	json_out_text(&out, "image_id", ctr->image_id);
	json_out_int(&out, "stop_signal", ctr->stop_signal);
	json_out_int(&out, "pid", ctr->pid);
	json_out_int(&out, "created_at", ctr->created_at);
	json_out_int(&out, "started_at", ctr->started_at);
	json_out_int(&out, "finished_at", ctr->finished_at);
	json_out_int(&out, "exit_code", ctr->exit_code);
	if (ctr->reason)
		json_out_text(&out, "reason", ctr->reason);
	if (ctr->message)
		json_out_text(&out, "message", ctr->message);
	put_user(&out, &ctr->user);
	if (ctr->nvolumes)
		ctr_volumes_put(ctr, &out);
	pbjson_put(&out, "config", &ctr->config->base);
	json_out_end(&out);
	return record_write(ctr->crid->records, name, RECORD_KIND, CTR_RECORD_VERSION, out.s.text,
			    PATH_FAST, e);
}

void ctr_changed(struct ctr *ctr)
{
	struct err e = { 0 };

	if (ctr_record(ctr, &e) < 0)
		log_warn("container %s: %s", ctr->id, err_text(&e));
}

int ctr_read_user(struct bundle_user *u, const struct json *user, struct err *e)
{
	const struct json *groups = NULL;
	size_t room = 0;

	if (json_get_u32(user, "uid", &u->uid, e) < 0 ||
	    json_get_u32(user, "gid", &u->gid, e) < 0 ||
	    json_get_array(user, "groups", &groups, e) < 0)
		return -e->code;
	json_each(item, groups) {
		uint64_t gid = 0;

		if (json_u64(item, &gid) < 0 || gid > UINT32_MAX)
			return err_set(e, EBADMSG, "user: groups");
		mem_grow(&u->groups, &room, u->ngroups + 1, sizeof(*u->groups));
		u->groups[u->ngroups++] = (uint32_t)gid;
	}
	return 0;
}

static int state_of(const char *name, enum ctr_state *ret, struct err *e)
{
	for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (str_eq(state_names[i], name)) {
			*ret = (enum ctr_state)i;
			return 0;
		}
	}
	return err_set(e, EBADMSG, "state %s", name);
}

static int take_record(struct ctr *ctr, const struct json *data, struct err *e)
{
	const char *state, *image, *reason = NULL, *message = NULL;

	if (json_need_text(data, "state", &state, e) < 0 || state_of(state, &ctr->state, e) < 0 ||
	    json_need_text(data, "image_id", &image, e) < 0 ||
	    json_get_int(data, "stop_signal", &ctr->stop_signal, e) < 0 ||
	    json_get_int(data, "pid", &ctr->pid, e) < 0 ||
	    json_get_i64(data, "created_at", &ctr->created_at, e) < 0 ||
	    json_get_i64(data, "started_at", &ctr->started_at, e) < 0 ||
	    json_get_i64(data, "finished_at", &ctr->finished_at, e) < 0 ||
	    json_get_int(data, "exit_code", &ctr->exit_code, e) < 0 ||
	    json_get_text(data, "reason", &reason, e) < 0 ||
	    json_get_text(data, "message", &message, e) < 0 ||
	    ctr_read_user(&ctr->user, json_get(data, "user"), e) < 0 ||
	    ctr_volumes_take(ctr, json_get(data, "volumes"), e) < 0)
		return -e->code;
	mem_replace(&ctr->image_id, image);
	mem_replace(&ctr->reason, reason);
	mem_replace(&ctr->message, message);
	return 0;
}

static void hold_image(struct ctr *ctr)
{
	struct err e = { 0 };

	if (store_hold(ctr->crid->store, ctr->image_id, &ctr->image, &e) < 0 &&
	    ctr->state != CTR_EXITED)
		log_warn("container %s: its image: %s", ctr->id, err_text(&e));
}

static int load(struct crid *crid, const char *name, struct err *e)
{
	auto_record r = { 0 };
	ProtobufCMessage *config;
	Cri__ContainerConfig *c;
	const char *pod_id;
	struct ctr *ctr;
	struct pod *pod;

	if (record_read(crid->records, name, RECORD_KIND, &r, e) < 0)
		return -e->code;
	if (r.version != CTR_RECORD_VERSION)
		return err_set(e, EBADMSG, "version %d", r.version);
	if (json_need_text(r.data, "pod", &pod_id, e) < 0)
		return -e->code;
	pod = map_get(&crid->pods, pod_id);
	if (!pod)
		return err_set(e, EBADMSG, "no pod %s", pod_id);
	if (pbjson_get(&cri__container_config__descriptor, json_get(r.data, "config"), &config, e) <
	    0)
		return -e->code;
	c = (Cri__ContainerConfig *)(void *)config;
	if (!c->metadata || !c->image) {
		protobuf_c_message_free_unpacked(config, NULL);
		return err_set(e, EBADMSG, "no metadata or no image");
	}
	ctr = ctr_new(pod, name + strlen(RECORD_PREFIX), c);
	if (take_record(ctr, r.data, e) < 0) {
		ctr_bury(ctr);
		return -e->code;
	}
	if (!r.this_boot && (ctr->state == CTR_CREATED || ctr->state == CTR_RUNNING))
		ctr_lost(ctr, "Unknown", "the node was restarted");
	hold_image(ctr);
	renew_entry(ctr);
	return 0;
}

static int compare_age(const void *a, const void *b)
{
	const struct ctr *x = *(const struct ctr *const *)a;
	const struct ctr *y = *(const struct ctr *const *)b;

	return x->created_at < y->created_at ? -1 : x->created_at > y->created_at;
}

/* Lists are in the order of making, as before the restart. */
static void sort(struct map *map)
{
	size_t n = 0;
	auto_free struct ctr **all = mem_array(map->count + 1, sizeof(*all));

	map_for_each(entry, map)
		all[n++] = entry->value;
	qsort(all, n, sizeof(*all), compare_age);
	map_done(map);
	for (size_t i = 0; i < n; i++)
		map_set(map, all[i]->id, all[i]);
}

void ctr_load_all(struct crid *crid)
{
	int fd = openat(crid->records, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		struct err e = { 0 };

		if (!str_starts(d->d_name, RECORD_PREFIX) ||
		    !id_valid(d->d_name + strlen(RECORD_PREFIX)))
			continue;
		if (load(crid, d->d_name, &e) < 0) {
			log_warn("record %s: %s", d->d_name, err_text(&e));
			renameat(crid->records, d->d_name, crid->records, "damaged-ctr");
		}
	}
	if (dir)
		closedir(dir);
	sort(&crid->ctrs);
}

void ctr_recover(struct pod *pod)
{
	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		if (ctr->state == CTR_CREATING || ctr->state == CTR_REMOVING)
			ctr_want_removal(ctr);
}
