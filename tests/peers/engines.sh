#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's containerd and podman over berth-oci on Debian's cloud kernel 6.12 in
# QEMU, where cgroup v2 has every controller and criu works: run, exec, limits
# and their update, pause, kill, delete, checkpoint and restore. The same steps
# over crun go into lines of comment: what fails there too is the peer's own.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires qemu-system-x86_64 busybox jq cpio criu podman conmon containerd ctr containerd-shim-runc-v2 skopeo umoci crun
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../bundle.sh"
. "$TOP/tests/vm/guest.sh"
. "$TOP/tests/vm/lib.sh"

image=$WORK/image
mkdir -p "$image"/{bin,proc,sys,dev,tmp,new,etc/containers,var/{tmp,lib},root,usr/lib64,usr/sbin,usr/bin}
ln -s usr/lib usr/lib64 usr/sbin "$image/"
guest_busybox "$image" tar ip script
cp "$BUILD/runtime/berth-oci" "$image/usr/bin/"
for tool in crun podman conmon containerd ctr containerd-shim-runc-v2 criu ip tar script; do
	cp "$(readlink -f "$(command -v $tool)")" "$image/usr/sbin/$tool"
done
strip "$image"/usr/sbin/* "$image"/usr/bin/* 2> /dev/null
closure "$image" "$image/usr"
echo 'root:x:0:0:root:/root:/bin/sh' > "$image/etc/passwd"
echo 'root:x:0:' > "$image/etc/group"
echo '{ "default": [{ "type": "insecureAcceptAnything" }] }' > "$image/etc/containers/policy.json"
cat > "$image/etc/containerd.toml" << 'TOML'
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
TOML
busybox_rootfs "$image/rootfs"
busybox_image "$image/rootfs" "$image/image.tar" || skip_all "no image: $(tail -n 1 "$WORK/image.log")"

cat > "$image/init" << 'INIT'
#!/bin/sh
export PATH=/bin:/usr/bin:/usr/sbin HOME=/root
if [ ! -e /second ]; then
	mount -t proc proc /proc; mount -t tmpfs -o size=80% new /new
	cp -a /bin /etc /var /root /init /usr /lib /lib64 /sbin /mod /rootfs /image.tar /new/
	mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/run; touch /new/second
	umount /proc
	exec switch_root /new /init
fi
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup; mount -t tmpfs tmp /tmp; mount -t tmpfs var /var/lib
mount --make-rshared /
exec > /dev/ttyS0 2>&1 < /dev/null
echo "# $(uname -r)"
for m in $(cat /mod/order); do [ ! -e "/mod/$m.ko" ] || insmod "/mod/$m.ko"; done
ip link set lo up

n=0
is() {
	if [ "$runtime" = crun ]; then
		[ "$2" = "$3" ] && echo "# crun: ok - $1" || echo "# crun: not ok - $1: $(echo "$2" | tail -n 2 | tr '\n' ' ')"
		return
	fi
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"; echo "$2" | sed 's/^/# got: /'; echo "# wanted: $3"
	fi
}
grows() {
	[ -e "$1" ] || touch "$1"
	old=$(wc -l < "$1"); i=0
	until [ "$(wc -l < "$1")" -gt "$old" ] || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
	[ $i -lt 60 ] && echo yes
}
limit() { cat "/sys/fs/cgroup/$1"; }
count='i=0; while :; do i=$((i + 1)); echo $i >> /vol/count; sleep 1; done'

podman="podman --root /var/lib/podman --runroot /run/podman --tmpdir /run/libpod --storage-driver vfs
	--cgroup-manager cgroupfs --events-backend none --runtime"
with_podman() {
	pod() { timeout 120 $podman "$(command -v $runtime)" "$@"; }
	mkdir -p /tmp/vol; rm -f /tmp/vol/*
	is "podman: output" "$(pod run --rm --network none --rootfs /rootfs echo hello 2>&1)" hello
	pod run --rm --network none --rootfs /rootfs sh -c 'exit 42'
	is "podman: exit code" "$?" 42
	is "podman: detached" "$(pod run -d --name d --network none --memory 64m --pids-limit 50 -v /tmp/vol:/vol \
		--rootfs /rootfs sh -c "$count" > /tmp/id 2>&1; echo $?; grows /tmp/vol/count)" "0
yes"
	at=libpod_parent/libpod-$(cat /tmp/id)
	is "podman: limits" "$(limit "$at/memory.max") $(limit "$at/pids.max")" "67108864 50"
	is "podman: update" "$(pod update --memory 80m --cpus 0.5 d > /dev/null 2>&1; limit "$at/memory.max"; limit "$at/cpu.max")" "83886080
50000 100000"
	is "podman: exec" "$(pod exec d echo inside 2>&1)" inside
	pod exec d sh -c 'exit 9'
	is "podman: exec's exit code" "$?" 9
	is "podman: exec with a terminal" "$(script -qc "$(echo $podman) $(command -v $runtime) exec -it d tty" /dev/null 2>&1 |
		grep -o '/dev/pts/[0-9]*')" /dev/pts/0
	is "podman: pause" "$(pod pause d > /dev/null 2>&1; grep frozen "/sys/fs/cgroup/$at/cgroup.events")" "frozen 1"
	is "podman: unpause" "$(pod unpause d > /dev/null 2>&1; grows /tmp/vol/count)" yes
	is "podman: checkpoint that leaves it running" "$(pod container checkpoint --leave-running d 2>&1
		grows /tmp/vol/count)" "d
yes"
	is "podman: checkpoint" "$(pod container checkpoint d > /tmp/said 2>&1 || cat /tmp/said; pod ps -a --format '{{.Status}}' | cut -d' ' -f1)" Exited
	last=$(tail -n 1 /tmp/vol/count)
	is "podman: restore" "$(pod container restore d > /tmp/said 2>&1 && grows /tmp/vol/count || cat /tmp/said)" yes
	is "podman: it goes on with the next number" "$(sed -n "/^$last\$/{n;p;q}" /tmp/vol/count)" $((last + 1))
	is "podman: exec in the restored one" "$(pod exec d echo again 2>&1)" again
	is "podman: stop and remove" "$(pod rm -f -t 1 d > /dev/null 2>&1; pod ps -aq; $runtime list -q)" ""
}

with_containerd() {
	image=berth.test/busybox:1
	c() { timeout 120 ctr "$@"; }
	start() { c run --snapshotter native --runc-binary "$(command -v $runtime)" --runc-root "/run/$runtime" "$@"; }
	rm -f /tmp/vol/*
	is "containerd: output" "$(start --rm $image c1 echo hello 2>&1)" hello
	start --rm $image c2 sh -c 'exit 42'
	is "containerd: exit code" "$?" 42
	is "containerd: detached" "$(start -d --memory-limit 67108864 --mount type=bind,src=/tmp/vol,dst=/vol,options=rbind:rw $image d \
		sh -c "$count" 2>&1; grows /tmp/vol/count)" yes
	is "containerd: limits" "$(limit default/d/memory.max)" 67108864
	is "containerd: exec" "$(c task exec --exec-id e1 d echo inside 2>&1)" inside
	c task exec --exec-id e2 d sh -c 'exit 9'
	is "containerd: exec's exit code" "$?" 9
	is "containerd: pause" "$(c task pause d; grep frozen /sys/fs/cgroup/default/d/cgroup.events)" "frozen 1"
	is "containerd: resume" "$(c task resume d; grows /tmp/vol/count)" yes
	is "containerd: metrics" "$(c task metrics d | grep -c '^memory.usage_limit *67108864')" 1
	is "containerd: checkpoint into a folder" "$(c task checkpoint --image-path /tmp/kept d > /tmp/said 2>&1 || cat /tmp/said
		ls /tmp/kept | grep -c '^core-1.img')" 1
	is "containerd: checkpoint into an image" "$(c container checkpoint --image --rw --task d berth.test/kept:1 > /tmp/said 2>&1 ||
		cat /tmp/said; c image ls -q | grep kept)" berth.test/kept:1
	c task kill -s KILL d
	i=0
	until c task ls | grep -q 'd .*STOPPED' || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
	is "containerd: kill and delete" "$(c task delete d > /dev/null 2>&1; c container delete d 2>&1; c container ls -q)" ""
	is "containerd: restore" "$(c container restore --live --rw f berth.test/kept:1 > /tmp/said 2>&1 && grows /tmp/vol/count ||
		cat /tmp/said)" yes
	is "containerd: exec in the restored one" "$(c task exec --exec-id e3 f echo again 2>&1)" again
	is "containerd: delete by force" "$(c task delete --force f > /dev/null 2>&1; c container delete f 2>&1; c container ls -q
		$runtime --root /run/$runtime/default list -q)" ""
	c image rm berth.test/kept:1 > /dev/null
}

containerd --config /etc/containerd.toml > /run/containerd.log 2>&1 &
until ctr version > /dev/null 2>&1; do sleep 1; done
ctr image import --snapshotter native /image.tar > /dev/null
for runtime in berth-oci crun; do
	with_podman
	with_containerd
done
echo "1..$n"
poweroff -f
INIT
chmod +x "$image/init"

for kernel in "${@:-6.12}"; do
	guest_kernel "$kernel" || continue
	guest_criu_modules "$image"
	guest_pack "$image"
	guest_run "$kernel" 2048 600
done
done_testing
