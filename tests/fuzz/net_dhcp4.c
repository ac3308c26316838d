/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of a DHCP server: through the headers, the codec, and the client in every state. */
#include <stdlib.h>
#include <string.h>

#include "net/dhcp4_client.h"
#include "net/dhcp4_io.h"

static uint32_t sent_xid;

static void on_send(void *arg, const uint8_t *data, size_t len, enum dhcp4_way way,
		    struct in_addr server)
{
	(void)arg;
	(void)len;
	(void)way;
	(void)server;
	memcpy(&sent_xid, data + 4, sizeof(sent_xid));
}

static void on_bound(void *arg, const struct dhcp4_lease *lease)
{
	(void)arg;
	if (lease->prefix > 32 || lease->nroutes > DHCP4_ROUTES_MAX || lease->t1_s > lease->t2_s ||
	    lease->t2_s > lease->lease_s || strpbrk(lease->search, "\n\t;/\\\"'") ||
	    strpbrk(lease->hostname, "\n\t ;/\\\"'"))
		abort();
#ifdef FUZZ_SELFTEST
	if (lease->mtu > 60000) /* planted */
		abort();
#endif
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static const struct dhcp4_ops ops = { on_send, on_bound, on_lost };

/* The message in every state that listens; the transaction and the address of hardware fit. */
static void run_client(const uint8_t *data, size_t len)
{
	uint8_t copy[DHCP4_MESSAGE_MAX];

	if (len < 240 || len > sizeof(copy))
		return;
	memcpy(copy, data, len);
	for (int steps = 0; steps < 6; steps++) {
		struct dhcp4_client c = { .ops = &ops, .random = 1, .mtu = 1500 };
		struct dhcp4_lease last = { .lease_s = 1000 };
		uint64_t now = 1000;

		dhcp4_client_init(&c);
		dhcp4_client_start(&c, now, steps % 2 ? &last : NULL, now + 100000, steps % 3 == 0);
		for (int i = 0; i < steps; i++) {
			memcpy(copy + 4, &sent_xid, 4);
			memcpy(copy + 28, c.mac, 6);
			dhcp4_client_receive(&c, now, copy, len);
			if (c.due_ms == UINT64_MAX)
				break;
			now = c.due_ms > now ? c.due_ms : now;
			dhcp4_client_timer(&c, now);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dhcp4_message m;
	struct dhcp4_lease lease;
	struct err e = { 0 };
	const uint8_t *payload;
	size_t n;

	if (dhcp4_frame_payload(data, len, true, &payload, &n)) {
		if (payload < data || payload + n > data + len)
			abort();
		if (dhcp4_parse(payload, n, &m, &e) == 0)
			dhcp4_lease(&m, &lease, &e);
	}
	/* behind the headers without their sums in the way */
	if (dhcp4_parse(data, len, &m, &e) == 0 && dhcp4_lease(&m, &lease, &e) == 0)
		on_bound(NULL, &lease);
	run_client(data, len);
	return 0;
}
