#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci's verbs as callers use them: output, options, refusals.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

status_is()
{
	[ "$(oci state "$1" | jq -r .status)" = "$2" ]
}
mkdir -p "$root"
bundle a '.process.args = ["sleep", "1000"]'
oci run --bundle "$WORK/a" warm < /dev/null & # the files of everybody are read once
wait_for 20 status_is warm running
oci delete --force warm
wait
snapshot > "$WORK/before"

# events ----------------------------------------------------------------------

oci create --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
is "statistics are told of a created one" "$(oci events --stats a | jq -r '.type, .id' | tr '\n' ' ')" "stats a "
oci start a
ok "they say what it uses" jq -e '.data.cpu.usage | .total >= .user and .total > 0 and (.kernel | type == "number")' \
	<<< "$(oci events --stats a)"
oci events --interval 50ms a > "$WORK/events" &
events=$!
ok "without --stats they come again and again" wait_for 20 sh -c "[ \$(wc -l < '$WORK/events') -ge 3 ]"
oci kill a KILL
wait $events
is "until the container ends" "$? $(jq -r .type "$WORK/events" | sort -u)" "0 stats"
wait_for 20 status_is a stopped
like "a stopped one has none" "$(oci events --stats a 2>&1)" 'container not running'
oci delete a
like "one that is not there neither" "$(oci events a 2>&1)" 'container "a" does not exist'
like "an interval that is none is refused" "$(oci events --interval 5x a 2>&1)" '\--interval: 5x is not like 5s'
oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
(oci events --interval 50ms a; echo $? > "$WORK/code") | head -n 1 > /dev/null
ok "a reader that goes ends it" wait_for 20 test -s "$WORK/code"

# list, ps --------------------------------------------------------------------

is "list has a row for each" "$(oci list | awk '{ print $1, $3 }' | tr '\n' ';')" "ID STATUS;a running;"
is "and JSON" "$(oci list --format json | jq -r '.[] | .id, .status, .owner' | tr '\n' ' ')" "a running root "
is "or the names alone" "$(oci list -q)" a
like "another format is refused" "$(oci list --format xml 2>&1)" 'usage: list'
is "ps is a table" "$(oci ps a | awk '{ print $2 }' | tr '\n' ' ')" "COMMAND sleep "
is "or numbers" "$(oci ps -f json a | jq -c .)" "[$(oci state a | jq .pid)]"

# pause, resume ---------------------------------------------------------------

like "what runs is not resumed" "$(oci resume a 2>&1)" 'container a is running, not paused'
oci pause a
like "what is paused is not paused" "$(oci pause a 2>&1)" 'container a is paused, not running'
is "a paused one is killed" "$(oci kill a KILL && wait_for 20 status_is a stopped && echo yes)" yes
like "a stopped one is not paused" "$(oci pause a 2>&1)" 'container not running'
oci delete a

# update ----------------------------------------------------------------------

oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
for option in "cpu-rt-period 5:cpu.realtimePeriod" "cpu-rt-runtime 5:cpu.realtimeRuntime" \
	"kernel-memory 5m:memory.kernel" "kernel-memory-tcp 5:memory.kernelTCP"; do
	like "--${option%% *} says what this kernel has not" "$(oci update --${option%:*} a 2>&1)" "${option#*:}"
done
like "a container without a class of service says so" "$(oci update --l3-cache-schema L3:0=f a 2>&1; oci update --mem-bw-schema x a 2>&1)" \
	'made without linux.intelRdt.*--mem-bw-schema: not one line'
for value in -1 2; do
	like "--cpu-idle $value is refused" "$(oci update --cpu-idle $value a 2>&1)" 'cpu.idle: outside of 0 to 1'
done
for value in 5x 1kk '' 9999999999999g -; do
	like "--memory '$value' is refused" "$(oci update --memory "$value" a 2>&1)" 'is no number'
done
like "a size may have a letter" "$(oci update --memory 64M a 2>&1)" 'cgroup controller memory is missing'
like "resources come from standard input" "$(echo '{"pids":{"limit":5}}' | oci update --resources=- a 2>&1)" \
	'cgroup controller pids is missing'
