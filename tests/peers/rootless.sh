#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci for a user who is root of a user namespace only: Debian's podman makes
# that namespace and calls it in there. With a cgroup that is the user's, and without.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires podman conmon busybox jq newuidmap setpriv
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

# a user of this test alone, in files of its own
user=berth-test id=64321
mount -t tmpfs run /run
mount -t tmpfs -o mode=1777 shm /dev/shm
mkdir -p "$WORK/etc" "$WORK/home" "$WORK/bin" "/run/user/$id"
for file in passwd group subuid subgid; do
	cp "/etc/$file" "$WORK/etc/" 2> /dev/null || skip_all "there is no /etc/$file"
done
echo "$user:x:$id:$id::$WORK/home:/bin/sh" >> "$WORK/etc/passwd"
echo "$user:x:$id:" >> "$WORK/etc/group"
echo "$user:600000:65536" | tee -a "$WORK/etc/subuid" >> "$WORK/etc/subgid"
for file in passwd group subuid subgid; do
	mount --bind "$WORK/etc/$file" "/etc/$file"
done
busybox_rootfs "$WORK/rootfs"
cp "$BUILD/runtime/berth-oci" "$WORK/bin/"
chmod 755 "$WORK" "$WORK/bin"
chown -R $user "$WORK/home" "$WORK/rootfs" /run/user/$id
cat > "$WORK/bin/podman" << SH
#!/bin/sh
cd "$WORK/home"
export HOME="$WORK/home" XDG_RUNTIME_DIR=/run/user/$id
exec timeout -k 5 60 $(command -v podman) --root "$WORK/home/storage" --runroot /run/user/$id/containers \
	--storage-driver vfs --cgroup-manager cgroupfs --events-backend none --log-level error \
	--runtime "$WORK/bin/berth-oci" "\$@"
SH
chmod +x "$WORK/bin/podman"
# as CGROUP COMMAND...: by the user, in that cgroup
as()
{
	(
		echo "$BASHPID" > "/sys/fs/cgroup/$1/cgroup.procs"
		shift
		exec setpriv --reuid $id --regid $id --clear-groups "$@"
	) 2> "$WORK/stderr" < /dev/null
}
podman() { as "$cgroup" "$WORK/bin/podman" "$@"; }
mkdir -p /sys/fs/cgroup/theirs/me /sys/fs/cgroup/roots/me
chown -R $user /sys/fs/cgroup/theirs

for cgroup in theirs/me roots/me; do
	out=$(podman run --rm --network none --rootfs "$WORK/rootfs" sh -c 'id -u; tr -s " " < /proc/self/uid_map') ||
		[ $cgroup != theirs/me ] || grep -q berth-oci: "$WORK/stderr" ||
		skip_all "podman cannot run for a user here: $(tail -n 1 "$WORK/stderr")"
	is "$cgroup: a container of a user has his ids" "$out" "$(printf '0\n 0 64321 1\n 1 600000 65536')"
	is "$cgroup: devices are the host's" "$(podman run --rm --network none --rootfs "$WORK/rootfs" \
		sh -c 'echo x > /dev/null && stat -c %t:%T /dev/zero; mknod /n c 1 3 2>&1 | tail -n 1')" \
		"$(printf '1:5\nmknod: /n: Operation not permitted')"
	is "$cgroup: it is in the host's network" "$(podman run --rm --network host --rootfs "$WORK/rootfs" readlink /proc/self/ns/net)" \
		"$(readlink /proc/self/ns/net)"
	is "$cgroup: or has a further user namespace" \
		"$(podman run --rm --network none --userns keep-id --rootfs "$WORK/rootfs" id -u)" $id
	ok "$cgroup: a detached one" podman run -d --name d --network none --rootfs "$WORK/rootfs" sleep 1000
	is "$cgroup: takes an exec" "$(podman exec d sh -c 'id -u; echo inside')" "$(printf '0\ninside')"
	podman exec d sh -c 'exit 9'
	is "$cgroup: with its exit code" $? 9
	if [ $cgroup = theirs/me ]; then
		is "$cgroup: its cgroup is beside the caller's" "$(find /sys/fs/cgroup/theirs -mindepth 1 -name 'berth-oci-*' | wc -l)" 1
		ok "$cgroup: it can be paused" podman pause d
		ok "$cgroup: and goes on" podman unpause d
	else
		podman pause d
		like "$cgroup: without a cgroup of its own it cannot be paused" "$(cat "$WORK/stderr")" 'has no cgroup of its own'
		podman run --rm --network none --memory 64m --rootfs "$WORK/rootfs" true
		like "$cgroup: nor be limited" "$(cat "$WORK/stderr")" 'make cgroup: Permission denied'
	fi
	ok "$cgroup: it is removed" podman rm -f -t 0 d
	is "$cgroup: with its cgroup" "$(find /sys/fs/cgroup/theirs /sys/fs/cgroup/roots -mindepth 1 -name 'berth-oci-*')" ""
done
done_testing
