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
for part in life ends lists retries latency; do
	drive cri.mjs "$part"
	is_clean "$part: nothing is left"
done

# a FUSE file system without anybody behind it
mkdir -p "$LOGS/dead"
"$NODE" enter "$dir" python3 -c '
import ctypes, os, sys, time
fd = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
opts = f"fd={fd},rootmode=40000,user_id=0,group_id=0"
if libc.mount(b"dead", sys.argv[1].encode(), b"fuse", 0, opts.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", os.getpid(), flush=True)
time.sleep(1000)' "$LOGS/dead" > "$WORK/fuse" 2>&1 &
fuse=$!
if wait_for 10 grep -q mounted "$WORK/fuse"; then
	drive cri.mjs hang "$LOGS/dead/x"
	"$NODE" enter "$dir" umount -l "$LOGS/dead"
	"$NODE" enter "$dir" kill "$(awk '/mounted/ { print $2 }' "$WORK/fuse")"
else
	skip "a dead host path" "no FUSE here: $(tail -n 1 "$WORK/fuse")"
fi
wait "$fuse" 2> /dev/null
wait_for 10 eval 'node_state | diff "$WORK/clean" -'
is_clean "hang: nothing is left"

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
