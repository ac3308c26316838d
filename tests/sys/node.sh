#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/node leaves nothing: the snapshot before up is the one after down.
# BERTH_NODE_ROUNDS: how often (the long variant is 50).
. "$(dirname "$0")/../tap.sh"
rounds=${BERTH_NODE_ROUNDS:-5}
node=$TOP/tests/node

# In namespaces of its own, where nobody else changes what is compared.
if [ -z "${BERTH_OUTER-}" ]; then
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	for root in /sys/fs/cgroup /sys/fs/cgroup/unified ""; do
		[ "$(stat -fc %T "$root" 2> /dev/null)" = cgroup2fs ] && break
	done
	[ -n "$root" ] || skip_all "no cgroup v2 is mounted"
	cgroup=$(mktemp -d "$root/berth-test-XXXX")
	at_exit "wait_for 5 find $cgroup -depth -type d -delete"
	BERTH_OUTER=1 bash -c 'echo $$ > "$1/cgroup.procs"
		exec unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child \
			--mount-proc --propagation private "$2"' bash "$cgroup" "$0"
	exit
fi
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run

cat > "$WORK/services.json" <<'END'
[{"name": "crid", "argv": ["/bin/sh", "-c", "echo up; exec sleep 1000"], "pods": true}]
END
export BERTH_SERVICES=$WORK/services.json

snapshot()
{
	local p comm
	echo "== mounts"
	cat /proc/self/mountinfo
	echo "== processes"
	for p in /proc/[0-9]*; do
		[ "$p" != "/proc/$BASHPID" ] && read -r comm 2> /dev/null < "$p/comm" &&
			echo "${p#/proc/} $comm"
	done
	echo "== links"
	ip -o link | sort
	echo "== cgroups"
	find /sys/fs/cgroup -type d | sort
	echo "== files"
	find /etc /run -xdev -printf '%p %y %T@\n' | sort
	find "$WORK" -xdev ! -name 'snapshot.*' -printf '%p %y\n' | sort
}

enter() { "$node" enter "$dir" "$@"; }

mkdir "$WORK/tmp"
other=$(mktemp -d /var/tmp/berth-test.XXXXXX)
at_exit "rm -rf --one-file-system $other"
for dir in "$WORK/tmp/node" "$other/node"; do
	where="DIR"
	[[ $dir != /var/* ]] || where="DIR below /var"
	ok "$where: a node comes up" "$node" up "$dir" || done_testing
	# shellcheck disable=SC1091
	. "$dir/env"
	is "$where: PID is crid, seen from outside" \
		"$(tr '\0' ' ' < "/proc/$PID/cmdline")" "sleep 1000 "
	is "$where: NSPID is PID 1 of the node" \
		"$(awk '/^NSpid/ { print $NF }' "/proc/$NSPID/status")" 1
	is "$where: all its processes are below CGROUP" \
		"$(find "$CGROUP" -name cgroup.procs -exec cat {} + | sort -n | tr '\n' ' ')" \
		"$(pgrep --ns "$NSPID" --nslist pid '' | sort -n | tr '\n' ' ')"
	like "$where: the socket's path is the same inside" "$ENDPOINT" "^unix://$dir/run/"
	is "$where: and names the same file" "$(enter stat -c %i "$dir/run/berth/node.json")" \
		"$(stat -c %i "$dir/run/berth/node.json")"
	is "$where: the node's /run is DIR/run" "$(enter stat -c %i /run/berth/node.json)" \
		"$(stat -c %i "$dir/run/berth/node.json")"
	is "$where: standard input and output pass" "$(echo over | enter cat)" over
	enter sh -c 'exit 42'
	is "$where: the exit code passes" $? 42
	is "$where: the working folder stays" "$(cd "$TOP" && enter pwd)" "$TOP"
	kill -9 "$PID"
	old=$PID
	ok "$where: up again waits for the killed crid" "$node" up "$dir"
	# shellcheck disable=SC1091
	. "$dir/env"
	ok "$where: env has the new one" test "$PID" != "$old" -a -d "/proc/$PID"
	ok "$where: the node goes down" "$node" down "$dir"
	ok "$where: DIR is gone" test ! -e "$dir"
done

dir=$WORK/tmp/node
snapshot > "$WORK/snapshot.before"
for _ in $(seq "$rounds"); do
	"$node" up "$dir" > /dev/null 2> "$WORK/snapshot.log" && "$node" down "$dir" >> "$WORK/snapshot.log" 2>&1
	snapshot > "$WORK/snapshot.after"
	cmp -s "$WORK/snapshot.before" "$WORK/snapshot.after" || break
done
is "after $rounds rounds the snapshot is the same" \
	"$(diff "$WORK/snapshot.before" "$WORK/snapshot.after"; cat "$WORK/snapshot.log")" ""

ok "a node comes up for the broken case" "$node" up "$dir"
# shellcheck disable=SC1091
. "$dir/env"
kill -9 "$NSPID"
ok "what is left of a node whose PID 1 was killed goes too" "$node" down "$dir"
snapshot > "$WORK/snapshot.after"
is "and leaves nothing" "$(diff "$WORK/snapshot.before" "$WORK/snapshot.after")" ""
echo '[{"name":"x","type":"notify","argv":["/bin/sleep","1000"]}]' > "$WORK/services.json"
out=$(BERTH_NODE_LIMIT=2 "$node" up "$dir" 2>&1)
is "a node that does not get ready is an error" "$?" 1
like "which shows the log" "$out" "service x: started"
"$node" down "$dir"
done_testing
