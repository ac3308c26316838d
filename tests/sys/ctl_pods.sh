#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berthctl's verbs about pods, containers and images, on a whole node.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up
ctl=$BUILD/ctl/berthctl
in_node() { "$NODE" enter "$dir" env BERTH_LOG=err "$@"; }
export CONTAINER_RUNTIME_ENDPOINT=$ENDPOINT

like "version names the server" "$($ctl version)" '^berth .*CRI v1'
is "and as JSON" "$($ctl version --json | jq -r .runtime_name)" berth
id=$($ctl pull "$IMAGE")
like "pull prints the image's id" "$id" '^sha256:[0-9a-f]{64}$'
like "images lists it" "$($ctl images)" "${IMAGE%:*} *${IMAGE##*:} *${id:7:13} *[0-9.]+ MB"
$ctl pull registry.k8s.io/no-such:1 > "$WORK/out" 2> "$WORK/err"
is "a pull that fails is exit status 1" "$?" 1
like "that names the image" "$(cat "$WORK/err")" "no-such"

$ctl --json run --name one -e KEY=value -v "$WORK:/host:ro" -p 8099:8080 "$IMAGE" sh -c \
	'echo out; echo err >&2; echo $KEY; mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www' \
	> "$WORK/run"
pod=$(jq -r .pod "$WORK/run") ctr=$(jq -r .container "$WORK/run")
like "run gives two ids" "$pod $ctr" '^[0-9a-f]{64} [0-9a-f]{64}$'
like "pods has the pod" "$($ctl pods)" "${pod:0:13} *one *default *ready"
like "ps has the container" "$($ctl ps)" "${ctr:0:13} *one *$IMAGE *running"
is "inspect knows its state" "$($ctl inspect "${ctr:0:8}" | jq -r .status.state)" CONTAINER_RUNNING
is "and the pod's" "$($ctl inspect "$pod" | jq -r .status.state)" SANDBOX_READY
is "and the image" "$($ctl inspect "$IMAGE" | jq -r .image.id)" "$id"
lines() { [ "$(in_node "$ctl" logs "$ctr" 2> /dev/null)" = $'out\nvalue' ]; }
ok "logs has what it wrote" wait_for 10 lines
is "and stderr apart" "$(in_node "$ctl" logs "$ctr" 2>&1 > /dev/null)" err
page() { in_node curl -fs http://127.0.0.1:8099/ | grep page; }
ok "its port is the host's" wait_for 10 page

second=$($ctl --json run --pod "${pod:0:13}" --name two "$IMAGE" \
	sh -c 'wget -qO- http://127.0.0.1:8080/; exec sleep 1000')
is "a second container goes into the same pod" "$(jq -r .pod <<< "$second")" "$pod"
second=$(jq -r .container <<< "$second")
shared() { [ "$(in_node "$ctl" logs "$second" 2> /dev/null)" = page ]; }
ok "and reaches the first one by loopback" wait_for 10 shared
$ctl run --pod "$pod" --name three "$IMAGE" /no/such > "$WORK/out" 2> "$WORK/err"
is "one that cannot start leaves the pod as it was" \
	"$?, $($ctl inspect "$pod" | jq -r .status.state), $($ctl ps -a | grep -c three)" \
	"1, SANDBOX_READY, 0"
$ctl rm "$second"

is "exec gives the output" "$($ctl exec "$ctr" echo hello)" hello
$ctl exec "$ctr" sh -c 'exit 23'
is "and the exit code" "$?" 23
is "exec -i passes stdin and its end" "$(printf 'b\na\n' | in_node "$ctl" exec -i "$ctr" sort)" $'a\nb'
head -c 300000 /dev/urandom > "$WORK/big"
in_node "$ctl" exec -i "$ctr" cat < "$WORK/big" > "$WORK/copy"
ok "three hundred kilobytes come back unchanged" cmp "$WORK/big" "$WORK/copy"
like "exec -t has a terminal" "$(in_node "$ctl" exec -t "$ctr" tty)" '/dev/pts/'
like "as large as the one in front" "$(in_node script -qec "stty rows 33 cols 99; $ctl exec -it $ctr sh -c 'sleep 0.3; stty size'" /dev/null < /dev/null)" '33 99'
like "stats has it" "$($ctl stats "$ctr")" "${ctr:0:13} *one"

in_node "$ctl" logs -f "$ctr" > "$WORK/follow" 2>&1 &
follower=$!
wait_for 5 test -s "$WORK/follow"
ok "stop ends it" $ctl stop -t 1 "$ctr"
like "ps shows that no more" "$($ctl ps)" '^CONTAINER[^0-9]*$'
like "ps -a does" "$($ctl ps -a)" "${ctr:0:13} .*exited"
ended() { ! kill -0 $follower 2> /dev/null; }
ok "and logs -f ends with it" wait_for 10 ended
ok "rm takes a container" $ctl rm "$ctr"
ok "and a pod" $ctl rm "$pod"
like "nothing is left" "$($ctl pods)$($ctl ps -a)" '^POD[^0-9]*CONTAINER[^0-9]*$'
$ctl exec "$ctr" true 2> "$WORK/err"
is "what is gone is exit status 1" "$?" 1
$ctl run "$IMAGE" /no/such > "$WORK/out" 2> "$WORK/err"
is "a run that cannot start fails" "$?" 1
like "and says why" "$(cat "$WORK/err")" "/no/such"
is "and leaves no pod" "$($ctl pods --json | jq '.items // [] | length')" 0
ok "rmi takes the image" $ctl rmi "$IMAGE"
is "of which nothing is left" "$($ctl images --json | jq '.images // [] | length')" 0
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
