/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/sha256.h"
#include "image/store_state.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/record.h"
#include "lib/str.h"

#define DIFF "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* a store folder with one image of one layer, made by hand */
struct fixture {
	char dir[64];
	char id[72];
	int dirfd;
	struct ev ev;
	struct store *store;
	int told;
};

static void put_record(struct fixture *f, const char *file, const char *ref, const char *id)
{
	auto_free char *path = mem_printf("images/%s", file);
	auto_free char *json =
		mem_printf("{\"ref\":\"%s\",\"target\":\"" DIFF "\",\"manifest\":\"" DIFF
			   "\",\"image\":\"%s\",\"size\":77}",
			   ref, id);
	struct err e = { 0 };

	assert_int_equal(record_write(f->dirfd, path, "image", 1, json, PATH_FAST, &e), 0);
}

static void put_layer(struct fixture *f)
{
	auto_free char *folder = mem_printf("layers/%s", digest_hex(DIFF));
	auto_free char *fs = mem_printf("%s/fs", folder);
	auto_free char *done = mem_printf("%s/DONE", folder);
	auto_free char *json =
		mem_printf("{\"chain\":\"%s\",\"bytes\":5,\"inodes\":2}", digest_hex(DIFF));
	struct err e = { 0 };

	assert_int_equal(path_mkdir_in(f->dirfd, fs, 0700, NULL, &e), 0);
	assert_int_equal(record_write(f->dirfd, done, "layer", 1, json, PATH_FAST, &e), 0);
}

static int setup(void **state)
{
	const char *config =
		"{\"config\":{\"User\":\"9\"},\"rootfs\":{\"diff_ids\":[\"" DIFF "\"]}}";
	struct fixture *f = mem_alloc(sizeof(*f));
	auto_free char *blob = NULL;
	struct err e = { 0 };

	log_init("test");
	log_set_level(LOG_ERR);
	strcpy(f->dir, "/tmp/berth-store.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_mkdir_in(f->dirfd, "blobs/sha256", 0700, NULL, &e), 0);
	assert_int_equal(path_mkdir_in(f->dirfd, "images", 0700, NULL, &e), 0);
	assert_int_equal(path_mkdir_in(f->dirfd, "staging/left/fs", 0700, NULL, &e), 0);
	sha256_digest(f->id, config, strlen(config));
	blob = mem_printf("blobs/sha256/%s", digest_hex(f->id));
	assert_int_equal(path_replace(f->dirfd, blob, config, strlen(config), 0600, PATH_FAST, &e),
			 0);
	put_layer(f);
	put_record(f, "a.b+c:1", "a.b/c:1", f->id);
	assert_int_equal(ev_init(&f->ev, &e), 0);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	ev_done(&f->ev);
	close(f->dirfd);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void open_store(struct fixture *f)
{
	struct err e = { 0 };

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(&f->ev, f->dir, &f->store, &e), 0);
}

static void on_told(void *arg, const struct err *e)
{
	struct fixture *f = arg;

	assert_int_equal(e->code, 0);
	f->told++;
}

/* until the trash is empty */
static void settle(struct fixture *f)
{
	int before = f->told;
	struct err e = { 0 };

	store_empty_trash(f->store, on_told, f);
	while (f->told == before)
		assert_int_equal(ev_round(&f->ev, 5000, &e), 0);
}

static void an_image_is_found_by_all_its_names(void **state)
{
	struct fixture *f = *state;
	auto_free char *prefix = mem_strndup(digest_hex(f->id), 8);
	const struct image *i;

	open_store(f);
	i = store_find(f->store, "a.b/c:1");
	assert_non_null(i);
	assert_string_equal(i->id, f->id);
	assert_string_equal(i->config.user, "9");
	assert_string_equal(i->repo_tags[0], "a.b/c:1");
	assert_null(i->repo_digests[0]);
	assert_int_equal(i->size, 77);
	assert_int_equal(i->nlayers, 1);
	assert_ptr_equal(store_find(f->store, f->id), i);
	assert_ptr_equal(store_find(f->store, prefix), i);
	assert_null(store_find(f->store, "a.b/c:2"));
	assert_null(store_find(f->store, "sha256:"));
	assert_null(store_find(f->store, "sha256:xyz"));
	assert_null(store_find(f->store, ""));
	assert_int_equal(store_usage(f->store).inodes, 3);
}

static void what_was_staged_is_swept_at_start(void **state)
{
	struct fixture *f = *state;
	auto_free char *trash = mem_printf("%s/trash", f->dir);

	open_store(f);
	assert_false(path_exists(f->dirfd, "staging/left"));
	settle(f);
	/* it is empty */
	assert_int_equal(rmdir(trash), 0);
}

static void a_torn_record_is_passed_over(void **state)
{
	struct fixture *f = *state;
	auto_free char *path = mem_printf("%s/images/a.b+c:1", f->dir);
	struct stat st;

	put_record(f, "a.b+d:1", "a.b/d:1", f->id);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 3), 0);
	open_store(f);
	assert_null(store_find(f->store, "a.b/c:1"));
	assert_non_null(store_find(f->store, "a.b/d:1"));
	assert_false(path_exists(f->dirfd, "images/a.b+c:1"));
}

