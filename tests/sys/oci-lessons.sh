#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What went wrong in other runtimes, as far as no other script has it by the way:
# SECURITY.md says which test stands for which of them.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

mkdir -p "$root"
run . true > /dev/null
snapshot > "$WORK/before"

# S-01: descriptors of the host ----------------------------------------------------

refused=0
for fd in 0 1 2 $(seq 13 24) 63 255 1023; do
	case $(run ".process.cwd = \"/proc/self/fd/$fd\"" pwd) in *process.cwd*) refused=$((refused + 1)) ;; esac
done
is "S-01: a working folder by a descriptor is refused, whatever its number" $refused 18
bundle stays '.process.args = ["sleep", "1000"]'
oci run --detach --bundle "$WORK/stays" stays < /dev/null
is "S-01: as it is for an exec" "$(for fd in 0 3 4 5 6 7 8 9 10 11 12; do
	oci exec --cwd /proc/self/fd/$fd stays pwd 2>&1 | grep -c process.cwd; done | sort | uniq -c | tr -s ' ')" ' 11 1'
is "S-01: an exec with a terminal has three descriptors" \
	"$(oci exec -t stays sh -c 'for fd in /proc/self/fd/*; do [ -e $fd ] && echo ${fd##*/}; done' < /dev/null | tr -d '\r' | tr '\n' ' ')" '0 1 2 '
is "S-01: a hook that fails has seen no other either" "$(run '.hooks.createContainer = [{ path: "/bin/sh", args: ["sh", "-c",
	"for fd in /proc/self/fd/*; do [ -e $fd ] && printf \"%s \" ${fd##*/} >&2; done; exit 1"] }]' true | grep -o 'exit status.*:')" 'exit status 1: 0 1 2 :'

# S-08: capabilities that are inherited ------------------------------------------------

is "S-08: a process and an exec inherit nothing" \
	"$(run . 'grep CapInh /proc/self/status'; oci exec --cap CAP_KILL stays grep CapInh /proc/self/status)" \
	"$(printf 'CapInh:\t0000000000000000\nCapInh:\t0000000000000000')"
oci delete --force stays

# S-11: files of the image -------------------------------------------------------------

passwd=$WORK/inside/rootfs/etc/passwd
cp "$passwd" "$WORK/passwd"
hostile()
{
	rm -f "$passwd"
	case $1 in
	fifo) mkfifo "$passwd" ;;
	endless) ln -s /dev/zero "$passwd" ;;
	sparse) truncate -s 10G "$passwd" ;;
	line) head -c 1000000 /dev/zero | tr '\0' x > "$passwd" ;;
	upwards) ln -s ../../../../../../../../etc/passwd "$passwd" ;;
	evil) printf 'root:x:0:0::/root\x01HOME=/evil:/bin/sh\n' > "$passwd" ;;
	esac
	python3 -c 'import resource, subprocess, sys
r = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, timeout=60)
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(r.returncode)' "$WORK/peak" "$BUILD/runtime/berth-oci" --root "$root" run --bundle "$WORK/inside" inside
}
bundle inside '.process.args = ["sh", "-c", "echo $HOME"]'
for shape in fifo endless sparse line upwards evil; do
	is "S-11: an /etc/passwd that is $shape has no home" "$(hostile $shape)" /
	sanitized || ok "S-11: and takes no memory" [ "$(cat "$WORK/peak")" -lt 20000 ]
done
cp --remove-destination "$WORK/passwd" "$passwd"

# S-13: lengths ------------------------------------------------------------------------

like "S-13: a list of mappings longer than the kernel takes" \
	"$(run '.linux.namespaces += [{ type: "user" }] | .linux.gidMappings = [{ containerID: 0, hostID: 0, size: 1 }] |
		.linux.uidMappings = [range(5000) | { containerID: ., hostID: ., size: 1 }]' true)" 'linux.uidMappings: more than 340'

# S-15: annotations ---------------------------------------------------------------------

script='cat /proc/self/status | grep -E "^(Cap|Seccomp|NoNew|Groups|Uid)"; tail -n 1 /proc/self/cgroup; ls /; ulimit -a'
run . "$script" > "$WORK/plain"
run '.annotations = { "run.oci.keep_original_groups": "1", "run.oci.handler": "krun", "run.oci.hooks.stdout": "/evil",
	"run.oci.seccomp.receiver": "/evil", "run.oci.seccomp_bpf_data": "/evil", "run.oci.systemd.subgroup": "../..",
	"run.oci.delegate-cgroup": "../..", "run.oci.mount_context_type": "context", "org.systemd.property.DevicePolicy": "auto",
	"org.criu.config": "/evil", "io.kubernetes.cri.sandbox-id": "x", "io.katacontainers.config": "y" }' "$script" > "$WORK/annotated"
ok "S-15: annotations change nothing of a container" cmp "$WORK/plain" "$WORK/annotated"

# S-17: pumps ---------------------------------------------------------------------------

mkfifo "$WORK/unread"
exec 9<> "$WORK/unread"
bundle talks '.process.terminal = true | .process.args = ["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"]'
"$BUILD/runtime/berth-oci" --root "$root" run --bundle "$WORK/talks" talks > "$WORK/unread" < /dev/null 9>&- &
talker=$!
ticks() { sed 's/.*) //' "/proc/$talker/stat" | awk '{ print $12 + $13 }'; }
sleep 1
from=$(ticks)
sleep 2
ok "S-17: output that nobody reads takes no time" [ $(($(ticks) - from)) -le 10 ]
oci kill talks KILL
exec 9>&-
wait $talker 2> /dev/null
bundle quiet '.process.args = ["sleep", "1000"]'
"$BUILD/runtime/berth-oci" --root "$root" run --bundle "$WORK/quiet" quiet < /dev/null &
talker=$!
sleep 0.5
from=$(ticks)
sleep 1
ok "S-17: nor does an input that has ended" [ $(($(ticks) - from)) -le 5 ]
oci kill quiet KILL
wait $talker 2> /dev/null

# nothing is left -------------------------------------------------------------------------

oci delete --force talks
rmdir /sys/fs/cgroup/test 2> /dev/null
snapshot > "$WORK/after"
sed -i '/\/test$/d' "$WORK/before"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$(oci list -q)" ""
done_testing
