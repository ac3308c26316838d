/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of a streaming request, which anybody who reaches the port may send. */
#include "fuzz.h"

#include "cri/stream_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	ssize_t whole = stream_head_whole(text, size);
	struct stream_head h;
	auto_str out = { 0 };
	struct err e = { 0 };
	bool upgraded;

	if (whole <= 0)
		return 0;
	assert((size_t)whole <= size && whole <= STREAM_HEAD_MAX);
	if (stream_head_read(text, (size_t)whole, &h, &e) < 0) {
		assert(e.code >= 400 && e.code < 500 && e.msg[0]);
		stream_head_refuse(&out, e.code, e.msg);
	} else {
		upgraded = stream_head_answer(&h, &out);
		assert(upgraded == str_starts(out.text, "HTTP/1.1 101 "));
		assert(!upgraded || (h.protocol[0] && h.version >= 1 && h.version <= 5));
		FUZZ_PLANT(upgraded && h.kind == STREAM_FORWARD && h.token[0]);
	}
	assert(str_starts(out.text, "HTTP/1.1 "));
	return 0;
}
