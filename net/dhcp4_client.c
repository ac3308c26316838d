/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/dhcp4_client.h"

#include <assert.h>
#include <string.h>

#define NEVER UINT64_MAX
#define RETRY_FIRST_MS 4000
#define RETRY_LAST_MS 64000
#define JITTER_MS 1000 /* to either side */
#define RENEW_MIN_MS 60000
#define REQUEST_TRIES 4
#define REBOOT_TRIES 3
#define NAK_MIN_MS 1000
#define NAK_MAX_MS 10000

static const char *const state_names[] = {
	[DHCP4_STOPPED] = "stopped",	 [DHCP4_INIT] = "init",
	[DHCP4_SELECTING] = "selecting", [DHCP4_REQUESTING] = "requesting",
	[DHCP4_REBOOTING] = "rebooting", [DHCP4_BOUND] = "bound",
	[DHCP4_RENEWING] = "renewing",	 [DHCP4_REBINDING] = "rebinding",
};

const char *dhcp4_state_name(enum dhcp4_state state)
{
	return state_names[state];
}

/* xorshift64: spreads retries and picks transaction numbers, no secret */
static uint32_t client_random(struct dhcp4_client *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 16);
}

void dhcp4_client_init(struct dhcp4_client *c)
{
	assert(c->ops && c->random);
	c->state = DHCP4_STOPPED;
	c->due_ms = NEVER;
	c->held = false;
	c->naks = 0;
}

static void client_send(struct dhcp4_client *c, uint64_t now_ms, enum dhcp4_type type,
			enum dhcp4_way way)
{
	bool bound = c->state == DHCP4_RENEWING || c->state == DHCP4_REBINDING;
	uint64_t secs = (now_ms - c->began_ms) / 1000 + 1; /* some servers drop 0 */
	struct dhcp4_request r = {
		.type = type,
		.xid = c->xid,
		.secs = secs > UINT16_MAX ? UINT16_MAX : (uint16_t)secs,
		.broadcast = c->broadcast && !bound,
		.max_size = c->mtu,
		.hostname = c->hostname,
		.skip_mtu = c->skip_mtu,
	};
	uint8_t data[DHCP4_MESSAGE_MAX];
	size_t len;

	memcpy(r.mac, c->mac, 6);
	if (bound)
		r.ciaddr = c->lease.address;
	if (c->state == DHCP4_REQUESTING || c->state == DHCP4_REBOOTING)
		r.address = c->lease.address;
	if (c->state == DHCP4_REQUESTING)
		r.server = c->lease.server;
	len = dhcp4_build(&r, data);
	c->ops->send(c->arg, data, len, way, c->lease.server);
}

/* 4, 8, 16, 32, 64, 64... seconds, each a second more or less */
static uint64_t client_backoff(struct dhcp4_client *c)
{
	uint64_t delay = c->tries > 4 ? RETRY_LAST_MS : (uint64_t)RETRY_FIRST_MS << c->tries;

	return delay - JITTER_MS + client_random(c) % (2 * JITTER_MS);
}

static void client_discover(struct dhcp4_client *c, uint64_t now_ms)
{
	if (c->state != DHCP4_SELECTING) {
		c->state = DHCP4_SELECTING;
		c->tries = 0;
		c->xid = client_random(c);
	}
	client_send(c, now_ms, DHCP4_DISCOVER, DHCP4_RAW);
	c->due_ms = now_ms + client_backoff(c);
	c->tries++;
}

/* REQUEST of an offer or of the last boot's address; the lease counts from the first one. */
static void client_request(struct dhcp4_client *c, uint64_t now_ms, enum dhcp4_state state)
{
	if (c->state != state) {
		c->state = state;
		c->tries = 0;
		c->asked_ms = now_ms;
		if (state == DHCP4_REBOOTING)
			c->xid = client_random(c);
	}
	client_send(c, now_ms, DHCP4_REQUEST, DHCP4_RAW);
	c->due_ms = now_ms + (state == DHCP4_REBOOTING ? client_backoff(c) / 2 : client_backoff(c));
	c->tries++;
}

