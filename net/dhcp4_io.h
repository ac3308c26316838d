/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DHCP client's sockets: a packet socket while there is no address (closed
 * when there is: it sees a copy of every frame), then a UDP socket.
 */
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"
#include "net/dhcp4.h"
#include "net/dhcp4_client.h"

#define DHCP4_FRAME_MAX (DHCP4_MESSAGE_MAX + 28) /* with IP and UDP headers */

struct dhcp4_io {
	struct ev *ev;
	int ifindex;
	char link[IFNAMSIZ];
	void (*receive)(void *arg, const uint8_t *data, size_t len);
	void *arg;
	struct ev_source raw_source, udp_source;
	int raw, udp; /* -1: closed */
};

/* Sets the descriptors; the settings above them are the caller's. */
void dhcp4_io_init(struct dhcp4_io *io);
void dhcp4_io_close(struct dhcp4_io *io);

/* Opens what is needed; an open socket is kept. */
int dhcp4_io_open_raw(struct dhcp4_io *io, struct err *e);
int dhcp4_io_open_udp(struct dhcp4_io *io, struct in_addr address, struct err *e);
void dhcp4_io_close_raw(struct dhcp4_io *io);
void dhcp4_io_close_udp(struct dhcp4_io *io);

int dhcp4_io_send(struct dhcp4_io *io, const uint8_t *data, size_t len, enum dhcp4_way way,
		  struct in_addr server, struct err *e);

/*
 * The UDP payload of an IP packet to port 68, inside the packet; false for any
 * other packet. unsummed: the link has not yet put in the checksum (a virtual
 * link between two kernels never does).
 */
bool dhcp4_frame_payload(const uint8_t *packet, size_t len, bool unsummed, const uint8_t **ret,
			 size_t *ret_len);
/* An IP packet from 0.0.0.0:68 to 255.255.255.255:67; returns its length. */
size_t dhcp4_frame_build(const uint8_t *data, size_t len, uint8_t ret[static DHCP4_FRAME_MAX]);
