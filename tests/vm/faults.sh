#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PID 1 of a machine falls in the middle of the boot, in the initramfs or
# behind it, and in the middle of the way down, and goes on each time.
#
#	tests/vm/faults.sh [BOOTS [SEED [UP]]]
#
# BOOTS (3) machines, each with one fault on the way up and one on the way down,
# of the seven kinds in turn, so many stops at system calls after its exec as
# SEED (of the clock) says, or as soon after them as PID 1 has its handlers; with
# UP it is UP on the first one's way up, and one more on each next one's; with
# @UP so many ends of system calls whose effect stays. A machine that is up by
# then is asked for its status until the fault is there.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"
at_exit vm_kill
[ "$(uname -m)" = x86_64 ] || skip_all "the faults are written for x86-64"
requires qemu-system-x86_64 mkfs.erofs veritysetup jq cpio debugfs
sanitized && skip_all "the sanitizers' runtime is no static program, which an initramfs takes"
boots=${1:-3} RANDOM=$((${2:-$EPOCHSECONDS} % 32768)) first=${3-}
kinds=(segv bus abrt fpe ill sys stack)
dir=$WORK/vm

mkdir -p "$WORK/ramfs" "$dir"
install -m 755 "$BUILD/tests/sys/fault" "$WORK/ramfs/fault"
(cd "$WORK/ramfs" && echo fault | cpio -o -H newc --quiet -R 0:0) > "$WORK/ramfs.cpio"

# after the end of the log role it is the kernel's log that tells
told()
{
	debugfs -R 'cat /log/berth/init.log' "$(vm_state_fs "$dir/disk.img")" 2> /dev/null
	cat "$dir/console.log"
}

boot()
{
	local name="boot $1" kind=${kinds[$1 % 7]} other=${kinds[($1 + 3) % 7]}
	local up down
	case $first in
	'') up=$((RANDOM % 900)) ;;
	@*) up=@$((${first#@} + $1)) ;;
	*) up=$((first + $1)) ;;
	esac
	down=$((5 + RANDOM % 240))
	echo "# boot $1: $kind after $up calls, $other after $down on the way down"
	vm_start "$dir" --initramfs "$WORK/ramfs.cpio" --append "rdinit=/fault -- exec $kind $up /init" --limit 200
	is "$name: PID 1 goes on after a fault ($kind), with each service once and no step failed" "$(vm_sh '
		i=0
		until { dmesg; berthctl log init; } | grep -q "went on after a fault" || [ $((i += 1)) -gt 300 ]; do
			berthctl status > /run/asked 2>&1
			usleep 100000
		done
		{ dmesg; berthctl log init; } | grep -o "went on after a fault: [^,]*" | sort -u | wc -l
		berthctl status --json | grep -oE "\"starts\": *[0-9]+" | tr -dc "0-9\n" | sort -u
		berthctl boot | awk "NR > 1 && \$NF != \"-\""' 2>&1)" "1"$'\n'"1" ||
		vm_sh 'berthctl status; berthctl log init; berthctl log crid; berthctl log netd; dmesg | tail -n 30' | sed 's/^/# /'
	# in the root cgroup, where nobody is stopped; a request that a fault cuts off is made again
	vm_sh "cp \$PEERS/bin/fault /run/fault
		setsid sh -c 'echo \$\$ > /sys/fs/cgroup/cgroup.procs; exec /run/fault 1 $other $down' > /run/seized 2>&1 &
		until [ -e /run/seized ] && grep -q seized /run/seized; do usleep 10000; done
		setsid sh -c 'echo \$\$ > /sys/fs/cgroup/cgroup.procs; until berthctl poweroff; do usleep 100000; done' > /dev/null 2>&1 &"
	ok "$name: it goes down with a fault ($other) on the way" vm_wait
	told > "$WORK/told"
	is "$name: that was the other" "$(grep -o 'went on after a fault: [^,]*' "$WORK/told" | sort -u | wc -l)" 2 ||
		sed 's/^/# /' "$WORK/told"
	ok "$name: the state partition is whole without a replay" vm_state_is_whole "$dir/disk.img"
}

for ((i = 0; i < boots; i++)); do
	boot $i
done
done_testing