static void client_lose(struct dhcp4_client *c, const char *why)
{
	if (c->held)
		c->ops->lost(c->arg, why);
	c->held = false;
}

/* From the start, after delay_ms. */
static void client_begin(struct dhcp4_client *c, uint64_t now_ms, uint64_t delay_ms)
{
	c->state = DHCP4_INIT;
	c->began_ms = now_ms;
	c->due_ms = now_ms + delay_ms;
	if (delay_ms == 0)
		client_discover(c, now_ms);
}

/* Half of what is left until then, not more often than once a minute. */
static void client_wait_half(struct dhcp4_client *c, uint64_t now_ms, uint64_t until_ms)
{
	uint64_t half = (until_ms - now_ms) / 2;

	c->due_ms = now_ms + (half > RENEW_MIN_MS ? half : RENEW_MIN_MS);
	if (c->due_ms > until_ms)
		c->due_ms = until_ms;
}

static void client_renew(struct dhcp4_client *c, uint64_t now_ms, enum dhcp4_state state)
{
	if (c->state != state) {
		if (c->state == DHCP4_BOUND) {
			c->began_ms = now_ms;
			c->xid = client_random(c);
		}
		c->asked_ms = now_ms;
		c->state = state;
	}
	client_send(c, now_ms, DHCP4_REQUEST,
		    state == DHCP4_RENEWING ? DHCP4_UNICAST : DHCP4_BROADCAST);
	client_wait_half(c, now_ms, state == DHCP4_RENEWING ? c->t2_ms : c->end_ms);
}

/* The lease has run out, or no server stands by it. */
static void client_expire(struct dhcp4_client *c, uint64_t now_ms, const char *why)
{
	client_lose(c, why);
	client_begin(c, now_ms, 0);
}

/* Nobody answers, but the lease of the last run still holds: keep it, and go on asking. */
static void client_keep(struct dhcp4_client *c, uint64_t now_ms)
{
	c->state = DHCP4_BOUND;
	c->t1_ms = c->t2_ms = now_ms;
	c->held = true;
	c->ops->bound(c->arg, &c->lease);
	client_renew(c, now_ms, DHCP4_REBINDING);
}

void dhcp4_client_timer(struct dhcp4_client *c, uint64_t now_ms)
{
	if (now_ms < c->due_ms)
		return;
	switch (c->state) {
	case DHCP4_STOPPED:
		c->due_ms = NEVER;
		break;
	case DHCP4_INIT:
	case DHCP4_SELECTING:
		client_discover(c, now_ms);
		break;
	case DHCP4_REQUESTING:
		if (c->tries < REQUEST_TRIES)
			client_request(c, now_ms, DHCP4_REQUESTING);
		else
			client_begin(c, now_ms, 0);
		break;
	case DHCP4_REBOOTING:
		if (c->tries < REBOOT_TRIES)
			client_request(c, now_ms, DHCP4_REBOOTING);
		else if (now_ms < c->end_ms)
			client_keep(c, now_ms);
		else
			client_expire(c, now_ms, "no server answers");
		break;
	case DHCP4_BOUND:
	case DHCP4_RENEWING:
	case DHCP4_REBINDING:
		if (now_ms >= c->end_ms)
			client_expire(c, now_ms, "the lease ran out");
		else
			client_renew(c, now_ms,
				     now_ms >= c->t2_ms ? DHCP4_REBINDING : DHCP4_RENEWING);
		break;
	}
}

static void client_offered(struct dhcp4_client *c, uint64_t now_ms, const struct dhcp4_message *m)
{
	struct dhcp4_lease offer;
	struct err ignored = { 0 };

	if (c->state != DHCP4_SELECTING || dhcp4_lease(m, &offer, &ignored) < 0)
		return;
	c->lease = offer;
	client_request(c, now_ms, DHCP4_REQUESTING);
}

