#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's podman and conmon with berth-oci as their runtime.
. "$(dirname "$0")/../tap.sh"
requires podman conmon busybox jq script
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

busybox_rootfs "$WORK/rootfs"
# podman's own files lie at fixed places; limits that it sets by itself have no controller here
mount -t tmpfs run /run
# podman's locks lie there, for every podman that sees the file
mount -t tmpfs shm /dev/shm
mkdir -p "$WORK/bin"
cat > "$WORK/bin/berth-oci" << SH
#!/bin/sh
exec "$BUILD/runtime/berth-oci" --missing warn "\$@"
SH
chmod +x "$WORK/bin/berth-oci"
cat > "$WORK/bin/podman" << SH
#!/bin/sh
exec timeout -k 5 60 $(command -v podman) --root "$WORK/storage" --runroot /run/podman --tmpdir /run/libpod \
	--storage-driver vfs --cgroup-manager cgroupfs --events-backend none \
	--runtime "$WORK/bin/berth-oci" "\$@"
SH
chmod +x "$WORK/bin/podman"
PATH=$WORK/bin:$PATH
run()
{
	podman run --network none --rootfs "$@"
}
out=$(run --rm "$WORK/rootfs" echo hello 2>&1) || skip_all "podman cannot run here: ${out##*$'\n'}"
snapshot > "$WORK/before"
is "its output comes" "$(run --rm "$WORK/rootfs" echo hello 2> /dev/null)" hello
run --rm "$WORK/rootfs" sh -c 'exit 42' > /dev/null 2>&1
is "its exit code comes" $? 42
run --rm "$WORK/rootfs" nosuch > "$WORK/out" 2>&1
is "a missing program is 127" $? 127
run --rm "$WORK/rootfs" /etc/passwd > "$WORK/out" 2>&1
is "one that is none is 126" $? 126
like "it is confined" "$(run --rm "$WORK/rootfs" cat /proc/self/status 2> /dev/null)" $'Seccomp:\t2'
# exec: what timeout(1) starts must not be in the terminal's background
like "a terminal is its own" "$(script -qec "exec podman run --network none --rm -t --rootfs $WORK/rootfs tty" \
	/dev/null < /dev/null)" '/dev/pts/0'
mkdir -p "$WORK/volume"
touch "$WORK/volume/file"
busybox_rootfs "$WORK/mapped"
chown -R 200000:200000 "$WORK/mapped"
chmod 755 "$WORK"
is "a user namespace has its ids, and an idmapped volume" "$(run --rm --uidmap 0:200000:5000 -v "$WORK/volume:/v:idmap" \
	"$WORK/mapped" sh -c 'id -u; tr -s " " < /proc/self/uid_map; stat -c %u /v/file' 2> /dev/null)" "$(printf '0\n 0 200000 5000\n0')"
is "stdin goes in" "$(echo through | run --rm -i "$WORK/rootfs" cat 2> /dev/null)" through
podman run -d --network none --name d --rootfs "$WORK/rootfs" sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' \
	> /dev/null 2>&1
like "a detached one runs" "$(podman ps --format '{{.Names}} {{.Status}}' 2> /dev/null)" '^d Up'
is "exec gives output" "$(podman exec d echo inside 2> /dev/null)" inside
podman exec d sh -c 'exit 9' 2> /dev/null
is "and its exit code" $? 9
ok "it is paused" podman pause d
ok "and resumed" podman unpause d
ok "it is stopped" podman stop d
is "with its exit code" "$(podman inspect --format '{{.State.ExitCode}}' d 2> /dev/null)" 3
ok "it starts again" podman start d
ok "it is removed by force" podman rm -f -t 0 d
rmdir /sys/fs/cgroup/libpod_parent /sys/fs/cgroup/machine.slice 2> /dev/null
wait_for 10 sh -c "! pgrep -x conmon"
snapshot > "$WORK/after"
sed -i '/libpod_parent/d' "$WORK/before" "$WORK/after"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
done_testing
