/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pod's network lease: its record PODS/ID/net.json, for the worker and for whoever asks. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/id.h"
#include "lib/json.h"

#define LEASE_PORTS_MAX 256
#define LEASE_FILE "net.json"
#define LEASE_PORT_TEXT_MAX (INET6_ADDRSTRLEN + 24)

/* One host port; host_ip is the family's any address when it was empty. */
struct lease_port {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	bool v4, v6; /* for connections of these families */
	bool any; /* on every address of the host; else host4 or host6 */
	struct in_addr host4;
	struct in6_addr host6;
	uint16_t host_port, pod_port; /* host byte order */
};

struct lease {
	char pod[ID_LEN + 1];
	uint32_t index; /* in the range; also makes the veth's link-local addresses */
	bool has4, has6;
	bool prefer6;
	struct in_addr addr4, gateway4;
	struct in6_addr addr6, gateway6;
	uint8_t host_mac[6], pod_mac[6];
	uint32_t mtu;
	struct lease_port *ports; /* owned */
	size_t nports;
};

void lease_done(struct lease *l);
#define auto_lease __attribute__((cleanup(lease_done))) struct lease
/* to gets what from holds; from is empty after. */
void lease_move(struct lease *to, struct lease *from);

/* pods: descriptor of the folder of pods. -ENOENT when the pod has none. */
int lease_read(int pods, const char *pod, struct lease *ret, struct err *e);
int lease_write(int pods, const struct lease *l, struct err *e);
/* Absent is fine, folder included. */
int lease_remove(int pods, const char *pod, struct err *e);

/* Reads "ports" of NET_ATTACH or of a record (an array, or NULL) into l. */
int lease_parse_ports(const struct json *ports, struct lease *l, struct err *e);

/* Addresses as text, the preferred family first; returns how many (0 to 2). */
size_t lease_addresses(const struct lease *l, char ret[2][INET6_ADDRSTRLEN]);
/* The same for the gateways. */
size_t lease_gateways(const struct lease *l, char ret[2][INET6_ADDRSTRLEN]);

/* "tcp", "udp", "sctp" */
const char *lease_protocol(uint8_t number);
/* "tcp port 80", "tcp port 80 of 192.0.2.1" */
const char *lease_port_text(const struct lease_port *p, char dst[static LEASE_PORT_TEXT_MAX]);
/* True when both claim the same port of the same address, or of every address. */
bool lease_port_clash(const struct lease_port *a, const struct lease_port *b);