like "or are no JSON" "$(echo '{' | oci update -r - a 2>&1)" 'resources: '
oci delete --force a

# cgroups of an exec -------------------------------------------------------------

oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
mkdir -p /sys/fs/cgroup/test/a/sub/deep
for path in /:/ .:/ sub:/sub /sub:/sub sub/deep/:/sub/deep; do
	is "exec runs in ${path%:*} of the container's cgroup" \
		"$(oci exec --cgroup "${path%:*}" a grep ^0: /proc/self/cgroup)" "0::${path#*:}"
done
like "it makes none" "$(oci exec --cgroup none a true 2>&1; ls /sys/fs/cgroup/test/a | grep none)" 'cgroup: open none: No such file[^\n]*$'
like "it leaves none" "$(oci exec --cgroup ../x a true 2>&1; oci exec --cgroup sub/../.. a true 2>&1)" 'has a \.\..*has a \.\.'
like "a file is none" "$(oci exec --cgroup cgroup.procs a true 2>&1)" 'Not a directory'
like "nor has it controllers" "$(oci exec --cgroup cpu:/sub a true 2>&1)" '\--cgroup: cpu:/sub: cgroup v2 has no controller'
oci delete --force a

# capabilities of an exec --------------------------------------------------------

bundle caps '.process.args = ["sleep", "1000"] | .process.user.uid = 1000 |
	.process.capabilities.inheritable = ["CAP_KILL"]'
oci run --detach --bundle "$WORK/caps" caps < /dev/null > /dev/null 2>&1
is "an inheritable one becomes ambient, others do not" \
	"$(oci exec --cap CAP_KILL --cap CAP_CHOWN caps grep -E 'CapAmb|CapEff' /proc/self/status | cut -f2 | tr '\n' ' ')" \
	"0000000000000020 0000000000000020 "
like "an unknown one is a warning" "$(oci exec --cap CAP_X caps echo ran 2>&1)" \
	$'^berth-oci: warning: --cap: CAP_X is unknown and left out\nran$'
oci delete --force caps

# descriptors of a service manager ----------------------------------------------

bundle listen '.process.env += ["LISTEN_FDS=7"] | .process.args = ["sh", "-c",
	"echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; ls /proc/self/fd | wc -l"]'
echo three > "$WORK/three"
listen() # listen ENVIRONMENT... OPTIONS...: with descriptors 3 and 4; $$ is berth-oci's pid
{
	sh -c "$1 exec \"\$@\"" sh "$BUILD/runtime/berth-oci" --root "$root" run "${@:2}" --bundle "$WORK/listen" listen \
		2>&1 < /dev/null 3< "$WORK/three" 4< /dev/null | tr '\n' ' '
}
is "sockets of a service manager are handed on" "$(listen 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x:y')" "1 1 x:y three 5 "
is "also when it names no process" "$(listen 'LISTEN_FDS=1')" "1 1 three 5 "
is "with further ones behind" "$(listen 'LISTEN_FDS=1' --preserve-fds 1)" "1 1 three 6 "
like "those of another process are not" "$(listen 'LISTEN_PID=1 LISTEN_FDS=1')" '^7 .*3: Bad file'
like "nor what is not there" "$(listen 'LISTEN_FDS=9')" 'LISTEN_FDS: descriptor [0-9]+: Bad file'
like "nor too many" "$(listen 'LISTEN_FDS=1025'; listen 'LISTEN_FDS=-1')" 'LISTEN_FDS: 1025:.*LISTEN_FDS: -1:'

# spec -------------------------------------------------------------------------

