/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A source that is a folder, oci:/DIR: an OCI layout, as a node image brings it along. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "image/fetch.h"
#include "image/manifest.h"
#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define PIECE (256u << 10)

/* Tools write the whole name into one of these. */
static const char *const name_keys[] = {
	"org.opencontainers.image.ref.name",
	"io.containerd.image.name",
};

static bool has_name(const struct json *entry, const char *name)
{
	const struct json *annotations = json_get(entry, "annotations");

	for (size_t i = 0; i < sizeof(name_keys) / sizeof(name_keys[0]); i++) {
		const struct json *text = json_get(annotations, name_keys[i]);

		if (text && text->type == JSON_STRING && str_eq(text->text, name))
			return true;
	}
	return false;
}

/* The digest and type of the manifest that the job wants, from index.json. */
static int find_manifest(struct fetch *f, int dir, char ret_digest[static DIGEST_LEN + 1],
			 struct err *e)
{
	auto_free char *name = mem_printf("%s/%s:%s", f->job.host, f->job.path, f->job.ref);
	auto_free char *text = NULL;
	auto_json *root = NULL;
	const struct json *list = NULL;
	size_t len;

	if (path_read(dir, "index.json", MANIFEST_MAX, &text, &len, e) < 0 ||
	    json_parse(text, len, &root, e) < 0 || json_get_array(root, "manifests", &list, e) < 0)
		return err_wrap(e, "index.json");
	json_each(entry, list) {
		const char *digest, *type = "";

		if (json_need_text(entry, "digest", &digest, e) < 0 ||
		    json_get_text(entry, "mediaType", &type, e) < 0 || !digest_valid(digest))
			return err_set(e, EBADMSG, "index.json: malformed descriptor");
		if (f->job.digest[0] ? !str_eq(digest, f->job.digest) : !has_name(entry, name))
			continue;
		str_copy(ret_digest, DIGEST_LEN + 1, digest);
		mem_replace(&f->response.content_type, type);
		return 0;
	}
	return err_set(e, ENOENT, "not found");
}

static int copy_blob(struct fetch *f, int fd, struct err *e)
{
	auto_free char *piece = mem_alloc(PIECE);

	for (;;) {
		ssize_t n = read(fd, piece, PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read");
		if (n == 0)
			return 0;
		if (fetch_sink(f, piece, (size_t)n, e) < 0)
			return -e->code;
	}
}

static int layout_open(struct fetch *f, int dir, int *ret_fd, struct err *e)
{
	char digest[DIGEST_LEN + 1] = "";
	auto_free char *path = NULL;

	/* what an index inside names is no entry of index.json: it is found as a blob */
	if (digest_valid(f->job.ref))
		str_copy(digest, sizeof(digest), f->job.ref);
	if (str_eq(f->job.kind, "manifests") && find_manifest(f, dir, digest, e) < 0 && !digest[0])
		return -e->code;
	path = mem_printf("blobs/sha256/%s", digest_hex(digest));
	if (path_open_beneath(dir, path, O_RDONLY, ret_fd, e) < 0)
		return e->code == ENOENT ? err_set(e, ENOENT, "not found") : -e->code;
	return 0;
}

bool fetch_is_layout(const struct fetch_source *source)
{
	return str_starts(source->name, "oci:/");
}

int fetch_layout(struct fetch *f, const struct fetch_source *source, struct err *e)
{
	auto_fd int dir = open(source->name + strlen("oci:"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;

	f->failure = PULL_UNAVAILABLE;
	if (dir < 0)
		return err_set(e, errno, "open the folder");
	if (layout_open(f, dir, &fd, e) < 0) {
		f->failure = e->code == ENOENT ? PULL_NOT_FOUND : PULL_FAILED;
		return -e->code;
	}
	f->failure = PULL_CORRUPT;
	return copy_blob(f, fd, e);
}
