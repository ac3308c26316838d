#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Pods and containers from Version to RemovePodSandbox, by an independent gRPC
# client (cri.mjs), with crid and shims killed in between; at the end nothing
# is left on the node.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up
drive cri.mjs runtime
drive cri.mjs images
node_state > "$WORK/clean"
for part in life ends lists retries; do
	drive cri.mjs "$part"
	is_clean "$part: nothing is left"
done

drive cri.mjs before
kill -KILL "$PID"
mkdir -p "$LOGS/gate" && : > "$LOGS/gate/open"
ok "crid comes back after SIGKILL" "$NODE" up "$dir"
. "$dir/env"
drive cri.mjs after
is_clean "restart: nothing is left"

drive cri.mjs shimdeath &
driver=$!
wait_for 20 test -s "$LOGS/shim.pid"
"$NODE" enter "$dir" sh -c "kill -KILL $(cat "$LOGS/shim.pid" 2> /dev/null)"
: > "$LOGS/shim.killed"
wait "$driver"
tap_count_from "$WORK/shimdeath.out"
is_clean "shim death: nothing is left"

"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