run_spec() # run_spec OPTIONS...: the file that spec writes, and what a container of it prints
{
	rm -f "$WORK/once/config.json"
	oci spec --bundle "$WORK/once" "$@"
	jq '.process.terminal = false | .process.args = ["sh", "-c", "id -u; cat /proc/self/uid_map | tr -s \" \"; ls /sys | grep kernel"]' \
		"$WORK/once/config.json" > "$WORK/config.once"
	oci run --bundle "$WORK/once" --config "$WORK/config.once" once 2>&1 < /dev/null | tr '\n' ' '
}
bundle once .
is "a container can be made of what spec writes" "$(run_spec)" "0  0 0 4294967295 kernel "
is "and of what it writes with --rootless" "$(run_spec --rootless)" "0  0 0 1 kernel "
is "which is that of a user without rights" "$(jq -c '[.linux.namespaces[].type], .linux.resources,
	(.mounts[] | select(.destination | startswith("/sys")))' "$WORK/once/config.json" | tr '\n' ' ')" \
	'["pid","ipc","uts","mount","cgroup","user"] null {"destination":"/sys","type":"none","source":"/sys","options":["rbind","nosuid","noexec","nodev","ro"]} '
like "a config.json that is there is left" "$(oci spec --rootless --bundle "$WORK/once" 2>&1)" 'File exists'
if command -v setpriv > /dev/null; then
	mkdir "$WORK/user" && chown 1000:1001 "$WORK/user"
	setpriv --reuid 1000 --regid 1001 --clear-groups "$BUILD/runtime/berth-oci" spec --rootless -b "$WORK/user"
	is "the ids are the caller's" "$(jq -c '.linux | .uidMappings + .gidMappings' "$WORK/user/config.json")" \
		'[{"containerID":0,"hostID":1000,"size":1},{"containerID":0,"hostID":1001,"size":1}]'
else
	skip "the ids are the caller's" "setpriv is missing"
fi

# pid files --------------------------------------------------------------------

bundle once '.process.args = ["true"]'
oci run --bundle "$WORK/once" --pid-file "$WORK/pid.run" once < /dev/null > /dev/null 2>&1
like "a pid file stays when the container has ended" "$(cat "$WORK/pid.run")" '^[1-9][0-9]*$'
jq '.process.args = ["/no/such"]' "$WORK/once/config.json" > "$WORK/config.once"
rm -f "$WORK/pid.run"
oci run --bundle "$WORK/once" --config "$WORK/config.once" --pid-file "$WORK/pid.run" once < /dev/null > /dev/null 2>&1
ok "and there is none of one that never ran" test ! -e "$WORK/pid.run"

# signals by name ----------------------------------------------------------------

bundle signals '.process.args = ["sh", "-c", "trap \"echo 10\" USR1; trap \"echo 37\" 37; trap \"echo 61\" 61;
	echo up; while :; do sleep 0.01; done"]'
oci run --detach --bundle "$WORK/signals" signals >> "$WORK/signals.out" 2> /dev/null < /dev/null
wait_for 20 grep -q up "$WORK/signals.out"
heard() # heard NAME NUMBER: the signal arrives
{
	: > "$WORK/signals.out"
	oci kill signals "$1" && wait_for 2 grep -qx "$2" "$WORK/signals.out"
}
for name in usr1:10 SIGUSR1:10 sigusr1:10 SigUsr1:10 rtmin+3:37 SIGRTMAX-3:61; do
	ok "a signal is called ${name%:*}" heard "${name%:*}" "${name#*:}"
done
for name in SIG usr3 rtmin-1 RTMAX-99 RTMIN+x; do
	like "none is called $name" "$(oci kill signals $name 2>&1)" "signal ${name/+/\\+} is unknown"
done
oci delete --force signals

# options behind the operand ----------------------------------------------------

oci run a --detach -b "$WORK/a" < /dev/null > /dev/null 2>&1
is "run takes options behind the id" "$(oci state a | jq -r .status)" running
is "ps too" "$(oci ps a -f json | jq -c .)" "[$(oci state a | jq .pid)]"
like "update too, and a negative value" "$(oci update a --pids-limit -1 2>&1; echo $?; oci update a --pids-limit 5 2>&1)" \
	$'^0\nberth-oci: .*controller pids is missing'
