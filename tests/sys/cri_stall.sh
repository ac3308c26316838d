#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Pulls that stall or are lied to, a stopped shim, a full log disk, a stopped
# network worker, a held network lock: Status and the lists answer within
# 100 ms (or ten times what they take without a fault, on a slow machine).
#
#	CRI_STALL_SECONDS	how long each fault lasts at least; 2 unless told.
#				The network lock is the whole machine's.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_stall.mjs "${CRI_STALL_SECONDS:-2}" "$TOP/tests/sys/hold_rtnl.py"
grep "^pass" "$WORK/${CRI_STALL_SECONDS:-2}.out" | grep SKIP | sed 's/^/# /'
is_clean "nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
