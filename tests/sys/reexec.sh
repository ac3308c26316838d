#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PID 1 falls and goes on: code of a fault is put at its program counter, the
# seven kinds in turn, at run time, in the boot and in the way down.
#
#	tests/sys/reexec.sh [ROUNDS]     faults at run time; 42 when absent, 1000 is the long form
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"
[ "$(uname -m)" = x86_64 ] || skip_all "the faults are written for x86-64"
fault=$BUILD/tests/sys/fault
kinds=(segv bus abrt fpe ill sys stack)
rounds=${1:-${REEXEC_ROUNDS:-42}}

cat > "$WORK/services.json" <<'END'
[
 {"name": "netd", "type": "notify", "argv": ["/run/libexec/berth-netd"]},
 {"name": "crid", "type": "notify", "argv": ["/run/libexec/berth-crid"], "after": ["netd"], "pods": true},
 {"name": "ticker", "argv": ["/usr/bin/python3", "-c",
  "import os, sys, time\ni = 0\nwhile True:\n os.write(2, b'tick %d\\n' % i)\n i += 1\n time.sleep(0.01)"]},
 {"name": "mortal", "restart": "no", "argv": ["/bin/sh", "-c", "read code < /run/fifo; exit $code"]}
]
END
# a client that keeps PID 1 busy; a connection that a fault cuts off is not answered
cat > "$WORK/busy.py" <<'END'
import socket, struct, sys, time
status = int(sys.argv[2])
while True:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    try:
        s.connect(sys.argv[1])
        s.send(struct.pack("III", status, 2, 1) + b"{}")
        s.recv(70000)
    except (ConnectionError, BrokenPipeError):
        pass
    s.close()
    time.sleep(0.002)
END
status_type=$(sed -n 's/.*INIT_STATUS = \([0-9]*\).*/\1/p' "$TOP/lib/proto.h")
ctl() { "$dir/run/libexec/berthctl" --init "$dir/run/berth/init.sock" "$@"; }
node() { "$NODE" enter "$dir" "$@"; }
pids() { ctl status --json | jq -c '[.services[] | select(.name != "mortal") | [.name, .pid, .starts]]'; }
mortal() { ctl status --json | jq -r '.services[] | select(.name == "mortal") | "\(.state) \(.exit)"'; }
is_mortal() { [[ $(mortal) = $1 ]]; }
at_random() { od -An -v -tu8 -w16 "/proc/$NSPID/auxv" | awk '$1 == 25 { print $2 }'; }
is_new() { local now; now=$(at_random) && [ -n "$now" ] && [ "$now" != "$1" ]; }
faults() { grep -c 'went on after a fault' "$dir/var/log/berth/init.log"; }

# --- run time
mkdir -p "$WORK/node/run"
mkfifo "$WORK/node/run/fifo"
BERTH_SERVICES=$WORK/services.json cri_node_up --set init.faults=0
ok "the image is pulled" node berthctl pull "$IMAGE"
ok "a pod runs" node berthctl run --name stays "$IMAGE" sh -c 'sleep 10000'
pods() { node sh -c 'pgrep -x "berth-shim|sleep|berth-pause"' | sort -n | xargs; }
before=$(pids) pods=$(pods)
python3 "$WORK/busy.py" "$dir/run/berth/init.sock" "$status_type" &
busy=$!
at_exit 'kill $busy 2> /dev/null'
fds=$(find "/proc/$NSPID/fd" -type l | wc -l)
wrong=() begin=$SECONDS done=0
for ((i = 0; i < rounds; i++)); do
	kind=${kinds[i % 7]} calls=$((RANDOM % 60)) code=$((i % 100 + 1))
	old=$(at_random)
	# its end comes while PID 1 falls
	"$fault" "$NSPID" "$kind" $calls > /dev/null &
	(sleep 0.00$((RANDOM % 10)); echo $code > "$dir/run/fifo") &
	wait_for 30 is_new "$old" || { wrong+=("$i $kind $calls: no new life"); break; }
	wait_for 10 is_mortal "stopped $code" || wrong+=("$i $kind $calls: $(mortal), not $code")
	[ "$(pids)" = "$before" ] || { wrong+=("$i $kind $calls: $(pids)"); break; }
	ctl start mortal || wrong+=("$i $kind $calls: no start")
	wait_for 30 is_mortal "ready *" || wrong+=("$i $kind $calls: mortal is $(mortal)")
	done=$((done + 1))