is "what is behind the id of exec is the command" "$(oci exec a echo -e --tty -- x)" "--tty -- x"
like "a negative number is a signal, of which there is none" "$(oci kill a -9 2>&1)" 'signal -9 is unknown'
like "behind -- nothing is an option" "$(oci delete -- a --force 2>&1; oci state -- a 2>&1)" 'usage: delete.*usage: state'
like "an unknown option behind the id is one" "$(oci delete a --farce 2>&1)" 'unknown option --farce'
is "kill too" "$(oci kill a KILL -a && wait_for 20 status_is a stopped && echo yes)" yes
oci delete a
oci create a --bundle "$WORK/a" -- < /dev/null > /dev/null 2>&1
is "delete too" "$(oci delete a --force && oci list -q)" ""

# several at once --------------------------------------------------------------

for name in one1 one2 other; do
	jq ".linux.cgroupsPath = \"/test/$name\"" "$WORK/a/config.json" > "$WORK/config.$name"
	oci run --detach --bundle "$WORK/a" --config "$WORK/config.$name" $name < /dev/null > /dev/null 2>&1
done
is "a pattern kills those that match" "$(oci kill --regex '^one[0-9]$' KILL && wait_for 20 status_is one1 stopped &&
	wait_for 20 status_is one2 stopped && oci state other | jq -r .status)" running
like "and tells what it could not" "$(oci kill --regex 'one|other' 0 2>&1; echo $?)" 'container one[12]: container not running: .*1$'
like "not all are deleted without force" "$(oci delete --regex . 2>&1; oci list -q)" $'cannot delete container other.*\nother$'
is "but with it" "$(oci delete --force --regex 'o.*r'; oci list -q)" ""
like "what is no pattern is refused" "$(oci delete --regex '(' 2>&1)" 'no regular expression'

# what only looks wrong -------------------------------------------------------

bundle odd '.process.args = ["sh", "-c", "echo ran"] | .process.noNewPrivileges = false |
	.mounts += [{ destination: "/x", type: "bind", source: "/tmp", options: ["size=1k"] }] |
	.linux.seccomp.syscalls |= map(.names -= ["close_range"]) | .linux.seccomp.defaultErrnoRet = 38'
like "a word that a bind mount has not is a warning, and the filter may forbid close_range(2)" \
	"$(oci run --bundle "$WORK/odd" odd 2>&1 < /dev/null)" $'options size=1k change nothing.*\nran$'
bundle null '.process.args = ["sh", "-c", "[ /proc/self/fd/0 -ef /dev/null ]"]'
is "a null device that is handed in becomes the container's own" "$(oci run --bundle "$WORK/null" null < /dev/null > /dev/null 2>&1; echo $?)" 0

hook='{ path: "/bin/sh", args: ["sh", "-c", "echo $0 >> '"$WORK/hooks"'; exit $0", '
bundle stop ".process.args = [\"true\"] | .hooks.poststop = [$hook \"3\"] }, $hook \"4\"] }, $hook \"0\"] }]"
like "failing poststop hooks are told of, and the next ones run" "$(oci run --bundle "$WORK/stop" stop 2>&1 < /dev/null; echo $?)" \
	$'exit status 4.*exit status 3.*\n0$'
is "each once" "$(tr '\n' ' ' < "$WORK/hooks")" "3 4 0 "

# what is logged --------------------------------------------------------------

logged() # logged [OPTIONS] VERB...: what stderr got, then level and text of the log's lines
{
	rm -f "$WORK/log"
	oci --log "$WORK/log" --log-format json "$@" 2>&1 < /dev/null
	jq -r '"log: " + .level + " " + .msg' "$WORK/log"
}
bundle warn '.process.args = ["echo", "ran"] | .process.capabilities.bounding += ["CAP_X"]'
is "with a log a warning goes nowhere else" "$(logged run --bundle "$WORK/warn" warn)" \
	$'ran\nlog: warning capabilities.bounding: CAP_X is unknown and left out'
like "without one it is for people" "$(oci run --bundle "$WORK/warn" warn 2>&1 < /dev/null)" \
	$'^berth-oci: warning: capabilities.bounding: CAP_X is unknown and left out\nran$'
