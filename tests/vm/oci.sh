#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci where every cgroup controller and capability is there: Debian's
# cloud kernels 6.12 and 6.1 in QEMU, with nothing but busybox around it.
# Limits are read in the cgroup by the host's path; the kernel's own OOM killer and
# fork limit decide. First out of the initramfs, which cannot be pivoted away.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires qemu-system-x86_64 busybox jq cpio
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../bundle.sh"
. "$(dirname "$0")/guest.sh"

image=$WORK/image
mkdir -p "$image"/{bin,proc,sys,dev,tmp,new,b}
guest_busybox "$image"
cp "$BUILD/runtime/berth-oci" "$image/bin/"

# make NAME SCRIPT [FILTER]: a bundle that runs the script
make()
{
	local script=$2
	bundle "$1" ".root.path = \"/b/rootfs\" | .process.args = [\"sh\", \"-c\", \$script] | ${3:-.}"
	mkdir -p "$image/b/$1"
	cp "$WORK/$1/config.json" "$image/b/$1/"
	[ -d "$image/b/rootfs" ] || cp -a "$WORK/$1/rootfs" "$image/b/rootfs"
}
limits='.linux.resources += {
	memory: { limit: 33554432, swap: 41943040, reservation: 16777216 },
	cpu: { shares: 512, quota: 50000, period: 200000, cpus: "0", mems: "0" },
	pids: { limit: 20 },
	blockIO: { weight: 500 },
	hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
	unified: { "memory.high": "31457280", "memory.oom.group": "1" } }'
make hello 'echo hello; echo $(cat /proc/self/oom_score_adj) $(ulimit -Hn)' '
	.process.oomScoreAdj = -500 | .process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1000000, hard: 1000000 }]'
make limits 'sleep 1000' "$limits"
make hog 'head -c 100m /dev/zero | tail | wc -c' "$limits"
make forks 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do sleep 2 & done; echo all' "$limits"
make burner 'while :; do :; done' '.linux.resources.cpu = { quota: 10000, period: 100000 }'
make device 'mknod /tmp/m c 1 1; mknod /tmp/k c 1 11; head -c 1 /tmp/m; head -c 0 /tmp/k && echo kmsg' '
	.linux.resources.devices += [{ allow: true, type: "c", major: 1, minor: 11, access: "rwm" }] |
	.process.capabilities |= map_values(. + ["CAP_SYSLOG"])'
make recursive 'touch /vol/sub/x 2>&1 | grep -c Read-only' '
	.mounts += [{ destination: "/vol", source: "/tmp/vol", options: ["rbind", "rro"] }]'
make oom 'head -c 100m /dev/zero | tail | wc -c; exec sleep 1000' "$limits | .linux.resources.unified[\"memory.oom.group\"] = \"0\""
make user 'id -u; tr -s " " < /proc/self/uid_map; cut -d. -f1 /proc/uptime | wc -c; cut -d" " -f40,41 /proc/1/stat' '
	.linux.namespaces += [{ type: "user" }, { type: "time" }] | .linux.timeOffsets = { boottime: { secs: 100000000 } } |
	.linux.uidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }] | .linux.gidMappings = .linux.uidMappings |
	.process.scheduler = { policy: "SCHED_RR", priority: 7 }'
make cgroups 'ls /sys/fs/cgroup | grep -c memory.max; mkdir /sys/fs/cgroup/x 2>&1 | grep -c Read-only'

cat > "$image/init" << 'INIT'
#!/bin/sh
export PATH=/bin
n=0
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"; echo "# got: $2"; echo "# wanted: $3"; fi
}
run() { berth-oci run --bundle "/b/$1" "$1" 2>&1 < /dev/null; }
in_cgroup() { cat "/sys/fs/cgroup/test/$1/$2"; }
if [ ! -e /second ]; then
	mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
	mount -t cgroup2 cgroup /sys/fs/cgroup; mount -t tmpfs tmp /tmp; mkdir -p /run
	exec > /dev/ttyS0 2>&1 < /dev/null
	echo "# $(uname -r)"
	is "out of an initramfs the rootfs is moved" "$(berth-oci run --no-pivot --bundle /b/hello h | head -n 1)" hello
	is "and pivot_root says that it cannot" "$(berth-oci run --bundle /b/hello h 2>&1 | grep -c 'pivot to the rootfs')" 1
	umount /sys/fs/cgroup; mount -t tmpfs new /new
	cp -a /bin /b /init /new/; mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/run
	echo $n > /new/second
	umount /sys; umount /proc; umount /tmp
	exec switch_root /new /init
