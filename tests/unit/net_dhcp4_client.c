/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client against a server of the test's own, on a clock of the test's own. */
#include "net/dhcp4_client.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/test.h"

struct world {
	struct dhcp4_client c;
	uint64_t now_ms;
	/* what the client did last */
	int sent, bound, lost;
	uint8_t type;
	uint16_t secs;
	uint32_t xid;
	enum dhcp4_way way;
	bool has_address, has_server, has_ciaddr;
	const char *why;
	/* what the server answers with */
	const char *address, *server;
	uint32_t lease_s;
};

static bool has_option(const uint8_t *data, size_t len, uint8_t code)
{
	for (size_t i = 240; i < len && data[i] != 255; i += data[i] ? 2 + data[i + 1] : 1) {
		if (data[i] == code)
			return true;
	}
	return false;
}

static void on_send(void *arg, const uint8_t *data, size_t len, enum dhcp4_way way,
		    struct in_addr server)
{
	struct world *w = arg;
	uint32_t n;

	(void)server;
	w->sent++;
	w->type = data[242];
	w->secs = (uint16_t)(data[8] << 8 | data[9]);
	memcpy(&n, data + 4, 4);
	w->xid = n;
	w->way = way;
	w->has_address = has_option(data, len, 50);
	w->has_server = has_option(data, len, 54);
	memcpy(&n, data + 12, 4);
	w->has_ciaddr = n != 0;
	assert_true(w->secs > 0);
}

static void on_bound(void *arg, const struct dhcp4_lease *lease)
{
	struct world *w = arg;

	(void)lease;
	w->bound++;
}

static void on_lost(void *arg, const char *why)
{
	struct world *w = arg;

	w->lost++;
	w->why = why;
}

static const struct dhcp4_ops ops = { on_send, on_bound, on_lost };

static void world_init(struct world *w)
{
	*w = (struct world){
		.now_ms = 1000000, .address = "192.0.2.77", .server = "192.0.2.1", .lease_s = 3600
	};
	w->c.ops = &ops;
	w->c.arg = w;
	w->c.random = 42;
	w->c.mtu = 1500;
	memcpy(w->c.mac, "\2\0\0\0\0\1", 6);
	dhcp4_client_init(&w->c);
}

/* A message of the server to the last transaction. */
static void answer(struct world *w, enum dhcp4_type type)
{
	uint8_t data[300] = { 2, 1, 6 };
	uint8_t *at = data + 240;
	uint32_t lease = htonl(w->lease_s);

	memcpy(data + 4, &w->xid, 4);
	if (type != DHCP4_NAK)
		inet_pton(AF_INET, w->address, data + 16);
	memcpy(data + 28, w->c.mac, 6);
	memcpy(data + 236, "\x63\x82\x53\x63\x35\1", 6);
	at = data + 242;
	*at++ = (uint8_t)type;
	*at++ = 54;
	*at++ = 4;
	inet_pton(AF_INET, w->server, at);
	at += 4;
	*at++ = 51;
	*at++ = 4;
	memcpy(at, &lease, 4);
	at += 4;
	*at++ = 255;
	dhcp4_client_receive(&w->c, w->now_ms, data, (size_t)(at - data));
}

/* To the next timer; the milliseconds it took. */
static uint64_t wait_timer(struct world *w)
{
	uint64_t waited;

	assert_true(w->c.due_ms != UINT64_MAX);
	assert_true(w->c.due_ms >= w->now_ms);
	waited = w->c.due_ms - w->now_ms;
	w->now_ms = w->c.due_ms;
	dhcp4_client_timer(&w->c, w->now_ms);
	return waited;
}

static void bind_it(struct world *w)
{
	dhcp4_client_start(&w->c, w->now_ms, NULL, 0, false);
	assert_int_equal(w->type, DHCP4_DISCOVER);
	answer(w, DHCP4_OFFER);
	assert_int_equal(w->type, DHCP4_REQUEST);
	assert_true(w->has_address && w->has_server && !w->has_ciaddr);
	assert_int_equal(w->way, DHCP4_RAW);
	answer(w, DHCP4_ACK);
	assert_int_equal(w->c.state, DHCP4_BOUND);
	assert_int_equal(w->bound, 1);
}

