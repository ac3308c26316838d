#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memory and descriptors of crid, its network worker, netd and PID 1 after many
# lives of pods equal those after a tenth of them, and nothing is left.
#
#	LIVES=5000 tests/sys/lives.sh	the long form; 300 lives unless told
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

sanitized && skip_all "sanitizers keep freed memory"
LIVES=${LIVES:-300}
cri_node_up
drive cri.mjs images
node_state > "$WORK/clean"
drive lives.mjs "$LIVES"
is_clean "nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
