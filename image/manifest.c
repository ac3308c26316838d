/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/manifest.h"

#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker.distribution."
#define DOCKER_IMAGE "application/vnd.docker.image.rootfs."

const char manifest_accept[] = OCI "index.v1+json, " OCI "manifest.v1+json, " DOCKER
				   "manifest.list.v2+json, " DOCKER "manifest.v2+json";

static const struct manifest_type {
	const char *type;
	enum manifest_kind kind;
} manifest_types[] = {
	{ OCI "index.v1+json", MANIFEST_INDEX },
	{ DOCKER "manifest.list.v2+json", MANIFEST_INDEX },
	{ OCI "manifest.v1+json", MANIFEST_IMAGE },
	{ DOCKER "manifest.v2+json", MANIFEST_IMAGE },
};

static const char *const config_types[] = {
	OCI "config.v1+json",
	"application/vnd.docker.container.image.v1+json",
	NULL,
};

/* How it is compressed is seen from its first bytes, as everybody does. */
static const char *const layer_types[] = {
	OCI "layer.v1.tar",
	OCI "layer.v1.tar+gzip",
	OCI "layer.v1.tar+zstd",
	DOCKER_IMAGE "diff.tar",
	DOCKER_IMAGE "diff.tar.gzip",
	DOCKER_IMAGE "diff.tar.zstd",
	NULL,
};

static const char *const foreign_types[] = {
	DOCKER_IMAGE "foreign.diff.tar",	  DOCKER_IMAGE "foreign.diff.tar.gzip",
	OCI "layer.nondistributable.v1.tar",	  OCI "layer.nondistributable.v1.tar+gzip",
	OCI "layer.nondistributable.v1.tar+zstd", NULL,
};

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++) {
		if (str_eq(text, *list))
			return true;
	}
	return false;
}

void manifest_done(struct manifest *m)
{
	free(m->config.media_type);
	for (size_t i = 0; i < m->nlayers; i++)
		free(m->layers[i].media_type);
	for (size_t i = 0; i < m->nentries; i++) {
		free(m->entries[i].desc.media_type);
		free(m->entries[i].os);
		free(m->entries[i].arch);
		free(m->entries[i].variant);
	}
	free(m->layers);
	free(m->entries);
	*m = (struct manifest){ 0 };
}

const char *manifest_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
#error "an architecture without a name in image/manifest.c"
#endif
}

static const struct manifest_type *manifest_type(const char *type)
{
	for (size_t i = 0; i < sizeof(manifest_types) / sizeof(manifest_types[0]); i++) {
		if (str_eq(type, manifest_types[i].type))
			return &manifest_types[i];
	}
	return NULL;
}

static int parse_descriptor(const struct json *node, struct descriptor *ret, struct err *e)
{
	const char *digest, *type = "";
	uint64_t size = 0;
	int r;

	if (json_need_text(node, "digest", &digest, e) < 0 ||
	    json_get_text(node, "mediaType", &type, e) < 0)
		return err_set(e, EBADMSG, "malformed descriptor");
	if (!digest_valid(digest))
		return err_set(e, EBADMSG, "malformed digest in a descriptor");
	r = json_get_u64(node, "size", &size, e);
	if (r <= 0 || size > MANIFEST_LAYER_MAX)
		return err_set(e, EBADMSG, "%s: malformed or missing size", digest);
	memcpy(ret->digest, digest, sizeof(ret->digest));
	ret->size = size;
	ret->media_type = mem_strdup(type);
	return 0;
}

static int parse_entry(const struct json *node, struct manifest_entry *ret, struct err *e)
{
	const struct json *platform = NULL;
	const char *os = "", *arch = "", *variant = "";

	if (parse_descriptor(node, &ret->desc, e) < 0)
		return -e->code;
	if (json_get_object(node, "platform", &platform, e) < 0 ||
	    json_get_text(platform, "os", &os, e) < 0 ||
	    json_get_text(platform, "architecture", &arch, e) < 0 ||
	    json_get_text(platform, "variant", &variant, e) < 0)
		return err_set(e, EBADMSG, "%s: malformed platform", ret->desc.digest);
	if (platform) {
		ret->os = mem_strdup(os);
		ret->arch = mem_strdup(arch);
		ret->variant = mem_strdup(variant);
	}
	return 0;
}

static int parse_index(const struct json *root, struct manifest *m, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(root, "manifests", &list, e) <= 0)
		return err_set(e, EBADMSG, "an index without manifests");
	if (list->count > MANIFEST_ENTRIES_MAX)
		return err_set(e, EBADMSG, "an index of more than %d entries",
			       MANIFEST_ENTRIES_MAX);
	m->entries = mem_array(list->count + 1, sizeof(m->entries[0]));
	json_each(node, list) {
		if (parse_entry(node, &m->entries[m->nentries++], e) < 0)
			return -e->code;
	}
	return 0;
}

static int check_layer(const struct descriptor *d, struct err *e)
{
	auto_free char *shown = str_escape(d->media_type, strlen(d->media_type), 80);

	if (is_one_of(d->media_type, layer_types))
		return 0;
	if (is_one_of(d->media_type, foreign_types))
		return err_set(e, ENOTSUP, "layer %s is kept elsewhere (foreign layer %s)",
			       d->digest, shown);
	return err_set(e, ENOTSUP, "layer %s is of type %s", d->digest, shown);
}

