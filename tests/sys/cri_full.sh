#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A state disk without room: what needs room is refused as such and leaves
# nothing, what gives room back works, and so does everything once there is some.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

# the node's /var/lib/berth is of this size
small()
{
	local program=$WORK/node/run/libexec/berth-crid

	cat > "$WORK/services.json" <<-JSON
	[ { "name": "crid", "type": "notify", "pods": true, "argv": [ "/bin/sh", "-c",
	    "mkdir -p /var/lib/berth && mount -t tmpfs -o size=$1 state /var/lib/berth && exec $program" ] } ]
	JSON
	export BERTH_SERVICES=$WORK/services.json
}

fill()
{
	"$NODE" enter "$dir" dd if=/dev/zero of=/var/lib/berth/fill bs=4k 2> /dev/null
	return 0
}

small 2m
cri_node_up
node_state > "$WORK/clean"
drive cri_full.mjs pull
is_clean "a pull that does not fit leaves nothing"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
rm -rf --one-file-system "$WORK/node"

small 32m
cri_node_up
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_full.mjs before
fill
drive cri_full.mjs full
"$NODE" enter "$dir" rm /var/lib/berth/fill
drive cri_full.mjs after
is_clean "nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
