#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's runc and crun run a container from the config.json that crid wrote:
# what we write is OCI, and not a dialect between crid and our own engine.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

requires runc crun jq node
cri_node_up
call() { node "$TOP/tests/peers/cri-call.mjs" "${ENDPOINT#unix://}" "$1" "$2"; }
call PullImage "{\"image\": {\"image\": \"$IMAGE\"}}" > /dev/null
pod=$(call RunPodSandbox "{\"config\": {\"metadata\": {\"name\": \"p\", \"namespace\": \"test\", \"uid\": \"u\"},
	\"log_directory\": \"$LOGS/p\", \"linux\": {\"cgroup_parent\": \"$CGPARENT\"}}}" | jq -r .pod_sandbox_id)

cat > "$WORK/seen" <<'SH'
exec 2>&1
grep -E '^(Seccomp|NoNewPrivs|CapBnd|CapEff|CapAmb|CapInh):' /proc/self/status
id; pwd; echo "$HOSTNAME $WORD"; hostname
while read -r _ _ _ _ point options _; do echo "$point ${options%%,*}"; done < /proc/self/mountinfo | sort
ls /proc/kcore; touch /proc/sys/x; touch /here; ls /dev | grep -v core
SH
# try NAME CONFIG: the same container by our engine and by both runtimes
try()
{
	local name=$1 config=$2 ctr bundle ours theirs runtime
	ctr=$(call CreateContainer "$(jq -nc --arg p "$pod" --arg n "$name" --arg i "$IMAGE" --arg s "$(cat "$WORK/seen")" \
		--argjson m "$config" '{pod_sandbox_id: $p, config: ({metadata: {name: $n}, image: {image: $i},
		command: ["/bin/sh", "-c", $s], log_path: ($n + ".log"), envs: [{key: "WORD", value: "c2FpZA=="}]} * $m)}')" |
		jq -r .container_id)
	bundle=$dir/tmp/$name
	mkdir -p "$bundle/rootfs"
	cp "$dir/run/berth/ctrs/$ctr/config.json" "$bundle/config.json"
	"$NODE" enter "$dir" sh -c "cp -a /var/lib/berth/layers/*/fs/. '$bundle/rootfs/'"
	call StartContainer "{\"container_id\": \"$ctr\"}" > /dev/null
	wait_for 20 grep -q zero "$LOGS/p/$name.log"
	ours=$(cut -d' ' -f4- "$LOGS/p/$name.log")
	like "$name: our engine ran it" "$ours" 'CapBnd'
	for runtime in runc crun; do
		# what they cannot do on this machine: cgroups without controllers
		jq 'del(.linux.resources) | .linux.cgroupsPath = "/test-" + $r' --arg r $runtime \
			< "$dir/run/berth/ctrs/$ctr/config.json" > "$bundle/config.json"
		theirs=$("$NODE" enter "$dir" $runtime --root "$dir/tmp/$runtime" run -b "$bundle" "$name-$runtime" 2>&1)
		is "$name: $runtime gives the same view" "$theirs" "$ours"
	done
}

try plain '{}'
try strict '{"linux": {"security_context": {"seccomp": {}, "no_new_privs": true, "readonly_rootfs": true,
	"run_as_user": {"value": "1000"}, "supplemental_groups": ["7"], "capabilities": {"drop_capabilities": ["ALL"],
	"add_capabilities": ["NET_BIND_SERVICE"]}, "masked_paths": ["/proc/kcore"], "readonly_paths": ["/proc/sys"],
	"namespace_options": {"pid": "CONTAINER"}}}}'
try mounts "{\"working_dir\": \"/made/here\", \"mounts\": [{\"container_path\": \"/data\", \"host_path\": \"$LOGS\",
	\"readonly\": true}], \"linux\": {\"security_context\": {\"namespace_options\": {\"pid\": \"CONTAINER\"},
	\"masked_paths\": [\"/proc/kcore\"], \"readonly_paths\": [\"/proc/sys\"]}}}"
call RemovePodSandbox "{\"pod_sandbox_id\": \"$pod\"}" > /dev/null
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
