/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store as it is found at start: what is whole is taken, the rest is
 * named in the log and moved to the trash. Nothing here makes the start fail.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/manifest.h"
#include "image/sha256.h"
#include "image/store_state.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"

#define STORE_FILE_MAX 180 /* bytes of a record's file name, before ".new" */

/* One folder's entries, each given to fn. */
static int each_entry(int dirfd, void (*fn)(struct store *s, const char *name), struct store *s,
		      struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return err_set(e, errno, "read folder");
	}
	while ((d = readdir(dir))) {
		if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			fn(s, d->d_name);
	}
	closedir(dir);
	return 0;
}

char *store_record(const struct name *n, const char *id)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	json_out_text(&o, "ref", n->ref);
	json_out_text(&o, "target", n->target);
	json_out_text(&o, "manifest", n->manifest);
	json_out_text(&o, "image", id);
	json_out_uint(&o, "size", n->size);
	json_out_end(&o);
	return json_out_take(&o);
}

/* The reference with '+' for '/', which no reference has; a long one ends in its digest. */
char *store_file(const char *ref)
{
	char *file = mem_strdup(ref);
	char digest[DIGEST_LEN + 1];

	for (char *p = file; *p; p++) {
		if (*p == '/')
			*p = '+';
	}
	if (strlen(file) > STORE_FILE_MAX) {
		sha256_digest(digest, ref, strlen(ref));
		memcpy(file + STORE_FILE_MAX - 65, "~", 1);
		strcpy(file + STORE_FILE_MAX - 64, digest_hex(digest));
	}
	return file;
}

int store_read_blob(struct store *s, const char *digest, char **ret, size_t *ret_len, struct err *e)
{
	char actual[DIGEST_LEN + 1];
	auto_free char *data = NULL;
	size_t len;

	if (path_read(s->blobs_fd, digest_hex(digest), MANIFEST_MAX, &data, &len, e) < 0)
		return err_wrap(e, "blob");
	sha256_digest(actual, data, len);
	if (!str_eq(actual, digest))
		return err_set(e, EBADMSG, "blob %s is damaged", digest);
	*ret = mem_take(&data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int store_read_config(struct store *s, const char *id, struct config *ret, char **ret_json,
		      struct err *e)
{
	auto_free char *json = NULL;
	size_t len;

	if (store_read_blob(s, id, &json, &len, e) < 0)
		return -e->code;
	if (config_parse(json, len, ret, e) < 0)
		return err_wrap(e, "config %s", id);
	*ret_json = mem_take(&json);
	return 0;
}

static int read_done(struct store *s, const char *hex, struct layer *ret, struct err *e)
{
	auto_free char *path = mem_printf("%s/DONE", hex);
	auto_free char *fs = mem_printf("%s/fs", hex);
	auto_record r = { 0 };
	const char *chain;

	if (record_read(s->layers_fd, path, "layer", &r, e) < 0)
		return -e->code;
	if (json_need_text(r.data, "chain", &chain, e) < 0 ||
	    json_get_u64(r.data, "bytes", &ret->bytes, e) < 0 ||
	    json_get_u64(r.data, "inodes", &ret->inodes, e) < 0)
		return -e->code;
	if (!str_eq(chain, hex))
		return err_set(e, EBADMSG, "the record of another layer");
	if (!path_exists(s->layers_fd, fs))
		return err_set(e, ENOENT, "no files");
	return 0;
}

static void load_layer(struct store *s, const char *name)
{
	struct layer found = { 0 };
	struct err e = { 0 };
	struct layer *l;

	if (!id_valid(name))
		err_set(&e, EINVAL, "not a layer");
	else if (read_done(s, name, &found, &e) == 0) {
		l = store_layer_add(s, name);
		l->bytes = found.bytes;
		l->inodes = found.inodes;
		s->usage.bytes += l->bytes;
		s->usage.inodes += l->inodes;
		return;
	}
	log_warn("layer %s: %s; dropped", name, err_text(&e));
	store_discard(s, s->layers_fd, name);
}

static int take_image(struct store *s, const char *id, struct image **ret, struct err *e)
{
	auto_config config = { 0 };
	auto_free char *json = NULL;

	*ret = store_image(s, id);
	if (*ret)
		return 0;
	if (store_read_config(s, id, &config, &json, e) < 0)
		return -e->code;
	for (size_t i = 0; i < config.nlayers; i++) {
		if (!store_layer(s, config.chain[i]))
			return err_set(e, ENOENT, "layer %s is missing", config.chain[i]);
	}
	*ret = store_image_add(s, id, &config, json);
	return 0;
}

static int load_record(struct store *s, const char *file, struct err *e)
{
	struct name n = { 0 };
	auto_record r = { 0 };
	auto_ref ref = { 0 };
	auto_free char *canonical = NULL, *expected = NULL;
	const char *text, *target, *manifest, *id;
	struct image *image;

	if (record_read(s->images_fd, file, "image", &r, e) < 0)
		return -e->code;
	if (json_need_text(r.data, "ref", &text, e) < 0 ||
	    json_need_text(r.data, "target", &target, e) < 0 ||
	    json_need_text(r.data, "manifest", &manifest, e) < 0 ||
	    json_need_text(r.data, "image", &id, e) < 0 ||
	    json_get_u64(r.data, "size", &n.size, e) < 0 || ref_parse(text, &ref, e) < 0)
		return -e->code;
	if (!digest_valid(target) || !digest_valid(manifest) || !digest_valid(id))
		return err_set(e, EBADMSG, "malformed digest");
	canonical = ref_text(&ref);
	expected = store_file(canonical);
	if (!str_eq(expected, file))
		return err_set(e, EBADMSG, "the record of another name");
	if (take_image(s, id, &image, e) < 0)
		return -e->code;
	n.ref = canonical;
	n.file = expected;
	memcpy(n.target, target, sizeof(n.target));
	memcpy(n.manifest, manifest, sizeof(n.manifest));
	store_name_set(s, &n, image);
	return 0;
}

static void load_name(struct store *s, const char *file)
{
	struct err e = { 0 };
	auto_free char *shown = str_escape(file, strlen(file), 200);

	if (str_ends(file, ".new"))
		err_set(&e, EINVAL, "not finished");
	else if (load_record(s, file, &e) == 0)
		return;
	log_warn("image %s: %s; dropped", shown, err_text(&e));
	store_discard(s, s->images_fd, file);
}

static void load_blob(struct store *s, const char *name)
{
	struct stat st;

	if (!id_valid(name)) {
		store_discard(s, s->blobs_fd, name);
		return;
	}
	if (fstatat(s->blobs_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	s->usage.bytes += (uint64_t)st.st_blocks * 512;
	s->usage.inodes++;
}

static void load_staged(struct store *s, const char *name)
{
	store_discard(s, s->staging_fd, name);
}

int store_load(struct store *s, struct err *e)
{
	const struct {
		int fd;
		void (*fn)(struct store *s, const char *name);
		const char *name;
	} folders[] = {
		{ s->staging_fd, load_staged, "staging" },
		{ s->layers_fd, load_layer, "layers" },
		{ s->blobs_fd, load_blob, "blobs" },
		{ s->images_fd, load_name, "images" },
	};

	/* two crids on one store would sweep each other's work away */
	if (flock(s->root_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, errno, "%s is in use", s->root);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (each_entry(folders[i].fd, folders[i].fn, s, e) < 0)
			return err_wrap(e, "%s", folders[i].name);
	}
	return 0;
}