static int parse_image(const struct json *root, struct manifest *m, struct err *e)
{
	const struct json *config = NULL, *layers = NULL;

	if (json_get_object(root, "config", &config, e) <= 0)
		return err_set(e, EBADMSG, "a manifest without a config");
	if (json_get_array(root, "layers", &layers, e) <= 0)
		return err_set(e, EBADMSG, "a manifest without layers");
	if (parse_descriptor(config, &m->config, e) < 0)
		return err_wrap(e, "config");
	if (!is_one_of(m->config.media_type, config_types)) {
		auto_free char *shown =
			str_escape(m->config.media_type, strlen(m->config.media_type), 80);

		return err_set(e, ENOTSUP, "no image to run: its config is of type %s", shown);
	}
	if (m->config.size > MANIFEST_MAX)
		return err_set(e, EBADMSG, "config %s has more than %u bytes", m->config.digest,
			       MANIFEST_MAX);
	if (layers->count > MANIFEST_LAYERS_MAX)
		return err_set(e, ENOTSUP, "more than %d layers", MANIFEST_LAYERS_MAX);
	m->layers = mem_array(layers->count + 1, sizeof(m->layers[0]));
	json_each(node, layers) {
		struct descriptor *d = &m->layers[m->nlayers++];

		if (parse_descriptor(node, d, e) < 0)
			return err_wrap(e, "layer %zu", m->nlayers);
		if (check_layer(d, e) < 0)
			return -e->code;
	}
	return 0;
}

/* A document that could be read as both kinds is refused: two readers would see two images. */
static int find_kind(const struct json *root, const char *content_type, enum manifest_kind *ret,
		     struct err *e)
{
	const struct manifest_type *type;
	const char *inner = NULL;
	auto_free char *shown = NULL;
	uint64_t version = 0;

	if (json_get_u64(root, "schemaVersion", &version, e) < 0 || version != 2)
		return err_set(e, version == 1 ? ENOTSUP : EBADMSG, "schemaVersion is not 2");
	if (json_get_text(root, "mediaType", &inner, e) < 0)
		return err_set(e, EBADMSG, "malformed mediaType");
	if (json_get(root, "manifests") && (json_get(root, "layers") || json_get(root, "config")))
		return err_set(e, EBADMSG, "both an index and a manifest");
	if (!content_type)
		content_type = inner;
	if (!content_type) {
		*ret = json_get(root, "manifests") ? MANIFEST_INDEX : MANIFEST_IMAGE;
		return 0;
	}
	shown = str_escape(content_type, strlen(content_type), 80);
	type = manifest_type(content_type);
	if (!type)
		return err_set(e, ENOTSUP, "content type %s is no image's", shown);
	if (inner && !str_eq(inner, content_type))
		return err_set(e, EBADMSG, "content type %s, but another mediaType inside", shown);
	*ret = type->kind;
	return 0;
}

int manifest_parse(const char *text, size_t len, const char *content_type, struct manifest *ret,
		   struct err *e)
{
	auto_manifest m = { 0 };
	auto_json *root = NULL;
	int r;

	if (len > MANIFEST_MAX)
		return err_set(e, EBADMSG, "more than %u bytes", MANIFEST_MAX);
	if (json_parse(text, len, &root, e) < 0) {
		e->code = EBADMSG;
		return -EBADMSG;
	}
	if (root->type != JSON_OBJECT)
		return err_set(e, EBADMSG, "not a JSON object");
	if (find_kind(root, content_type, &m.kind, e) < 0)
		return -e->code;
	r = m.kind == MANIFEST_INDEX ? parse_index(root, &m, e) : parse_image(root, &m, e);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}

/* Of two that fit, the lower one wins; -1 does not fit. The first of equals is taken. */
static int entry_rank(const struct manifest_entry *m)
{
	if (!manifest_type(m->desc.media_type) && m->desc.media_type[0])
		return -1;
	if (!m->os)
		return 2;
	if (!str_eq(m->os, "linux") || !str_eq(m->arch, manifest_arch()))
		return -1;
	if (!m->variant[0])
		return 0;
	/* the base level of each architecture; a higher one asks for more than we know of */
	if (str_eq(m->variant, str_eq(m->arch, "arm64") ? "v8" : "v1"))
		return 1;
	return -1;
}

int manifest_choose(const struct manifest *m, const struct descriptor **ret, struct err *e)
{
	const struct descriptor *best = NULL;
	int best_rank = 3;
	auto_str there = { 0 };

	for (size_t i = 0; i < m->nentries; i++) {
		const struct manifest_entry *entry = &m->entries[i];
		int rank = entry_rank(entry);

		if (rank >= 0 && rank < best_rank) {
			best = &entry->desc;
			best_rank = rank;
		}
		if (there.len < 120 && entry->os && !str_eq(entry->os, "unknown"))
			str_printf(&there, "%s%s/%s%s%s", there.len ? ", " : "", entry->os,
				   entry->arch, entry->variant[0] ? "/" : "", entry->variant);
	}
	if (!best) {
		auto_free char *shown = str_escape(there.text ?: "", there.len, 160);

		return err_set(e, ENOTSUP, "no image for linux/%s; there are: %s", manifest_arch(),
			       shown[0] ? shown : "none");
	}
	*ret = best;
	return 0;
}
