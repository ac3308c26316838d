/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink in batches: many requests, one send, one acknowledgement of the
 * last; the kernel answers the others only when they fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

#include "lib/err.h"

struct netlink {
	int fd;
	uint32_t port;
	uint32_t seq;
	char *answer; /* owned; the buffer of what is received */
};

/* bus: NETLINK_ROUTE, NETLINK_NETFILTER. The socket belongs to the calling thread's namespace. */
int netlink_open(struct netlink *nl, int bus, struct err *e);
void netlink_close(struct netlink *nl);

static inline void netlink_closep(struct netlink *nl)
{
	netlink_close(nl);
}
/* Initialize with NETLINK_CLOSED. */
#define auto_netlink __attribute__((cleanup(netlink_closep))) struct netlink
#define NETLINK_CLOSED   \
	{                \
		.fd = -1 \
	}

#define NETLINK_BATCH_BYTES 16384
#define NETLINK_BATCH_REQUESTS 32

struct netlink_batch {
	struct {
		const char *what; /* for errors: "add address 10.0.0.2" */
		int fine; /* an errno that counts as success */
	} requests[NETLINK_BATCH_REQUESTS];
	size_t count;
	size_t used; /* bytes */
	struct nlmsghdr *last;
	union {
		struct nlmsghdr align;
		char bytes[NETLINK_BATCH_BYTES];
	};
};

void netlink_batch_init(struct netlink_batch *b);

/*
 * The next request of a batch, to be filled by mnl_* calls before the one
 * after it. what must live until the batch has run. fine: an errno to ignore.
 */
struct nlmsghdr *netlink_add(struct netlink_batch *b, uint16_t type, uint16_t flags,
			     const char *what, int fine);

/* Runs all requests in order, also those behind a failed one; the first error is returned. */
int netlink_run(struct netlink *nl, struct netlink_batch *b, struct err *e);

/*
 * Sends one request with NLM_F_DUMP (or a plain one with its answer) and calls
 * cb for each answer; cb returns MNL_CB_OK, or MNL_CB_ERROR with e filled.
 * -EINTR: what was listed changed meanwhile; try again, NETLINK_TRIES times.
 */
#define NETLINK_TRIES 20
int netlink_dump(struct netlink *nl, struct nlmsghdr *req, mnl_cb_t cb, void *arg, struct err *e);

/* A whole message is in what is left of a datagram, with at least payload bytes behind its header.
 * (libmnl's own test takes a length above 2 GiB for a negative number.) */
static inline bool netlink_ok(const struct nlmsghdr *h, int left, size_t payload)
{
	return left >= (int)sizeof(*h) && h->nlmsg_len >= sizeof(*h) + payload &&
	       h->nlmsg_len <= (uint32_t)left;
}

/* One send of finished requests. */
int netlink_send(struct netlink *nl, const void *data, size_t len, struct err *e);

/*
 * Answers to the requests first to last, up to the acknowledgement of last or
 * the first error that counts; late answers of an earlier send are skipped.
 * on_error fills e and returns negative when the error counts.
 */
int netlink_collect(struct netlink *nl, uint32_t first, uint32_t last,
		    int (*on_error)(void *arg, uint32_t seq, int code, const char *detail,
				    struct err *e),
		    void *arg, struct err *e);
