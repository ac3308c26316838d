/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of the boot line, and ranges of the configuration. */
#include <stdlib.h>
#include <string.h>

#include "net/ipconf.h"
#include "net/podrange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len);
	struct podrange range;
	struct ipconf c;
	struct err e = { 0 };

	if (ipconf_parse(text, &c, &e) == 0) {
		if (strchr(c.link, '/') || c.address.prefix > 128 || c.ndns > 2)
			abort();
#ifdef FUZZ_SELFTEST
		if (c.mtu > 9000) /* planted */
			abort();
#endif
	} else if (e.code <= 0 || !*e.msg) {
		abort();
	}
	if (podrange_parse(text, &range, &e) == 0 && range.count > PODRANGE_MAX)
		abort();
	free(text);
	return 0;
}
