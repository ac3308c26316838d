#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A container, or a refusal, for each field of config.json. What there is to
# show comes from the tables that read it (tests/schema_paths prints them), and
# from `berth-oci features`: a field, a word or a name without a case here fails.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
[ -x "$BUILD/tests/schema_paths" ] || skip_all "tests/schema_paths is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

mkdir -p "$root"
bundle m . # the rest is made by one filter over this config.json
cp "$WORK/m/config.json" "$WORK/config.json"

# run FILTER SCRIPT: prints what the container's sh -c SCRIPT prints, or the error
run()
{
	jq --arg script "$2" "$1 | if .process.args == [\"sh\", \"-c\", \"true\"] then
		.process.args[2] = \$script else . end" "$WORK/config.json" > "$WORK/m/config.json" || return
	oci run --bundle "$WORK/m" m < /dev/null 2>&1
}

# what the tables have: paths, and the words of those that have words
declare -A todo words
while read -r path list; do
	todo["$path"]=1 words["$path"]=$list
done < <("$BUILD/tests/schema_paths")
[ ${#todo[@]} -ge 150 ] || tap_fail "the tables' fields are found: ${#todo[@]}"
# these read what was written by ourselves, or ask again for what a parser above has read
is "no other file reads config.json" "$(cd "$TOP" && grep -lE 'json_(get|need)[a-z0-9_]*\(' runtime/*.c cgroups/*.c |
	tr '\n' ' ')" \
	"runtime/engine.c runtime/hooks.c runtime/shim_pod.c "

# field "PATH KEY..." FILTER SCRIPT REGEX: shows the members KEY of the object PATH ("." for config.json itself);
# without KEY they were named before
field()
{
	local names name key
	read -ra names <<< "$1"
	for key in "${names[@]:1}"; do
		case ${names[0]} in
		.) name=$key ;;
		*) name=${names[0]}.$key ;;
		esac
		[ -n "${todo["$name"]-}" ] || tap_fail "$name is read"
		todo["$name"]=shown
	done
	like "$1" "$(run "$2" "$3")" "$4"
}

# the whole -----------------------------------------------------------------

field ". ociVersion" '.ociVersion = "1.3.0"' 'echo ran' '^ran$'
field ". ociVersion" '.ociVersion = "0.9"' true 'ociVersion: 0.9 is not 1.x'
field "root path readonly" '.root = { path: "rootfs", readonly: true }' 'touch /x' 'Read-only file system'
field "process" 'del(.process)' true 'process: missing'
field ". hostname domainname" '.hostname = "h.x" | .domainname = "d.y"' 'cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname' $'^h.x\nd.y$'
field ". annotations" '.annotations = { a: "b" } | .hooks.startContainer = [{ path: "/bin/sh", args: ["sh", "-c", "cat > /state"] }]' \
	'cat /state' '"annotations":\{"a":"b"\}'

# process -------------------------------------------------------------------

field "process args env cwd" '.process.args = ["sh", "-c", "pwd; echo $A"] | .process.env += ["A=b"] | .process.cwd = "/made"' true $'^/made\nb$'
field "process terminal consoleSize.height consoleSize.width" '.process.terminal = true | .process.consoleSize = { height: 33, width: 99 }' \
	'tty; stty size' $'^/dev/pts/0\n33 99$'
field "process.user uid gid umask additionalGids" '.process.user = { uid: 7, gid: 8, umask: 63, additionalGids: [9] }' \
	'id -u; id -G; umask' $'^7\n8 9\n0077$'
field "process.capabilities bounding effective inheritable permitted ambient" '.process.user.uid = 7 |
	.process.capabilities = { bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"], effective: ["CAP_KILL", "CAP_CHOWN"],
		inheritable: ["CAP_KILL"], permitted: ["CAP_KILL", "CAP_CHOWN"], ambient: ["CAP_KILL"] }' \
	'grep Cap /proc/self/status | cut -f2 | tr -d 0 | tr "\n" " "' '^2 2 2 29 2 $'
field "process.rlimits[] type soft hard" '.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 99 }]' \
	'ulimit -n; ulimit -Hn' $'^77\n99$'
