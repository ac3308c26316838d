/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store knows: images, their names and layers, and how they are found. */
#include "image/store.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "image/store_state.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define ID_PREFIX_MIN 6

struct layer *store_layer(struct store *s, const char *hex)
{
	return map_get(&s->layers, hex);
}

struct layer *store_layer_add(struct store *s, const char *hex)
{
	struct layer *l = mem_alloc(sizeof(*l));

	l->hex = mem_strdup(hex);
	map_set(&s->layers, hex, l);
	return l;
}

void store_layer_forget(struct store *s, struct layer *l)
{
	map_remove(&s->layers, l->hex);
	free(l->hex);
	free(l);
}

void store_image_free(struct image *image)
{
	free(image->id);
	texts_free(image->repo_tags);
	texts_free(image->repo_digests);
	texts_free(image->layers);
	image_config_done(&image->config);
	free(image->config_json);
	free(image);
}

struct image *store_image(struct store *s, const char *id)
{
	list_for_each(i, &s->images, struct image, node) {
		if (str_eq(i->id, id))
			return i;
	}
	list_for_each(i, &s->removed, struct image, node) {
		if (str_eq(i->id, id))
			return i;
	}
	return NULL;
}

struct image *store_image_add(struct store *s, const char *id, struct config *config,
			      const char *config_json)
{
	struct image *image = mem_alloc(sizeof(*image));

	image->id = mem_strdup(id);
	image->repo_tags = mem_array(1, sizeof(char *));
	image->repo_digests = mem_array(1, sizeof(char *));
	image->config = config->run;
	config->run = (struct image_config){ 0 };
	image->layers = mem_take(&config->chain);
	image->nlayers = config->nlayers;
	image->config_json = mem_strdup(config_json);
	image->removed = true;
	for (size_t i = 0; i < image->nlayers; i++)
		store_layer(s, image->layers[i])->users++;
	list_add_tail(&s->removed, &image->node);
	return image;
}

/* Sorted, each text once; takes it over. */
static void add_text(char ***list, size_t *n, char *text)
{
	size_t at = 0;
	int order = -1;

	while (at < *n && (order = strcmp((*list)[at], text)) < 0)
		at++;
	if (order == 0) {
		free(text);
		return;
	}
	*list = mem_realloc(*list, (*n + 2) * sizeof(char *));
	memmove(*list + at + 1, *list + at, (*n - at + 1) * sizeof(char *));
	(*list)[at] = text;
	(*n)++;
}

void store_image_rename(struct store *s, struct image *image)
{
	size_t ntags = 0, ndigests = 0, names = 0;

	texts_free(image->repo_tags);
	texts_free(image->repo_digests);
	image->repo_tags = mem_array(1, sizeof(char *));
	image->repo_digests = mem_array(1, sizeof(char *));
	map_for_each(entry, &s->names) {
		struct name *n = entry->value;

		if (n->image != image)
			continue;
		names++;
		image->size = n->size;
		if (strchr(n->ref, '@'))
			add_text(&image->repo_digests, &ndigests, mem_strdup(n->ref));
		else
			add_text(&image->repo_tags, &ntags, mem_strdup(n->ref));
	}
	if (image->removed == (names == 0))
		return;
	image->removed = names == 0;
	list_remove(&image->node);
	list_add_tail(image->removed ? &s->removed : &s->images, &image->node);
}

void store_name_set(struct store *s, const struct name *value, struct image *image)
{
	struct name *n = map_get(&s->names, value->ref);
	struct image *old = n ? n->image : NULL;

	if (!n) {
		n = mem_alloc(sizeof(*n));
		n->ref = mem_strdup(value->ref);
		n->file = mem_strdup(value->file);
		map_set(&s->names, n->ref, n);
	}
	memcpy(n->target, value->target, sizeof(n->target));
	memcpy(n->manifest, value->manifest, sizeof(n->manifest));
	n->size = value->size;
	n->image = image;
	store_image_rename(s, image);
	if (old && old != image) {
		store_image_rename(s, old);
		if (old->removed)
			store_image_drop(s, old);
	}
}

const struct list *store_images(const struct store *s)
{
	return &s->images;
}

static const struct image *find_by_ref(const struct store *s, const char *text)
{
	auto_ref ref = { 0 };
	auto_free char *canonical = NULL;
	struct err ignored = { 0 };
	struct name *n;

	if (ref_parse(text, &ref, &ignored) < 0)
		return NULL;
	canonical = ref_text(&ref);
	n = map_get(&s->names, canonical);
	return n ? n->image : NULL;
}

static const struct image *find_by_id(const struct store *s, const char *hex)
{
	const struct image *found = NULL;
	size_t len = strlen(hex);

	if (len < ID_PREFIX_MIN || len > 64 || strspn(hex, "0123456789abcdef") != len)
		return NULL;
	list_for_each(i, &s->images, struct image, node) {
		if (strncmp(digest_hex(i->id), hex, len) != 0)
			continue;
		if (found)
			return NULL;
		found = i;
	}
	return found;
}

