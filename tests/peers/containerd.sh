#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's containerd with berth-oci as the runtime under it: an image that
# skopeo copied runs, ctr gets its output and exit codes, execs, kills.
. "$(dirname "$0")/../tap.sh"
requires containerd ctr containerd-shim-runc-v2 skopeo umoci busybox jq script
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

# an image of busybox, copied by skopeo into an archive
busybox_rootfs "$WORK/rootfs"
busybox_image "$WORK/rootfs" "$WORK/image.tar" || skip_all "no image: $(tail -n 1 "$WORK/image.log")"

# the shim's sockets and logs lie at fixed places below /run
mount -t tmpfs run /run
cat > "$WORK/containerd.toml" << TOML
version = 2
root = "$WORK/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd/containerd.sock"
TOML
containerd --config "$WORK/containerd.toml" > "$WORK/containerd.log" 2>&1 &
containerd=$!
at_exit "kill $containerd; wait $containerd"
ctr()
{
	timeout -k 5 60 ctr --address /run/containerd/containerd.sock "$@"
}
wait_for 30 ctr version || skip_all "containerd does not answer: $(tail -n 1 "$WORK/containerd.log")"
ok "the image is imported" ctr image import "$WORK/image.tar"

oci=(--runtime io.containerd.runc.v2 --runc-binary "$BUILD/runtime/berth-oci" --runc-root /run/berth-oci)
image=berth.test/busybox:1
run()
{
	ctr run "${oci[@]}" "$@"
}

run --rm "$image" first true > /dev/null 2>&1
snapshot | grep -v overlay > "$WORK/before"
is "its output comes" "$(run --rm "$image" c1 echo hello 2>&1)" hello
run --rm "$image" c2 sh -c 'exit 42' > /dev/null 2>&1
is "its exit code comes" $? 42
is "stdin goes in" "$(echo through | run --rm "$image" c3 head -n 1)" through
like "a missing program is told" "$(run --rm "$image" c4 /no/such 2>&1)" 'exec /no/such: No such file or directory'
like "one missing in PATH too" "$(run --rm "$image" c4 nosuch 2>&1)" 'executable file not found in \$PATH'
like "it is confined" "$(run --rm --seccomp "$image" c5 cat /proc/self/status)" $'Seccomp:\t2'
like "a terminal is its own" "$(script -qec "ctr --address /run/containerd/containerd.sock run ${oci[*]} --rm -t \
	$image c6 sh -c 'tty; test -t 1 && echo terminal'" /dev/null < /dev/null)" 'dev/pts/0.*terminal'
like "memory limits say which controller is missing" \
	"$(run --rm --memory-limit 10000000 "$image" c7 true 2>&1)" 'cgroup controller memory is missing'
like "a privileged container has all devices" \
	"$(run --rm --privileged "$image" c8 sh -c 'mknod /tmp/d c 1 11 && head -c 0 /tmp/d && echo opened' 2>&1)" opened
echo mounted > "$WORK/volume"
is "mounts are there" "$(run --rm --mount "type=bind,src=$WORK/volume,dst=/vol,options=rbind:ro" "$image" c9 cat /vol)" mounted
is "the network of the host can be shared" "$(run --rm --net-host "$image" c10 readlink /proc/self/ns/net)" \
	"$(readlink /proc/self/ns/net)"

run --detach "$image" d sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' > /dev/null
like "a detached one is RUNNING" "$(ctr task ls)" 'd +[0-9]+ +RUNNING'
is "exec gives output" "$(ctr task exec --exec-id e1 d echo inside)" inside
ctr task exec --exec-id e2 d sh -c 'exit 9'
is "and its exit code" $? 9
like "a missing program of an exec is told" "$(ctr task exec --exec-id e3 d nosuch 2>&1)" 'executable file not found in \$PATH'
like "an exec has a terminal" "$(script -qec "ctr --address /run/containerd/containerd.sock task exec -t --exec-id e4 d tty" \
	/dev/null < /dev/null)" '/dev/pts/0'
ctr task exec --exec-id e5 d sleep 1000 > /dev/null 2>&1 &
wait_for 10 sh -c "timeout 10 ctr --address /run/containerd/containerd.sock task ps d | grep -q e5"
ok "an exec is killed alone" ctr task kill --exec-id e5 --signal KILL d
wait $!
is "with the code of its signal" $? 137
like "processes are listed" "$(ctr task ps d)" '^PID'
ok "it is paused" ctr task pause d
like "and PAUSED" "$(ctr task ls)" 'd +[0-9]+ +PAUSED'
ok "and resumed" ctr task resume d
ok "it is killed" ctr task kill --signal TERM d
wait_for 10 sh -c "timeout 10 ctr --address /run/containerd/containerd.sock task ls | grep -q 'd .*STOPPED'"
like "and STOPPED" "$(ctr task ls)" 'd +[0-9]+ +STOPPED'
like "with its exit code" "$(ctr task delete d 2>&1)" 'non-zero exit code 3'
ok "the container is deleted" ctr container delete d

run --detach "$image" k sleep 1000 > /dev/null
ok "one that ignores TERM is killed by force" ctr task delete --force k
ctr container delete k > /dev/null 2>&1

rmdir /sys/fs/cgroup/default 2> /dev/null
wait_for 10 sh -c "! pgrep -f containerd-shim-runc-v2"
sed -i '/^\/sys\/fs\/cgroup\/default$/d' "$WORK/before"
snapshot | grep -v overlay > "$WORK/after"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$(ls /run/berth-oci/default 2> /dev/null)" ""
done_testing