static uint64_t client_at(uint64_t from_ms, uint32_t seconds)
{
	return seconds == DHCP4_FOREVER ? NEVER : from_ms + (uint64_t)seconds * 1000;
}

static void client_acked(struct dhcp4_client *c, uint64_t now_ms, const struct dhcp4_message *m)
{
	struct dhcp4_lease lease;
	struct err ignored = { 0 };

	if (c->state == DHCP4_SELECTING || dhcp4_lease(m, &lease, &ignored) < 0)
		return;
	if (c->state == DHCP4_REQUESTING && m->server.s_addr != c->lease.server.s_addr)
		return;
	if (c->held && lease.address.s_addr != c->lease.address.s_addr)
		client_lose(c, "the server gave another address");
	c->lease = lease;
	c->t1_ms = client_at(c->asked_ms, lease.t1_s);
	c->t2_ms = client_at(c->asked_ms, lease.t2_s);
	c->end_ms = client_at(c->asked_ms, lease.lease_s);
	c->state = DHCP4_BOUND;
	c->due_ms = c->t1_ms;
	c->naks = 0;
	c->held = true;
	c->ops->bound(c->arg, &c->lease);
	(void)now_ms;
}

static void client_refused(struct dhcp4_client *c, uint64_t now_ms, const struct dhcp4_message *m)
{
	uint64_t delay = (uint64_t)NAK_MIN_MS << c->naks;

	if (c->state == DHCP4_SELECTING || (c->state == DHCP4_REQUESTING && m->server.s_addr &&
					    m->server.s_addr != c->lease.server.s_addr))
		return;
	if (delay > NAK_MAX_MS)
		delay = NAK_MAX_MS;
	else
		c->naks++;
	client_lose(c, "the server refused the address");
	client_begin(c, now_ms, delay);
}

void dhcp4_client_receive(struct dhcp4_client *c, uint64_t now_ms, const uint8_t *data, size_t len)
{
	struct dhcp4_message m;
	struct err ignored = { 0 };

	/* only while an answer is awaited */
	if (c->state == DHCP4_STOPPED || c->state == DHCP4_INIT || c->state == DHCP4_BOUND ||
	    dhcp4_parse(data, len, &m, &ignored) < 0)
		return;
	if (m.xid != c->xid || memcmp(m.mac, c->mac, 6) != 0)
		return;
	if (m.type == DHCP4_OFFER)
		client_offered(c, now_ms, &m);
	else if (m.type == DHCP4_ACK)
		client_acked(c, now_ms, &m);
	else
		client_refused(c, now_ms, &m);
}

void dhcp4_client_start(struct dhcp4_client *c, uint64_t now_ms, const struct dhcp4_lease *last,
			uint64_t last_end_ms, bool held)
{
	c->began_ms = now_ms;
	c->end_ms = last ? last_end_ms : 0;
	c->state = DHCP4_INIT;
	if (!last) {
		client_begin(c, now_ms, 0);
		return;
	}
	c->lease = *last;
	c->held = held;
	client_request(c, now_ms, DHCP4_REBOOTING);
}

void dhcp4_client_stop(struct dhcp4_client *c)
{
	c->state = DHCP4_STOPPED;
	c->due_ms = NEVER;
}

void dhcp4_client_link_up(struct dhcp4_client *c, uint64_t now_ms)
{
	if (c->state == DHCP4_BOUND || c->state == DHCP4_RENEWING || c->state == DHCP4_REBINDING) {
		c->began_ms = now_ms;
		client_request(c, now_ms, DHCP4_REBOOTING);
	} else if (c->state == DHCP4_INIT || c->state == DHCP4_SELECTING) {
		c->state = DHCP4_INIT;
		client_discover(c, now_ms);
	}
}
