#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci checkpoint and restore through Debian's criu, on Debian's cloud
# kernel 6.12 (or those named: 6.12 6.1) in QEMU: what ran goes on, with its pipes, volume,
# limits and confinement; a failure leaves the container as it was.
#
#	tests/vm/checkpoint.sh [KERNEL]...
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires qemu-system-x86_64 busybox jq cpio criu unshare
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../bundle.sh"
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/lib.sh"

image=$WORK/image
mkdir -p "$image"/{bin,proc,sys,dev,tmp,new,b,usr/lib64,usr/sbin}
ln -s usr/lib usr/lib64 usr/sbin "$image/"
guest_busybox "$image" tar ip
cp "$BUILD/runtime/berth-oci" "$image/bin/"
# what criu runs itself
for tool in criu ip tar; do
	cp "$(readlink -f "$(command -v $tool)")" "$image/usr/sbin/$tool"
done
closure "$image" "$image/usr/sbin"

# make NAME SCRIPT [FILTER]: a bundle that runs the script
make()
{
	local script=$2
	bundle "$1" ".root.path = \"/b/rootfs\" | .process.args = [\"sh\", \"-c\", \$script] | ${3:-.}"
	mkdir -p "$image/b/$1"
	cp "$WORK/$1/config.json" "$image/b/$1/"
	[ -d "$image/b/rootfs" ] || cp -a "$WORK/$1/rootfs" "$image/b/rootfs"
}
count='i=0; while :; do i=$((i + 1)); echo $i; sleep 1; [ ! -e /vol/stop ] || exit 7; done'
volume='.mounts += [{ destination: "/vol", type: "bind", source: "/tmp/vol", options: ["rbind"] }] |
	.linux.resources += { memory: { limit: 33554432 }, pids: { limit: 20 } }'
make a "$count" "$volume"
make tty "$count" '.process.terminal = true'

cat > "$image/init" << 'INIT'
#!/bin/sh
export PATH=/bin:/usr/sbin
n=0
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"; echo "# got: $2"; echo "# wanted: $3"; fi
}
if [ ! -e /second ]; then
	mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t tmpfs new /new
	cp -a /bin /b /init /usr /lib /lib64 /sbin /mod /new/; mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/run
	touch /new/second
	umount /proc
	exec switch_root /new /init