field "process noNewPrivileges" '.process.noNewPrivileges = false' 'grep NoNewPrivs /proc/self/status' $'\t0$'
field "process oomScoreAdj" '.process.oomScoreAdj = 321' 'cat /proc/self/oom_score_adj' '^321$'
field "process apparmorProfile" '.process.apparmorProfile = "nosuch"' true 'AppArmor|security label'
field "process selinuxLabel" '.process.selinuxLabel = "nosuch"' true 'SELinux|security label'

field "process.scheduler policy nice flags" '.process.scheduler = { policy: "SCHED_BATCH", nice: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"] }' \
	'cut -d" " -f19,41 /proc/1/stat' '^5 3$'
field "process.scheduler priority" '.process.scheduler = { policy: "SCHED_OTHER", priority: 5 }' true 'process.scheduler: Invalid'
field "process.scheduler runtime deadline period" '.process.scheduler = { policy: "SCHED_DEADLINE", runtime: 9, deadline: 5, period: 3 }' \
	true 'process.scheduler: Invalid'
field "process.ioPriority class priority" '.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 }' 'busybox ionice -p 1' 'best-effort: prio 6'
field "process.execCPUAffinity initial" '.process.execCPUAffinity.initial = "x"' true 'execCPUAffinity.initial: x is no list'
field "process.execCPUAffinity final" '.process.execCPUAffinity.final = "9-1"' true 'execCPUAffinity.final: 9-1: out of range'
if [ -e /proc/self/numa_maps ]; then
	field "linux.memoryPolicy mode nodes flags" '.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] }' \
		'grep heap /proc/self/numa_maps' 'bind=static:0'
else
	field "linux.memoryPolicy mode nodes flags" '.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] }' \
		true 'linux.memoryPolicy: Function not implemented'
fi

# mounts --------------------------------------------------------------------

maps='uidMappings[].containerID uidMappings[].hostID uidMappings[].size'
maps="$maps ${maps//uid/gid}"
mkdir -p "$WORK/m/volume"
echo hello > "$WORK/m/volume/file"
chown 5:6 "$WORK/m/volume/file"
field "mounts[] destination type source options" '.mounts += [{ destination: "/vol", type: "bind", source: "volume", options: ["ro"] }]' \
	'cat /vol/file; touch /vol/x' $'^hello\n.*Read-only'
field "mounts[] $maps" '.mounts += [{ destination: "/vol", type: "bind", source: "volume",
	uidMappings: [{ containerID: 5, hostID: 15, size: 1 }], gidMappings: [{ containerID: 6, hostID: 16, size: 1 }] }]' \
	'stat -c "%u %g" /vol/file' '^15 16$|: idmap: '

# linux ---------------------------------------------------------------------

user='.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 200000, size: 9 }] |
	.linux.gidMappings = [{ containerID: 0, hostID: 300000, size: 8 }]'
field "linux" 'del(.linux)' true 'linux: missing'
field "linux $maps" "$user" \
	'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "' $'^ 0 200000 9\n 0 300000 8$'
field "linux.namespaces[] type" '.linux.namespaces |= map(select(.type != "ipc"))' "[ \$(readlink /proc/self/ns/ipc) = '$(readlink /proc/self/ns/ipc)' ] && echo host" '^host$'
field "linux.namespaces[] path" '.linux.namespaces |= map(if .type == "uts" then .path = "/proc/self/ns/uts" else . end)' \
	'readlink /proc/self/ns/uts' "$(readlink /proc/self/ns/uts | sed 's/[][]/\\&/g')"
field "linux.timeOffsets monotonic.secs monotonic.nanosecs boottime.secs boottime.nanosecs" '.linux.namespaces += [{ type: "time" }] |
	.linux.timeOffsets = { monotonic: { secs: 3, nanosecs: 4 }, boottime: { secs: 5, nanosecs: 6 } }' \
	'cat /proc/self/timens_offsets | tr -s " "' $'monotonic 3 4\nboottime 5 6'
