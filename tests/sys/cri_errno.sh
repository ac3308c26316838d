#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lives of pods in which one system call fails, of crid, its network worker,
# shims, the container's birth or the image's helpers: nobody dies of it,
# nothing is left, no descriptor stays open, and the error says what failed.
#
#	ERRNO_POINTS=0 tests/sys/cri_errno.sh	at every call; 30 points unless told
#	ERRNO_POINTS=openat:EIO:39 ...	the 39th openat of each process fails
#	ERRNO_SEED=N	picks other points; 1 unless told
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"
command -v strace > /dev/null || skip_all "strace is missing"
strace -o /dev/null true 2> /dev/null || skip_all "strace cannot trace here"

cri_node_up
drive cri.mjs images
{
	declare -f node_state | sed 's/"\$NODE" enter "\$dir"//'
	echo node_state
} > "$WORK/state.sh"
drive cri_errno.mjs "${ERRNO_POINTS:-30}" "${ERRNO_SEED:-1}" "$WORK/state.sh"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
