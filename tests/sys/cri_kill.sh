#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# crid is killed at random times in a churn of pods, which a CRI client and
# crictl (where it is in the cache of peers) drive: a long-running pod is never
# restarted and loses no line of its log, every exit code and finish time is
# right, of what ended while crid was dead too, and nothing is left.
#
#	CRI_KILLS=50 tests/sys/cri_kill.sh	the long form; 10 kills unless told
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

CRI_KILLS=${CRI_KILLS:-10}
# not restarted by PID 1, which takes its time with a service that always fails
cat > "$WORK/services.json" <<JSON
[ { "name": "crid", "type": "simple", "pods": true, "argv": [ "/bin/sh", "-c",
    "while :; do while [ -e /run/crid.hold ]; do sleep 0.02; done; $WORK/node/run/libexec/berth-crid & echo \$! > /run/crid.new; mv /run/crid.new /run/crid.pid; wait; done" ] } ]
JSON
export BERTH_SERVICES=$WORK/services.json
cri_node_up
crictl=$CRI_NODE_PATH/crictl
[ -x "$crictl" ] || crictl=
[ -n "$crictl" ] || skip "a worker by crictl" "crictl is not in $CRI_NODE_PATH"
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_kill.mjs "$CRI_KILLS" $crictl
is_clean "nothing is left"
cp "$dir/var/log/berth/crid.log" "$TOP/build/cri_kill.log" 2> /dev/null
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
