/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs about images: images, pull, rmi. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cri.h"
#include "ctl/output.h"
#include "lib/mem.h"
#include "lib/str.h"

/* "host/path" and "tag" of a reference "host/path:tag". */
static void add_name(struct table *t, const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *colon = strrchr(slash ? slash : ref, ':');

	table_printf(t, "%.*s", colon ? (int)(colon - ref) : (int)strlen(ref), ref);
	table_add(t, colon ? colon + 1 : "-");
}

static void add_image(struct table *t, const Cri__Image *image, const char *ref)
{
	char id[CRI_SHORT_ID + 1], size[16];

	add_name(t, ref);
	cri_size(image->size, size);
	table_add(t, cri_short(image->id, id));
	table_add(t, size);
}

static int verb_images(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = { "IMAGE", "TAG", "ID", "SIZE", NULL };
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	Cri__ListImagesRequest q = CRI__LIST_IMAGES_REQUEST__INIT;
	auto_client *c = NULL;
	auto_cri Cri__ListImagesResponse *a = NULL;
	auto_table t;

	table_init(&t, head);
	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	a = cri_call(c, CRI_IMAGE, "ListImages", &q.base, &cri__list_images_response__descriptor,
		     CLIENT_CALL_MS, e);
	if (!a)
		return -e->code;
	if (json) {
		cri_print(&a->base);
		return 0;
	}
	for (size_t i = 0; i < a->n_images; i++) {
		const Cri__Image *image = a->images[i];

		for (size_t n = 0; n < image->n_repo_tags; n++)
			add_image(&t, image, image->repo_tags[n]);
		if (image->n_repo_tags == 0)
			add_image(&t, image,
				  image->n_repo_digests ? image->repo_digests[0] : "<none>");
	}
	table_print(&t, stdout);
	return 0;
}

static int verb_pull(void *ctx, int argc, char **argv, struct err *e)
{
	struct ctl *ctl = ctx;
	int json = cri_take_json(ctl, &argc, argv);
	Cri__PullImageRequest q = CRI__PULL_IMAGE_REQUEST__INIT;
	Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
	auto_client *c = NULL;
	auto_cri Cri__PullImageResponse *a = NULL;

	if (argc != 2)
		return err_set(e, EINVAL, "usage: pull [--json] IMAGE");
	image.image = argv[1];
	q.image = &image;
	if (cri_open(ctl, &c, e) < 0)
		return -e->code;
	a = cri_call(c, CRI_IMAGE, "PullImage", &q.base, &cri__pull_image_response__descriptor,
		     CLIENT_PULL_MS, e);
	if (!a)
		return -e->code;
	if (json)
		cri_print(&a->base);
	else
		printf("%s\n", a->image_ref);
	return 0;
}

static int verb_rmi(void *ctx, int argc, char **argv, struct err *e)
{
	auto_client *c = NULL;

	if (cri_open(ctx, &c, e) < 0)
		return -e->code;
	for (int i = 1; i < argc; i++) {
		Cri__RemoveImageRequest q = CRI__REMOVE_IMAGE_REQUEST__INIT;
		Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
		auto_cri Cri__RemoveImageResponse *a = NULL;

		image.image = argv[i];
		q.image = &image;
		a = cri_call(c, CRI_IMAGE, "RemoveImage", &q.base,
			     &cri__remove_image_response__descriptor, CLIENT_CALL_MS, e);
		if (!a)
			return -e->code;
	}
	return 0;
}

const struct verb verbs_image[] = {
	{ "images", "[--json]", 0, 1, verb_images, "the images of this node" },
	{ "pull", "[--json] IMAGE", 1, 2, verb_pull, "fetch an image from its registry" },
	{ "rmi", "IMAGE...", 1, -1, verb_rmi, "remove images with all their names" },
};
const size_t verbs_image_count = sizeof(verbs_image) / sizeof(verbs_image[0]);
