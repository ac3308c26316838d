#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci: fields of config.json beyond what every container has, each shown
# from inside a container or by its refusal.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

mkdir -p "$root"
run . true > /dev/null
snapshot > "$WORK/before"

# user namespace --------------------------------------------------------------

maps='.linux.uidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }] |
	.linux.gidMappings = [{ containerID: 0, hostID: 300000, size: 65536 }]'
userns=".linux.namespaces += [{ type: \"user\" }] | $maps"
is "a user namespace has the ids it was given" \
	"$(run "$userns" 'tr -s " " < /proc/self/uid_map; tr -s " " < /proc/self/gid_map')" \
	"$(printf ' 0 200000 65536\n 0 300000 65536')"
chown -R 200000:300000 "$WORK/inside/rootfs"
is "in it the process is root, with its own files" \
	"$(run "$userns" 'id -u; id -g; touch /made && stat -c "%u %g" /made /bin; echo $HOME')" \
	"$(printf '0\n0\n0 0\n0 0\n/root')"
like "and so are its startContainer hooks, with no more rights" \
	"$(run "$userns | .hooks.startContainer = [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"{ id; grep Cap.nd /proc/self/status; } > /hooked\"] }]" \
		'cat /hooked')" $'^uid=0.*CapBnd:\t00000000a80425fb$'
is "which are the host's by its mapping" "$(stat -c '%u %g' "$WORK/inside/rootfs/made")" "200000 300000"
is "one that maps every id to itself is another all the same" \
	"$(run '.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 0, size: 4294967295 }] |
		.linux.gidMappings = .linux.uidMappings' 'readlink /proc/self/ns/user' | grep -c "$(readlink /proc/self/ns/user)")" 0
is "the user and its groups are of the namespace" \
	"$(run "$userns | .process.user = { uid: 1000, gid: 7, additionalGids: [8] }" 'id -u; id -G')" \
	"$(printf '1000\n7 8')"
like "it has its capabilities, none over the host" \
	"$(run "$userns" 'grep CapPrm /proc/self/status; hostname x 2>&1; mknod /n c 1 3 2>&1')" \
	$'CapPrm:\t00000000a80425fb.*not permitted.*not permitted'
is "devices, terminals, mounts and masks are as ever" \
	"$(run "$userns" 'echo x > /dev/null; head -c 2 /dev/zero | wc -c; stat -c %t:%T /dev/null /dev/urandom
		cat /proc/keys; ls /sys/firmware | wc -l; touch /dev/shm/x && echo shm; ls -d /dev/fd /dev/ptmx')" \
	"$(printf '2\n1:3\n1:9\n0\nshm\n/dev/fd\n/dev/ptmx')"