is "an error is in both" "$(logged run --bundle "$WORK/none" x)" \
	"berth-oci: bundle $WORK/none: No such file or directory
log: error bundle $WORK/none: No such file or directory"
oci --log "$WORK/log.text" run --bundle "$WORK/warn" warn > /dev/null 2>&1 < /dev/null
like "text has its level too" "$(cat "$WORK/log.text")" '^time="[^"]+" level=warning msg="capabilities'
oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
if command -v setpriv > /dev/null; then
	jq '.process | .oomScoreAdj = -500 | .args = ["echo", "ran"]' "$WORK/a/config.json" > "$WORK/process"
	rm -f "$WORK/log"
	is "what the child says goes to the log as well" "$(setpriv --bounding-set -sys_resource --inh-caps -sys_resource \
		"$BUILD/runtime/berth-oci" --root "$root" --missing warn --log "$WORK/log" exec --process "$WORK/process" a 2>&1
		sed 's/^time="[^"]*" //' "$WORK/log")" \
		$'ran\nlevel=warning msg="container a: oom_score_adj -500 cannot be set without CAP_SYS_RESOURCE"'
else
	skip "what the child says goes to the log as well" "setpriv is missing"
fi
is "the log is nothing of the program's" "$(oci --log "$WORK/log" exec a sh -c 'ls /proc/self/fd | tr "\n" " "')" "0 1 2 3 "
for verb in "create --bundle $WORK/a other" "run --bundle $WORK/odd odd" "exec a true" "state a" "list" features; do
	# shellcheck disable=SC2086
	like "--debug logs ${verb%% *}" "$(logged --debug $verb > "$WORK/out"; grep '^log: ' "$WORK/out")" 'log: debug'
done
like "on stderr without a log" "$(oci --debug state a 2>&1 > /dev/null)" '^berth-oci: debug: '
oci delete --force other
oci delete --force a

# sockets for descriptors -----------------------------------------------------

cat > "$WORK/take" << 'PY'
import array, os, select, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1]); s.listen(1); c, _ = s.accept()
_, anc, _, _ = c.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array('i', anc[0][2][:4])[0]
print([l.split()[1] for l in open(f'/proc/self/fdinfo/{fd}') if l.startswith('Pid:')][0], flush=True)
select.select([fd], [], [])
print('ended', flush=True)
PY
taken()
{
	rm -f "$WORK/sock" "$WORK/taken"
	python3 "$WORK/take" "$WORK/sock" > "$WORK/taken" &
	wait_for 20 test -S "$WORK/sock"
}
taken
oci run --detach --bundle "$WORK/a" --pidfd-socket "$WORK/sock" a < /dev/null > /dev/null 2>&1
wait_for 20 test -s "$WORK/taken"
is "a pidfd of the container is sent" "$(head -n 1 "$WORK/taken")" "$(oci state a | jq .pid)"
oci kill a KILL
ok "which tells its end" wait_for 20 grep -q ended "$WORK/taken"
wait_for 20 status_is a stopped
oci delete a
oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
taken
oci exec --detach --pidfd-socket "$WORK/sock" --pid-file "$WORK/pid" a sleep 1000 < /dev/null > /dev/null 2>&1
wait_for 20 test -s "$WORK/taken"
is "and of an exec" "$(head -n 1 "$WORK/taken")" "$(cat "$WORK/pid")"
like "nobody there is an error" "$(oci exec --pidfd-socket "$WORK/none" a true 2>&1)" "connect to pidfd socket $WORK/none: No such file"
oci delete --force a
wait

# nothing is left -------------------------------------------------------------

rmdir /sys/fs/cgroup/test 2> /dev/null
as_before() # what was killed may still be on its way out
{
	snapshot > "$WORK/after"
	sed -i '/\/test$/d' "$WORK/before" "$WORK/after"
	diff "$WORK/before" "$WORK/after" > "$WORK/diff"
}
wait_for 5 as_before # not by ok: that is a process more
is "mounts, cgroups and processes are as before" "$(cat "$WORK/diff")" ""
is "no container is remembered" "$(oci list -q)" ""
done_testing
