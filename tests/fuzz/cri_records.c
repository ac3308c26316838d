/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records that crid starts from: a pod's, a zero byte, a container's.
 * Loaded and written once more, they must load and be written the same.
 */
#include "fuzz.h"

#include "cri/crid.h"
#include "cri/ctr.h"
#include "cri/pod.h"
#include "image/store.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/record.h"

#define POD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CTR "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int records = -1;

static void set_up(struct crid *crid)
{
	static struct store *store;
	static struct ev ev;
	struct err e = { 0 };

	log_to(-1);
	if (records < 0) {
		auto_free char *path = NULL;

		mkdirat(fuzz_folder(), "records", 0700);
		mkdirat(fuzz_folder(), "store", 0700);
		records = openat(fuzz_folder(), "records", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		path = mem_printf("%s/store", fuzz_path);
		if (ev_init(&ev, &e) < 0 || store_open(&ev, path, &store, &e) < 0)
			abort();
	}
	*crid = (struct crid){ .records = records, .run = records, .store = store };
	if (ev_init(&crid->ev, &e) < 0)
		abort();
	list_init(&crid->held);
	list_init(&crid->jobs);
	list_init(&crid->dead_pods);
	list_init(&crid->dead_ctrs);
}

static void clear(struct crid *crid)
{
	map_for_each(entry, &crid->ctrs)
		ctr_bury(entry->value);
	map_for_each(entry, &crid->pods)
		pod_bury(entry->value);
	while (!list_empty(&crid->dead_ctrs))
		ctr_free(list_entry(crid->dead_ctrs.next, struct ctr, pod_node));
	while (!list_empty(&crid->dead_pods))
		pod_free(list_entry(crid->dead_pods.next, struct pod, dead_node));
	map_done(&crid->pods);
	map_done(&crid->pod_keys);
	map_done(&crid->ctrs);
	map_done(&crid->ctr_keys);
	ev_done(&crid->ev);
}

/* Loads what is there, writes it again; both texts, one behind the other. */
static char *again(void)
{
	struct crid crid;
	struct err e = { 0 };
	struct str all = { 0 };

	set_up(&crid);
	pod_load_all(&crid);
	ctr_load_all(&crid);
	map_for_each(entry, &crid.pods) {
		struct pod *pod = entry->value;
		auto_free char *text = NULL;

		assert(str_eq(pod->id, POD) && pod->config->metadata && pod->cgroup_parent);
		assert(pod_record(pod, &e) == 0);
		assert(path_read(records, "pod-" POD, 1 << 20, &text, NULL, &e) == 0);
		str_add(&all, text);
		FUZZ_PLANT(pod->state == POD_READY && pod->created_at != 1700000000000000000);
	}
	map_for_each(entry, &crid.ctrs) {
		struct ctr *ctr = entry->value;
		auto_free char *text = NULL;

		assert(ctr->pod && ctr->config->metadata && ctr->image_id && ctr->cgroup);
		assert(ctr_record(ctr, &e) == 0);
		assert(path_read(records, "ctr-" CTR, 1 << 20, &text, NULL, &e) == 0);
		str_add(&all, text);
	}
	clear(&crid);
	return str_take(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *texts = mem_alloc(size + 2);
	auto_free char *first = NULL, *second = NULL;
	struct crid crid;
	struct err e = { 0 };

	if (size > 65536)
		return 0;
	memcpy(texts, data, size);
	texts[size] = texts[size + 1] = '\0';
	set_up(&crid);
	clear(&crid);
	if (record_write(records, "pod-" POD, "pod", POD_RECORD_VERSION, texts, PATH_FAST, &e) <
		    0 ||
	    record_write(records, "ctr-" CTR, "ctr", CTR_RECORD_VERSION, texts + strlen(texts) + 1,
			 PATH_FAST, &e) < 0)
		abort();
	first = again();
	second = again();
	assert(str_eq(first, second));
	return 0;
}
