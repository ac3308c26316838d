#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PID 1 in a pid namespace: reaping, services, their log, the control socket,
# the way down. What it says is compared with what the kernel says.
. "$(dirname "$0")/../tap.sh"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v python3 > /dev/null || skip_all "python3 is missing"
node=$TOP/tests/node
dir=$WORK/node
at_exit "$node down $dir > /dev/null 2>&1"

cat > "$WORK/notify.py" <<'END'
import os, socket, sys, time
print("descriptors", sorted(os.listdir("/proc/self/fd"))[:-1], flush=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
mode = sys.argv[1]
if mode == "ready":
    say("READY=1\nSTATUS=all \"fine\"")
elif mode == "alive":
    say("READY=1")
    for i in range(10):
        time.sleep(0.1)
        say("WATCHDOG=1")
time.sleep(1000)
END
cat > "$WORK/numbers.py" <<'END'
import sys, time, os
while not os.path.exists("/run/go"):
    time.sleep(0.02)
for i in range(100000):
    sys.stdout.write("number %d\n" % i)
    if i % 1000 == 0:
        sys.stdout.flush()
        time.sleep(0.02)
sys.stdout.write("half a line")
sys.stdout.flush()
time.sleep(1000)
END
cat > "$WORK/services.json" <<END
[
 {"name": "netd", "argv": ["/bin/sh", "-c", "trap 'echo netd ends; exit' TERM; while :; do sleep 0.1; done"]},
 {"name": "ready", "type": "notify", "argv": ["/usr/bin/python3", "$WORK/notify.py", "ready"]},
 {"name": "crid", "after": ["netd", "ready"], "pods": true,
  "argv": ["/bin/sh", "-c", "trap 'echo crid ends; exit' TERM; echo crid begins; while :; do sleep 0.1; done"]},
 {"name": "kubelet", "after": ["crid"],
  "argv": ["/bin/sh", "-c", "trap 'echo kubelet ends; exit' TERM; while :; do sleep 0.1; done"]},
 {"name": "stubborn", "stop_timeout_ms": 700, "restart": "no",
  "argv": ["/bin/sh", "-c", "trap '' TERM; (trap '' TERM; exec sleep 1000) & while :; do sleep 1; done"]},
 {"name": "crash", "argv": ["/bin/sh", "-c", "printf 'last words'; exit 3"]},
 {"name": "once", "restart": "no", "argv": ["/bin/true"]},
 {"name": "alive", "type": "notify", "watchdog_ms": 400, "after": ["ready"],
  "argv": ["/usr/bin/python3", "$WORK/notify.py", "alive"]},
 {"name": "numbers", "argv": ["/usr/bin/python3", "$WORK/numbers.py"]},
 {"name": "user", "uid": 65534, "gid": 65534, "argv": ["/bin/sh", "-c", "id; exec sleep 1000"]},
 {"name": "wrong", "argv": ["/bin/true"], "after": ["nobody"]},
 {"name": "missing", "restart": "no", "argv": ["/no/such/program"]}
]
END
export BERTH_SERVICES=$WORK/services.json
# the crashing one never lets the node be all ready: up looks once
BERTH_NODE_ANY=1 "$node" up "$dir" --set init.pods_stop_ms=1500 2> "$WORK/up.log" ||
	{ cat "$WORK/up.log"; exit 1; }
# shellcheck disable=SC1091
. "$dir/env"
log=$dir/var/log/berth
ctl() { "$dir/run/libexec/berthctl" --init "$dir/run/berth/init.sock" "$@"; }
enter() { "$node" enter "$dir" "$@"; }
# get SERVICE KEY
get() { ctl status --json | jq -r --arg s "$1" ".services[] | select(.name == \$s) | .$2"; }
is_now() { [ "$(get "$1" "$2")" = "$3" ]; }

# --- reaping
measure()
{
	echo "descriptors $(find "/proc/$NSPID/fd" -type l | wc -l)"
	awk '/^VmData|^VmStk|^VmSize/' "/proc/$NSPID/status"
	grep -A1 -E '\[heap\]' "/proc/$NSPID/smaps" | head -2
}
before=$(measure)
rss_before=$(awk '/^RssAnon/ { print $2 }' "/proc/$NSPID/status")
ok "10,000 orphans are made" enter python3 -c '
import os
for i in range(10000):
    p = os.fork()
    if p == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(p, 0)'
all_reaped()
{
	local p
	for p in $(cat "/proc/$NSPID/task/$NSPID/children"); do
		[ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$p/status" 2> /dev/null)" != Z ] || return 1
	done
}
ok "and all of them reaped" wait_for 10 all_reaped
is "without growth of descriptors and memory" "$(measure)" "$before"
rss_after=$(awk '/^RssAnon/ { print $2 }' "/proc/$NSPID/status")
ok "nor of touched pages ($rss_before to $rss_after kB)" test $((rss_after - rss_before)) -le 16

rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$NSPID/status")
if sanitized; then
	skip "it is under 1 MiB" "sanitizers take memory"
else
	ok "it is under 1 MiB, code included ($rss kB)" test "$rss" -lt 1024
fi

# --- readiness
is "READY=1 makes a service ready" "$(get ready state)" ready
is "its STATUS= is shown, made safe" "$(get ready text)" "all ?fine?"
like "a service has three descriptors" "$(grep descriptors "$log/ready.log")" "\['0', '1', '2'\]"
ok "one after it starts then" grep -q "crid begins" "$log/crid.log"
ok "a stranger's word does not count" enter env NOTIFY_SOCKET=/run/berth/notify python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"STATUS=forged", "/run/berth/notify")'
is "and changes nothing" "$(get ready text)" "all ?fine?"
is "a row in error is left out" "$(get wrong name)" ""
like "by name" "$(cat "$dir/console")" "wrong left out: after: no nobody above it"
is "one that ends well and is not restarted is stopped" "$(get once state) $(get once starts)" "stopped 1"
like "a missing program is named" "$(cat "$log/missing.log")" \
	"start /no/such/program: exec: No such file or directory"
