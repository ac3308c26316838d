#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The node image boots on both kernels: a read-only root, the boot chart, a
# container whose page the host gets, and a state partition that is whole
# after power-off, also across a second boot and after a power cut.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"
. "$TOP/tests/bundle.sh"
at_exit vm_kill
for program in qemu-system-x86_64 mkfs.erofs veritysetup jq; do
	command -v $program > /dev/null || skip_all "$program is missing"
done
kernels=${KERNELS:-6.12 6.1}

# on NAME TEXT REGEX: the text run in the guest answers so
on()
{
	like "$kernel: $1" "$(vm_sh "$2" 2>&1)" "$3"
}

boot()
{
	local kernel=$1 port dir=$WORK/$1
	port=$(vm_free_port)
	vm_start "$dir" --kernel "$kernel" --forward "$port:8080" || exit 1
	on "the agent runs scripts in the guest" "uname -r" "^$kernel"
	on "the root is EROFS, mounted read-only" 'findmnt -nro FSTYPE,OPTIONS /' '^erofs ro,'
	on "a write to the root fails with EROFS" \
		'LC_ALL=C touch /usr/new 2>&1' 'Read-only file system'
	on "the root is checked by dm-verity" 'findmnt -nro SOURCE /' '^/dev/dm-0$'
	on "/etc is an overlay, and not kept" \
		'findmnt -nro FSTYPE /etc; touch /etc/new && echo written' 'overlay.*written'
	on "/var is the state partition" 'findmnt -nro FSTYPE,OPTIONS /var' '^ext4 rw,nosuid,nodev'
	on "mounts are shared" 'findmnt -nro PROPAGATION /; findmnt -nro PROPAGATION /var' 'shared.shared'
	on "every controller is there for children" \
		'cat /sys/fs/cgroup/cgroup.subtree_control' 'cpuset cpu io memory hugetlb pids'
	on "kubelet's sysctls are set" \
		'cd /proc/sys; cat vm/overcommit_memory kernel/panic kernel/keys/root_maxbytes | xargs' \
		'^1 10 25000000$'
	on "the kernel gets a module on demand" \
		'ip link add type dummy 2>&1; ls -d /sys/module/dummy' '/sys/module/dummy'
	on "berthctl boot prints each step" 'berthctl boot' \
		'mounts.*modules.*root partition.*switch root.*state mount.*etc.*sysctls'
	is "$kernel: no step failed" "$(vm_sh "berthctl boot | awk 'NR > 1 && \$NF != \"-\"'")" ""
	container "$port"
	faults
	id=$(vm_sh 'cat /etc/machine-id; echo kept > /var/kept')
	ok "$kernel: it powers off" vm_stop
	ok "$kernel: the state partition is whole without a replay" vm_state_is_whole "$dir/disk.img"
	again "$kernel" "$dir" "$id"
}

