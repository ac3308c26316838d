/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loop with an image store and nothing else, for tests/sys/image*.sh:
 *
 *	pull STORE [OPTION VALUE]... VERB [OPERAND]...
 *
 * Options: --libexec DIR, --mirror HOST=URL, --user, --password, --token,
 * --identity, --auth, --stall MS, --cancel MS.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image/pull.h"
#include "image/report.h"
#include "image/store.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "lib/verb.h"

#define MIRRORS 8

struct one;

struct driver {
	struct ev ev;
	struct store *store;
	struct pull_setup setup;
	struct pull_mirror mirrors[MIRRORS];
	struct pull_auth auth;
	uint32_t cancel_ms;
	struct ev_source cancel;
	struct pull **pulls;
	struct one *ones;
	int count, open, failed;
};

struct one {
	struct driver *d;
	const char *ref;
	int index;
};

static void driver_end(struct driver *d)
{
	if (--d->open == 0)
		ev_stop(&d->ev, 0);
}

static void on_removed(void *arg, const struct err *e)
{
	struct driver *d = arg;

	if (e && e->code) {
		printf("error %s\n", err_text(e));
		d->failed = 1;
	}
	driver_end(d);
}

/* Until the trash is empty: what a test looks at afterwards has settled. */
static void settle(struct driver *d)
{
	d->open++;
	store_remove(d->store, "no/such:image", on_removed, d);
}

static void on_pulled(void *arg, const struct pull_result *r)
{
	struct one *o = arg;
	struct driver *d = o->d;

	if (r->failure == PULL_OK) {
		printf("ok %s\n", r->id);
	} else {
		printf("%s: %s\n", failure_name(r->failure), r->err.msg);
		d->failed = 1;
	}
	fflush(stdout);
	d->pulls[o->index] = NULL;
	driver_end(d);
}

static void on_ended(void *arg)
{
	driver_end(arg);
}

static void on_cancel(void *arg)
{
	struct driver *d = arg;

	for (int i = 0; i < d->count; i++) {
		if (d->pulls[i]) {
			pull_cancel(d->pulls[i], on_ended, d);
			printf("cancelled\n");
		}
	}
}

static int verb_pull(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;

	d->count = argc - 1;
	d->pulls = mem_array((size_t)argc, sizeof(*d->pulls));
	d->ones = mem_array((size_t)argc, sizeof(*d->ones));
	for (int i = 1; i < argc; i++) {
		struct pull_ask ask = { .ref = argv[i], .auth = d->auth, .cgroup = -1 };
		struct one *o = &d->ones[i - 1];

		*o = (struct one){ .d = d, .ref = argv[i], .index = i - 1 };
		if (pull_start(&d->setup, &ask, on_pulled, o, &d->pulls[i - 1], e) < 0) {
			printf("refused: %s\n", err_text(e));
			d->failed = 1;
			continue;
		}
		d->open++;
	}
	ev_add_timer(&d->ev, &d->cancel, on_cancel, d);
	if (d->cancel_ms)
		ev_timer_set(&d->cancel, d->cancel_ms);
	return d->open ? ev_run(&d->ev, e) : 0;
}

static int verb_remove(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;

	for (int i = 1; i < argc; i++) {
		d->open++;
		store_remove(d->store, argv[i], on_removed, d);
		if (store_find(d->store, argv[i])) {
			printf("still there: %s\n", argv[i]);
			d->failed = 1;
		}
	}
	return ev_run(&d->ev, e);
}

static void print_image(const struct image *i)
{
	printf("%s size=%llu user=%s", i->id, (unsigned long long)i->size, i->config.user);
	for (char **t = i->repo_tags; *t; t++)
		printf(" tag=%s", *t);
	for (char **t = i->repo_digests; *t; t++)
		printf(" digest=%s", *t);
	printf("\n");
}

static int verb_list(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;

	(void)argc;
	(void)argv;
	(void)e;
	list_for_each(i, store_images(d->store), struct image, node)
		print_image(i);
	return 0;
}

static int verb_find(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;
	const struct image *i = store_find(d->store, argv[1]);

	(void)argc;
	if (!i)
		return err_set(e, ENOENT, "no image %s", argv[1]);
	print_image(i);
	return 0;
}

/* As overlay wants it: the top layer first. */
static int verb_layers(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;
	const struct image *i = store_find(d->store, argv[1]);

	(void)argc;
	if (!i)
		return err_set(e, ENOENT, "no image %s", argv[1]);
	for (size_t n = i->nlayers; n-- > 0;)
		printf("%s/layers/%s/fs\n", store_root(d->store), i->layers[n]);
	return 0;
}