is "and not tried again" "$(get missing state) $(get missing exit)" "stopped 127"
like "uid drops everything" "$(cat "$log/user.log")" "uid=65534.* gid=65534.*"
is "a service runs in its cgroup" \
	"$(tr '\n' ' ' < "$CGROUP/berth/crid/main/cgroup.procs" | wc -w)" 2
ok "a service that shows no life is restarted" wait_for 10 \
	grep -q "service alive: no sign of life: killed" "$log/init.log"

# --- back-off
crashed_often() { [ "$(get crash starts)" -ge 5 ]; }
ok "a service that crashes comes back" wait_for 10 crashed_often
gaps=$(sed -n 's/^\(....-..-..\)T\(..:..:..\.[0-9]*\)Z init: .*service crash: started.*/\1 \2/p' "$log/init.log" |
	while read -r day time; do date -d "$day $time UTC" +%s%3N; done |
	awk 'NR > 1 && NR < 6 { printf "%d ", $1 - last } { last = $1 }')
doubling()
{
	local want=100 g
	for g in $gaps; do
		[ "$g" -ge $((want * 9 / 10)) ] && [ "$g" -lt $((want * 2 + 1000)) ] || return 1
		want=$((want * 2))
	done
}
ok "each time later: $gaps ms" doubling
is "its last words are a line of their own" \
	"$(grep -c 'crash: last words$' "$log/crash.log")" "$(get crash starts)"

# --- a service that ignores TERM
begin=$(date +%s%3N)
ok "stop answers at once" ctl stop stubborn
ok "a service that ignores TERM ends" wait_for 5 is_now stubborn state stopped
took=$(($(date +%s%3N) - begin))
ok "within its limit of 700 ms ($took ms)" test $took -ge 700 -a $took -lt 9000
is "with all its processes" "$(cat "$CGROUP/berth/stubborn/main/cgroup.procs")" ""
ok "it can be started again" ctl start stubborn
ok "and runs" wait_for 5 is_now stubborn state ready

# --- the log role
touch "$dir/run/go"
kills=0
last_is_there() { cat "$log"/numbers.log* 2> /dev/null | grep -q "number 99999$"; }
until last_is_there || [ $kills -ge 100 ]; do
	pid=$(cat "$CGROUP/berth/log/main/cgroup.procs")
	[ -z "$pid" ] || { kill -9 "$pid" && kills=$((kills + 1)); }
	sleep 0.05
done
ok "the log role was killed $kills times in the midst" test $kills -ge 5
ok "and goes on" wait_for 20 last_is_there
cat "$log"/numbers.log.1 "$log/numbers.log" 2> /dev/null | sed -n 's/.*: number //p' > "$WORK/got"
is "no line is lost" "$(sort -n -u "$WORK/got" | wc -l)" 100000
echo "# $(($(wc -l < "$WORK/got") - 100000)) lines came twice"
pid=$(cat "$CGROUP/berth/numbers/main/cgroup.procs")
ok "the service never noticed" test "$(get numbers starts)" = 1 -a "$(get numbers pid)" != 0 -a -n "$pid"
ok "a half line waits for its end" test "$(grep -c 'half a line' "$log/numbers.log")" = 0
ctl stop numbers
ok "or for the end of its process" wait_for 5 grep -q 'half a line' "$log/numbers.log"
size=$(stat -c %s "$log/numbers.log" "$log/numbers.log.1" | awk '{ s += $1 } END { print s }')
ok "the files are bounded ($size bytes)" test "$size" -le $((8 << 20))

# --- the control socket
like "status is a table for people" "$(ctl status)" "crid +ready"
like "boot is one, too" "$(ctl boot)" "cgroups +[0-9.]+ +[0-9.]+ +-"
like "log shows a service's lines" "$(ctl log crid)" "crid: crid begins"
ok "or everybody's" sh -c "'$dir/run/libexec/berthctl' --init '$dir/run/berth/init.sock' log |
	grep -q 'init: .*service numbers: ended'"