done
echo "# $done faults in $((SECONDS - begin)) s"
is "after each fault services have their processes, and an end meanwhile its code" "$(printf '%s\n' "${wrong[@]}" | head)" ""
is "all were made" "$done $(faults)" "$rounds $rounds"
is "the pod keeps its processes" "$(pods)" "$pods"
kill $busy
wait $busy 2> /dev/null
settled() { [ "$(find "/proc/$NSPID/fd" -type l | wc -l)" = "$fds" ] || [ "$1" ]; }
is "no descriptor is left" "$(wait_for 5 settled ''; find "/proc/$NSPID/fd" -type l | wc -l)" "$fds"
rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$NSPID/status")
if sanitized; then
	skip "PID 1 is under 1 MiB still" "sanitizers take memory"
else
	ok "PID 1 is under 1 MiB still ($rss kB)" test "$rss" -lt 1024
fi
ok "another pod runs" node berthctl run --name later "$IMAGE" sh -c 'sleep 10000'
cat "$dir"/var/log/berth/ticker.log.1 "$dir/var/log/berth/ticker.log" 2> /dev/null |
	sed -n 's/.*: tick //p' > "$WORK/ticks"
is "no line is lost, none comes twice" \
	"$(awk 'NR > 1 && $1 != last + 1 { print last, $1 } { last = $1 }' "$WORK/ticks" | head)" ""
ok "of $(wc -l < "$WORK/ticks") that came" test "$(wc -l < "$WORK/ticks")" -ge "$rounds"

# --- the way down, of a node with two pods
is_gone() { ! [ -d "/proc/$NSPID" ]; }
# falls CALLS KIND: PID 1 falls so many system calls after poweroff
falls()
{
	coproc "$fault" "$NSPID" "$2" "$1"
	pid=$!
	read -r -u "${COPROC[0]}" || true
	ctl poweroff > /dev/null 2>&1
	ok "it goes down with a fault ($2) $1 system calls later" wait_for 60 is_gone
	wait "$pid"
	is "and there was one" "$?" 0
	is "in order" "$(tail -n 1 "$dir/console")" "<6>berth-init: shutdown: power off"
	is "nobody is left" "$(find "$CGROUP" -name cgroup.procs -exec cat {} +)" ""
	is "no service was killed" "$(grep -E 'service .*killed' "$dir/var/log/berth/init.log")" ""
	"$NODE" down "$dir"
}
falls 150 segv

# --- the boot, and the way down elsewhere
sed -i '/berth-netd/d; /berth-crid/d' "$WORK/services.json"
export BERTH_SERVICES=$WORK/services.json
down=(20 60 90 130) n=0
points=(100 160 260 420)
if sanitized; then
	skip "faults in the boot" "hundreds of system calls are the sanitizers', before main()"
	points=()
fi
for calls in "${points[@]}"; do
	kind=${kinds[n % 7]}
	mkdir -p "$dir/run"
	mkfifo "$dir/run/fifo"
	ok "a node comes up with a fault ($kind) after $calls system calls" \
		env BERTH_NODE_EXEC="$fault exec $kind $calls" "$NODE" up "$dir" || break
	. "$dir/env"
	is "in its second life" "$(cat "$dir/console" "$dir/var/log/berth/init.log" |
		grep -c 'went on after a fault')" 1
	is "each service once" "$(ctl status --json | jq -c '[.services[].starts]')" "[1,1,1]"
	falls "${down[n]}" "${kinds[n + 3]}"
	n=$((n + 1))
done

# --- a loop of faults
mkdir -p "$dir/run"
mkfifo "$dir/run/fifo"
ok "a node comes up" "$NODE" up "$dir" --set init.faults=3
. "$dir/env"
for i in 1 2 3; do
	old=$(at_random)
	"$fault" "$NSPID" ill 0 > /dev/null
	[ $i = 3 ] || wait_for 30 is_new "$old"
done
ok "the third fault within a minute is the end" wait_for 60 is_gone
like "the console has the reason" "$(cat "$dir/console")" \
	"too many faults: Illegal instruction at 0x[0-9a-f]+, .*fault 3"
like "and so has the disk" "$(cat "$dir/var/log/berth/last-fault")" \
	"too many faults: Illegal instruction at .*fault 3"
ok "down removes the rest" "$NODE" down "$dir"
done_testing
