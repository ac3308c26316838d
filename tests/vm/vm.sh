# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced: one virtual machine booted from build/image, and scripts run in it.
#
#	vm_start DIR [OPTION...]   boots; DIR keeps disk.img, console.log and the
#	                           serial line itself, a socket: console
#	    --kernel 6.12|6.1      which image (made when it is missing)
#	    --append WORDS         more words on the boot line
#	    --forward HOST:GUEST   TCP port of the host's loopback to the guest
#	    --state DISK           start with this disk, not with a fresh one
#	    --writes LOG           every write and flush of its disk, in dm-log-writes' format
#	    --memory MIB           (768)
#	    --limit SECONDS        the machine ends at the latest then (600)
#	    --icount               one processor, an instruction is a nanosecond
#	    --kvm                  hardware virtualization; else emulation
#	vm_free_port               prints a port for --forward
#	vm_script FILE             runs FILE by a shell in the guest; its output
#	                           and exit status come back
#	vm_sh TEXT                 the same for a text
#	vm_wait                    waits until the machine is off
#	vm_stop                    powers it off in order and waits
#	vm_kill                    ends it like a power cut
#	vm_state_start DISK        the first sector of its state partition
#	vm_state_fs DISK           its state partition, as e2fsprogs' programs take it
#	vm_state_is_whole DISK     it needs no journal replay, and e2fsck finds nothing
#
# Scripts travel over a virtio serial port of their own to the agent on the
# peers disk (tests/vm/mkpeers), a service that the boot line names.
VM_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VM_DIR=

# the image of a kernel, made again when something in it is newer
vm_image()
{
	local disk=$VM_TOP/build/image/$1/disk.img build=${BUILD:-$VM_TOP/build/gcc} newer=
	[ ! -e "$disk" ] || newer=$(find "$build" "$VM_TOP/tests/vm/root" "$VM_TOP/tests/vm/mkimage" \
		\( -path '*/unit/*' -prune \) -o -type f -newer "$disk" -perm /111 -print -quit)
	[ -e "$disk" ] && [ -z "$newer" ] ||
		"$VM_TOP/tests/vm/mkimage" "$build" "$1" >&2 || return
	"$VM_TOP/tests/vm/mkpeers" >&2
}

vm_start()
{
	local kernel=6.12 append="" net="user,id=net" disk="" writes="" memory=768 limit=600 more=/dev/null
	# one thread for both processors: with two, QEMU 7.2 at times runs code that the
	# guest's kernel has just patched, and the kernel dies of an int3
	local accel=tcg,thread=single cpu=max smp=2 icount="" image drive
	VM_DIR=$1
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--kvm)
			accel=kvm cpu=host
			shift
			continue
			;;
		--icount)
			smp=1 icount="-icount shift=0,sleep=off"
			shift
			continue
			;;
		--kernel) kernel=$2 ;;
		--append) append="$append $2" ;;
		--initramfs) more=$2 ;;
		--forward) net="$net,hostfwd=tcp:127.0.0.1:${2%:*}-:${2#*:}" ;;
		--state) disk=$2 ;;
		--writes) writes=$2 ;;
		--memory) memory=$2 ;;
		--limit) limit=$2 ;;
		*)
			echo "vm_start: unknown option $1" >&2
			return 2
			;;
		esac
		shift 2
	done
	vm_image "$kernel" || return
	image=$VM_TOP/build/image
	mkdir -p "$VM_DIR"
	[ -n "$disk" ] || cp --sparse=always "$image/$kernel/disk.img" "$VM_DIR/disk.img"
	[ -n "$disk" ] || disk=$VM_DIR/disk.img
	drive=(-drive "file=$disk,format=raw,if=virtio,cache=unsafe")
	if [ -n "$writes" ]; then
		: > "$writes"
		drive=(-blockdev "driver=file,filename=$disk,node-name=disk,cache.no-flush=on"
			-blockdev "driver=file,filename=$writes,node-name=log,cache.no-flush=on"
			-blockdev driver=blklogwrites,file=disk,log=log,node-name=logged
			-device virtio-blk-pci,drive=logged,discard=off)
	fi
	cat "$image/$kernel/initramfs" "$more" > "$VM_DIR/initramfs"
	rm -f "$VM_DIR"/port.in "$VM_DIR"/port.out
	mkfifo "$VM_DIR/port.in" "$VM_DIR/port.out"
	exec {VM_IN}<> "$VM_DIR/port.in" {VM_OUT}<> "$VM_DIR/port.out"
	rm -f "$VM_DIR/pid" "$VM_DIR/exit"
	(
		exec {VM_IN}>&- {VM_OUT}>&-
		# shellcheck disable=SC2086
		timeout -k 5 "$limit" qemu-system-x86_64 -M q35 -accel "$accel" -cpu "$cpu" \
			-smp $smp $icount -m "$memory" -nodefaults -display none -no-reboot \
			-kernel "$image/$kernel/kernel" -initrd "$VM_DIR/initramfs" \
			-append "$(cat "$image/$kernel/cmdline") berth.boot.extension=berth-peers$append" \
			"${drive[@]}" \
			-drive "file=$image/peers.img,format=raw,if=virtio,readonly=on" \
			-netdev "$net" -device virtio-net-pci,netdev=net \
			-device virtio-rng-pci \
			-chardev "pipe,id=port,path=$VM_DIR/port" -device virtio-serial-pci \
			-device virtserialport,chardev=port,name=berth.script \
			-chardev "socket,id=con,path=$VM_DIR/console,server=on,wait=off,logfile=$VM_DIR/console.log" \
			-serial chardev:con \
			> "$VM_DIR/qemu.log" 2>&1 < /dev/null &
		echo $! > "$VM_DIR/pid"
		status=0
		wait $! || status=$?
		echo "$status" > "$VM_DIR/exit"
	) &
	until [ -s "$VM_DIR/pid" ]; do
		sleep 0.01
	done
}