field "linux.devices[] type path major minor fileMode uid gid" '.linux.devices = [{ type: "c", path: "/dev/d/x", major: 1, minor: 5,
	fileMode: 416, uid: 3, gid: 4 }]' 'stat -c "%t:%T %a %u %g" /dev/d/x' '^1:5 640 3 4$'
field "linux maskedPaths" '.linux.maskedPaths = ["/home", "/etc/passwd"]' 'ls -A /home; cat /etc/passwd; echo none' '^none$'
field "linux readonlyPaths" '.linux.readonlyPaths = ["/tmp"]' 'touch /tmp/x' 'Read-only'
field "linux.personality domain" '.linux.personality = { domain: "LINUX32" }' 'busybox uname -m' "^$(setarch linux32 uname -m)\$"
field "linux.personality flags" '.linux.personality = { domain: "LINUX", flags: ["x"] }' true 'personality.flags\[0\]: x is unknown'
field "linux rootfsPropagation" '.linux.rootfsPropagation = "shared"' 'grep " / / \| / " /proc/self/mountinfo' 'shared:'
field "linux cgroupsPath" '.linux.cgroupsPath = "/test/elsewhere" |
	.hooks.createRuntime = [{ path: "/bin/sh", args: ["sh", "-c", "ls -d /sys/fs/cgroup/test/elsewhere >&2; exit 1"] }]' true ': /sys/fs/cgroup/test/elsewhere'
field "linux resources" '.linux.resources = 5' true 'linux.resources: not an object'
field "linux seccomp" 'del(.linux.seccomp)' 'grep Seccomp: /proc/self/status' $'\t0$'
field "linux sysctl" '.linux.sysctl = { "kernel.msgmax": "7777" }' 'cat /proc/sys/kernel/msgmax' '^7777$'
field "linux.netDevices.* name" '.linux.netDevices = { nosuch: { name: "eth0" } }' true 'netDevices.nosuch: No such device'
# what they do is in oci-fields.sh and tests/vm/lsm.sh
field "linux.intelRdt closID" '.linux.intelRdt = { closID: "a/b" }' true 'intelRdt.closID: no name of a class'
for key in '["x"]:schemata[]' '"x":l3CacheSchema' '"L3:0=f\nMB:0=1":memBwSchema'; do
	name=${key##*:}
	field "linux.intelRdt ${name%\[]}" ".linux.intelRdt.${name%\[]} = ${key%:*}" true "intelRdt.${name%\[]}.*: not one line of a resource"
done
field "linux.intelRdt enableMonitoring" '.linux.intelRdt.enableMonitoring = true' true 'linux.intelRdt'
field "linux mountLabel" '.linux.mountLabel = "x"' true 'linux.mountLabel'

# seccomp -----------------------------------------------------------------------

profile='.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
	syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 122 }'
