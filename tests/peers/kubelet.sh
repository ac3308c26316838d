#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real kubelet, standalone, runs a static pod on a node.
. "$(dirname "$0")/../tap.sh"

peers=$("$TOP/tests/peers/install" kubelet 2> "$WORK/install.log") ||
	skip_all "kubelet cannot be built: $(tail -n 1 "$WORK/install.log")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth-peers/registry
ok "images are in a registry" "$TOP/tests/peers/registry" fill "$cache" || done_testing

node=$TOP/tests/node
dir=$WORK/node
at_exit "$node down $dir > /dev/null 2>&1"
ok "a node comes up" "$node" up "$dir" \
	--mirror registry.k8s.io=http://127.0.0.1:5000 || done_testing
. "$dir/env"
inside() { "$node" enter "$dir" "$@"; }
crid_pid()
{
	"$dir/run/libexec/berthctl" --init "$dir/run/berth/init.sock" status --json |
		jq -r '.services[] | select(.name == "crid") | .pid'
}
crid=$(crid_pid)
get() { inside curl -fsS -m 5 "$@"; }

inside "$TOP/tests/peers/registry" serve "$cache" 5000 &
wait_for 20 get http://127.0.0.1:5000/v2/

# kubelet sets machine-wide sysctls: the test puts back what it found
saved=$(cd /proc/sys && grep -H . vm/overcommit_memory vm/panic_on_oom kernel/panic \
	kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
at_exit 'while IFS=: read -r f v; do echo "$v" > "/proc/sys/$f"; done <<< "$saved"'

root=$dir/kubelet
manifests=$root/manifests
mkdir -p "$root" "$manifests" "$root/pods-logs"
cat > "$root/config.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: $manifests
containerRuntimeEndpoint: $ENDPOINT
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
failSwapOn: false
address: 127.0.0.1
readOnlyPort: 10255
podLogsDir: $root/pods-logs
cgroupsPerQOS: false
enforceNodeAllocatable: []
imageGCHighThresholdPercent: 100
evictionHard: { memory.available: "1Mi", nodefs.available: "0%", imagefs.available: "0%" }
syncFrequency: 5s
fileCheckFrequency: 1s
YAML
cat > "$root/pod.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: web
    image: registry.k8s.io/e2e-test-images/httpd:2.4.39-4
    ports: [ { containerPort: 80, hostPort: 18080 } ]
    readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
  - name: talk
    image: registry.k8s.io/e2e-test-images/busybox:1.29-2
    command: [ sh, -c, "echo hello from the pod; while :; do sleep 1; done" ]
    livenessProbe: { exec: { command: [ "true" ] }, periodSeconds: 2 }
    readinessProbe: { exec: { command: [ "true" ] }, periodSeconds: 1 }
YAML
inside sh -c "mount --bind $root $root && mount --make-rshared $root &&
	exec $peers/kubelet --config $root/config.yaml --root-dir $root \
		--hostname-override node --node-ip 192.0.2.2" > "$TOP/build/kubelet.log" 2>&1 &
kubelet=$!
at_exit "kill $kubelet 2> /dev/null; wait $kubelet 2> /dev/null"
ok "kubelet is healthy" wait_for 60 get http://127.0.0.1:10248/healthz || done_testing

pod_is_ready()
{
	get http://127.0.0.1:10255/pods | jq -e '.items[] | select(.metadata.name == "web-node")
		| .status.conditions[] | select(.type == "Ready" and .status == "True")'
}
# kubelet has chains of its own in other tables, and makes them when it likes
ours() { inside sh -c 'ip -o link; nft -s list table inet berth; ls /run/berth/pods /run/berth/ctrs'; }
before=$(ours)
cp "$root/pod.yaml" "$manifests/pod.yaml"
ok "the static pod becomes ready" wait_for 60 pod_is_ready || {
	tail -n 20 "$TOP/build/kubelet.log" | sed 's/^/# /'
	done_testing
}
like "its host port answers" "$(get -o /dev/null -w '%{http_code}' http://127.0.0.1:18080/)" '^200$'
api=https://127.0.0.1:10250
like "kubelet shows the log" "$(get -k $api/containerLogs/default/web-node/talk)" 'hello from the pod'
ok "kubelet runs a command" wait_for 10 sh -c \
	"$node enter $dir curl -ksS -m 5 -X POST '$api/run/default/web-node/talk?cmd=id' | grep -q uid=0"
# kubelet's own streaming port, by the independent client
stream() { inside python3 "$TOP/tests/peers/cri-stream.py" "$@"; }
# A connection that ended before its reply was seen once in nearly a thousand: the second
# one decides, the frames of the first are shown, and crid must not have been the cause.
exec_id() { stream exec "$api/exec/default/web-node/talk?command=id&output=1" "$@" 2> "$WORK/frames"; }
out=$(exec_id --trace)
! grep -q 'before SYN_REPLY' "$WORK/frames" || {
	grep -i 'prox' "$TOP/build/kubelet.log" | cat "$WORK/frames" - | sed 's/^/# /'
	out=$(exec_id)
}
like "exec through kubelet's port" "$out" 'uid=0'
like "port-forward through kubelet's port" \
	"$(printf 'GET / HTTP/1.0\r\n\r\n' | stream forward "$api/portForward/default/web-node" 80 2>&1)" \
	'200 OK'
rm "$manifests/pod.yaml"
pods_are_gone()
{
	[ -z "$(inside ls /run/berth/pods /run/berth/ctrs | grep -E '^[0-9a-f]{64}$')" ]
}
ok "a removed manifest removes the pod" wait_for 90 pods_are_gone
is "and leaves no link, rule or folder" "$(ours)" "$before"
is "crid is the process that it was" "$(crid_pid)" "$crid"
done_testing
