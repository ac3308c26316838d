#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The way down with real pods: a container that traps TERM finishes its work,
# one that ignores TERM ends within the limit, and nothing is left.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up --set init.pods_stop_ms=3000
node() { "$NODE" enter "$dir" "$@"; }
node mkdir -p /var/marks
ok "the image is pulled" node berthctl pull "$IMAGE"
run() { node berthctl run -v /var/marks:/marks "$@"; }
ok "a pod that traps TERM runs" run --name traps "$IMAGE" sh -c \
	'trap "sleep 1; echo finished > /marks/trapped; echo bye; exit 7" TERM
	touch /marks/traps; while :; do sleep 0.1; done'
ok "a pod that ignores TERM runs" run --name ignores "$IMAGE" sh -c \
	'trap "" TERM; touch /marks/ignores; while :; do sleep 0.1; done'
marks() { [ -e "$dir/var/marks/traps" ] && [ -e "$dir/var/marks/ignores" ]; }
ok "both got so far" wait_for 10 marks
begin=$(date +%s%3N)
ok "poweroff answers" node berthctl poweroff
is_gone() { ! [ -d "/proc/$NSPID" ]; }
ok "the node goes down" wait_for 40 is_gone
took=$(($(date +%s%3N) - begin))
ok "within its limits ($took ms, pods may take 3000)" test $took -ge 3000 -a $took -lt 30000
is "who traps TERM has finished" "$(cat "$dir/var/marks/trapped")" finished
is "no process is left" "$(find "$CGROUP" -name cgroup.procs -exec cat {} +)" ""
is "PID 1 had to kill no service" "$(grep -E 'service .*killed' "$dir/var/log/berth/init.log")" ""
like "crid saw the end and went" "$(tail -n 5 "$dir/var/log/berth/init.log")" \
	'service crid: ended with status 0'
ok "down removes the rest" "$NODE" down "$dir"
done_testing
