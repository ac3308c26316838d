/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include "image/ref.h"

/* What is accepted has a canonical text that means the same, and is fit for a path. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	auto_free char *canonical = NULL, *again = NULL;
	auto_ref r = { 0 };
	auto_ref twice = { 0 };
	struct err e = { 0 };

	if (ref_parse(text, &r, &e) < 0) {
		assert(e.code && e.msg[0]);
		return 0;
	}
	canonical = ref_text(&r);
	assert(!strstr(canonical, "/.") && !strstr(canonical, "./") && !strstr(canonical, "//"));
	assert(!r.tag != !r.digest);
	assert(ref_parse(canonical, &twice, &e) == 0);
	again = ref_text(&twice);
	assert(str_eq(canonical, again));
	FUZZ_PLANT(strchr(r.host, ':') && r.tag && strlen(r.tag) == 7);
	return 0;
}
