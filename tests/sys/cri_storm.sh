#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# crid, and now and then a shim, is killed at any instruction while pods are
# run and removed; then nothing may be left on the node: no process, cgroup, mount,
# link, rule, file or lease, and no record.
#
#	CRI_STORM_SECONDS	how long; 15 unless told
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

seconds=${CRI_STORM_SECONDS:-15}
# not restarted by PID 1, which takes its time with a service that always fails
cat > "$WORK/services.json" <<JSON
[ { "name": "crid", "type": "simple", "pods": true, "argv": [ "/bin/sh", "-c",
    "while :; do $WORK/node/run/libexec/berth-crid & echo \$! > /run/crid.pid; wait; sleep 0.05; done" ] } ]
JSON
export BERTH_SERVICES=$WORK/services.json
cri_node_up
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_storm.mjs 3 "$seconds" &
driver=$!
kills=0
while kill -0 "$driver" 2> /dev/null; do
	sleep "$((RANDOM % 2)).$((RANDOM % 9 + 1))"
	"$NODE" enter "$dir" sh -c 'kill -KILL "$(cat /run/crid.pid)"' 2> /dev/null &&
		kills=$((kills + 1))
	[ $((RANDOM % 3)) -ne 0 ] || "$NODE" enter "$dir" sh -c \
		'p=$(pgrep -x berth-shim | shuf -n 1); [ -z "$p" ] || kill -KILL "$p"'
done
ok "crid was killed $kills times" test "$kills" -gt $((seconds / 2))
wait "$driver"
tap_count_from "$WORK/3.out"
"$NODE" up "$dir" > "$WORK/up.log" 2>&1

is_clean "nothing is left after the storm"
cp "$dir/var/log/berth/crid.log" "$TOP/build/cri_storm.log" 2> /dev/null
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
