#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Foreign bytes that the network parts read.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/lib.sh"

base="lib/err.c lib/mem.c lib/str.c"
# shellcheck disable=SC2086
{
	fuzz net_dhcp4 net/dhcp4.c net/dns.c net/dhcp4_client.c net/dhcp4_io.c net/cidr.c lib/ev.c lib/fd.c lib/log.c $base
	fuzz net_ipconf net/ipconf.c net/podrange.c net/cidr.c lib/conf.c lib/fd.c lib/id.c lib/json.c \
		lib/json_out.c lib/path.c lib/record.c $base -- -lyajl_s
	fuzz net_netlink net/netlink.c net/podlink.c net/podhost.c net/conntrack.c net/podnft.c \
		net/podnft_rules.c net/cidr.c net/ndopt.c net/dns.c lib/fd.c lib/log.c lib/path.c $base -- -lnftnl -lmnl \
		-Wl,--wrap=sendto,--wrap=recvmsg,--wrap=recv
}
done_testing
