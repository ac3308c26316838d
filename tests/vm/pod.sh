#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Pods on a booted node, where every cgroup controller is there: limits, a
# memory hog, and what a power-off does to containers and to the disk.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth-peers/registry
ok "images are in a registry" "$TOP/tests/peers/registry" fill "$cache" || done_testing
port=$((21000 + RANDOM % 8000))
"$TOP/tests/peers/registry" serve "$cache" $port &
registry=$!
at_exit "kill $registry 2> /dev/null"
ok "the registry answers" wait_for 20 curl -fs "http://127.0.0.1:$port/v2/" || done_testing

at_exit vm_kill
vm_start "$WORK/vm" --memory 1024 \
	--append "berth.image.mirrors=registry.k8s.io=http://10.0.2.2:$port" || done_testing

# every script of this file starts with these
prelude='
echo "runtime-endpoint: unix:///run/berth/cri.sock" > /run/agent/crictl.yaml
export CRI_CONFIG_FILE=/run/agent/crictl.yaml
image=registry.k8s.io/e2e-test-images/busybox:1.29-2
cd /run/agent
# pod NAME: prints its id
pod() {
	echo "{\"metadata\":{\"name\":\"$1\",\"uid\":\"$1\",\"namespace\":\"t\",\"attempt\":0},
		\"log_directory\":\"/var/log/pods/$1\",\"linux\":{\"cgroup_parent\":\"/test\"}}" > "$1.json"
	crictl runp "$1.json"
}
# ctr POD-ID POD NAME COMMAND [LINUX-JSON]: creates and starts; prints its id
ctr() {
	echo "{\"metadata\":{\"name\":\"$3\",\"attempt\":0},\"image\":{\"image\":\"$image\"},
		\"command\":[\"sh\",\"-c\",\"$4\"],\"log_path\":\"$3.log\",
		\"mounts\":[{\"container_path\":\"/out\",\"host_path\":\"/var/out\"}],
		\"linux\":${5:-{\}}}" > "$3.json"
	id=$(crictl create "$1" "$3.json" "$2.json") && crictl start "$id" > /dev/null && echo "$id"
}
state() { crictl inspect "$1" | sed -n "s/^    \"state\": \"\(.*\)\",/\1/p"; }
# exited ID: waits for its end
exited() {
	[ -n "$1" ] || return 1
	for i in $(seq 300); do
		[ "$(state "$1")" = CONTAINER_EXITED ] && return
		sleep 0.1
	done
	return 1
}
'
guest() { vm_sh "$prelude$1"; }

if [ "$(guest 'command -v crictl > /dev/null && echo yes')" != yes ]; then
	skip "pods on a booted node" "crictl is not on the peers disk (Go >= 1.26 is missing)"
	done_testing
fi
ok "an image is pulled" guest 'mkdir -p /var/out; crictl pull $image'

limits=$(guest '
	p=$(pod limits) && c=$(ctr "$p" limits l "sleep 1000" "{\"resources\":{
		\"cpu_period\":100000,\"cpu_quota\":20000,\"cpu_shares\":512,
		\"memory_limit_in_bytes\":67108864,\"memory_swap_limit_in_bytes\":67108864,
		\"unified\":{\"pids.max\":\"77\"},\"oom_score_adj\":321}}") || exit 1
	cd "/sys/fs/cgroup/test/$c" || exit 1
	cat memory.max memory.swap.max cpu.max pids.max cpu.weight
	cat "/proc/$(head -n 1 cgroup.procs)/oom_score_adj"' 2>&1 | paste -sd ' ')
is "limits stand in the cgroup" "$limits" "67108864 0 20000 100000 77 59 321"

hog=$(guest '
	p=$(pod hog) && c=$(ctr "$p" hog h "dd if=/dev/zero of=/dev/null bs=40M" "{\"resources\":{
		\"memory_limit_in_bytes\":15728640,\"memory_swap_limit_in_bytes\":15728640}}") || exit 1
	exited "$c" || exit 1
	crictl inspect "$c" | sed -n "s/^    \"\(exitCode\|reason\)\": \(.*\),/\1 \2/p"' 2>&1 | paste -sd ' ')
is "a memory hog is reported as such" "$hog" 'exitCode 137 reason "OOMKilled"'

seen=$(guest '
	p=$(pod seen) && c=$(ctr "$p" seen s "sleep 1000" "{\"security_context\":{
		\"no_new_privs\":true,\"seccomp\":{\"profile_type\":0},
		\"masked_paths\":[\"/proc/kcore\",\"/proc/acpi\"],\"readonly_paths\":[\"/proc/sys\"]}}") || exit 1
	crictl exec -s "$c" grep -E "^(Seccomp|NoNewPrivs|CapBnd):" /proc/self/status
	crictl exec -s "$c" sh -c "echo 1 > /proc/sys/kernel/panic" 2>&1 | grep -o "Read-only file system"
	crictl exec -s "$c" sh -c "wc -c < /proc/kcore; ls -A /proc/acpi | wc -l"' 2>&1 |
	tr '\t\n' '  ' | tr -s ' ' | sed 's/ $//')
is "the default security holds inside" "$seen" \
	'CapBnd: 00000000a80425fb NoNewPrivs: 1 Seccomp: 2 Read-only file system 0 0'

ok "one that traps TERM and one that does not are running" guest '
	p=$(pod last) || exit 1
	ctr "$p" last polite "trap '"'"'echo bye > /out/marker; exit 0'"'"' TERM; while :; do sleep 0.1; done" &&
	ctr "$p" last rude "trap '"''"' TERM; while :; do sleep 0.1; done"'
begin=$SECONDS
ok "the node powers off" vm_stop
ok "within its limits" test $((SECONDS - begin)) -lt 60

# the state partition, read from outside
read -r start size < <(sfdisk -J "$WORK/vm/disk.img" |
	jq -r '.partitiontable.partitions[] | select(.name == "berth-state") | "\(.start) \(.size)"')
dd if="$WORK/vm/disk.img" of="$WORK/state" bs=512 skip="$start" count="$size" conv=sparse status=none
ok "the state disk is clean without a replay" e2fsck -fn "$WORK/state"
is "the marker of the polite one is there" \
	"$(debugfs -R 'cat /out/marker' "$WORK/state" 2> /dev/null || true)" bye
done_testing
