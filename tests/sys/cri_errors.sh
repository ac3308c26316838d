#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bad requests for every RPC: the exact code, a message that names the thing,
# and a node that is afterwards what it was before, byte for byte.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up --mirror "liar.test=http://127.0.0.1:5099"
drive cri.mjs images
node_state > "$WORK/clean"
drive cri_errors.mjs bad
is_clean "bad requests: nothing is left"
drive cri_errors.mjs registry 5099
is_clean "bad registries: nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