# writes no instruction at all over the one that PID 1 is at, then sends it a fault's signal
faults()
{
	is "$kernel: PID 1 goes on after an illegal instruction and SIGSEGV, with all services" "$(vm_sh '
		count() { berthctl log init | grep -c "went on after a fault"; }
		until_there_are() { i=0; while [ $(count) -lt $1 ] && [ $((i += 1)) -le 300 ]; do usleep 100000; done; }
		set -- run
		while [ $# -ne 9 ]; do set -- $(cat /proc/1/syscall); done
		printf "\017\013" | dd of=/proc/1/mem bs=1 seek=$(($9)) conv=notrunc 2> /dev/null
		(true &)
		until_there_are 1
		kill -SEGV 1
		until_there_are 2
		count
		berthctl status --json | grep -oE "\"starts\": *[0-9]+" | tr -dc "0-9\n" | sort -u' 2>&1)" \
		"2"$'\n'"1"
}

container()
{
	local dir=$WORK/page
	mkdir -p "$dir/rootfs"
	bundle page '.process.args = ["httpd", "-f", "-p", "8080", "-h", "/www"] |
		.root = { path: "/run/berth/ext/berth-peers/rootfs", readonly: true } |
		.linux.namespaces |= map(select(.type != "network")) |
		.linux.cgroupsPath = "/boot-test"'
	vm_sh "mkdir -p /run/page && cat > /run/page/config.json <<-'END'
	$(sed 's/^/\t/' "$dir/config.json")
	END
	setsid berth-oci run --bundle /run/page page > /run/page.log 2>&1 < /dev/null &"
	if wait_for 60 curl -fsS -m 10 "http://127.0.0.1:$1/"; then
		is "$kernel: the host gets the page of a container" \
			"$(curl -fsS -m 10 "http://127.0.0.1:$1/")" "a page from a container"
	else
		tap_fail "$kernel: the host gets the page of a container"
		vm_sh 'cat /run/page.log; berthctl status' | sed 's/^/# /'
	fi
	on "the container is confined" \
		'p=$(pidof httpd); grep -E "^(Seccomp|NoNewPrivs):" /proc/$p/status; cat /proc/$p/cgroup' \
		'NoNewPrivs:.1.*Seccomp:.2.*0::/boot-test'
}

# the same disk once more, then a power cut, then a third time
again()
{
	local kernel=$1 dir=$2
	vm_start "$dir" --kernel "$kernel" --state "$dir/disk.img" || exit 1
	is "$kernel: the machine's id and the state are kept" \
		"$(vm_sh 'cat /etc/machine-id; cat /var/kept')" "$3"$'\n'kept
	on "what was written to /etc is gone" 'ls /etc/new' 'No such file'
	vm_sh 'while true; do echo x; done > /var/growing 2>&1 & sync'
	vm_kill
	vm_start "$dir" --kernel "$kernel" --state "$dir/disk.img" || exit 1
	on "after a power cut it boots, with the state" 'cat /var/kept' '^kept$'
	ok "$kernel: it powers off again" vm_stop
	ok "$kernel: the state partition is whole again" vm_state_is_whole "$dir/disk.img"
}

# a damaged root is refused, a state partition with something else is kept
refuse()
{
	local kernel=$1 dir=$WORK/refuse disk start
	disk=$dir/disk.img
	mkdir -p "$dir"
	vm_image "$kernel" || exit 1
	cp --sparse=always "$TOP/build/image/$kernel/disk.img" "$disk"
	printf x | dd of="$disk" bs=1 seek=$(((1 << 20) + 1100)) conv=notrunc status=none
	vm_start "$dir" --kernel "$kernel" --state "$disk" --limit 60
	ok "$kernel: a damaged root is refused" wait_for 60 grep -q 'boot: failed' "$dir/console.log"
	ok "$kernel: and named" grep -qE 'root file system: .*Input/output error' "$dir/console.log"
	ok "$kernel: the machine reboots" vm_wait
	cp --sparse=always "$TOP/build/image/$kernel/disk.img" "$disk"
	start=$(vm_state_start "$disk")
	echo "somebody else's data" | dd of="$disk" bs=512 seek="$start" conv=notrunc status=none
	vm_start "$dir" --kernel "$kernel" --state "$disk" --limit 60
	ok "$kernel: foreign data on the state partition ends the boot" \
		wait_for 60 grep -q 'holds something that is no ext4' "$dir/console.log"
	ok "$kernel: the machine reboots" vm_wait
	is "$kernel: and is kept" "$(dd if="$disk" bs=512 skip="$start" count=1 status=none | head -n 1)" \
		"somebody else's data"
}

# one fault after the other: the machine reboots, and the next boot says why
loop()
{
	local kernel=$1 dir=$WORK/loop
	vm_start "$dir" --kernel "$kernel" --limit 200 || exit 1
	vm_sh 'while true; do kill -SEGV 1; usleep 200000; done' > /dev/null 2>&1
	ok "$kernel: a loop of faults ends in a reboot" vm_wait
	ok "$kernel: the console says why" grep -q 'too many faults: Segmentation fault' "$dir/console.log"
	vm_start "$dir" --kernel "$kernel" --state "$dir/disk.img" || exit 1
	on "the next boot does, too" 'i=0; until berthctl log init | grep "the boot before ended" ||
		[ $((i += 1)) -gt 100 ]; do usleep 100000; done' 'too many faults: Segmentation fault .*fault [0-9]+$'
	ok "$kernel: it powers off" vm_stop
}

for kernel in $kernels; do
	boot "$kernel"
done
refuse 6.12
loop 6.12
done_testing