field "linux.seccomp defaultAction architectures" "$profile] }" true ''
field "linux.seccomp.syscalls[] names action errnoRet" "$profile] }" 'busybox mkdir /d' 'Disk quota exceeded'
field "linux.seccomp.syscalls[].args[] index value op" "$profile, { names: [\"kill\"], action: \"SCMP_ACT_ERRNO\", errnoRet: 122,
	args: [{ index: 1, value: 10, op: \"SCMP_CMP_EQ\" }] }] }" 'kill -10 1; kill -0 1 && echo ok' $'quota exceeded\nok$'
field "linux.seccomp.syscalls[].args[] valueTwo" "$profile, { names: [\"kill\"], action: \"SCMP_ACT_ERRNO\", errnoRet: 122,
	args: [{ index: 1, value: 2, valueTwo: 2, op: \"SCMP_CMP_MASKED_EQ\" }] }] }" 'kill -10 1; kill -0 1 && echo ok' $'quota exceeded\nok$'
field "linux.seccomp defaultErrnoRet" ".linux.seccomp.defaultErrnoRet = 122" 'mount -t tmpfs x /tmp' 'quota exceeded'
field "linux.seccomp flags" '.linux.seccomp.flags = ["X"]' true 'flags\[0\]: X is unknown'
field "linux.seccomp listenerPath" ".linux.seccomp = { defaultAction: \"SCMP_ACT_NOTIFY\", listenerPath: \"$WORK/none\" }" true \
	"connect to linux.seccomp.listenerPath $WORK/none"
field "linux.seccomp listenerMetadata" '.linux.seccomp.listenerMetadata = "x"' true 'listenerMetadata: without listenerPath'

# cgroups: the effect on the host's files is in tests/vm/oci.sh; here the names and the refusals

# limit "MEMBER KEY..." FILTER REGEX
limit()
{
	field "linux.resources.$1" ".linux.resources = { $2 }" 'echo ran' "$3"
}
limit "cpu shares" 'cpu: { shares: 512 }' 'cgroup controller cpu is missing'
limit "cpu quota" 'cpu: { quota: 500 }' 'cgroup controller cpu is missing'
limit "cpu period" 'cpu: { period: "x" }' 'linux.resources.cpu.period: not a number'
limit "cpu burst" 'cpu: { burst: 5 }' 'cgroup controller cpu is missing'
limit "cpu idle" 'cpu: { idle: 1 }' 'cgroup controller cpu is missing'
limit "cpu cpus" 'cpu: { cpus: "0" }' 'cgroup controller cpuset is missing'
limit "cpu mems" 'cpu: { mems: "0" }' 'cgroup controller cpuset is missing'
for key in realtimeRuntime realtimePeriod; do
	limit "cpu $key" "cpu: { $key: 5 }" "linux.resources.cpu.$key: has no meaning"
done
limit "memory limit" 'memory: { limit: 100000000 }' 'cgroup controller memory is missing'
limit "memory reservation" 'memory: { reservation: 100000000 }' 'cgroup controller memory is missing'
limit "memory swap" 'memory: { swap: 5 }' 'memory.swap: a swap limit needs'
limit "memory checkBeforeUpdate" 'memory: { checkBeforeUpdate: true, useHierarchy: true }' '^ran$'
for key in kernel kernelTCP swappiness; do
	limit "memory $key" "memory: { $key: 5 }" "linux.resources.memory.$key: has no meaning"
done
limit "memory disableOOMKiller" 'memory: { disableOOMKiller: true }' 'memory.disableOOMKiller: has no meaning'
limit "pids limit" 'pids: { limit: 5 }' 'cgroup controller pids is missing'
limit "blockIO weight" 'blockIO: { weight: 500 }' 'cgroup controller io is missing'
limit "blockIO.weightDevice[] major minor weight" 'blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 500 }] }' 'cgroup controller io is missing'
limit "blockIO.weightDevice[] leafWeight" 'blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 500 }] }' 'weightDevice\[0\].leafWeight: has no'
limit "blockIO leafWeight" 'blockIO: { leafWeight: 500 }' 'blockIO.leafWeight: has no meaning'
for key in throttle{Read,Write}{Bps,IOPS}Device; do
	limit "blockIO.$key[] major minor rate" "blockIO: { $key: [{ major: 8, minor: 0, rate: 5 }] }" 'cgroup controller io is missing'
done
limit "hugepageLimits[] pageSize limit" 'hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }]' '^ran$|cgroup controller hugetlb is missing'
limit "rdma.* hcaHandles hcaObjects" 'rdma: { mlx5_0: { hcaHandles: 3, hcaObjects: 4 } }' 'cgroup controller rdma is missing'
limit "network classID" 'network: { classID: 5 }' 'network.classID: has no meaning'
limit "network priorities" 'network: { priorities: [{ name: "x", priority: 1 }] }' 'network.priorities: has no meaning'
field "linux.resources unified" '.linux.resources.unified = { "a/b": "x" }' true 'unified: a/b is no cgroup file'
field "linux.resources.devices[] allow type major minor access" '.linux.resources.devices = [{ allow: false }, { allow: true, type: "c", major: 1, minor: 1, access: "mr" },
	{ allow: true, type: "c", major: 1, minor: 11, access: "w" }]' 'mknod /z c 1 11; { : > /z; } 2>&1 && echo w; { : < /z; } 2>&1' '^w.*z: Operation not permitted'

# words -----------------------------------------------------------------------

oci features > "$WORK/features"

# each WORDS-FILTER NAME [PATH]: runs shown_NAME for each word; they are those of PATH too
each()
{
	local word
	if [ -n "${3-}" ]; then
		is "features has the words of $3" "$(jq -r "$1" "$WORK/features" | sort)" "$(tr ' ' '\n' <<< "${words["$3"]}" | sort)"
		words["$3"]=''
	fi
	while read -r word; do
		"shown_$2" "$word"
	done < <(jq -r "$1" "$WORK/features")
}

# of a tmpfs or of a bind mount of one, what mountinfo says; for the words without a trace: that they are taken
shown_option()
{
	local wanted='.' how=tmpfs out
	case $1 in
	ro | nosuid | nodev | noexec | nosymfollow | nodiratime | noatime) wanted="[ ,]$1[ ,]" ;;
	sync | dirsync | lazytime) wanted=" rw.*,$1|[ ,]$1" ;;
	rro | rnosuid | rnodev | rnoexec | rnosymfollow | rnodiratime | rnoatime) wanted="[ ,]${1#r}[ ,]" how=bind ;;
	rrw | rsuid | rdev | rexec | rsymfollow | rdiratime | ratime | rrelatime | rnorelatime | rstrictatime | rnostrictatime)
		how=bind
		;;
	bind | rbind) how=bind wanted=' /vol ' ;;
	shared | rshared) wanted='shared:' ;;
	unbindable | runbindable) wanted=unbindable ;;
	slave | rslave | private | rprivate) wanted='relatime - ' ;;
	rw | suid | dev | exec | symfollow | diratime | relatime | atime | defaults | async | loud | silent | nolazytime | \
		strictatime | norelatime | nostrictatime | mand | nomand | iversion | noiversion) ;;
	remount)
		like "mount option $1" "$(run '.mounts += [{ destination: "/vol", type: "tmpfs" },
			{ destination: "/vol", type: "tmpfs", options: ["remount", "ro"] }]' 'grep " /vol " /proc/self/mountinfo')" ' ro'
		return
		;;
	idmap | ridmap)
		like "mount option $1" "$(run ".mounts += [{ destination: \"/vol\", type: \"bind\", source: \"volume\", options: [\"rbind\", \"$1\"],
			uidMappings: [{ containerID: 5, hostID: 15, size: 1 }], gidMappings: [{ containerID: 6, hostID: 16, size: 1 }] }]" \
			'stat -c "%u %g" /vol/file')" '^15 16$|: idmap: '
		return
		;;
	tmpcopyup)
		is "mount option $1" "$(run '.mounts += [{ destination: "/etc", type: "tmpfs", options: ["tmpcopyup"] }]' 'cat /etc/passwd | wc -l')" 2
		return
		;;
	*)
		tap_fail "mount option $1 has no case"
		return
		;;
	esac
	if [ $how = bind ]; then
		out=$(run ".mounts += [{ destination: \"/vol\", source: \"volume\", options: [\"rbind\", \"$1\"] }]" 'grep " /vol " /proc/self/mountinfo')
	else
		out=$(run ".mounts += [{ destination: \"/vol\", type: \"tmpfs\", options: [\"$1\"] }]" 'grep " /vol " /proc/self/mountinfo')
	fi
	like "mount option $1" "$out" "$wanted"
}
each '.mountOptions[]' option