fi
n=$(cat /second)
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup /sys/fs/cgroup; mount -t tmpfs tmp /tmp
exec > /dev/ttyS0 2>&1 < /dev/null
is "output, oom_score_adj and raised limits" "$(run hello)" "hello
-500 1000000"
berth-oci run --detach --bundle /b/limits l < /dev/null > /dev/null 2>&1
is "memory.max" "$(in_cgroup limits memory.max)" 33554432
is "memory.swap.max" "$(in_cgroup limits memory.swap.max)" 8388608
is "memory.low" "$(in_cgroup limits memory.low)" 16777216
is "memory.high of unified" "$(in_cgroup limits memory.high)" 31457280
is "cpu.weight" "$(in_cgroup limits cpu.weight)" 59
is "cpu.max" "$(in_cgroup limits cpu.max)" "50000 200000"
is "cpuset.cpus" "$(in_cgroup limits cpuset.cpus)" 0
is "pids.max" "$(in_cgroup limits pids.max)" 20
is "hugetlb.2MB.max" "$(in_cgroup limits hugetlb.2MB.max)" 4194304
is "io weight" "$(cat /sys/fs/cgroup/test/limits/io.bfq.weight 2> /dev/null || in_cgroup limits io.weight)" \
	"$([ -e /sys/fs/cgroup/test/limits/io.bfq.weight ] && echo default 500 || echo default 4950)"
berth-oci update --memory 48m --memory-swap 49152KB --cpu-quota 70000 --pids-limit 33 l
is "update changes what it names" "$(in_cgroup limits memory.max) $(in_cgroup limits cpu.max) $(in_cgroup limits pids.max)" \
	"50331648 70000 200000 33"
is "and nothing else" "$(in_cgroup limits cpu.weight) $(in_cgroup limits memory.high)" "59 31457280"
echo '{"memory":{"limit":4096,"checkBeforeUpdate":true}}' | berth-oci update --resources - l 2>&1 | grep -q 'below the' && r=yes
is "a limit below what is used is refused when asked" "$r" yes
is "events tells the limits" "$(berth-oci events --stats l | grep -c '"memory":{"usage":{"usage":[0-9]*,"limit":50331648}.*"pids":{"current":1,"limit":33}')" 1
berth-oci pause l
is "a paused one is frozen" "$(in_cgroup limits cgroup.events | grep frozen)" "frozen 1"
is "exec says so" "$(berth-oci exec l true 2>&1 | grep -c paused)" 1
berth-oci delete --force l
is "a frozen one is deleted by force" "$(find /sys/fs/cgroup/test -mindepth 1 -type d)" ""
run hog > /tmp/out
is "a memory hog's container ends with 137" "$?" 137
berth-oci create --bundle /b/oom oom < /dev/null > /dev/null 2>&1
berth-oci events --interval 1m oom > /tmp/events &
sleep 2
berth-oci start oom
told() { grep -c '{"type":"oom","id":"oom"}' /tmp/events; }
killed() { in_cgroup oom memory.events | sed -n 's/^oom_kill //p'; }
i=0
until [ "$(killed)" -gt 0 ] && [ "$(told)" = "$(killed)" ] || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
is "events tells of each process killed for want of memory" "$(killed | grep -v '^0$')" "$(told)"
berth-oci delete --force oom
wait
is "user and time namespace and a real-time scheduler" "$(run user)" "0
 0 200000 65536
10
7 2"
is "forks beyond the limit fail" "$(run forks | grep -c 'fork')" 1
berth-oci run --detach --bundle /b/burner burner < /dev/null > /dev/null 2>&1
sleep 3
usage=$(sed -n 's/^usage_usec //p' /sys/fs/cgroup/test/burner/cpu.stat)
is "cpu time is bounded" "$([ "$usage" -lt 900000 ] && echo yes || echo "$usage us")" yes
berth-oci kill burner KILL; i=0; until berth-oci delete burner 2> /dev/null || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
is "devices are those of the list" "$(run device)" "head: /tmp/m: Operation not permitted
kmsg"
mkdir -p /tmp/vol/sub; mount -t tmpfs sub /tmp/vol/sub
is "recursive read-only is" "$(run recursive)" 1
is "the cgroup mount shows its own cgroup, read-only" "$(run cgroups)" "1
1"
is "nothing is left" "$(find /sys/fs/cgroup/test -mindepth 1 -type d; berth-oci list -q)" ""
echo "1..$n"
poweroff -f
INIT
chmod +x "$image/init"
guest_pack "$image"

for kernel in 6.12 6.1; do
	guest_kernel "$kernel" || continue
	guest_run "$kernel" 512 300
done
done_testing