# a TCP port of the host's loopback that nobody listens on
vm_free_port()
{
	local port
	while true; do
		port=$((20000 + RANDOM % 10000))
		(exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
	done
	echo $port
}

vm_alive()
{
	[ -e "$VM_DIR/pid" ] && [ ! -e "$VM_DIR/exit" ]
}

vm_says()
{
	echo "virtual machine: $*; its console:" >&2
	tail -n 40 "$VM_DIR/console.log" "$VM_DIR/qemu.log" >&2
}

vm_send()
{
	printf '%d\n' "$(stat -c %s "$1")" >&"$VM_IN"
	cat "$1" >&"$VM_IN"
}

# The agent says "r" once; then each script's lines, "o" in front, and "x STATUS".
vm_script()
{
	local line= part=
	vm_send "$1"
	while true; do
		if ! IFS= read -r -t 1 line <&"$VM_OUT"; then
			part=$part$line # of a line whose rest comes later
			vm_alive && continue
			vm_says "it ended before the script did"
			return 125
		fi
		line=$part$line part=
		case $line in
		o*) printf '%s\n' "${line#o}" ;;
		x*) return "${line#x }" ;;
		esac
	done
}

vm_sh()
{
	local status=0 file
	file=$(mktemp "$VM_DIR/script.XXXXXX")
	printf '%s\n' "$1" > "$file"
	vm_script "$file" || status=$?
	rm -f "$file"
	return $status
}

vm_wait()
{
	while vm_alive; do
		sleep 0.05
	done
	return "$(cat "$VM_DIR/exit")"
}

vm_stop()
{
	vm_alive || return 0
	echo "berthctl poweroff" > "$VM_DIR/script.off"
	vm_send "$VM_DIR/script.off"
	if ! vm_wait; then
		vm_says "it did not power off"
		return 1
	fi
}

vm_kill()
{
	vm_alive || return 0
	kill "$(cat "$VM_DIR/pid")"
	vm_wait || true
}

vm_state_start()
{
	sfdisk -J "$1" | jq '.partitiontable.partitions[] | select(.name == "berth-state").start'
}

vm_state_fs()
{
	echo "$1?offset=$(($(vm_state_start "$1") * 512))"
}

vm_state_is_whole()
{
	local fs
	fs=$(vm_state_fs "$1")
	! dumpe2fs -h "$fs" 2> /dev/null | grep -q needs_recovery && e2fsck -fn "$fs"
}
