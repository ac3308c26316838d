/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a streaming server sends to berthctl: frames, and the status at the end. */
#include "fuzz.h"

#include "ctl/attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;
	ptrdiff_t n;
	struct attach_frame f;

	while ((n = attach_frame_read(data + at, size - at, &f)) > 0) {
		struct err e = { 0 };
		int code;

		assert((size_t)n <= size - at);
		assert(f.data >= data + at && f.data + f.len == data + at + n);
		if (f.len) {
			code = attach_status((const char *)f.data, f.len, &e);
			assert(code >= 0 || e.code);
			FUZZ_PLANT(code == 7);
		}
		at += (size_t)n;
	}
	return 0;
}
