#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-shim with real containers: streams, logs, execs, ends, and what is
# left. The cases are in shim.py; here are rootfs and a pure cgroup v2 view.
. "$(dirname "$0")/../tap.sh"

[ "$(id -u)" = 0 ] || skip_all "root is needed"
busybox=$(command -v busybox) || skip_all "busybox is missing"
SHIM=${SHIM:-$BUILD/runtime/berth-shim}
[ -x "$SHIM" ] || skip_all "berth-shim is not built"

mkdir -p "$WORK/rootfs"/{bin,dev,proc,sys,tmp,etc}
cp "$busybox" "$WORK/rootfs/bin/busybox"
"$busybox" --install -s "$WORK/rootfs/bin"
for link in "$WORK"/rootfs/bin/*; do
	[ ! -L "$link" ] || ln -sf busybox "$link"
done
echo 'root:x:0:0:root:/:/bin/sh' > "$WORK/rootfs/etc/passwd"
cgroup=/berth-shim-test-$$
sanitized && export SANITIZED=yes
export WORK SHIM cgroup
unshare -m --propagation private bash -c '
	umount -R -l /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup &&
	mkdir "/sys/fs/cgroup$cgroup" || exit 99
	python3 -u "$0"
	status=$?
	echo 1 > "/sys/fs/cgroup$cgroup/cgroup.kill"
	find "/sys/fs/cgroup$cgroup" -depth -type d -exec rmdir {} \; 2> /dev/null
	[ ! -d "/sys/fs/cgroup$cgroup" ] || { sleep 0.2
		find "/sys/fs/cgroup$cgroup" -depth -type d -exec rmdir {} \; ; }
	exit $status' "$TOP/tests/sys/shim.py"
exit $?