static void a_lease_takes_two_messages(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	bind_it(&w);
	assert_int_equal(w.sent, 2);
	assert_int_equal(w.c.due_ms, w.now_ms + 1800000);
}

static void discovery_backs_off(void **state)
{
	static const uint64_t expected[] = { 4000, 8000, 16000, 32000, 64000, 64000, 64000 };
	struct world w;
	uint16_t secs = 0;
	uint32_t xid;

	(void)state;
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, NULL, 0, false);
	xid = w.xid;
	for (size_t i = 0; i < 7; i++) {
		uint64_t waited;

		assert_int_equal(w.type, DHCP4_DISCOVER);
		assert_true(w.secs > secs);
		secs = w.secs;
		waited = wait_timer(&w);
		assert_in_range(waited, expected[i] - 1000, expected[i] + 1000);
	}
	assert_int_equal(w.xid, xid);
	assert_int_equal(w.sent, 8);
}

static void a_silent_server_after_its_offer_is_left(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, NULL, 0, false);
	answer(&w, DHCP4_OFFER);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(w.type, DHCP4_REQUEST);
		wait_timer(&w);
	}
	assert_int_equal(w.type, DHCP4_REQUEST);
	wait_timer(&w);
	assert_int_equal(w.type, DHCP4_DISCOVER);
	assert_int_equal(w.lost, 0);
}

static void renewal_is_unicast_and_then_broadcast(void **state)
{
	struct world w;
	uint64_t end, waited = 0;

	(void)state;
	world_init(&w);
	bind_it(&w);
	end = w.now_ms + 3600000;
	assert_int_equal(wait_timer(&w), 1800000);
	assert_int_equal(w.c.state, DHCP4_RENEWING);
	assert_int_equal(w.way, DHCP4_UNICAST);
	assert_true(w.has_ciaddr && !w.has_address && !w.has_server);
	/* half of the rest until T2, not below a minute */
	assert_int_equal(wait_timer(&w), 675000);
	while (w.c.state == DHCP4_RENEWING) {
		waited = wait_timer(&w);
		assert_true(waited >= 60000 || w.c.state == DHCP4_REBINDING);
	}
	assert_int_equal(w.now_ms, end - 450000);
	assert_int_equal(w.way, DHCP4_BROADCAST);
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_BOUND);
	assert_int_equal(w.bound, 2);
	assert_int_equal(w.lost, 0);
	assert_int_equal(w.c.end_ms, w.now_ms + 3600000);
}

static void a_lease_that_runs_out_is_lost(void **state)
{
	struct world w;
	uint64_t end;

	(void)state;
	world_init(&w);
	bind_it(&w);
	end = w.now_ms + 3600000;
	while (w.lost == 0)
		wait_timer(&w);
	assert_int_equal(w.now_ms, end);
	assert_string_equal(w.why, "the lease ran out");
	assert_int_equal(w.type, DHCP4_DISCOVER);
	assert_int_equal(w.c.state, DHCP4_SELECTING);
}

static void a_refusal_begins_anew_later_and_later(void **state)
{
	static const uint64_t expected[] = { 1000, 2000, 4000, 8000, 10000, 10000 };
	struct world w;

	(void)state;
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, NULL, 0, false);
	for (size_t i = 0; i < 6; i++) {
		answer(&w, DHCP4_OFFER);
		answer(&w, DHCP4_NAK);
		assert_int_equal(w.c.state, DHCP4_INIT);
		assert_int_equal(wait_timer(&w), expected[i]);
		assert_int_equal(w.type, DHCP4_DISCOVER);
	}
	assert_int_equal(w.lost, 0);
	answer(&w, DHCP4_OFFER);
	answer(&w, DHCP4_ACK);
	wait_timer(&w);
	answer(&w, DHCP4_NAK);
	assert_int_equal(w.lost, 1);
	assert_int_equal(wait_timer(&w), 1000);
}