shown_namespace()
{
	local file=$1 own=''
	case $1 in
	network) file=net ;;
	mount) file=mnt ;;
	user) own=" | $user" ;;
	esac
	run ".linux.namespaces |= (map(select(.type != \"$1\")) + [{ type: \"$1\" }])${own/.linux.namespaces += \[\{ type: \"user\" \}\] |/}" \
		"readlink /proc/self/ns/$file" > "$WORK/ns"
	like "a namespace of type $1 is its own" "$(cat "$WORK/ns")$(readlink "/proc/self/ns/$file")" "^$file:\[([0-9]+)\]$file:\[([0-9]+)\]$"
	[ "$(cat "$WORK/ns")" != "$(readlink "/proc/self/ns/$file")" ] || tap_fail "$1 is the host's"
}
each '.linux.namespaces[]' namespace "linux.namespaces[].type"

number=0
shown_capability()
{
	local wanted
	wanted=$(printf '^CapBnd:\t%016x$' $((1 << number)))
	if [ $number -gt "$(cat /proc/sys/kernel/cap_last_cap)" ]; then
		skip "$1" "this kernel has it not"
	elif ! python3 -c "import sys; sys.exit(not int([l for l in open('/proc/self/status') if l.startswith('CapBnd')][0].split()[1], 16) >> $number & 1)"; then
		like "$1 cannot be given without having it" "$(run ".process.capabilities = { bounding: [\"$1\"], permitted: [\"$1\"] }" \
			'grep CapPrm /proc/self/status')" '.'
	else
		like "$1" "$(run ".process.capabilities = { bounding: [\"$1\"] }" 'grep CapBnd /proc/self/status')" "$wanted"
	fi
	number=$((number + 1))
}
each '.linux.capabilities[]' capability

hook='{ path: "/bin/sh", args: ["sh", "-c", "cat > /dev/null; echo told $X >&2; exit 3"], env: ["X=here"], timeout: 9 }'
shown_hook()
{
	local before=''
	[ "$1" != poststop ] || before='^ran.*'
	field "hooks.$1[] path args env" ".hooks.$1 = [$hook]" 'echo ran' "${before}error running $1 hook #0: /bin/sh: exit status 3: told here"
	field "hooks.$1[] timeout" ".hooks.$1 = [{ path: \"/bin/sleep\", args: [\"sleep\", \"100\"], timeout: 1 }]" 'echo ran' 'not done in 1 s'
}
each '.hooks[]' hook

shown_action()
{
	local wanted listener=''
	case $1 in
	*_KILL | *_KILL_PROCESS | *_KILL_THREAD | *_TRAP) wanted='^1(59|31)$' ;;
	*_ERRNO) wanted='^1$' ;;
	*_TRACE) wanted='^1$' ;;
	*_ALLOW | *_LOG) wanted='^0$' ;;
	*_NOTIFY) wanted='connect to linux.seccomp.listenerPath' listener='listenerPath: "/none",' ;;
	*) tap_fail "action $1 has no case" ;;
	esac
	like "seccomp action $1" "$(run ".linux.seccomp = { $listener defaultAction: \"SCMP_ACT_ALLOW\",
		syscalls: [{ names: [\"mkdir\", \"mkdirat\"], action: \"$1\" }] }" \
		'sh -c "exec busybox mkdir /dev/shm/d" 2> /dev/null; echo $?')" "$wanted"
}
each '.linux.seccomp.actions[]' action "linux.seccomp.syscalls[].action"
is "the default action has the same words" "${words["linux.seccomp.defaultAction"]}" "$(jq -r '.linux.seccomp.actions | join(" ")' "$WORK/features")"
words["linux.seccomp.defaultAction"]=''

# which of the signals 9, 10 and 11 are refused
shown_operator()
{
	local wanted extra=''
	case $1 in
	*_NE) wanted='9 11' ;;
	*_LT) wanted='9' ;;
	*_LE) wanted='9 10' ;;
	*_GE) wanted='10 11' ;;
	*_GT) wanted='11' ;;
	*_MASKED_EQ) wanted='10' extra=', valueTwo: 2, value: 3' ;;
	*_EQ) wanted='10' ;;
	*) tap_fail "operator $1 has no case" ;;
	esac
	is "seccomp operator $1" "$(run ".linux.seccomp = { defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{ names: [\"kill\"],
		action: \"SCMP_ACT_ERRNO\", errnoRet: 122, args: [{ index: 1, op: \"$1\", value: 10$extra },
		{ index: 0, op: \"SCMP_CMP_GT\", value: 99 }] }] }" \
		'for s in 9 10 11; do kill -$s 999 2>&1 | grep -q quota && echo $s; done' | tr '\n' ' ')" "$wanted "
}
each '.linux.seccomp.operators[]' operator "linux.seccomp.syscalls[].args[].op"

shown_arch()
{
	is "seccomp architecture $1" "$(run ".linux.seccomp.architectures = [\"$1\"]" 'grep Seccomp: /proc/self/status')" $'Seccomp:\t2'
}
each '.linux.seccomp.archs[]' arch

shown_flag()
{
	like "seccomp flag $1" "$(run ".linux.seccomp.flags = [\"$1\"]" 'grep Seccomp: /proc/self/status')" $'^Seccomp:\t2'
}
each '.linux.seccomp.knownFlags[]' flag "linux.seccomp.flags"

shown_mode()
{
	local nodes=', nodes: "0"' wanted
	case $1 in
	MPOL_DEFAULT) nodes='' wanted=default ;;
	MPOL_LOCAL) nodes='' wanted=local ;;
	MPOL_PREFERRED) wanted=prefer:0 ;;
	MPOL_BIND) wanted=bind:0 ;;
	MPOL_INTERLEAVE) wanted=interleave:0 ;;
	MPOL_PREFERRED_MANY) wanted='prefer \(many\):0' ;;
	MPOL_WEIGHTED_INTERLEAVE) wanted='weighted interleave:0|linux.memoryPolicy: Invalid' ;;
	*) tap_fail "memory policy $1 has no case" ;;
	esac
	[ -e /proc/self/numa_maps ] || wanted='linux.memoryPolicy: Function not implemented'
	like "memory policy $1" "$(run ".linux.memoryPolicy = { mode: \"$1\"$nodes }" 'grep heap /proc/self/numa_maps')" "$wanted"
}
each '.linux.memoryPolicy.modes[]' mode "linux.memoryPolicy.mode"

