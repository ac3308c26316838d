#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ExecSync, exec, attach, port-forward and statistics of a whole node, by an
# independent gRPC client and an independent streaming client.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

cri_node_up
client=$TOP/tests/peers/cri-stream.py

in_node() { "$NODE" enter "$dir" "$@"; }

# call METHOD JSON: the answer as JSON in $answer; the error in $error
call()
{
	error=
	answer=$(node "$TOP/tests/peers/cri-call.mjs" "${ENDPOINT#unix://}" "$1" "$2" 2> "$WORK/call.err") ||
		error=$(cat "$WORK/call.err")
}

# pod NAME [JSON]: a pod, its id in $pod
pod()
{
	call RunPodSandbox "$(jq -nc --arg n "$1" --arg p "$CGPARENT" --arg l "$LOGS/$1" --argjson m "${2:-{\}}" \
		'{config: ({metadata: {name: $n, namespace: "test", uid: ("uid-" + $n)}, log_directory: $l,
		  linux: {cgroup_parent: $p}} + $m)}')"
	pod=$(jq -r .pod_sandbox_id <<< "$answer")
}

# ctr NAME JSON COMMAND...: a running container in $pod, its id in $ctr
ctr()
{
	local name=$1 more=$2
	shift 2
	ctr=
	call CreateContainer "$(jq -nc --arg p "$pod" --arg n "$name" --arg i "$IMAGE" --argjson m "$more" \
		'{pod_sandbox_id: $p, config: ({metadata: {name: $n}, image: {image: $i}, log_path: ($n + ".log"),
		  command: $ARGS.positional} + $m)}' --args -- "$@")"
	[ -z "$error" ] || echo "# $name: $error"
	ctr=$(jq -r .container_id <<< "$answer")
	call StartContainer "{\"container_id\": \"$ctr\"}"
}

# exec_sync TIMEOUT COMMAND...: out, err, code; error when the call failed
exec_sync()
{
	local t=$1
	shift
	call ExecSync "$(jq -nc --arg c "$ctr" --argjson t "$t" \
		'{container_id: $c, timeout: $t, cmd: $ARGS.positional}' --args -- "$@")"
	out=$(jq -r '.stdout // ""' <<< "$answer") err=$(jq -r '.stderr // ""' <<< "$answer")
	code=$(jq -r '.exit_code // 0' <<< "$answer")
}

# url METHOD JSON
url()
{
	call "$1" "$2"
	jq -r .url <<< "$answer"
}

# stream FLAGS CLIENT-ARGUMENTS... -- COMMAND...: an exec by URL; out, err, status
stream()
{
	local flags=$1 args=() u
	shift
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	u=$(url Exec "$(jq -nc --arg c "$ctr" --arg f "$flags" \
		'{container_id: $c, cmd: $ARGS.positional, stdin: ($f | contains("i")), stdout: ($f | contains("o")),
		  stderr: ($f | contains("e")), tty: ($f | contains("t"))}' --args -- "$@")")
	status=0
	in_node python3 "$client" exec "$u" --timeout 20 "${args[@]}" > "$WORK/out" 2> "$WORK/err" || status=$?
	out=$(tr -d '\0' < "$WORK/out") err=$(cat "$WORK/err")
}

call PullImage "{\"image\": {\"image\": \"$IMAGE\"}}"
is "the image is there" "$error" "" || done_testing
pod one
ctr main '{}' sh -c 'while :; do sleep 1; done'
is "a container runs" "$error" ""

