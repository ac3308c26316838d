# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced by benchmarks of a whole node, which then run in a mount namespace
# of their own: a node with its data on a fresh ext4, the rest on a tmpfs, as
# on a real one, and a registry with an image of two static programs.
#
#	top build node work disk    folders, and tests/node
#	in_node CMD...              runs CMD in the node's namespaces
#	IMAGE, and what $work/node/env says
#
# Everything is gone at the end, whatever the end is.
if [ "${BENCH_INSIDE-}" != yes ]; then
	exec env BENCH_INSIDE=yes unshare --mount --propagation private "$0" "$@"
fi
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$top/build/gcc}
node=$top/tests/node
IMAGE=registry.k8s.io/berth-bench/stamp:1
export BUILD=$build
image=$(mktemp /tmp/berth-bench-node.XXXXXX)
work=$(mktemp -d /tmp/berth-bench-node.XXXXXX)
in_node() { "$node" enter "$work/node" "$@"; }

finish()
{
	local status=$?
	if [ $status != 0 ]; then
		tail -n 20 "$work"/disk/*/log "$work"/node/console >&2 2> /dev/null || true
	fi
	"$node" down "$work/node" > "$work/down" 2>&1 || cat "$work/down" >&2
	umount -R -l "$work"
	rmdir "$work"
	rm -f "$image"
}
mount -t tmpfs -o mode=755 tmpfs "$work"
trap finish EXIT
trap 'exit 1' INT TERM
truncate -s 4G "$image"
mkfs.ext4 -q -F "$image"
disk=$work/disk
mkdir -p "$disk" "$work/node"
mount -o loop "$image" "$disk"
mkdir "$disk/var"
ln -s "$disk/var" "$work/node/var"

gcc -O2 -static -o "$work/stamp" "$top/tests/bench/stamp.c"
printf 'int main(void) { return 0; }\n' | gcc -O2 -static -x c -o "$work/true" -

# an image of two static programs, in an OCI layout, by umoci
umoci init --layout "$work/oci"
umoci new --image "$work/oci:1"
umoci unpack --image "$work/oci:1" "$work/bundle" 2> "$work/umoci"
cp "$work/stamp" "$work/true" "$work/bundle/rootfs/"
umoci repack --image "$work/oci:1" "$work/bundle"
umoci config --image "$work/oci:1" --config.entrypoint /stamp

"$node" up "$work/node" --mirror registry.k8s.io=http://127.0.0.1:5000
. "$work/node/env"
"$node" enter "$work/node" "$top/tests/peers/registry" serve "$disk/registry" 5000 &
disown
for _ in $(seq 100); do
	! in_node curl -fs http://127.0.0.1:5000/v2/ > /dev/null || break
	sleep 0.1
done
in_node skopeo copy --quiet --dest-tls-verify=false "oci:$work/oci:1" \
	docker://127.0.0.1:5000/berth-bench/stamp:1
