# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced behind tap.sh: a guest that is nothing but an initramfs, whose /init
# prints TAP on the serial line and powers off.
#
#	guest_kernel NAME    sets kernel_dir, or a named skip and 1
#	guest_busybox IMAGE [NAME...]   busybox in its bin, with all applets but these
#	guest_criu_modules IMAGE        what criu wants of that kernel, in mod by mod/order
#	guest_pack IMAGE     the folder as the initramfs
#	guest_run NAME MIB SECONDS [WORDS]   boots it, with these on its boot line, and
#	                     counts its lines, each "NAME: ..."
guest_kernel()
{
	kernel_dir=$("$TOP/tests/vm/kernel" "$1" 2> "$WORK/kernel.log") || {
		skip "kernel $1" "$(tail -n 1 "$WORK/kernel.log")"
		return 1
	}
}

guest_busybox()
{
	local applet

	mkdir -p "$1/bin"
	cp "$(command -v busybox)" "$1/bin/"
	for applet in $(busybox --list); do
		case " busybox ${*:2} " in
		*" $applet "*) ;;
		*) ln -s busybox "$1/bin/$applet" ;;
		esac
	done
}

guest_criu_modules()
{
	local module modules=(crc32c_generic libcrc32c nfnetlink nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack
		nf_conntrack_netlink nf_tables inet_diag tcp_diag udp_diag raw_diag unix_diag netlink_diag
		af_packet_diag tun veth)

	rm -rf "$1/mod"
	mkdir "$1/mod"
	for module in "${modules[@]}"; do
		find "$kernel_dir/lib/modules" -name "$module.ko*" -exec cp {} "$1/mod/" \;
	done
	find "$1/mod" -name '*.xz' -exec xz -d {} +
	echo "${modules[@]}" > "$1/mod/order"
}

guest_pack()
{
	(cd "$1" && find . | cpio -o -H newc 2> /dev/null | gzip -1) > "$WORK/initramfs"
}

guest_run()
{
	local line

	timeout -k 5 "$3" qemu-system-x86_64 -M q35 -accel tcg -cpu max -m "$2" -nodefaults -display none \
		-no-reboot -kernel "$kernel_dir"/boot/vmlinuz-* -initrd "$WORK/initramfs" \
		-append "console=ttyS0 quiet panic=-1 ${4-}" -serial "file:$WORK/console" < /dev/null > "$WORK/qemu.log" 2>&1
	tr -d '\r' < "$WORK/console" > "$WORK/text"
	while IFS= read -r line; do
		case $line in
		"ok "*) tap_pass "$1: ${line#ok * - }" ;;
		"not ok "*) tap_fail "$1: ${line#not ok * - }" ;;
		"# "*) echo "$line" ;;
		esac
	done < "$WORK/text"
	ok "$1: the guest came to its end" grep -q '^1\.\.' "$WORK/text" || tail -n 30 "$WORK/text" | sed 's/^/# /'
}
