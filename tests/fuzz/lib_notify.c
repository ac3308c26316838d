/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What services send to PID 1, which then stands in its JSON answers. */
#include "fuzz.h"

#include "lib/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	struct notify n = { 0 };

	notify_parse(text, &n);
	assert(strlen(n.status) < sizeof(n.status));
	assert(strspn(n.status, "\"\\\n\x7f") == 0);
	for (const char *c = n.status; *c; c++)
		assert(*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\');
	FUZZ_PLANT(n.ready && n.has_status && n.status[0] == '?');
	return 0;
}
