#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Too much of everything: ExecSync of yes, a log flood, idle connections, and
# HTTP/2 abuse (h2_abuse.py). crid's memory stays bounded, it answers others
# meanwhile, is at rest afterwards and keeps nothing.
#
#	CRI_LOAD_SECONDS	how long each lasts; 1 unless told
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

sanitized && export SANITIZED=yes
cri_node_up
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_load.mjs "${CRI_LOAD_SECONDS:-1}" "$TOP/tests/sys/h2_abuse.py"
is_clean "nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
