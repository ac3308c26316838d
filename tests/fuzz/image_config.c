/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include "image/config.h"
#include "lib/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_config c = { 0 };
	struct err e = { 0 };

	if (config_parse((const char *)data, size, &c, &e) < 0) {
		assert(e.code == EBADMSG || e.code == ENOTSUP);
		return 0;
	}
	for (size_t i = 0; i < c.nlayers; i++)
		assert(id_valid(c.chain[i]));
	assert(!c.chain[c.nlayers]);
	FUZZ_PLANT(c.nlayers && c.run.env[0] && !str_eq(c.run.env[0], "A=1"));
	return 0;
}