static void a_record_under_anothers_name_is_passed_over(void **state)
{
	struct fixture *f = *state;

	put_record(f, "a.b+x:1", "a.b/y:1", f->id);
	put_record(f, "a.b+z:1", "a.b/z:1", DIFF);
	open_store(f);
	assert_null(store_find(f->store, "a.b/x:1"));
	assert_null(store_find(f->store, "a.b/y:1"));
	assert_null(store_find(f->store, "a.b/z:1"));
	assert_non_null(store_find(f->store, "a.b/c:1"));
}

static void an_image_with_a_damaged_config_is_not_listed(void **state)
{
	struct fixture *f = *state;
	auto_free char *blob = mem_printf("blobs/sha256/%s", digest_hex(f->id));
	struct err e = { 0 };

	assert_int_equal(path_replace(f->dirfd, blob, "{}", 2, 0600, PATH_FAST, &e), 0);
	open_store(f);
	assert_true(list_empty(store_images(f->store)));
}

static void a_layer_without_its_record_takes_its_images_along(void **state)
{
	struct fixture *f = *state;
	auto_free char *done = mem_printf("layers/%s/DONE", digest_hex(DIFF));

	unlinkat(f->dirfd, done, 0);
	open_store(f);
	assert_true(list_empty(store_images(f->store)));
}

static void a_second_crid_is_kept_out(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	struct err e = { 0 };

	open_store(f);
	assert_int_equal(store_open(&f->ev, f->dir, &other, &e), -EAGAIN);
	assert_null(other);
}

static void removal_ends_with_the_disk_free(void **state)
{
	struct fixture *f = *state;
	auto_free char *layer = mem_printf("layers/%s", digest_hex(DIFF));
	auto_free char *blob = mem_printf("blobs/sha256/%s", digest_hex(f->id));
	struct err e = { 0 };

	open_store(f);
	for (int i = 0; i < 5; i++) {
		store_remove(f->store, f->id, on_told, f);
		assert_null(store_find(f->store, f->id));
	}
	assert_int_equal(f->told, 0);
	while (f->told < 5)
		assert_int_equal(ev_round(&f->ev, 5000, &e), 0);
	assert_false(path_exists(f->dirfd, layer));
	assert_false(path_exists(f->dirfd, blob));
	assert_int_equal(store_usage(f->store).bytes, 0);
	assert_int_equal(store_usage(f->store).inodes, 0);
}

static void a_hold_keeps_layers_through_removal_and_start(void **state)
{
	struct fixture *f = *state;
	auto_free char *done = mem_printf("layers/%s/DONE", digest_hex(DIFF));
	const struct image *held;
	struct err e = { 0 };

	open_store(f);
	assert_int_equal(store_hold(f->store, f->id, &held, &e), 0);
	store_remove(f->store, "a.b/c:1", NULL, NULL);
	settle(f);
	assert_true(list_empty(store_images(f->store)));
	assert_true(path_exists(f->dirfd, done));
	/* crid starts again and takes its hold before it sweeps */
	open_store(f);
	assert_int_equal(store_hold(f->store, f->id, &held, &e), 0);
	assert_string_equal(held->config.user, "9");
	store_sweep(f->store);
	settle(f);
	assert_true(path_exists(f->dirfd, done));
	store_release(f->store, held);
	settle(f);
	assert_false(path_exists(f->dirfd, done));
	assert_int_equal(store_hold(f->store, f->id, &held, &e), -ENOENT);
}

static void long_references_have_short_file_names(void **state)
{
	char text[400] = "a.b/";
	auto_free char *file = NULL;
	auto_free char *again = NULL;

	(void)state;
	memset(text + 4, 'c', 300);
	file = store_file(text);
	text[300] = 'd';
	again = store_file(text);
	assert_true(strlen(file) < 200);
	assert_null(strchr(file, '/'));
	assert_string_not_equal(file, again);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	STORE_TEST(an_image_is_found_by_all_its_names),
	STORE_TEST(what_was_staged_is_swept_at_start),
	STORE_TEST(a_torn_record_is_passed_over),
	STORE_TEST(a_record_under_anothers_name_is_passed_over),
	STORE_TEST(an_image_with_a_damaged_config_is_not_listed),
	STORE_TEST(a_layer_without_its_record_takes_its_images_along),
	STORE_TEST(a_second_crid_is_kept_out),
	STORE_TEST(removal_ends_with_the_disk_free),
	STORE_TEST(a_hold_keeps_layers_through_removal_and_start),
	cmocka_unit_test(long_references_have_short_file_names),
};

TEST_MAIN(tests)