static int verb_used(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;
	struct store_usage u = store_usage(d->store);

	(void)argc;
	(void)argv;
	(void)e;
	printf("bytes=%llu inodes=%llu\n", (unsigned long long)u.bytes,
	       (unsigned long long)u.inodes);
	return 0;
}

/* As crid does at start: holds for its containers, then the sweep. */
static int verb_sweep(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;
	const struct image *image;

	for (int i = 1; i < argc; i++) {
		if (store_hold(d->store, argv[i], &image, e) < 0)
			return -e->code;
	}
	store_sweep(d->store);
	return 0;
}

/* Removes an image that is held, then lets go. */
static int verb_held(void *ctx, int argc, char **argv, struct err *e)
{
	struct driver *d = ctx;
	const struct image *image = store_find(d->store, argv[1]);
	auto_free char *layer = NULL;

	(void)argc;
	if (!image || store_hold(d->store, image->id, &image, e) < 0)
		return err_set(e, ENOENT, "no image %s", argv[1]);
	layer = mem_printf("%s/layers/%s/DONE", store_root(d->store), image->layers[0]);
	d->open++;
	store_remove(d->store, argv[1], on_removed, d);
	if (ev_run(&d->ev, e) < 0)
		return -e->code;
	printf("listed=%d layer=%d\n", store_find(d->store, argv[1]) != NULL,
	       path_exists(AT_FDCWD, layer));
	if (argc > 2)
		return 0;
	store_release(d->store, image);
	settle(d);
	if (ev_run(&d->ev, e) < 0)
		return -e->code;
	printf("layer=%d\n", path_exists(AT_FDCWD, layer));
	return 0;
}

static const struct verb verbs[] = {
	{ "pull", "REF...", 1, -1, verb_pull, "pull, all at once" },
	{ "remove", "REF...", 1, -1, verb_remove, "remove, all at once" },
	{ "list", "", 0, 0, verb_list, "list images" },
	{ "find", "TEXT", 1, 1, verb_find, "find one image" },
	{ "layers", "TEXT", 1, 1, verb_layers, "folders of its layers" },
	{ "usage", "", 0, 0, verb_used, "disk usage as counted" },
	{ "sweep", "[ID...]", 0, -1, verb_sweep, "hold, then sweep" },
	{ "held", "REF [keep]", 1, 2, verb_held, "remove what is held" },
};

static int take_option(struct driver *d, const char *name, char *value, struct err *e)
{
	const struct {
		const char *name;
		const char **text;
	} texts[] = {
		{ "--libexec", &d->setup.libexec },	   { "--user", &d->auth.username },
		{ "--password", &d->auth.password },	   { "--token", &d->auth.registry_token },
		{ "--identity", &d->auth.identity_token }, { "--auth", &d->auth.auth },
		{ "--server", &d->auth.server_address },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (str_eq(name, texts[i].name)) {
			*texts[i].text = value;
			return 0;
		}
	}
	if (str_eq(name, "--stall"))
		return str_to_u32(value, &d->setup.stall_ms);
	if (str_eq(name, "--cancel"))
		return str_to_u32(value, &d->cancel_ms);
	if (str_eq(name, "--mirror") && strchr(value, '=') && d->setup.nmirrors < MIRRORS) {
		struct pull_mirror *m = &d->mirrors[d->setup.nmirrors++];

		m->host = str_field(&value, "=");
		m->url = value;
		return 0;
	}
	return err_set(e, EINVAL, "unknown option %s", name);
}

static int driver_run(struct driver *d, int argc, char **argv, struct err *e)
{
	int at = 2;
	int r;

	for (; at + 1 < argc && str_starts(argv[at], "--"); at += 2) {
		if (take_option(d, argv[at], argv[at + 1], e) < 0)
			return -EINVAL;
	}
	if (ev_init(&d->ev, e) < 0 || store_open(&d->ev, argv[1], &d->store, e) < 0)
		return -e->code;
	d->setup.ev = &d->ev;
	d->setup.store = d->store;
	d->setup.mirrors = d->mirrors;
	r = verb_run(verbs, sizeof(verbs) / sizeof(verbs[0]), d, argc - at, argv + at, e);
	settle(d);
	if (ev_run(&d->ev, &(struct err){ 0 }) < 0)
		return -EIO;
	return r;
}

int main(int argc, char **argv)
{
	struct driver d = { .setup.libexec = "image" };
	struct err e = { 0 };

	log_init("pull");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3) {
		verb_usage(verbs, sizeof(verbs) / sizeof(verbs[0]), stderr);
		return 2;
	}
	if (driver_run(&d, argc, argv, &e) < 0) {
		printf("error %s\n", err_text(&e));
		d.failed = 1;
	}
	store_close(d.store);
	free(d.pulls);
	free(d.ones);
	ev_done(&d.ev);
	return d.failed;
}
