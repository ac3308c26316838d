#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci: fields of config.json beyond what every container has, each shown
# from inside a container or by its refusal.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
for tool in busybox jq python3; do
	command -v $tool > /dev/null || skip_all "$tool is missing"
done
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

root=$WORK/state
oci()
{
	"$BUILD/runtime/berth-oci" --root "$root" "$@"
}

# jq takes the script as a variable
eval "$(declare -f bundle | sed 's/jq -n /jq -n --arg script "${script-}" /')"

# run FILTER SCRIPT: prints what the container's sh -c SCRIPT prints, or the error
run()
{
	local script=$2
	bundle inside "$1 | .process.args = [\"sh\", \"-c\", \$script]" || return
	oci run --bundle "$WORK/inside" inside < /dev/null 2>&1
}

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
is "which are the host's by its mapping" "$(stat -c '%u %g' "$WORK/inside/rootfs/made")" "200000 300000"
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
is "as a user of it as well" "$(oci exec --user 1000:1000 --cwd /new u sh -c 'id -u; pwd')" "$(printf '1000\n/new')"
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
like "ids without a user namespace are refused" "$(run "$maps" true)" 'linux: uidMappings: without a user namespace'
like "a user namespace without a root is" \
	"$(run "$userns | .linux.uidMappings[0].containerID = 1" true)" 'linux: uidMappings: containerID 0 is not mapped'
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
	'mounts\[7\]: idmap: neither uidMappings nor a user namespace'
like "idmap of another file system is" "$(run '.mounts += [{ destination: "/vol", type: "tmpfs", options: ["idmap"] }]' true)" \
	'mounts\[7\]: options: idmap is for bind mounts'
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
like "a clock without offsets is" "$(run "$timens | .linux.timeOffsets.realtime = { secs: 1 }" true)" 'clock realtime has no offset'
like "an offset before the start of time is" "$(run "$timens | .linux.timeOffsets.monotonic.secs = -1000000000" true)" \
	'linux.timeOffsets: write monotonic'

# nothing is left -------------------------------------------------------------

rmdir /sys/fs/cgroup/test 2> /dev/null
snapshot > "$WORK/after"
sed -i '/\/test$/d' "$WORK/before"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$(oci list -q)" ""
done_testing