fi
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup; mount -t tmpfs tmp /tmp; mkdir -p /tmp/vol
# as service managers leave it
mount --make-rshared /
exec > /dev/ttyS0 2>&1 < /dev/null
echo "# $(uname -r)"
for m in $(cat /mod/order); do [ ! -e "/mod/$m.ko" ] || insmod "/mod/$m.ko"; done
ip link set lo up
grows() {
	old=$(wc -l < "$1"); i=0
	until [ "$(wc -l < "$1")" -gt "$old" ] || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
	[ $i -lt 60 ] && echo yes
}
left() { berth-oci list -q; find /sys/fs/cgroup/test -mindepth 1 -type d; grep /b/ /proc/mounts; }
pid_of() { berth-oci state "$1" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'; }
looks() {
	echo $(grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/"$1"/status) $(cut -d' ' -f5 /proc/"$1"/mountinfo | sort) \
		$(cat /proc/"$1"/cgroup)
}
ended() { i=0; until berth-oci state "$1" | grep -q stopped || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done; }

# detached ID VERB ARGUMENTS...: its output is a pipe to the end of /tmp/out; prints the verb's exit code
detached() {
	id=$1 verb=$2; shift 2
	rm -f /tmp/code
	{ berth-oci $verb --detach "$@" "$id" < /dev/null 2> /dev/null; echo $? > /tmp/code; } | cat >> /tmp/out &
	until [ -s /tmp/code ]; do sleep 1; done
	cat /tmp/code
}
detached a run --bundle /b/a > /dev/null
is "it counts" "$(grows /tmp/out)" yes
before=$(looks "$(pid_of a)")
berth-oci checkpoint --image-path /tmp/kept --leave-running a
is "a checkpoint that leaves it running" "$? $(berth-oci state a | grep -c running) $(grows /tmp/out)" "0 1 yes"
berth-oci checkpoint --image-path /tmp/one --pre-dump a
is "its memory beforehand" "$? $(berth-oci state a | grep -c running)" "0 1"
berth-oci pause a
berth-oci checkpoint --image-path /tmp/two --parent-path ../one --work-path /tmp/work --manage-cgroups-mode soft a
is "the rest, of a frozen one" "$? $(ls /tmp/work/dump.log /tmp/two/parent/pages-1.img)" "0 /tmp/two/parent/pages-1.img
/tmp/work/dump.log"
is "and it is gone" "$(left)" ""
last=$(tail -n 1 /tmp/out)
detached b restore --image-path /tmp/two --bundle /b/a --pid-file /tmp/pid > /tmp/restored
is "it is restored" "$(cat /tmp/restored) $(berth-oci state b | grep -c running) $(grows /tmp/out)" "0 1 yes"
is "and goes on with the next number" "$(sed -n "/^$last\$/{n;p;q}" /tmp/out)" $((last + 1))
is "as confined, with its mounts and its cgroup" "$(looks "$(cat /tmp/pid)")" "$before"
is "and its limits" "$(cat /sys/fs/cgroup/test/a/memory.max /sys/fs/cgroup/test/a/pids.max)" "33554432
20"
is "exec is in it" "$(berth-oci exec b sh -c 'hostname; ls /proc/1/fd | wc -l; cat /proc/uptime > /vol/up; cat /proc/1/comm')" "berth
3
sh"
is "its volume is the host's" "$(wc -l < /tmp/vol/up)" 1
touch /tmp/vol/stop; ended b; rm /tmp/vol/stop
berth-oci delete b
is "it ends and is deleted" "$(left)" ""
(sleep 3; touch /tmp/vol/stop) &
{ berth-oci restore --image-path /tmp/kept --bundle /b/a c < /dev/null; echo $? > /tmp/code; } | cat > /dev/null
is "in the foreground its exit code comes" "$(cat /tmp/code) $(berth-oci list -q)" "7 "
rm -f /tmp/vol/stop

# a file that the container has of the host
berth-oci run --detach --bundle /b/a d < /dev/null > /tmp/out 2> /dev/null
text=$(berth-oci checkpoint --image-path /tmp/three d 2>&1); code=$?
is "where criu fails the error names it and its log" "$code $(echo "$text" | grep -c '^berth-oci: checkpoint of d: criu dump: exit status 1: Error.*/tmp/three/dump.log')" "1 1"
is "whose end is shown" "$(echo "$text" | grep -c 'berth-oci: criu: .*Dumping FAILED')" 1
is "and the container is unchanged" "$(berth-oci state d | grep -c running) $(grows /tmp/out)" "1 yes"
rm -f /tmp/kept/core-1.img
is "a restore that fails" "$(berth-oci delete -f d; berth-oci restore --image-path /tmp/kept --bundle /b/a --detach e 2>&1 < /dev/null | grep -c '^berth-oci: restore: criu restore: exit status 1: Error')" 1
is "leaves nothing" "$(left)" ""
is "a terminal is refused" "$(cat /dev/null | berth-oci run --bundle /b/tty t > /dev/null 2>&1 & i=0
	until berth-oci state t 2> /dev/null | grep -q running || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
	berth-oci checkpoint --image-path /tmp/four t 2>&1 | grep -c 'container with a terminal'; berth-oci delete -f t)" 1
echo "1..$n"
poweroff -f
INIT
chmod +x "$image/init"

for kernel in "${@:-6.12}"; do
	guest_kernel "$kernel" || continue
	guest_criu_modules "$image"
	guest_pack "$image"
	guest_run "$kernel" 768 400
done
done_testing
