#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci called by somebody who is not root, with a cgroup that is his and without.
# tests/peers/rootless.sh has podman in its place.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq setpriv script
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
! sanitized || skip_all "the sanitizers' runtime wants more of /proc than a user has"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

id=64321 cgroup=theirs/me
mkdir -p "$WORK/b" "$WORK/bin" "$WORK/xdg" /sys/fs/cgroup/theirs/me /sys/fs/cgroup/roots/me
cp "$BUILD/runtime/berth-oci" "$WORK/bin/"
busybox_rootfs "$WORK/b/rootfs"
chmod 755 "$WORK" "$WORK/bin"
chown -R $id:$id "$WORK/b" "$WORK/xdg"
chown -R $id /sys/fs/cgroup/theirs
as()
{
	(
		echo "$BASHPID" > "/sys/fs/cgroup/$cgroup/cgroup.procs"
		cd "$WORK/b" || exit
		XDG_RUNTIME_DIR=$WORK/xdg exec setpriv --reuid $id --regid $id --clear-groups "$@"
	) < /dev/null
}
oci() { as "$WORK/bin/berth-oci" "$@"; }
quietly() { oci "$@" > "$WORK/out" 2>&1; }
# config FILTER: changes what `spec --rootless` wrote
config() { jq "$1" "$WORK/spec.json" > "$WORK/b/config.json"; }

ok "a user writes a config.json" oci spec --rootless
jq '.process.terminal = false | .root.readonly = false' "$WORK/b/config.json" > "$WORK/spec.json"
snapshot > "$WORK/before"
for cgroup in theirs/me roots/me; do
	config '.process.args = ["sh", "-c", "id -u; id -G; tr -s \" \" < /proc/self/uid_map; echo > /made; stat -c %u /made
		echo x > /dev/zero; hostname; grep -c \" / /sys ro\" /proc/self/mountinfo; exit 7"]'
	is "$cgroup: it runs, with his id alone" "$(oci run x | tr '\n' ' ')" "0 0  0 64321 1 0 berth 1 "
	oci run x > /dev/null
	is "$cgroup: its exit code is told" $? 7
	is "$cgroup: what it makes is his" "$(stat -c %u "$WORK/b/rootfs/made")" $id
	config '.process.terminal = true | .process.args = ["sh", "-c", "tty; stty size"]'
	like "$cgroup: it has a terminal" "$(cd "$WORK/b" && XDG_RUNTIME_DIR=$WORK/xdg script -qec \
		"setpriv --reuid $id --regid $id --clear-groups $WORK/bin/berth-oci run x" /dev/null < /dev/null)" '/dev/pts/0'
	config '.process.args = ["sleep", "1000"]'
	# nobody's pipe is the container's
	ok "$cgroup: it is created" quietly create y
	is "$cgroup: and remembered where his things are" "$(ls "$WORK/xdg/berth-oci")" y
	ok "$cgroup: and started" oci start y
	is "$cgroup: which is told" "$(oci state y | jq -r .status)" running
	is "$cgroup: an exec is in it" "$(oci exec y sh -c 'id -u; pidof sleep')" "$(printf '0\n1')"
	oci exec y sh -c 'exit 9'
	is "$cgroup: with its exit code" $? 9
	if [ $cgroup = theirs/me ]; then
		is "$cgroup: its cgroup is beside the caller's" "$(ls -d /sys/fs/cgroup/theirs/berth-oci-y)" /sys/fs/cgroup/theirs/berth-oci-y
		ok "$cgroup: it is paused" oci pause y
		ok "$cgroup: and goes on" oci resume y
	else
		like "$cgroup: it cannot be paused" "$(oci pause y 2>&1)" 'container y has no cgroup of its own'
	fi
	ok "$cgroup: it is killed and removed" oci delete --force y
	is "$cgroup: nothing of it is left" "$(ls "$WORK/xdg/berth-oci"; ls -d /sys/fs/cgroup/*/berth-oci-* 2> /dev/null)" ""
done
config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
like "without a user namespace it is refused" "$(oci run x 2>&1)" 'without root it takes a new user namespace'
config '.linux.uidMappings[0].hostID = 0'
like "so are the ids of others" "$(oci run x 2>&1)" 'linux.uidMappings: without root only 0 64321 1'
config '.linux.uidMappings[0].size = 9'
like "and more than his own" "$(oci run x 2>&1)" 'linux.uidMappings: without root only 0 64321 1'
config '.process.args = ["true"] | .linux.resources.memory.limit = 99999999 | .linux.cgroupsPath = "/roots/x"'
like "and a cgroup that is not his" "$(oci run x 2>&1)" 'cgroup /roots/x: make cgroup: Permission denied'
snapshot > "$WORK/after"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
done_testing
