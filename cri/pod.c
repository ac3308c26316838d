/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods: the object and its record; see pod.h. */
#include "cri/pod.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cri/api/pbjson.h"
#include "cri/crid.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"

#define RECORD_KIND "pod"
#define RECORD_PREFIX "pod-"
#define RECORD_NAME (sizeof(RECORD_PREFIX) + ID_LEN)

static const char *const state_names[] = {
	[POD_CREATING] = "CREATING",
	[POD_READY] = "READY",
	[POD_NOTREADY] = "NOTREADY",
	[POD_REMOVING] = "REMOVING",
};

const char *pod_state_name(enum pod_state state)
{
	return state_names[state];
}

char *pod_key(const Cri__PodSandboxConfig *config)
{
	const Cri__PodSandboxMetadata *m = config->metadata;

	return mem_printf("%s/%s/%s/%u", m->namespace_, m->name, m->uid, m->attempt);
}

struct pod *pod_new(struct crid *crid, const char *id, Cri__PodSandboxConfig *config)
{
	struct pod *pod = mem_alloc(sizeof(*pod));

	pod->crid = crid;
	str_copy(pod->id, sizeof(pod->id), id);
	pod->key = pod_key(config);
	pod->config = config;
	pod->netns = -1;
	pod->host_network = pod_network_mode(pod) == CRI__NAMESPACE_MODE__NODE;
	pod->flow.label = pod->id;
	shimlink_init(&pod->shim, &crid->ev);
	list_init(&pod->ctrs);
	list_init(&pod->run_calls);
	list_init(&pod->stop_calls);
	list_init(&pod->remove_calls);
	list_init(&pod->dead_node);
	map_set(&crid->pods, pod->id, pod);
	if (!map_get(&crid->pod_keys, pod->key))
		map_set(&crid->pod_keys, pod->key, pod);
	return pod;
}

void pod_bury(struct pod *pod)
{
	struct crid *crid = pod->crid;

	map_remove(&crid->pods, pod->id);
	if (map_get(&crid->pod_keys, pod->key) == pod)
		map_remove(&crid->pod_keys, pod->key);
	list_add_tail(&crid->dead_pods, &pod->dead_node);
	ev_mark(&crid->bury);
}

void pod_free(struct pod *pod)
{
	list_remove(&pod->dead_node);
	ev_remove(&pod->child);
	ev_remove(&pod->timer);
	ev_remove(&pod->last);
	shimlink_close(&pod->shim);
	fd_close(&pod->netns);
	cri__pod_sandbox_config__free_unpacked(pod->config, NULL);
	free(pod->cgroup_parent);
	free(pod->error);
	free(pod->entry);
	free(pod->key);
	free(pod);
}

static bool is_shown(const struct pod *pod)
{
	return pod->state == POD_READY || pod->state == POD_NOTREADY;
}

struct pod *pod_find(struct crid *crid, const char *id)
{
	struct pod *found = map_get(&crid->pods, id);
	size_t len = strlen(id);

	if (found)
		return is_shown(found) ? found : NULL;
	if (!len || len >= ID_LEN)
		return NULL;
	map_for_each(entry, &crid->pods) {
		struct pod *pod = entry->value;

		if (!is_shown(pod) || strncmp(pod->id, id, len) != 0)
			continue;
		if (found)
			return NULL;
		found = pod;
	}
	return found;
}

Cri__NamespaceOption *pod_namespace_options(const Cri__PodSandboxConfig *config)
{
	const Cri__LinuxSandboxSecurityContext *sc =
		config->linux ? config->linux->security_context : NULL;

	return sc ? sc->namespace_options : NULL;
}

Cri__NamespaceMode pod_network_mode(const struct pod *pod)
{
	const Cri__NamespaceOption *o = pod_namespace_options(pod->config);

	return o ? o->network : CRI__NAMESPACE_MODE__POD;
}