is "limits are raised and lowered" \
	"$(run "$userns | .process.rlimits = [{ type: \"RLIMIT_NOFILE\", soft: 77, hard: 99 }] | .process.oomScoreAdj = 321" \
		'ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj')" "$(printf '77\n99\n321')"
is "sysctls of its namespaces can be set" \
	"$(run "$userns | .linux.sysctl = { \"net.ipv4.ip_forward\": \"1\", \"kernel.msgmax\": \"7777\" }" \
		'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax')" "$(printf '1\n7777')"
bundle t "$userns | .process.terminal = true | .process.args = [\"sh\", \"-c\", \"tty; stat -c %u /dev/console /dev/pts/0\"]"
chown -R 200000:300000 "$WORK/t/rootfs"
is "a terminal is its own, and its owner's" "$(oci run --bundle "$WORK/t" t < /dev/null | tr -d '\r' | tr '\n' ' ')" \
	"/dev/pts/0 0 0 "
mkdir -p "$WORK/secret/volume"
chmod 700 "$WORK/secret"
echo hello > "$WORK/secret/volume/file"
is "a volume that only the host's root can reach is mounted" \
	"$(run "$userns | .mounts += [{ destination: \"/vol\", type: \"bind\", source: \"$WORK/secret/volume\",
		options: [\"rbind\"] }]" 'cat /vol/file; stat -c %u /vol/file')" "$(printf 'hello\n65534')"
bundle u "$userns | .process.args = [\"sh\", \"-c\", \"echo up; exec sleep 1000\"] |
	.process.rlimits = [{ type: \"RLIMIT_NOFILE\", soft: 55, hard: 66 }]"
chown -R 200000:300000 "$WORK/u/rootfs"
oci create --bundle "$WORK/u" --pid-file "$WORK/pid" u > "$WORK/out" 2>&1 < /dev/null
ok "it is created and started by two programs" oci start u
is "exec is in the namespace" "$(oci exec u sh -c 'id -u; head -1 /proc/self/uid_map | tr -s " "; touch /e && stat -c %u /e
	pwd; ulimit -n' | tr '\n' ';')" "0; 0 200000 65536;0;/;55;"
is "as a user of it as well" "$(oci exec --user 1000:1000 --cwd /home u sh -c 'id -u; pwd')" "$(printf '1000\n/home')"
like "with a terminal too" "$(oci exec -t u sh -c 'tty; stat -c %u /dev/pts/0' < /dev/null | tr -d '\r' | tr '\n' ' ')" '^/dev/pts/0 0 $'
pid=$(cat "$WORK/pid")
join=".linux.namespaces |= map(if .type == \"network\" or .type == \"ipc\" or .type == \"uts\" or .type == \"pid\" then
	.path = \"/proc/$pid/ns/\" + (if .type == \"network\" then \"net\" else .type end) else . end) |
	.linux.namespaces += [{ type: \"user\", path: \"/proc/$pid/ns/user\" }] | $maps"
is "a second container joins its namespaces" \
	"$(run "$join" 'for n in user net pid; do readlink /proc/self/ns/$n; done; id -u; grep -c sleep /proc/*/comm | grep -c ":1"')" \
	"$(readlink "/proc/$pid/ns/user" "/proc/$pid/ns/net" "/proc/$pid/ns/pid"; printf '0\n1')"
is "or only the user namespace, with others of its own" \
	"$(run ".linux.namespaces += [{ type: \"user\", path: \"/proc/$pid/ns/user\" }]" 'readlink /proc/self/ns/user; echo $$; id -u')" \
	"$(readlink "/proc/$pid/ns/user"; printf '1\n0')"
ok "deleting it ends it" oci delete --force u
is "a host's network namespace can be joined by a new user namespace" \
	"$(run "$userns | .linux.namespaces |= map(if .type == \"network\" then .path = \"/proc/$$/ns/net\" else . end) |
		.mounts |= map(select(.destination != \"/sys\" and .destination != \"/sys/fs/cgroup\"))" 'readlink /proc/self/ns/net')" \
	"$(readlink /proc/self/ns/net)"
like "ids without a user namespace are refused" "$(run "$maps" true)" 'linux.uidMappings: without a user namespace'
like "a user namespace without a root is" \
	"$(run "$userns | .linux.uidMappings[0].containerID = 1" true)" 'linux.uidMappings: containerID 0 is not mapped'
like "ids that overlap are told by the kernel" \
	"$(run "$userns | .linux.uidMappings += [.linux.uidMappings[0]]" true)" 'linux.uidMappings: write'
like "a device that the host has not cannot be made in it" \
	"$(run "$userns | .linux.devices = [{ type: \"c\", path: \"/dev/nosuch\", major: 1, minor: 3 }]" true)" \
	'a device in a user namespace has to be the host.s: copy mount /dev/nosuch'

# idmapped mounts -------------------------------------------------------------

chown -R 0:0 "$WORK/inside/rootfs"
mkdir -p "$WORK/inside/volume/sub"
echo mine > "$WORK/inside/volume/file"
chown -R 5000:6000 "$WORK/inside/volume"
own='uidMappings: [{ containerID: 5000, hostID: 1000, size: 10 }], gidMappings: [{ containerID: 6000, hostID: 2000, size: 10 }]'
volume="{ destination: \"/vol\", type: \"bind\", source: \"volume\", $own }"
if [[ $(run ".mounts += [$volume + { options: [\"bind\", \"idmap\"] }]" 'stat -c "%u %g" /vol/file') =~ idmap:\ Invalid ]]; then
	skip "idmapped mounts" "the file system of $WORK has none"
else
	is "an idmapped mount, of a relative source, shows other owners" \
		"$(run ".mounts += [$volume + { options: [\"bind\", \"idmap\"] }]" 'stat -c "%u %g" /vol/file')" "1000 2000"
	is "mappings alone ask for one" \
		"$(run ".mounts += [$volume + { options: [\"bind\"] }]" 'stat -c "%u %g" /vol/file')" "1000 2000"
	is "files are made with the owners of the source" \
		"$(run ".mounts += [$volume + { options: [\"bind\", \"idmap\"] }] |
			.process.user = { uid: 1000, gid: 2000 }" 'touch /vol/made; stat -c "%u %g" /vol/made')
		$(stat -c '%u %g' "$WORK/inside/volume/made")" "1000 2000
		5000 6000"
	mount -t tmpfs sub "$WORK/inside/volume/sub"
	chown 5000:6000 "$WORK/inside/volume/sub"
	is "idmap stops at a mount below" \
		"$(run ".mounts += [$volume + { options: [\"rbind\", \"idmap\"] }]" 'stat -c %u /vol /vol/sub' | tr '\n' ' ')" "1000 5000 "
	is "ridmap does not" \
		"$(run ".mounts += [$volume + { options: [\"rbind\", \"ridmap\"] }]" 'stat -c %u /vol /vol/sub' | tr '\n' ' ')" "1000 1000 "
	umount "$WORK/inside/volume/sub"
	chown -R 200000:300000 "$WORK/inside/rootfs"
	is "in a user namespace it is that one's mapping" \
		"$(run "$userns | .mounts += [{ destination: \"/vol\", type: \"bind\", source: \"volume\",
			options: [\"bind\", \"idmap\"] }]" 'stat -c "%u %g" /vol/file')" "5000 6000"
	chown -R 0:0 "$WORK/inside/rootfs"
fi
like "idmap without mappings is refused" \
	"$(run '.mounts += [{ destination: "/vol", type: "bind", source: "volume", options: ["bind", "idmap"] }]' true)" \
	'mounts\[7\].options: idmap: neither uidMappings nor a user namespace'
like "idmap of another file system is" "$(run '.mounts += [{ destination: "/vol", type: "tmpfs", options: ["idmap"] }]' true)" \
	'mounts\[7\].options: idmap is for bind mounts'
like "uidMappings alone are" "$(run ".mounts += [$volume | del(.gidMappings)]" true)" 'uidMappings and gidMappings alone'

# time namespace --------------------------------------------------------------

timens='.linux.namespaces += [{ type: "time" }] | .linux.timeOffsets = { boottime: { secs: 100000000 }, monotonic: { secs: 3, nanosecs: 5 } }'
like "the clocks of a time namespace are ahead" "$(run "$timens" 'cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets' | tr -s ' ' | tr '\n' ';')" \
	'^1[0-9]{8};monotonic 3 5;boottime 100000000 0;$'
like "in a user namespace too" "$(run "$userns | $timens" 'cut -d. -f1 /proc/uptime')" '^1[0-9]{8}$'
bundle c "$timens | .process.args = [\"sleep\", \"1000\"]"
oci create --bundle "$WORK/c" --pid-file "$WORK/pid" c > "$WORK/out" 2>&1 < /dev/null
like "exec is in it before the start" "$(oci exec c cut -d. -f1 /proc/uptime)" '^1[0-9]{8}$'
oci start c
like "and after" "$(oci exec c cut -d. -f1 /proc/uptime)" '^1[0-9]{8}$'
like "it can be joined" "$(run ".linux.namespaces += [{ type: \"time\", path: \"/proc/$(cat "$WORK/pid")/ns/time\" }]" \
	'cut -d. -f1 /proc/uptime')" '^1[0-9]{8}$'
oci delete --force c
like "offsets without it are refused" "$(run '.linux.timeOffsets = { monotonic: { secs: 1 } }' true)" \
	'timeOffsets: without a new time namespace'
like "a clock without offsets is" "$(run "$timens | .linux.timeOffsets.realtime = { secs: 1 }" true)" 'linux.timeOffsets.realtime: unknown key'
like "an offset before the start of time is" "$(run "$timens | .linux.timeOffsets.monotonic.secs = -1000000000" true)" \
	'linux.timeOffsets: write monotonic'

# scheduler, CPUs, memory -----------------------------------------------------

if [[ $(run '.process.scheduler = { policy: "SCHED_BATCH", nice: 5 }' 'cat /proc/self/stat') =~ ^1\ .* ]]; then
	is "the scheduler is what was asked for" \
		"$(run '.process.scheduler = { policy: "SCHED_BATCH", nice: 5 }' 'cut -d" " -f19,41 /proc/self/stat')" "5 3"
	is "in a user namespace too" \
		"$(run "$userns | .process.scheduler = { policy: \"SCHED_OTHER\", nice: -5 }" 'cut -d" " -f19,41 /proc/self/stat')" "-5 0"
fi
like "a real-time one is told by the kernel, or works" \
	"$(run '.process.scheduler = { policy: "SCHED_RR", priority: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"] }' \
		'cut -d" " -f40,41 /proc/1/stat')" '^(7 2|berth-oci: process.scheduler: Operation not permitted)$'
like "with a deadline there are no startContainer hooks" \
	"$(run '.process.scheduler = { policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 10000000, period: 10000000 } |
		.hooks.startContainer = [{ path: "/bin/true" }]' true)" 'with a deadline startContainer hooks cannot|Operation not permitted|busy'
like "a deadline that makes no sense is told by the kernel" \
	"$(run '.process.scheduler = { policy: "SCHED_DEADLINE", runtime: 5, deadline: 1, period: 1 }' true)" 'process.scheduler: Invalid'
like "an unknown policy is refused" "$(run '.process.scheduler = { policy: "SCHED_X" }' true)" 'scheduler.policy: SCHED_X is unknown'
like "an unknown flag is" "$(run '.process.scheduler = { policy: "SCHED_OTHER", flags: ["X"] }' true)" 'scheduler.flags\[0\]: X is unknown'
is "the I/O priority is what was asked for" \
	"$(run '.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 }' 'busybox ionice -p 1')" "best-effort: prio 6"
like "an unknown class is refused" "$(run '.process.ioPriority = { class: "x" }' true)" 'ioPriority.class: x is unknown'
like "a priority beyond the last is" "$(run '.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 8 }' true)" 'ioPriority.priority: outside of 0 to 7'
is "the personality is what was asked for" "$(run '.linux.personality = { domain: "LINUX32" }' 'busybox uname -m')" \
	"$(setarch linux32 uname -m)"
like "an unknown one is refused" "$(run '.linux.personality = { domain: "BSD" }' true)" 'personality.domain: BSD is unknown'
if grep -q . /proc/self/numa_maps 2> /dev/null; then
	is "the memory policy is what was asked for" \
		"$(run '.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0" }' 'grep heap /proc/self/numa_maps | cut -d" " -f2')" bind:0
	is "with its flags" "$(run '.linux.memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "0-0", flags: ["MPOL_F_STATIC_NODES"] }' \
		'grep heap /proc/self/numa_maps | cut -d" " -f2')" interleave=static:0
	like "nodes that do not exist are told by the kernel" \
		"$(run '.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "999" }' true)" 'linux.memoryPolicy: Invalid'
else
	skip "memory policies" "this kernel has no NUMA"
fi
like "an unknown mode is refused" "$(run '.linux.memoryPolicy = { mode: "x" }' true)" 'memoryPolicy.mode: x is unknown'
like "nodes that are no list are" "$(run '.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "3-1" }' true)" 'memoryPolicy.nodes: 3-1: out of range'
bundle p '.process.args = ["sleep", "1000"] | .linux.personality = { domain: "LINUX32" } |
	.linux.memoryPolicy = { mode: "MPOL_PREFERRED", nodes: "0" } | .process.execCPUAffinity = { initial: "0", final: "0" }'
oci run --detach --bundle "$WORK/p" p > /dev/null 2>&1 < /dev/null
is "exec has the container's personality" "$(oci exec p busybox uname -m)" "$(setarch linux32 uname -m)"
! grep -q . /proc/self/numa_maps 2> /dev/null ||
	is "and its memory policy" "$(oci exec p sh -c 'grep heap /proc/self/numa_maps | cut -d" " -f2')" prefer:0
is "it runs on the CPUs that the container names for it" \
	"$(oci exec p grep Cpus_allowed_list /proc/self/status)" $'Cpus_allowed_list:\t0'
is "unlike the container" "$(grep Cpus_allowed_list "/proc/$(oci state p | jq .pid)/status")" \
	"$(taskset "0x$(printf 'f%.0s' {1..32})" grep Cpus_allowed_list /proc/self/status)"
last=$(($(nproc --all) - 1))
jq ".process | .args = [\"sh\", \"-c\", \"grep Cpus_allowed_list /proc/self/status; cut -d' ' -f41 /proc/self/stat; busybox ionice -p \$\$\"] |
	.execCPUAffinity = { final: \"$last\" } | .scheduler = { policy: \"SCHED_IDLE\" } |
	.ioPriority = { class: \"IOPRIO_CLASS_IDLE\" }" "$WORK/p/config.json" > "$WORK/process"
is "a process of its own has its own" "$(oci exec --process "$WORK/process" p)" \
	"$(printf 'Cpus_allowed_list:\t%s\n5\nidle' "$last")"
jq '.execCPUAffinity = { initial: "8000" }' "$WORK/process" > "$WORK/process2"
like "CPUs that do not exist are told by the kernel" "$(oci exec --process "$WORK/process2" p 2>&1)" \
	'process.execCPUAffinity.initial: run on CPUs 8000: Invalid'
jq '.execCPUAffinity = { final: "8000" }' "$WORK/process" > "$WORK/process2"
like "the final ones too" "$(oci exec --process "$WORK/process2" p 2>&1)" 'process.execCPUAffinity.final: run on CPUs 8000'
jq '.execCPUAffinity = { final: "a" }' "$WORK/process" > "$WORK/process2"
like "a list that is none is refused" "$(oci exec --process "$WORK/process2" p 2>&1)" 'execCPUAffinity.final: a is no list of numbers'
oci delete --force p

# links of the host -----------------------------------------------------------

# in a network namespace of its own with two links
netdev()
{
	script='for l in /sys/class/net/*; do echo ${l##*/}; done | sort | tr "\n" " "; busybox ip -o addr show $IF' \
		bundle inside "$1 | .process.env += [\"IF=$2\"] | .process.args = [\"sh\", \"-c\", \$script]"
	unshare -n bash -c 'ip link set lo up; ip link add d0 type $0; ip link add d1 type $0
		ip addr add 192.0.2.7/24 dev d0; ip addr add 2001:db8::7/64 dev d0 nodad; ip link set d0 up
		"$@"; ip -o link | cut -d: -f2 | tr -d "\n"' "$kind" \
		"$BUILD/runtime/berth-oci" --root "$root" run --bundle "$WORK/inside" inside < /dev/null 2>&1 | tr -s ' '
}
for kind in dummy ifb none; do
	unshare -n ip link add d0 type $kind 2> /dev/null && break
done
if [ "$kind" != none ]; then
	out=$(netdev '.linux.netDevices = { d0: { name: "eth7" } }' eth7)
	like "a link of the host goes in under its new name" "$out" '^(eth7 lo|lo eth7) '
	like "with its addresses" "$out" 'inet 192.0.2.7/24 .*inet6 2001:db8::7/64 '
	is "it is away outside" "${out##*$'\n'}" " lo d1"
	like "it keeps its name when none is given" "$(netdev '.linux.netDevices = { d1: {}, d0: {} }' d0)" '^d0 d1 lo .*192.0.2.7/24.* lo$'
	like "in a user namespace too" "$(netdev "$userns | .linux.netDevices = { d0: {} }" d0)" 'inet 192.0.2.7/24'
	like "a link that is not there is told" "$(netdev '.linux.netDevices = { nosuch: {} }' lo)" 'linux.netDevices.nosuch: No such device'
	like "a name that is taken too" "$(netdev '.linux.netDevices = { d0: { name: "x" }, d1: { name: "x" } }' lo)" \
		'linux.netDevices.d1: move it as x: File exists'
else
	skip "links of the host" "this kernel makes none by itself"
fi
like "a name that is none is refused" "$(run '.linux.netDevices = { d0: { name: "a/b" } }' true)" 'netDevices.d0.name: no name of a link'
like "a link without a network namespace is" \
	"$(run '.linux.netDevices = { d0: {} } | .linux.namespaces |= map(select(.type != "network"))' true)" 'netDevices: without a network namespace'

# cgroups of the container's own -------------------------------------------------

without() { echo ".linux.namespaces |= map(select(.type != \"$1\"))"; }
writable='(.mounts[] | select(.type == "cgroup")).options -= ["ro"]'
is "with a cgroup namespace to write to, its user owns the cgroup" \
	"$(run "$writable | .process.user.uid = 1000" 'cd /sys/fs/cgroup; stat -c %u . cgroup.procs pids.max 2>&1 | sort | uniq -c | tr -s " "; mkdir x && echo made' | tail -n 1)" made
is "by the mapping of its user namespace" \
	"$(run "$userns | $writable" 'cd /sys/fs/cgroup; stat -c %u . cgroup.procs; mkdir x && rmdir x && echo made' | tr '\n' ' ')" "0 0 made "
is "a mount of it that is read-only gives nothing away" "$(run "$userns" 'stat -c %u /sys/fs/cgroup')" 65534
is "in a user namespace without a cgroup namespace it sees its own" \
	"$(run "$userns | $(without cgroup)" 'wc -l < /sys/fs/cgroup/cgroup.procs; touch /sys/fs/cgroup/x 2>&1 | grep -c Read-only')" "$(printf '2\n1')"
sys='.mounts |= map(if .destination == "/sys" then { destination: "/sys", type: "bind", source: "/sys",
	options: ["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"] } else . end)'
for ns in network cgroup; do
	is "and over the host's /sys, without a $ns namespace" "$(run "$sys | $(without $ns)" 'wc -l < /sys/fs/cgroup/cgroup.procs')" 1
done
bundle away "$(without cgroup) | $writable"' | .process.args = ["sh", "-c", "mkdir /sys/fs/cgroup/test/elsewhere
	echo 1 > /sys/fs/cgroup/test/elsewhere/cgroup.procs; exec sleep 1000"] | del(.linux.seccomp)'
for verb in 'kill away KILL' 'delete --force away'; do
	oci run --detach --bundle "$WORK/away" away < /dev/null
	wait_for 10 rmdir /sys/fs/cgroup/test/away 2> /dev/null
	is "when it went to another, exec goes there" "$(oci exec away grep ^0: /proc/self/cgroup)" 0::/test/elsewhere
	like "pause has nothing to stop" "$(oci pause away 2>&1)" 'cgroup /test/away of container away is gone'
	# shellcheck disable=SC2086
	ok "$verb ends it" oci $verb
	oci delete --force away
	ok "with all there is" wait_for 10 rmdir /sys/fs/cgroup/test/elsewhere
done
bundle pids "$(without pid)"' | .process.args = ["sh", "-c", "sleep 1000 & exec sleep 1000"]'
oci run --detach --bundle "$WORK/pids" pids < /dev/null
two() { [ "$(wc -l < /sys/fs/cgroup/test/pids/cgroup.procs)" = 2 ]; }
none() { [ ! -s /sys/fs/cgroup/test/pids/cgroup.procs ]; }
wait_for 10 two
oci kill pids KILL
ok "without a pid namespace SIGKILL is for all of them" wait_for 10 none
ok "and may come again" oci kill pids KILL
oci delete pids

# mounts and devices ------------------------------------------------------------

is "/dev that is to be read-only is filled before" \
	"$(run '(.mounts[] | select(.destination == "/dev")).options += ["ro"]' 'ls -d /dev/shm; touch /dev/x 2>&1; echo x > /dev/null; touch /dev/shm/x')" \
	"$(printf '/dev/shm\ntouch: /dev/x: Read-only file system')"
is "a working folder is made in a root that will be read-only" "$(run '.root.readonly = true | .process.cwd = "/no/such"' 'pwd')" /no/such
is "recursive options are taken by new mounts" \
	"$(run '.mounts += [{ destination: "/t", type: "tmpfs", source: "t", options: ["rro", "rnosuid"] }]' 'touch /t/x 2>&1; grep -c " /t ro,nosuid" /proc/self/mountinfo')" \
	"$(printf 'touch: /t/x: Read-only file system\n1')"
like "owners in a word of another runtime are not passed over" \
	"$(run '.mounts += [{ destination: "/t", source: "rootfs/tmp", options: ["bind", "idmap=uids=0-1-10"] }]' true)" 'mounts\[7\].options: idmap='
is "a usual device is as config.json says" \
	"$(run '.linux.devices = [{ path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 400, gid: 5 }]' 'stat -c "%a %g" /dev/tty')" "620 5"
is "a device's path may end in a slash" \
	"$(run '.linux.devices = [{ path: "/new/zero/", type: "c", major: 1, minor: 5 }]' 'stat -c %t:%T /new/zero')" 1:5
mkdir -p "$WORK/over/bin" "$WORK/over/proc"
cp "$WORK/inside/rootfs/bin/busybox" "$WORK/over/bin/sh"
is "a mount may lie over the root" \
	"$(run '.mounts = [{ destination: "/", source: "'"$WORK"'/over", options: ["bind"] }] + .mounts' 'echo /*; read -r a b < /proc/self/mountinfo; echo $a > /over')" \
	"/bin /dev /proc /sys"
ok "and is written to" [ -s "$WORK/over/over" ]
is "and may be new, and read-only" \
	"$(run '.mounts = [{ destination: "/", type: "tmpfs", source: "t" }, { destination: "/bin", source: "'"$WORK"'/over/bin", options: ["bind"] }] + .mounts |
		.root.readonly = true' 'echo /*; echo x > /x')" "$(printf '/bin /dev /proc /sys\nsh: can'"'"'t create /x: Read-only file system')"
ln -sfn /jump/baz/hosts "$WORK/inside/rootfs/etc/hosts"
ln -sfn /tmp/foo/bar "$WORK/inside/rootfs/jump"
is "a mount point may lie behind links that lead nowhere" \
	"$(run '.mounts += [{ destination: "/etc/hosts", source: "config.json", options: ["bind"] }]' 'test -s /tmp/foo/bar/baz/hosts && cat /etc/hosts > /dev/null && echo there')" there
rm -r "$WORK/inside/rootfs"/{etc/hosts,jump,tmp/foo}
bundle bare '.process.args = ["sh", "-c", "busybox unshare -mrpf sh -c \"mount -t proc none /tmp 2>&1; ls /tmp | wc -l\""] |
	del(.linux.seccomp) | .process.noNewPrivileges = false |
	.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
is "moved or pivoted, no procfs is left that is not masked" "$(oci run --bundle "$WORK/bare" bare < /dev/null; oci run --no-pivot --bundle "$WORK/bare" bare < /dev/null)" \
	"$(printf 'mount: permission denied (are you root?)\n0\nmount: permission denied (are you root?)\n0')"
bundle sleep '.process.args = ["sleep", "1000"]'
oci run --detach --bundle "$WORK/sleep" sleep < /dev/null
like "an exec makes no working folder" "$(oci exec --cwd /no/such/folder sleep pwd 2>&1; echo $?)" 'process.cwd.*No such file.*255$'
ok "not even in part" [ ! -e "$WORK/sleep/rootfs/no" ]
oci delete --force sleep

# a mount namespace that others have too --------------------------------------

visible='.linux.namespaces |= map(select(.type != "mount"))'
is "in the host's mount namespace the rootfs is the root all the same" \
	"$(run "$visible" 'readlink /proc/self/ns/mnt; ls -d /work 2>&1; ls -d /bin; cat /proc/keys
		touch /proc/sys/kernel/x 2>&1; test -c /dev/null && echo null')" \
	"$(readlink /proc/self/ns/mnt; printf '%s\n' 'ls: /work: No such file or directory' /bin \
		'touch: /proc/sys/kernel/x: No such file or directory' null)"
for how in private shared; do
	mount --make-rprivate / && mount --make-r$how /
	snapshot > "$WORK/mounted"
	bundle seen "$visible | .root.readonly = true | .process.args = [\"sleep\", \"1000\"]"
	oci run --detach --bundle "$WORK/seen" seen < /dev/null
	is "$how: its mounts are seen by the host, over its rootfs" \
		"$(awk -v r="$WORK/seen/rootfs" '$5 == r || $5 == r "/dev/shm"' /proc/self/mountinfo | wc -l)" 2
	is "$how: an exec has the same root, read-only" \
		"$(oci exec seen sh -c 'ls -d /bin; ls -d /work; touch /x' 2>&1 | tr '\n' ' ')" \
		"/bin ls: /work: No such file or directory touch: /x: Read-only file system "
	oci delete --force seen
	bundle lost "$visible | .process.args = [\"/no/such\"]"
	like "$how: one that cannot be made" "$(oci run --bundle "$WORK/lost" lost 2>&1 < /dev/null)" 'exec /no/such'
	snapshot > "$WORK/after"
	ok "$how: after both nothing is left" diff "$WORK/mounted" "$WORK/after"
done
mount --make-rprivate /

unshare -m sleep 1000 &
other=$!
elsewhere() { [ "$(readlink /proc/$other/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; }
wait_for 10 elsewhere
joined="(.linux.namespaces[] | select(.type == \"mount\")).path = \"/proc/$other/ns/mnt\""
is "a mount namespace can be joined" "$(run "$joined" 'readlink /proc/self/ns/mnt; ls -d /work 2>&1; ls -d /bin')" \
	"$(readlink /proc/$other/ns/mnt; printf '%s\n' 'ls: /work: No such file or directory' /bin)"
ok "whose other processes keep their root" [ -d "/proc/$other/root$WORK/inside" ]
is "ours has nothing of it" "$(grep -c "$WORK/inside" /proc/self/mountinfo)" 0
kill $other
wait $other 2> /dev/null
like "a user namespace with it is refused" "$(run "$userns | $visible" true)" \
	'namespaces: a user namespace needs a new mount namespace'

# what takes another kernel ---------------------------------------------------

[ -e /sys/fs/resctrl/schemata ] ||
	like "intelRdt is refused where the kernel has none" "$(run '.linux.intelRdt = { closID: "x" }' true)" \
		'linux.intelRdt: no resctrl at /sys/fs/resctrl'
# ordinary files in its place, which strace passes off as resctrl's
if strace -o /dev/null true 2> /dev/null; then
	mkdir -p "$WORK/fs/cgroup" "$WORK/fs/resctrl/gold"
	mount --bind /sys/fs/cgroup "$WORK/fs/cgroup"
	mount --rbind "$WORK/fs" /sys/fs
	echo '    L3:0=00f;1=0ff' > /sys/fs/resctrl/gold/schemata
	: > /sys/fs/resctrl/gold/tasks
	passed_off()
	{
		strace -qq -o /dev/null -P /sys/fs/resctrl -e trace=fstatfs -e status=all \
			-e inject=fstatfs:poke_exit=@arg2=2158650700000000 \
			"$BUILD/runtime/berth-oci" --root "$root" "$@" 2>&1 < /dev/null
	}
	tasks() { tr '\n' ' ' < /sys/fs/resctrl/gold/tasks; : > /sys/fs/resctrl/gold/tasks; }
	bundle gold '.linux.intelRdt = { closID: "gold", l3CacheSchema: "L3:1=ff" } | .process.args = ["sleep", "1000"]'
	is "a container enters its class of service" "$(passed_off run --detach --bundle "$WORK/gold" gold > /dev/null; tasks)" "0 "
	is "and so does an exec" "$(passed_off exec gold true; tasks)" "0 "
	like "update changes the class" "$(passed_off update --l3-cache-schema L3:1=f gold; cat /sys/fs/resctrl/gold/schemata)" '^L3:1=f'
	is "a class that config.json names stays" "$(passed_off delete --force gold; ls /sys/fs/resctrl)" gold
	bundle gold '.linux.intelRdt = { closID: "gold", memBwSchema: "MB:0=20" }'
	like "one that is there must be what is wanted" "$(passed_off run --bundle "$WORK/gold" gold)" 'class gold is there without MB:0=20'
	bundle gold '.linux.intelRdt = { closID: "silver" }'
	like "one without lines must be there" "$(passed_off run --bundle "$WORK/gold" gold)" 'class silver: No such file'
	umount -R /sys/fs "$WORK/fs/cgroup"
else
	skip "intelRdt by ordinary files" "strace cannot trace here"
fi
[ -d /sys/fs/selinux/booleans ] ||
	like "labels are refused where the kernel has none" \
		"$(run '.linux.mountLabel = "x"' true; run '.process.selinuxLabel = "x"' true; run '.process.apparmorProfile = "x"' true)" \
		'linux.mountLabel: this kernel has no SELinux.*process.selinuxLabel: this kernel has no SELinux.*apparmorProfile'

# seccomp's listener ----------------------------------------------------------

# refuses mkdir with EDQUOT, lets all else through, notes what it was sent
cat > "$WORK/listener" << 'PY'
import array, ctypes, fcntl, json, os, socket, struct, sys, threading
path, notes = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(path); s.listen(9)
def serve(fd):
    try:
        while True:
            b = bytearray(80)
            fcntl.ioctl(fd, 0xc0502100, b)
            id, pid, flags, nr = struct.unpack_from('QIIi', b)
            refused = nr in (83, 258) if os.uname().machine == 'x86_64' else nr == 34
            fcntl.ioctl(fd, 0xc0182101, bytearray(struct.pack('QqiI', id, 0, -122 if refused else 0, 0 if refused else 1)))
    except OSError:
        pass
while True:
    c, _ = s.accept()
    text, anc, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
    fd = array.array('i', anc[0][2][:4])[0]
    while True:
        more = c.recv(65536)
        if not more: break
        text += more
    with open(notes, 'a') as f: f.write(json.dumps(json.loads(text)) + '\n')
    threading.Thread(target=serve, args=(fd,), daemon=True).start()
PY
python3 "$WORK/listener" "$WORK/listener.sock" "$WORK/notes" &
listener=$!
wait_for 10 test -S "$WORK/listener.sock"
notify=".annotations = { a: \"b\" } | .linux.seccomp = { defaultAction: \"SCMP_ACT_ALLOW\", listenerPath: \"$WORK/listener.sock\",
	listenerMetadata: \"some words\", syscalls: [{ action: \"SCMP_ACT_NOTIFY\", names: [\"mkdir\", \"mkdirat\", \"execve\",
	\"exit_group\", \"write\", \"sendmsg\", \"close\", \"close_range\", \"prctl\", \"capset\"] }] }"
if [[ $(uname -r) =~ ^[1-4]\. ]]; then
	skip "a seccomp listener" "this kernel has none"
else
	like "a listener decides about system calls" "$(run "$notify" 'busybox mkdir /new; echo went on')" "can't create directory '/new': Disk quota exceeded.*went on"
	is "and gets the process's state once" "$(jq -r '.ociVersion, .fds[0], .metadata, .state.id, .state.status, .state.annotations.a' \
		"$WORK/notes" | tr '\n' ' ')$(jq '.pid == .state.pid and .pid > 1' "$WORK/notes")" "1.3.0 seccompFd some words inside creating b true"
	like "without no_new_privs too" "$(run "$notify | .process.noNewPrivileges = false" 'busybox mkdir /new; echo went on')" 'Disk quota exceeded.*went on'
	for privileges in true false; do
		like "a startContainer hook is the listener's too, no_new_privs $privileges" \
			"$(run "$notify | .process.noNewPrivileges = $privileges | .hooks.startContainer = [{ path: \"/bin/busybox\", args: [\"mkdir\", \"/new\"] }]" \
				'echo went on')" "startContainer hook #0: /bin/busybox: exit status 1: mkdir: can't create directory '/new': Disk quota exceeded"
	done
	rm "$WORK/notes"
	bundle n "$notify | .process.args = [\"sleep\", \"1000\"]"
	oci create --bundle "$WORK/n" n < /dev/null > /dev/null 2>&1
	is "it is asked from the create on" "$(jq -r .state.status "$WORK/notes") $(oci state n | jq -r .status)" "creating created"
	ok "another program starts it" oci start n
	rm "$WORK/notes"
	like "each exec is the listener's as well" "$(oci exec n busybox mkdir /new 2>&1)" 'Disk quota exceeded'
	ok "with its own pid" jq -e --argjson pid "$(oci state n | jq .pid)" '.pid != $pid and .state.pid == $pid' "$WORK/notes"
	oci delete --force n
	kill $listener
	wait $listener 2> /dev/null
	like "without a listener none can be made" "$(oci create --bundle "$WORK/n" n 2>&1 < /dev/null)" \
		"connect to linux.seccomp.listenerPath $WORK/listener.sock: Connection refused"
	like "nor is anything run" "$(run "$notify" 'echo ran')" "^berth-oci: connect to linux.seccomp.listenerPath $WORK/listener.sock: Connection refused"
fi
like "NOTIFY without a listener is refused" "$(run '.linux.seccomp = { defaultAction: "SCMP_ACT_NOTIFY" }' true)" \
	'linux.seccomp: listenerPath: not absolute'

# nothing is left -------------------------------------------------------------

rmdir /sys/fs/cgroup/test 2> /dev/null
snapshot > "$WORK/after"
sed -i '/\/test$/d' "$WORK/before"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$(oci list -q)" ""
done_testing
