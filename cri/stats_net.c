/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pod's interfaces, as the kernel counts them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cri/crid.h"
#include "cri/stats_priv.h"
#include "lib/mem.h"
#include "lib/path.h"

#define NET_DEV_MAX 65536 /* bytes */

/* "  eth0: BYTES PACKETS ERRS DROP FIFO FRAME COMPRESSED MULTICAST BYTES PACKETS ERRS DROP ..." */
static bool parse_line(char *line, struct stats_net_if *ret)
{
	char *colon = strchr(line, ':'), *name = line + strspn(line, " ");

	if (!colon)
		return false;
	*colon = 0;
	return !str_eq(name, "lo") && str_copy(ret->name, sizeof(ret->name), name) &&
	       sscanf(colon + 1,
		      "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u"
		      " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		      &ret->rx_bytes, &ret->rx_packets, &ret->rx_errors, &ret->rx_dropped,
		      &ret->tx_bytes, &ret->tx_packets, &ret->tx_errors, &ret->tx_dropped) == 8;
}

void stats_net_parse(char *text, struct stats_net *ret)
{
	char *line;

	ret->count = 0;
	while (ret->count < STATS_INTERFACES_MAX && (line = str_field(&text, "\n")))
		if (parse_line(line, &ret->list[ret->count]))
			ret->count++;
}

/* Every process of the pod is in its network: what one of them sees is the pod's. */
int stats_net_read(struct pod *pod, struct stats_net *ret)
{
	auto_free char *text = NULL;
	char path[64];
	struct err e = { 0 };
	size_t len;
	pid_t pid = pod->pause_pid;

	list_for_each(ctr, &pod->ctrs, struct ctr, pod_node)
		if (ctr->state == CTR_RUNNING && ctr->pid > 0)
			pid = ctr->pid;
	if (pod->host_network || pid <= 0)
		return -ENODATA;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	if (path_read(AT_FDCWD, path, NET_DEV_MAX, &text, &len, &e) < 0)
		return -e.code;
	stats_net_parse(text, ret);
	return 0;
}