shown_policy_flag()
{
	local mode=MPOL_INTERLEAVE wanted
	case $1 in
	MPOL_F_STATIC_NODES) wanted='interleave=static:0' ;;
	MPOL_F_RELATIVE_NODES) wanted='interleave=relative:0' ;;
	MPOL_F_NUMA_BALANCING) mode=MPOL_BIND wanted='bind(=balancing)?:0|linux.memoryPolicy: Invalid' ;;
	*) tap_fail "memory policy flag $1 has no case" ;;
	esac
	[ -e /proc/self/numa_maps ] || wanted='linux.memoryPolicy: Function not implemented'
	like "memory policy flag $1" "$(run ".linux.memoryPolicy = { mode: \"$mode\", nodes: \"0\", flags: [\"$1\"] }" 'grep heap /proc/self/numa_maps')" "$wanted"
}
each '.linux.memoryPolicy.flags[]' policy_flag "linux.memoryPolicy.flags"

# words that features does not tell: of the tables

# list_of PATH: leaves the words of a member in $list
list_of()
{
	list=${words["$1"]-}
	words["$1"]=''
	[ -n "$list" ] || tap_fail "$1 has words"
}

# a limit a little below that of ours, where that can be
list_of "process.rlimits[].type"
for name in $list; do
	case ${name#RLIMIT_} in
	AS) row='Max address space' ;;
	CORE) row='Max core file size' ;;
	CPU) row='Max cpu time' ;;
	DATA) row='Max data size' ;;
	FSIZE) row='Max file size' ;;
	LOCKS) row='Max file locks' ;;
	MEMLOCK) row='Max locked memory' ;;
	MSGQUEUE) row='Max msgqueue size' ;;
	NICE) row='Max nice priority' ;;
	NOFILE) row='Max open files' ;;
	NPROC) row='Max processes' ;;
	RSS) row='Max resident set' ;;
	RTPRIO) row='Max realtime priority' ;;
	RTTIME) row='Max realtime timeout' ;;
	SIGPENDING) row='Max pending signals' ;;
	STACK) row='Max stack size' ;;
	*)
		tap_fail "$name has no case"
		continue
		;;
	esac
	hard=$(sed -nE "s/^$row +[^ ]+ +([^ ]+).*/\1/p" /proc/self/limits)
	case $hard in
	unlimited) hard=1099511627776 ;;
	0) ;;
	*) hard=$((hard - 1)) ;;
	esac
	soft=$((hard - hard / 8))
	like "$name" "$(run ".process.rlimits = [{ type: \"$name\", soft: $soft, hard: $hard }]" 'cat /proc/self/limits')" "$row +$soft +$hard "
done
list_of process.scheduler.policy
for name in $list; do
	more='' wanted=
	case $name in
	SCHED_OTHER) wanted='^0$' ;;
	SCHED_BATCH) wanted='^3$' ;;
	SCHED_IDLE) wanted='^5$' ;;
	SCHED_FIFO) more=', priority: 1' wanted='^1$|Operation not permitted' ;;
	SCHED_RR) more=', priority: 1' wanted='^2$|Operation not permitted' ;;
	SCHED_DEADLINE) more=', runtime: 1000000, deadline: 10000000, period: 10000000' wanted='^6$|Operation not permitted|busy' ;;
	SCHED_ISO) wanted='Invalid argument' ;; # no kernel has it
	*) tap_fail "$name has no case" ;;
	esac
	like "scheduler $name" "$(run ".process.scheduler = { policy: \"$name\"$more }" 'cut -d" " -f41 /proc/self/stat')" "$wanted"