static void the_last_address_is_asked_for_again(void **state)
{
	struct world w;
	struct dhcp4_lease last = { .lease_s = 3600 };

	(void)state;
	world_init(&w);
	inet_pton(AF_INET, "192.0.2.77", &last.address);
	dhcp4_client_start(&w.c, w.now_ms, &last, w.now_ms + 1000000, false);
	assert_int_equal(w.type, DHCP4_REQUEST);
	assert_true(w.has_address && !w.has_server && !w.has_ciaddr);
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_BOUND);
	/* refused: from the start */
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, &last, w.now_ms + 1000000, false);
	answer(&w, DHCP4_NAK);
	assert_int_equal(w.lost, 0);
	wait_timer(&w);
	assert_int_equal(w.type, DHCP4_DISCOVER);
	/* and told, when the address was still set */
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, &last, w.now_ms + 1000000, true);
	answer(&w, DHCP4_NAK);
	assert_int_equal(w.lost, 1);
}

static void a_silent_server_does_not_take_a_lease_that_holds(void **state)
{
	struct world w;
	struct dhcp4_lease last = { .lease_s = 3600 };

	(void)state;
	world_init(&w);
	inet_pton(AF_INET, "192.0.2.77", &last.address);
	dhcp4_client_start(&w.c, w.now_ms, &last, w.now_ms + 1000000, false);
	for (int i = 0; i < 3; i++)
		wait_timer(&w);
	assert_int_equal(w.bound, 1);
	assert_int_equal(w.c.state, DHCP4_REBINDING);
	assert_true(w.has_ciaddr);
	while (w.lost == 0)
		wait_timer(&w);
	assert_int_equal(w.now_ms, 1000000 + 1000000);
	/* one that is over is not used */
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, &last, w.now_ms, false);
	for (int i = 0; i < 3; i++)
		wait_timer(&w);
	assert_int_equal(w.bound, 0);
	assert_int_equal(w.type, DHCP4_DISCOVER);
}

static void answers_of_others_do_not_count(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	dhcp4_client_start(&w.c, w.now_ms, NULL, 0, false);
	w.xid++;
	answer(&w, DHCP4_OFFER);
	assert_int_equal(w.c.state, DHCP4_SELECTING);
	w.xid--;
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_SELECTING);
	answer(&w, DHCP4_OFFER);
	w.server = "192.0.2.9";
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_REQUESTING);
	answer(&w, DHCP4_NAK);
	assert_int_equal(w.c.state, DHCP4_REQUESTING);
	w.server = "192.0.2.1";
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_BOUND);
	answer(&w, DHCP4_NAK);
	assert_int_equal(w.c.state, DHCP4_BOUND);
}

static void another_address_is_a_loss_first(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	bind_it(&w);
	wait_timer(&w);
	w.address = "192.0.2.78";
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.bound, 2);
}

static void a_lease_for_ever_needs_no_timer(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.lease_s = UINT32_MAX;
	bind_it(&w);
	assert_true(w.c.due_ms == UINT64_MAX);
}

static void a_link_that_comes_back_is_checked(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	bind_it(&w);
	dhcp4_client_link_up(&w.c, w.now_ms);
	assert_int_equal(w.c.state, DHCP4_REBOOTING);
	answer(&w, DHCP4_ACK);
	assert_int_equal(w.c.state, DHCP4_BOUND);
	assert_int_equal(w.lost, 0);
	dhcp4_client_stop(&w.c);
	assert_true(w.c.due_ms == UINT64_MAX);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_lease_takes_two_messages),
	cmocka_unit_test(discovery_backs_off),
	cmocka_unit_test(a_silent_server_after_its_offer_is_left),
	cmocka_unit_test(renewal_is_unicast_and_then_broadcast),
	cmocka_unit_test(a_lease_that_runs_out_is_lost),
	cmocka_unit_test(a_refusal_begins_anew_later_and_later),
	cmocka_unit_test(the_last_address_is_asked_for_again),
	cmocka_unit_test(a_silent_server_does_not_take_a_lease_that_holds),
	cmocka_unit_test(answers_of_others_do_not_count),
	cmocka_unit_test(another_address_is_a_loss_first),
	cmocka_unit_test(a_lease_for_ever_needs_no_timer),
	cmocka_unit_test(a_link_that_comes_back_is_checked),
};
TEST_MAIN(tests)