Cri__NamespaceMode pod_pid_mode(const struct pod *pod)
{
	const Cri__NamespaceOption *o = pod_namespace_options(pod->config);

	return o ? o->pid : CRI__NAMESPACE_MODE__POD;
}

Cri__NamespaceMode pod_ipc_mode(const struct pod *pod)
{
	const Cri__NamespaceOption *o = pod_namespace_options(pod->config);

	return o ? o->ipc : CRI__NAMESPACE_MODE__POD;
}

char *pod_path(const struct pod *pod, const char *name)
{
	return mem_printf(CRID_RUN "/pods/%s%s%s", pod->id, *name ? "/" : "", name);
}

/* Records ---------------------------------------------------------------------- */

static void renew_entry(struct pod *pod)
{
	Cri__PodSandbox p = CRI__POD_SANDBOX__INIT;

	p.id = pod->id;
	p.metadata = pod->config->metadata;
	p.state = pod->state == POD_READY ? CRI__POD_SANDBOX_STATE__SANDBOX_READY
					  : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
	p.created_at = pod->created_at;
	p.n_labels = pod->config->n_labels;
	p.labels = pod->config->labels;
	p.n_annotations = pod->config->n_annotations;
	p.annotations = pod->config->annotations;
	pod->entry_len = cri__pod_sandbox__get_packed_size(&p);
	free(pod->entry);
	pod->entry = mem_alloc(pod->entry_len);
	cri__pod_sandbox__pack(&p, pod->entry);
}

static void record_name(char name[static RECORD_NAME], const char *id)
{
	snprintf(name, RECORD_NAME, RECORD_PREFIX "%s", id);
}

int pod_unrecord(void *ctx, struct err *e)
{
	const struct pod *pod = ctx;
	char name[RECORD_NAME];

	record_name(name, pod->id);
	if (unlinkat(pod->crid->records, name, 0) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove record %s", name);
	return 0;
}

int pod_record(struct pod *pod, struct err *e)
{
	auto_json_out out = { 0 };
	char name[RECORD_NAME];

	renew_entry(pod);
	record_name(name, pod->id);
	json_out_object(&out, NULL);
	json_out_text(&out, "id", pod->id);
	json_out_text(&out, "state", pod_state_name(pod->state));
	json_out_int(&out, "created_at", pod->created_at);
	json_out_text(&out, "cgroup_parent", pod->cgroup_parent);
	json_out_int(&out, "cgroup_made", pod->cgroup_made);
	json_out_bool(&out, "network_up", pod->network_up);
	json_out_array(&out, "ips");
	for (size_t i = 0; i < POD_IPS_MAX && *pod->ips[i]; i++)
		json_out_text(&out, NULL, pod->ips[i]);
	json_out_end(&out);
	if (pod->error)
		json_out_text(&out, "error", pod->error);
	pbjson_put(&out, "config", &pod->config->base);
	json_out_end(&out);
	return record_write(pod->crid->records, name, RECORD_KIND, POD_RECORD_VERSION, out.s.text,
			    PATH_FAST, e);
}

void pod_changed(struct pod *pod)
{
	struct err e = { 0 };

	/* without its record the pod lives on; only a restart would not know the news */
	if (pod_record(pod, &e) < 0)
		log_warn("pod %s: %s", pod->id, err_text(&e));
}

static int state_of(const char *name, enum pod_state *ret, struct err *e)
{
	for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (str_eq(state_names[i], name)) {
			*ret = (enum pod_state)i;
			return 0;
		}
	}
	return err_set(e, EBADMSG, "state %s", name);
}

static int take_ips(struct pod *pod, const struct json *data, struct err *e)
{
	auto_free const char **ips = NULL;
	size_t n = 0;

	if (json_get_texts(data, "ips", &ips, &n, e) < 0)
		return -e->code;
	for (size_t i = 0; i < n && i < POD_IPS_MAX; i++)
		if (!str_copy(pod->ips[i], sizeof(pod->ips[i]), ips[i]))
			return err_set(e, EBADMSG, "address %s", ips[i]);
	return 0;
}