# --- ExecSync ---------------------------------------------------------------
exec_sync 10 sh -c 'echo out; echo err >&2; exit 7'
is "ExecSync gives both outputs and the exit code" "$out $err $code" "out err 7"
exec_sync 10 /no/such
is "a missing program is exit code 127, as a shell has it" "$code" 127
like "with the reason on stderr" "$err" "/no/such: No such file or directory"
exec_sync 10 no-such
is "so is one that PATH does not have" "$code" 127
exec_sync 10 /etc/passwd
is "one that cannot be executed is 126" "$code" 126
exec_sync 1 sh -c 'sleep 4321 & sleep 4322'
like "a timeout is DEADLINE_EXCEEDED" "$error" "DEADLINE_EXCEEDED|code 4|timed out"
exec_sync 10 sh -c 'ps | grep -c "[s]leep 432"'
is "and everything the command started is gone" "$out" 0
begin=$SECONDS
exec_sync 10 sh -c 'echo first; sleep 30 & exit 3'
is "an exit is told though a grandchild holds the output" "$out $code" "first 3"
ok "within the drain" test $((SECONDS - begin)) -lt 25
exec_sync 20 sh -c 'head -c 40000000 /dev/zero | tr "\0" x; echo end >&2'
is "output over the limit is thrown away" "$code$error" 0
ok "what is kept fits into kubelet's message" test ${#out} -le 16777216
ok "and fills it" test ${#out} -gt 16700000
exec_sync -1 true
like "a negative timeout is refused" "$error" "INVALID_ARGUMENT|code 3|timeout -1"

env=$(jq -nc '[range(1500) | {key: "SERVICE_NUMBER_\(.)_PORT", value: ("tcp://10.0.0.1:\(.)" | @base64)}]')
main=$ctr
ctr crowded "{\"envs\": $env}" sleep 1000
exec_sync 10 sh -c 'env | grep -c SERVICE_NUMBER; echo "$SERVICE_NUMBER_1499_PORT"'
is "an environment longer than a message of ours arrives" "$out" $'1500\ntcp://10.0.0.1:1499'
call RemoveContainer "{\"container_id\": \"$ctr\"}"
ctr=$main

# --- exec by URL ------------------------------------------------------------
stream oe -- sh -c 'echo out; echo err >&2; exit 9' < /dev/null
is "exec over SPDY: outputs and exit code" "$out $err $status" "out err 9"
head -c 2000000 /dev/urandom > "$WORK/big"
stream ioe -i -- cat < "$WORK/big"
ok "two megabytes through a cat in the container" cmp "$WORK/big" "$WORK/out"
stream ot -t --resize 101x37 -- sh -c 'sleep 0.3; tty; stty size' < /dev/null
like "a terminal has the size it was given" "$out" "/dev/pts/0.*37 101"
stream iot -i -t -- sh -c 'read x; echo "got $x"' < <(echo typed; sleep 5)
like "a terminal reads what is typed" "$out" "got typed"
stream oe -- /no/such < /dev/null
is "a program that is not there is an error" "$status" 125
like "that names it" "$err" "/no/such"
stream ioe -i --ws v5.channel.k8s.io -- sh -c 'cat; exit 4' < <(echo websocket)
is "exec over a websocket" "$out $status" "websocket 4"

u=$(url Exec "{\"container_id\": \"$ctr\", \"cmd\": [\"sleep\", \"5555\"], \"stdout\": true}")
in_node timeout 1 python3 "$client" exec "$u" --no-stderr > /dev/null 2>&1 < /dev/null
sleepers() { exec_sync 10 sh -c 'ps | grep -c "[s]leep 5555"'; [ "$out" = 0 ]; }
ok "an exec whose client went away is ended" wait_for 20 sleepers

# --- attach -----------------------------------------------------------------
ctr shell '{"stdin": true, "stdin_once": true}' sh
u=$(url Attach "{\"container_id\": \"$ctr\", \"stdin\": true, \"stdout\": true, \"stderr\": true}")
out=$(printf 'echo -n hello\nexit 5\n' | in_node python3 "$client" attach "$u" -i --timeout 20 2> "$WORK/err")
is "attach talks to the container's shell" "$out" hello
exited() { call ContainerStatus "{\"container_id\": \"$ctr\"}"; [ "$(jq -r .status.state <<< "$answer")" = CONTAINER_EXITED ]; }
ok "which ends by what it was told" wait_for 10 exited
call ContainerStatus "{\"container_id\": \"$ctr\"}"
is "with that exit code" "$(jq -r .status.exit_code <<< "$answer")" 5
u=$(url Attach "{\"container_id\": \"$ctr\", \"stdout\": true}")
is "there is no attach to a container that ended" "$u" ""

ctr chatty '{}' sh -c 'i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done'
u=$(url Attach "{\"container_id\": \"$ctr\", \"stdout\": true}")
in_node timeout 5 python3 "$client" attach "$u" --no-stderr > "$WORK/a" < /dev/null &
first=$!
u=$(url Attach "{\"container_id\": \"$ctr\", \"stdout\": true}")
in_node timeout 5 python3 "$client" attach "$u" --no-stderr > "$WORK/b" < /dev/null
wait $first
ok "two attach at once" test -s "$WORK/a" -a -s "$WORK/b"
call ContainerStatus "{\"container_id\": \"$ctr\"}"
is "and leave it running" "$(jq -r .status.state <<< "$answer")" CONTAINER_RUNNING
ok "its log has every line" sh -c "grep -c 'line' '$LOGS/one/chatty.log' | grep -q '[1-9][0-9]'"

# --- port-forward -----------------------------------------------------------
ctr web '{}' sh -c 'mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www'
request='GET / HTTP/1.0\r\n\r\n'
forward()
{
	u=$(url PortForward "{\"pod_sandbox_id\": \"$pod\"}")
	printf "$request" | in_node python3 "$client" forward "$u" "$1" --timeout 10 2> "$WORK/err"
}
served() { [[ $(forward 8080) = *page* ]]; }
ok "a forward reaches a server in the pod" wait_for 10 served
out=$(forward 8081)
like "a closed port is told" "$(cat "$WORK/err")" "8081.*refused"
u=$(url PortForward "{\"pod_sandbox_id\": \"$pod\"}")
like "and through a websocket" "$(printf "$request" | in_node python3 "$client" forward "$u" 8080 --timeout 10 \
	--ws SPDY/3.1+portforward.k8s.io)" page
call PortForward "{\"pod_sandbox_id\": \"$pod\", \"port\": [70000]}"
like "a port that cannot be is refused" "$error" "INVALID_ARGUMENT|code 3|port 70000"

# --- statistics -------------------------------------------------------------
call ListContainerStats '{}'
is "every running container has statistics" "$(jq '.stats | length' <<< "$answer")" 3
rated()
{
	call ContainerStats "{\"container_id\": \"$ctr\"}"
	jq -e '.stats.cpu.usage_nano_cores' <<< "$answer"
}
ok "a rate comes with the second sample" wait_for 15 rated
call ContainerStats "{\"container_id\": \"$ctr\"}"
ok "CPU time is there" jq -e '.stats.cpu.usage_core_nano_seconds.value | tonumber > 0' <<< "$answer"
call ListContainerStats "{\"filter\": {\"id\": \"$ctr\"}}"
is "a filter by id finds one" "$(jq '.stats | length' <<< "$answer")" 1
call ListContainerStats '{"filter": {"label_selector": {"no": "such"}}}'
is "a filter by label finds none" "$(jq '.stats // [] | length' <<< "$answer")" 0
call PodSandboxStats "{\"pod_sandbox_id\": \"$pod\"}"
is "a pod counts its containers" "$(jq '.stats.linux.containers | length' <<< "$answer")" 3
is "and is their sum where it shares its cgroup" "$(jq '.stats.linux | (.cpu.usage_core_nano_seconds.value | tonumber) ==
	([.containers[].cpu.usage_core_nano_seconds.value | tonumber] | add)' <<< "$answer")" true
like "and its network" "$(jq -r '.stats.linux.network.interfaces[0].name' <<< "$answer")" "^eth0$"

call ListPodSandboxMetrics '{}'
is "metrics name the container as cAdvisor does" "$(jq -r --arg c "$ctr" '.pod_metrics[0].container_metrics[] |
	select(.container_id == $c) | .metrics[] | select(.name == "container_processes") | .label_values | join(" ")' \
	<<< "$answer" | cut -d' ' -f1,3-)" "web $IMAGE $ctr test one"
is "and the pod's network" "$(jq -r '[.pod_metrics[0].metrics[] | .label_values[6]] | unique | join(" ")' <<< "$answer")" eth0

# --- crid dies --------------------------------------------------------------
ctr=$main
node "$TOP/tests/peers/cri-call.mjs" "${ENDPOINT#unix://}" ExecSync \
	"{\"container_id\": \"$ctr\", \"cmd\": [\"sleep\", \"7777\"]}" > /dev/null 2>&1 &
orphans() { exec_sync 10 sh -c 'ps | grep -c "[s]leep 7777"'; [ "$out" = "$1" ]; }
ok "an exec runs" wait_for 10 orphans 1
kill -KILL "$PID"
ok "crid comes back after SIGKILL" "$NODE" up "$dir"
. "$dir/env"
ok "nothing runs on for a client that is gone" wait_for 20 orphans 0

call StopPodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
call RemovePodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
call Exec "{\"container_id\": \"$ctr\", \"cmd\": [\"true\"], \"stdout\": true}"
like "an exec in what is gone is NOT_FOUND" "$error" "NOT_FOUND|code 5|not known"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