done
list_of process.scheduler.flags
for name in $list; do
	like "scheduler flag $name" "$(run ".process.scheduler = { policy: \"SCHED_OTHER\", flags: [\"$name\"] }" 'echo ran')" \
		'^ran$|process.scheduler: (Invalid argument|Operation not)'
done
list_of process.ioPriority.class
for name in $list; do
	case $name in
	*_RT) wanted='realtime|Operation not permitted' ;;
	*_BE) wanted='best-effort' ;;
	*_IDLE) wanted='idle' ;;
	*) tap_fail "$name has no case" ;;
	esac
	like "$name" "$(run ".process.ioPriority = { class: \"$name\", priority: 3 }" 'busybox ionice -p 1')" "$wanted"
done
list_of "linux.devices[].type"
for name in $list; do
	case $name in
	c | u) wanted='character special file 1 5' ;;
	b) wanted='block special file 1 5' ;;
	p) wanted='fifo' ;;
	*) tap_fail "a device of type $name has no case" ;;
	esac
	like "a device of type $name" "$(run ".linux.devices = [{ type: \"$name\", path: \"/dev/x\", major: 1, minor: 5 }]" \
		'stat -c "%F %t %T" /dev/x')" "^$wanted|in it: Operation not permitted"
done
list_of "linux.resources.devices[].type"
for name in $list; do
	case $name in
	a | c | u) wanted='^ran$' ;;
	b) wanted='zb: Operation not permitted' ;;
	*) tap_fail "a device rule of type $name has no case" ;;
	esac
	like "a device rule of type $name" "$(run ".linux.resources.devices = [{ allow: false }, { allow: true, type: \"$name\", access: \"rw\" }]" \
		"mknod /z$name c 1 11 && : > /z$name && echo ran")" "$wanted"
done
list_of linux.personality.domain
for name in $list; do
	like "personality $name" "$(run ".linux.personality = { domain: \"$name\" }" 'busybox uname -m')" "^$(setarch "${name,,}" uname -m 2> /dev/null || uname -m)\$"
done
list_of linux.rootfsPropagation
for name in $list; do
	case $name in
	*shared) wanted='shared:' ;;
	*unbindable) wanted='unbindable' ;;
	*slave) wanted='relatime( master:[0-9]+)? - ' ;;
	*) wanted='relatime - ' ;;
	esac
	like "rootfsPropagation $name" "$(run ".linux.rootfsPropagation = \"$name\"" 'busybox awk "\$5 == \"/\"" /proc/self/mountinfo')" "$wanted"
done

unused=$(for path in "${!words[@]}"; do [ -z "${words["$path"]}" ] || echo "$path"; done | sort)
is "every list of words is shown" "$unused" ""
missing=$(for key in "${!todo[@]}"; do [ "${todo[$key]}" = shown ] || echo "$key"; done | sort)
is "every field of the parser is shown or refused" "$missing" ""

# nothing is left -------------------------------------------------------------

is "no container and no cgroup is left" "$(oci list -q; find /sys/fs/cgroup/test -mindepth 1 -type d)" ""
rmdir /sys/fs/cgroup/test 2> /dev/null
done_testing