static int take_record(struct pod *pod, const struct json *data, struct err *e)
{
	const char *state, *parent, *error = NULL;

	if (json_need_text(data, "state", &state, e) < 0 || state_of(state, &pod->state, e) < 0 ||
	    json_get_i64(data, "created_at", &pod->created_at, e) < 0 ||
	    json_need_text(data, "cgroup_parent", &parent, e) < 0 ||
	    json_get_int(data, "cgroup_made", &pod->cgroup_made, e) < 0 ||
	    json_get_bool(data, "network_up", &pod->network_up, e) < 0 ||
	    json_get_text(data, "error", &error, e) < 0 || take_ips(pod, data, e) < 0)
		return -e->code;
	mem_replace(&pod->cgroup_parent, parent);
	mem_replace(&pod->error, error);
	return 0;
}

/* What a reboot ended. */
static void after_reboot(struct pod *pod)
{
	pod->network_up = false; /* the leases and the kernel's part are gone */
	pod->cgroup_made = 0;
	if (pod->state == POD_READY) {
		pod->state = POD_NOTREADY;
		mem_replace(&pod->error, "the node was restarted");
	}
}

static int load(struct crid *crid, const char *name, struct err *e)
{
	const char *id = name + strlen(RECORD_PREFIX);
	auto_record r = { 0 };
	ProtobufCMessage *config;
	Cri__PodSandboxConfig *c;
	struct pod *pod;

	if (record_read(crid->records, name, RECORD_KIND, &r, e) < 0)
		return -e->code;
	if (r.version != POD_RECORD_VERSION)
		return err_set(e, EBADMSG, "version %d", r.version);
	if (pbjson_get(&cri__pod_sandbox_config__descriptor, json_get(r.data, "config"), &config,
		       e) < 0)
		return -e->code;
	c = (Cri__PodSandboxConfig *)(void *)config;
	if (!c->metadata) {
		protobuf_c_message_free_unpacked(config, NULL);
		return err_set(e, EBADMSG, "no metadata");
	}
	pod = pod_new(crid, id, c);
	if (take_record(pod, r.data, e) < 0) {
		pod_bury(pod);
		return -e->code;
	}
	if (!r.this_boot)
		after_reboot(pod);
	renew_entry(pod);
	return 0;
}

static int compare_age(const void *a, const void *b)
{
	const struct pod *x = *(const struct pod *const *)a;
	const struct pod *y = *(const struct pod *const *)b;

	return x->created_at < y->created_at ? -1 : x->created_at > y->created_at;
}

/* Lists are in the order of making, as before the restart. */
static void sort(struct map *map)
{
	size_t n = 0;
	auto_free struct pod **all = mem_array(map->count + 1, sizeof(*all));

	map_for_each(entry, map)
		all[n++] = entry->value;
	qsort(all, n, sizeof(*all), compare_age);
	map_done(map);
	for (size_t i = 0; i < n; i++)
		map_set(map, all[i]->id, all[i]);
}

/*
 * A record that cannot be read is moved aside: the pod it was about is swept like any leftover.
 * What a kill between writing and renaming left goes, of containers too.
 */
void pod_load_all(struct crid *crid)
{
	int fd = openat(crid->records, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		struct err e = { 0 };

		if (str_ends(d->d_name, ".new"))
			unlinkat(crid->records, d->d_name, 0);
		if (!str_starts(d->d_name, RECORD_PREFIX) ||
		    !id_valid(d->d_name + strlen(RECORD_PREFIX)))
			continue;
		if (load(crid, d->d_name, &e) < 0) {
			log_warn("record %s: %s", d->d_name, err_text(&e));
			renameat(crid->records, d->d_name, crid->records, "damaged-pod");
		}
	}
	if (dir)
		closedir(dir);
	sort(&crid->pods);
}
