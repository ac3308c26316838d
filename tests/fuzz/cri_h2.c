/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may send to the server: frames after the preface, in pieces, never read from. */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "cri/api/api.pb-c.h"
#include "cri/h2.h"
#include "lib/log.h"

static size_t answered;

static void run(struct call *call)
{
	const Cri__VersionRequest *q = (const void *)call->request;
	Cri__VersionResponse r = CRI__VERSION_RESPONSE__INIT;

	answered++;
	r.version = q->version;
	call_reply(call, &r.base);
}

static const struct method method = {
	.service = "S",
	.name = "M",
	.request = &cri__version_request__descriptor,
	.response = &cri__version_response__descriptor,
	.run = run,
};

static const struct method *find(const char *path)
{
	return str_eq(path, "/M") ? &method : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	struct err e = { 0 };
	struct ev ev;
	struct h2 h2;
	int pair[2];

	log_set_level(0);
	answered = 0;
	if (size < 2 || size > 65536)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    ev_init(&ev, &e) < 0)
		abort();
	h2_init(&h2, &ev, NULL, find);
	h2_add(&h2, pair[0], &e);
	if (send(pair[1], preface, sizeof(preface) - 1, MSG_NOSIGNAL) < 0)
		abort();
	for (size_t at = 1; at < size && h2.nconns;) {
		size_t part = data[0] && data[0] < size - at ? data[0] : size - at;
		ssize_t n = send(pair[1], data + at, part, MSG_NOSIGNAL);

		if (n < 0)
			break;
		at += (size_t)n;
		for (int i = 0; i < 3; i++)
			ev_round(&ev, 0, &e);
		assert(h2.held <= H2_CONN_HELD_MAX + size);
	}
	FUZZ_PLANT(answered == 1);
	close(pair[1]);
	for (int i = 0; i < 3; i++)
		ev_round(&ev, 0, &e);
	assert(!h2.nconns && !h2.ncalls && !h2.held);
	h2_done(&h2);
	ev_done(&ev);
	return 0;
}
