/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include "image/manifest.h"

static const char *const types[] = {
	NULL,
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
};

/* The first byte chooses the content type. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_manifest m = { 0 };
	const struct descriptor *d;
	struct err e = { 0 };

	if (size == 0)
		return 0;
	if (manifest_parse((const char *)data + 1, size - 1, types[data[0] % 4], &m, &e) < 0) {
		assert(e.code == EBADMSG || e.code == ENOTSUP);
		return 0;
	}
	for (size_t i = 0; i < m.nlayers; i++)
		assert(digest_valid(m.layers[i].digest));
	if (m.kind == MANIFEST_INDEX && manifest_choose(&m, &d, &e) == 0)
		assert(digest_valid(d->digest));
	FUZZ_PLANT(m.nlayers == 2 && m.layers[1].size > m.layers[0].size);
	return 0;
}