out=$(ctl log nobody 2>&1)
is "no such log is an error" "$? $out" "1 berthctl: no service nobody: No such file or directory"
out=$(ctl stop nobody 2>&1)
is "no such service is an error" "$? $out" "1 berthctl: no service nobody: No such file or directory"
out=$(ctl stop log 2>&1)
is "the log role is not stopped" "$?" 1
old=$(get crid pid)
ok "restart answers" ctl restart crid
restarted() { is_now crid state ready && ! is_now crid pid "$old"; }
ok "and makes a new process" wait_for 5 restarted
is "the socket is root's alone" "$(stat -c %a "$dir/run/berth/init.sock")" 600
ok "another user is refused" python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])  # opened as root, asked as nobody: nothing comes of that either
os.setuid(65534)
t = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    t.connect(sys.argv[1])
    sys.exit(1)
except PermissionError:
    pass' "$dir/run/berth/init.sock"
ok "garbage is refused and PID 1 lives" python3 -c '
import os, socket, struct, sys
for body in (b"", b"x", b"\0" * 12, struct.pack("III", 200, 5, 1) + b"{\"a\"}", b"\xff" * 70000,
             struct.pack("III", 203, 40, 1) + b"{\"service\":\"" + b"a" * 29,
             struct.pack("III", 999, 2, 1) + b"{}"):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    s.settimeout(5)
    s.connect(sys.argv[1])
    s.send(body)
    answer = s.recv(70000)
    assert answer == b"" or struct.unpack("I", answer[:4])[0] == 2, (body, answer)' \
	"$dir/run/berth/init.sock"
is "after all this PID 1 has not grown" "$(measure)" "$before"

# --- the way down
mkdir -p "$CGROUP/berth-pods/pod1/c1" "$CGROUP/kubepods/pod2/c2"
enter sh -c 'echo $$ > /sys/fs/cgroup/berth-pods/pod1/c1/cgroup.procs
	trap "sleep 0.5; date +%s%N > '"$WORK"'/marker; exit" TERM
	while :; do sleep 0.1; done' 2> /dev/null &
enter sh -c 'echo $$ > /sys/fs/cgroup/kubepods/pod2/c2/cgroup.procs
	trap "" TERM; while :; do sleep 0.1; done' 2> /dev/null &
pods_run()
{
	grep -q . "$CGROUP/berth-pods/pod1/c1/cgroup.procs" &&
		grep -q . "$CGROUP/kubepods/pod2/c2/cgroup.procs"
}
ok "two pods run" wait_for 5 pods_run
begin=$(date +%s%3N)
ok "poweroff answers" ctl poweroff
is_gone() { ! [ -d "/proc/$NSPID" ]; }
ok "the node goes down" wait_for 30 is_gone
took=$(($(date +%s%3N) - begin))
ok "in time: the pod that ignores TERM took its 1500 ms, no more ($took ms)" \
	test $took -ge 1500 -a $took -lt 20000
ok "the container that traps TERM has left its marker" test -s "$WORK/marker"
# when SERVICE: the time of its last word
when() { date -d "$(grep "$1 ends" "$log/$1.log" | tail -n 1 | cut -d ' ' -f 1)" +%s%N; }
kubelet=$(when kubelet)
crid=$(when crid)
netd=$(when netd)
marker=$(cat "$WORK/marker")
ok "kubelet ended before the pods" test "$kubelet" -lt "$marker"
ok "the pods before crid" test "$marker" -lt "$crid"
ok "crid before netd" test "$crid" -le "$netd"
is "and last was the power" "$(tail -n 1 "$dir/console")" "<6>berth-init: shutdown: power off"
is "nobody is left" "$(find "$CGROUP" -name cgroup.procs -exec cat {} +)" ""
wait 2> /dev/null
ok "down removes the rest" "$node" down "$dir"

# --- the other ways
echo '[{"name": "x", "argv": ["/bin/sleep", "1000"]}]' > "$WORK/services.json"
# way NAME COMMAND LAST-LINE: what ends a node, and how it ends
way()
{
	"$node" up "$dir" 2> "$WORK/up.log"
	# shellcheck disable=SC1091
	. "$dir/env"
	eval "$2"
	ok "$1 ends the node" wait_for 10 is_gone
	is "in its way" "$(tail -n 1 "$dir/console")" "<6>berth-init: shutdown: $3"
	"$node" down "$dir"
}
way "berthctl reboot" 'ctl reboot' reboot
way "SIGINT, as Ctrl-Alt-Del," 'kill -INT $NSPID' reboot
way "SIGTERM in a pid namespace" 'kill -TERM $NSPID' "power off"
way "SIGRTMIN+3" 'kill -RTMIN+3 $NSPID' "power off"
done_testing