const struct image *store_find(const struct store *s, const char *text)
{
	const struct image *image;

	if (str_starts(text, "sha256:"))
		return find_by_id(s, text + 7);
	image = find_by_ref(s, text);
	return image ?: find_by_id(s, text);
}

int store_layers_fd(const struct store *s)
{
	return s->layers_fd;
}

const char *store_root(const struct store *s)
{
	return s->root;
}

struct store_usage store_usage(const struct store *s)
{
	return s->usage;
}

/*
 * An image that has lost its names is brought back from its config when a
 * container still stands on it: its layers were not swept yet.
 */
static int revive(struct store *s, const char *id, struct image **ret, struct err *e)
{
	auto_config config = { 0 };
	auto_free char *json = NULL;

	if (!digest_valid(id))
		return err_set(e, EINVAL, "malformed image id");
	if (store_read_config(s, id, &config, &json, e) < 0)
		return -e->code;
	for (size_t i = 0; i < config.nlayers; i++) {
		struct layer *l = store_layer(s, config.chain[i]);

		if (!l || l->busy)
			return err_set(e, ENOENT, "layer %s is missing", config.chain[i]);
	}
	*ret = store_image_add(s, id, &config, json);
	return 0;
}

int store_hold(struct store *s, const char *id, const struct image **ret, struct err *e)
{
	struct image *image = store_image(s, id);

	if (!image && revive(s, id, &image, e) < 0)
		return err_wrap(e, "image %.80s", id);
	image->holds++;
	*ret = image;
	return 0;
}

void store_release(struct store *s, const struct image *image)
{
	struct image *mine = store_image(s, image->id);

	if (!mine || mine->holds == 0)
		return;
	mine->holds--;
	if (mine->removed)
		store_image_drop(s, mine);
}

static int open_folder(struct store *s, const char *name, int *ret, struct err *e)
{
	auto_free char *path = mem_printf("%s/%s", s->root, name);

	if (path_mkdirs(path, 0700, e) < 0)
		return -e->code;
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret < 0)
		return err_set(e, errno, "open %s", path);
	return 0;
}

static int open_folders(struct store *s, struct err *e)
{
	const struct {
		const char *name;
		int *fd;
	} folders[] = {
		{ "", &s->root_fd },	       { "layers", &s->layers_fd },
		{ "images", &s->images_fd },   { "blobs/sha256", &s->blobs_fd },
		{ "staging", &s->staging_fd }, { "trash", &s->trash_fd },
	};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (open_folder(s, folders[i].name, folders[i].fd, e) < 0)
			return -e->code;
	}
	return 0;
}

int store_open(struct ev *ev, const char *root, struct store **ret, struct err *e)
{
	struct store *s = mem_alloc(sizeof(*s));

	s->ev = ev;
	s->root = mem_strdup(root);
	s->root_fd = s->layers_fd = s->images_fd = s->blobs_fd = s->staging_fd = s->trash_fd = -1;
	list_init(&s->images);
	list_init(&s->removed);
	list_init(&s->pulls);
	list_init(&s->trash_now);
	list_init(&s->trash_next);
	s->trash = (struct worker){ .name = "trash", .report_fd = -1 };
	ev_add_timer(ev, &s->trash_retry, store_trash_retry, s);
	if (id_new(s->run, e) < 0 || open_folders(s, e) < 0 || store_load(s, e) < 0) {
		store_close(s);
		return err_wrap(e, "image store");
	}
	store_empty_trash(s, NULL, NULL);
	*ret = s;
	return 0;
}

static void free_waits(struct list *waits)
{
	list_for_each(w, waits, struct trash_wait, node) {
		list_remove(&w->node);
		free(w);
	}
}

void store_close(struct store *s)
{
	if (!s)
		return;
	worker_kill(&s->trash);
	worker_done(&s->trash);
	ev_remove(&s->trash_retry);
	free_waits(&s->trash_now);
	free_waits(&s->trash_next);
	list_for_each(i, &s->images, struct image, node)
		store_image_free(i);
	list_for_each(i, &s->removed, struct image, node)
		store_image_free(i);
	map_for_each(entry, &s->names) {
		struct name *n = entry->value;

		free(n->ref);
		free(n->file);
		free(n);
	}
	map_for_each(entry, &s->layers) {
		struct layer *l = entry->value;

		free(l->hex);
		free(l);
	}
	map_done(&s->names);
	map_done(&s->layers);
	map_done(&s->pinned);
	fd_close(&s->root_fd);
	fd_close(&s->layers_fd);
	fd_close(&s->images_fd);
	fd_close(&s->blobs_fd);
	fd_close(&s->staging_fd);
	fd_close(&s->trash_fd);
	free(s->root);
	free(s);
}
