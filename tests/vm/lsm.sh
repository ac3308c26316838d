#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Security modules in QEMU: Debian's kernels with AppArmor and one profile,
# and with SELinux and the smallest policy that has something to forbid.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires qemu-system-x86_64 busybox jq cpio gcc apparmor_parser checkpolicy
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../bundle.sh"
. "$(dirname "$0")/guest.sh"

image=$WORK/image
mkdir -p "$image"/{proc,sys,dev,tmp,run,b}
guest_busybox "$image"
cp "$BUILD/runtime/berth-oci" "$image/bin/"

# make NAME FILTER SCRIPT
make()
{
	bundle "$1" ".root.path = \"/b/rootfs\" | .process.args = [\"sh\", \"-c\", \$script] |
		.linux.maskedPaths -= [\"/proc/keys\"] | $2"
	mkdir -p "$image/b/$1"
	cp "$WORK/$1/config.json" "$image/b/$1/"
	[ -d "$image/b/rootfs" ] || cp -a "$WORK/$1/rootfs" "$image/b/rootfs"
}
script='cat /proc/self/attr/current; echo; cat /etc/secret 2>&1'
make confined '.process.apparmorProfile = "berth-test"'
make suid '.process.apparmorProfile = "berth-test" | .process.noNewPrivileges = false'
make other '.process.apparmorProfile = "no-such"'
label=system_u:system_r:container_t
script='cat /proc/self/attr/current; echo; grep -c _ses /proc/keys
	label /dev/mqueue
	for m in /dev /dev/pts /dev/shm /proc /sys /sys/fs/cgroup; do
		echo $m $(grep " $m " /proc/self/mountinfo | grep -c context=system_u:object_r:container_file_t); done'
make labelled ".process.selinuxLabel = \"$label\" | .linux.mountLabel = \"system_u:object_r:container_file_t\""
make wrong '.process.selinuxLabel = "system_u:system_r:no_such_t"'
make quoted '.linux.mountLabel = "x\",size=1\""'
script='sleep 1000'
make stays ".process.selinuxLabel = \"$label\""

cat > "$WORK/label.c" << 'C'
#include <stdio.h>
#include <sys/xattr.h>
int main(int argc, char **argv)
{
	char label[256] = "";

	return argc != 2 || getxattr(argv[1], "security.selinux", label, sizeof(label) - 1) < 0 || puts(label) < 0;
}
C
gcc -static -o "$image/b/rootfs/bin/label" "$WORK/label.c" || skip_all "gcc cannot link a static program"
cat > "$WORK/profile" << 'PROFILE'
profile berth-test flags=(attach_disconnected) {
  file,
  capability,
  deny /etc/secret rw,
}
PROFILE
apparmor_parser --skip-kernel-load --skip-cache --ofile "$image/profile" "$WORK/profile" 2> "$WORK/parser.log" ||
	skip_all "apparmor_parser: $(tail -n 1 "$WORK/parser.log")"
echo secret > "$image/b/rootfs/etc/secret"

# initial security ids in the kernel's order; what no class names is allowed
{
	printf 'class %s\n' process key dir
	printf 'sid %s\n' kernel security unlabeled fs file file_labels init any_socket port netif netmsg node \
		igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net \
		sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull
	cat <<- 'POLICY'
	class process { transition dyntransition setkeycreate setexec }
	class key { view read write search link setattr create }
	class dir { audit_access }
	policycap nnp_nosuid_transition;
	type base_t;
	type container_t;
	type container_file_t;
	role system_r;
	role system_r types { base_t container_t };
	allow base_t { base_t container_t }:process { transition setkeycreate setexec };
	allow base_t { base_t container_t }:key { view read write search link create };
	allow container_t self:key { view read search };
	user system_u roles system_r;
	POLICY
	printf 'sid %s system_u:system_r:base_t\n' kernel init
	printf 'sid %s system_u:object_r:base_t\n' security unlabeled file any_socket port netif netmsg node devnull
	printf 'fs_use_trans %s system_u:object_r:base_t;\n' tmpfs devpts mqueue devtmpfs
	printf 'genfscon %s / system_u:object_r:base_t\n' proc sysfs selinuxfs cgroup2 rootfs
} > "$WORK/policy.conf"
ok "the policy compiles" checkpolicy -U allow -c 31 -o "$image/policy" "$WORK/policy.conf"

cat > "$image/init" << 'INIT'
#!/bin/sh
export PATH=/bin
n=0
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"; echo "# got: $2"; echo "# wanted: $3"; fi
}
run() { berth-oci run --no-pivot --bundle "/b/$1" "$1" 2>&1 < /dev/null; }
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup /sys/fs/cgroup
exec > /dev/ttyS0 2>&1 < /dev/null
echo "# $(uname -r), $(cat /sys/kernel/security/lsm)"
if grep -q selinux /proc/cmdline; then
	mount -t selinuxfs selinuxfs /sys/fs/selinux
	cat /policy > /sys/fs/selinux/load
	echo 1 > /sys/fs/selinux/enforce
	is "the policy is enforced" "$(cat /sys/fs/selinux/enforce) $(cat /proc/self/attr/current | tr -d '\0')" "1 system_u:system_r:base_t"
	is "a process, its keyring and its mounts have their labels" "$(run labelled | tr -d '\0')" "system_u:system_r:container_t
1
system_u:object_r:container_file_t
/dev 1
/dev/pts 1
/dev/shm 1
/proc 0
/sys 0
/sys/fs/cgroup 0"
	berth-oci run --no-pivot --detach --bundle /b/stays stays > /dev/null 2>&1 < /dev/null
	is "an exec and its keyring have the label it is given" \
		"$(berth-oci exec --process-label system_u:system_r:container_t stays sh -c 'cat /proc/self/attr/current; echo; grep -c _ses /proc/keys' | tr -d '\0')" \
		"system_u:system_r:container_t
2"
	berth-oci delete --force stays
	is "a label that the policy has not ends the create" "$(run wrong | grep -c 'security label')" 1
	is "a label with quotes is refused" "$(run quoted | grep -c 'mountLabel: a label has no quotes')" 1
else
	cat /profile > /sys/kernel/security/apparmor/.load
	is "a process is confined by its profile" "$(run confined)" "berth-test (enforce)

cat: can't open '/etc/secret': Permission denied"
	is "with and without no_new_privs" "$(run suid)" "berth-test (enforce)

cat: can't open '/etc/secret': Permission denied"
	is "a profile that is not loaded ends the create" "$(run other | grep -c 'security label no-such')" 1
	is "the other module's fields are refused by name" "$(run labelled | grep -c 'this kernel has no SELinux')" 1
fi
is "nothing is left" "$(find /sys/fs/cgroup/test -mindepth 1 -type d 2> /dev/null; berth-oci list -q)" ""
echo "1..$n"
poweroff -f
INIT
chmod +x "$image/init"
guest_pack "$image"

for kernel in 6.12 6.1; do
	guest_kernel "$kernel" || continue
	guest_run "$kernel" 512 300
	guest_run "$kernel" 512 300 security=selinux
done
done_testing
