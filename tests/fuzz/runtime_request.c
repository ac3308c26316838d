/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets to a shim: the two first bytes are what its header says wrongly about
 * type and length, the rest is the body; it goes through a socket.
 */
#include "fuzz.h"

#include <signal.h>
#include <sys/socket.h>

#include "lib/id.h"
#include "lib/msg.h"
#include "lib/proto.h"
#include "runtime/shim_request.h"
#include "runtime/spec.h"

static void check(const struct shim_request *r)
{
	auto_spec_process p = { 0 };
	struct err e = { 0 };

	assert(!r->ctr || id_valid(r->ctr));
	assert(!r->exec || id_valid(r->exec));
	assert(!r->bundle || r->bundle[0] == '/');
	assert(r->log_path[0] == '/' || !r->log_path[0]);
	assert(r->signal < NSIG && r->port <= 65535 && r->width <= 65535 && r->height <= 65535);
	assert(r->type != SHIM_CREATE || (r->ctr && r->bundle));
	assert(r->type != SHIM_EXEC || (r->ctr && r->exec));
	assert(r->type != SHIM_KILL || (r->ctr && r->signal > 0));
	assert(r->type != SHIM_RESIZE || !r->ctr != !r->exec);
	if (r->process && spec_process_read(r->process, &p, &e) < 0)
		assert(e.code && e.msg[0]);
	FUZZ_PLANT(r->type == SHIM_RESIZE && r->width != 80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int pair[2] = { -1, -1 };
	static struct msg m;
	struct shim_request r;
	struct msg_header h = { .id = 1 };
	auto_str packet = { 0 };
	struct err e = { 0 };

	if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	if (size < 2 || size > 4096)
		return 0;
	h.type = SHIM_HELLO + data[0] % 16;
	h.length = (uint32_t)(size - 2) + (data[1] & 15 ? 0u : data[1]);
	str_add_mem(&packet, &h, data[1] == 255 ? 5 : sizeof(h));
	str_add_mem(&packet, data + 2, size - 2);
	if (send(pair[0], packet.text, packet.len, 0) != (ssize_t)packet.len)
		abort();
	if (msg_recv(pair[1], &m, &e) < 0) {
		assert(e.code == EPROTO && (data[1] == 255 || h.length != size - 2));
		return 0;
	}
	assert(data[1] != 255 || m.h.length + 12 == packet.len);
	if (shim_request_parse(m.h.type, m.body, m.h.length, &r, &e) < 0) {
		assert(e.code && e.msg[0]);
		return 0;
	}
	check(&r);
	shim_request_done(&r);
	return 0;
}
