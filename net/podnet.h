/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pod network worker: every rtnetlink and nftables request for pods, one
 * at a time, each replayable from the pod's record PODS/ID/net.json (tmpfs,
 * written before the kernel is touched, removed last). crid runs it as
 * "berth-crid net" and may kill it at any instruction.
 */
#pragma once

#include "lib/err.h"

#define PODNET_DIR "/run/berth/pods" /* BERTH_PODS_DIR in the environment overrides it (tests) */

/*
 * Bodies of NET_* (lib/proto.h). A request is answered by PROTO_OK or by
 * PROTO_ERROR {"errno", "message"}.
 *
 * NET_CONFIG {"pod_cidrs": [TEXT, at most one a family], "masquerade": BOOL (true),
 *	"no_masquerade": [CIDR...]} -> {"families": ["ipv4", "ipv6"]}
 *	The first message, and again when a setting changes. Reads the records of all pods, builds
 *	the nftables table whole, sets gateway addresses and forwarding. Attached pods keep their
 *	addresses. An IPv6 range is left out where IPv6 is disabled.
 *
 * NET_ATTACH {"pod": ID, "ports": [{"protocol": "tcp"|"udp"|"sctp", "host_ip": TEXT ("": any),
 *	"host_port": N, "container_port": N}], "prefer": "ipv4"|"ipv6"} with the pod's network
 *	namespace -> {"addresses": [TEXT, the preferred family first], "gateways": [TEXT], "mtu": N}
 *	PODS/ID must exist. Repeatable: an attached pod keeps its addresses, what is missing is
 *	made. ENOSPC: no address is free; EADDRINUSE: another pod has the host port, and the message
 *	names it. On an error nothing is left.
 *
 * NET_DETACH {"pod": ID} -> {}
 *	Repeatable, needs neither the namespace nor the record. Traffic stops at once; the link goes
 *	with the namespace, or is removed a second later when the namespace stays.
 *
 * NET_SYNC {"pods": [ID...]} -> {"removed": N}
 *	Removes links, elements and records of every pod that is not named.
 */

/* Serves crid on a SEQPACKET socket until it closes; the exit code of the process. */
int podnet_worker(int sock);
