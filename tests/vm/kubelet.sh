#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real kubelet on a booted node, with its ordinary cgroup settings: it takes
# the cgroup driver from the runtime and puts pods below /kubepods.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"

peers=$("$TOP/tests/peers/install" kubelet 2> "$WORK/install.log") ||
	skip_all "kubelet cannot be built: $(tail -n 1 "$WORK/install.log")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth-peers/registry
ok "images are in a registry" "$TOP/tests/peers/registry" fill "$cache" || done_testing
port=$((21000 + RANDOM % 8000))
page=$((29000 + RANDOM % 3000))
"$TOP/tests/peers/registry" serve "$cache" $port &
at_exit "kill $! 2> /dev/null"
at_exit vm_kill
vm_start "$WORK/vm" --memory 2048 --forward "$page:18080" \
	--append "berth.image.mirrors=registry.k8s.io=http://10.0.2.2:$port" || done_testing

prelude='
root=/var/lib/kubelet
get() { curl -fsSk -m 10 "$@"; }
soon() {
	n=$1
	shift
	for i in $(seq "$n"); do
		"$@" > /dev/null 2>&1 && return
		sleep 1
	done
	return 1
}
'
guest() { vm_sh "$prelude$1"; }

ok "kubelet becomes healthy" guest '
	mkdir -p $root/manifests /var/log/pods
	cat > $root/config.yaml <<-YAML
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	staticPodPath: $root/manifests
	containerRuntimeEndpoint: unix:///run/berth/cri.sock
	authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
	authorization: { mode: AlwaysAllow }
	address: 127.0.0.1
	readOnlyPort: 10255
	protectKernelDefaults: true
	makeIPTablesUtilChains: false
	fileCheckFrequency: 1s
	YAML
	mount --bind $root $root
	setsid kubelet --config $root/config.yaml --root-dir $root --hostname-override node \
		--node-ip 10.0.2.15 > /var/log/kubelet.log 2>&1 < /dev/null &
	soon 240 get http://127.0.0.1:10248/healthz || { tail -n 15 /var/log/kubelet.log; exit 1; }' ||
	done_testing

ok "a static pod becomes ready" guest '
	cat > $root/manifests/web.yaml <<-YAML
	apiVersion: v1
	kind: Pod
	metadata: { name: web, namespace: default }
	spec:
	  terminationGracePeriodSeconds: 2
	  containers:
	  - name: web
	    image: registry.k8s.io/e2e-test-images/httpd:2.4.39-4
	    ports: [ { containerPort: 80, hostPort: 18080 } ]
	    resources: { limits: { memory: 64Mi, cpu: 200m } }
	    readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
	  - name: talk
	    image: registry.k8s.io/e2e-test-images/busybox:1.29-2
	    command: [ sh, -c, "echo hello from the pod; while :; do sleep 1; done" ]
	    livenessProbe: { exec: { command: [ "true" ] }, periodSeconds: 5, timeoutSeconds: 10 }
	YAML
	ready() { get http://127.0.0.1:10255/pods | tr "}" "\n" | grep "\"Ready\"" | grep "\"True\""; }
	soon 180 ready || { get http://127.0.0.1:10255/pods; tail -n 15 /var/log/kubelet.log; exit 1; }'
like "the host gets its page through the host port" \
	"$(curl -s -o /dev/null -m 10 -w '%{http_code}' "http://127.0.0.1:$page/")" '^200$'
is "its limits are below kubepods" "$(guest '
	cd /sys/fs/cgroup/kubepods && cat $(find . -name memory.max | grep "pod.*/.*/") | sort -u |
		grep -x 67108864')" 67108864
like "kubelet shows its log" "$(guest '
	get https://127.0.0.1:10250/containerLogs/default/web-node/talk')" 'hello from the pod'
ok "a removed manifest removes the pod and its cgroup" guest '
	rm $root/manifests/web.yaml
	gone() { [ -z "$(ls /run/berth/pods)" ] && ! ls -d /sys/fs/cgroup/kubepods/*/pod*; }
	soon 180 gone || { ls /run/berth/pods; find /sys/fs/cgroup/kubepods -type d; exit 1; }'
ok "the node powers off" vm_stop
done_testing
