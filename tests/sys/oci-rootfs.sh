#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hostile root file systems: every place that the engine touches in one, in
# every shape that an image can give it. Each ends in an error or in an effect
# inside of the container; a sentinel tree outside, the host's mounts and its
# /dev are the witnesses.
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

# of its own, as others' files come and go there
mount -t tmpfs shm /dev/shm
targets=(/ /dev /dev/null /dev/pts /dev/console /dev/shm /proc /sys /sys/fs/cgroup /etc/hosts /work /vol)
shapes=(absolute upwards magic dangling loop file fifo socket racing)
outside=$WORK/sentinel
mkdir -p "$outside" "$WORK/source"
echo untouched > "$outside/file"
echo volume > "$WORK/source/file"
cat > "$WORK/racer.py" << 'PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(p) for p in sys.argv[1:3])
parent = os.getppid()
print("racing", flush=True)
while os.getppid() == parent:
    for _ in range(1000):
        libc.renameat2(-100, a, -100, b, 2) # RENAME_EXCHANGE
PY
witnesses()
{
	find "$outside" -printf '%p %y %m %s %i %T@\n' | sort
	cat "$outside/file"
	cut -d' ' -f4- /proc/self/mountinfo
	find /dev -path /dev/pts -prune -o ! -name 'loop*' -printf '%p %y %m %l\n' | sort
}

# put SHAPE PATH: what the image has there
put()
{
	local upwards=../../../../../../../../../../../..

	case $1 in
	absolute | racing) ln -s "$outside" "$2" ;;
	upwards) ln -s "$upwards$outside" "$2" ;;
	magic) ln -s /proc/self/fd/5 "$2" ;;
	dangling) ln -s "$outside/made" "$2" ;;
	loop) ln -s "${2##*/}" "$2" ;;
	file) echo x > "$2" ;;
	fifo) mkfifo "$2" ;;
	socket) python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$2" ;;
	esac
}

# try TARGET SHAPE: one container, which the image's shape may break, but not more
try()
{
	local bundle=$WORK/evil rootfs=$WORK/evil/rootfs place out status racer='' times=1

	rm -rf "$bundle"
	bundle evil '.mounts += [
			{ destination: "/dev/shm", type: "tmpfs", source: "shm" },
			{ destination: "/etc/hosts", source: "'"$WORK/source/file"'", options: ["bind"] },
			{ destination: "/vol", source: "'"$WORK/source"'", options: ["bind"] }] |
		.process.cwd = "/work" | .process.args = ["sh", "-c", "echo ran; echo x > /work/x"]'
	place=$rootfs$1
	[ "$1" != / ] || { place=$rootfs; cp -a "$rootfs" "$bundle/true"; }
	rm -rf "${place%/}"
	mkdir -p "$(dirname "$place")"
	put "$2" "${place%/}"
	if [ "$2" = racing ]; then
		rm -rf "$bundle/other"
		if [ "$1" = / ]; then
			mv "$bundle/true" "$bundle/other"
		else
			mkdir "$bundle/other"
		fi
		# its parent's end is its own
		{ python3 "$WORK/racer.py" "$place" "$bundle/other" > "$WORK/racer" & } 2> /dev/null
		racer=$!
		wait_for 10 grep -q racing "$WORK/racer"
		times=5
	fi
	for ((; times > 0; times--)); do
		out=$(timeout 60 "$BUILD/runtime/berth-oci" --root "$WORK/state" run --bundle "$bundle" evil \
			2>&1 < /dev/null)
		status=$?
		case $status:$out in
		[01]:*ran* | 1:berth-oci:*) ;;
		*) wrong+=("$2: $status $out") ;;
		esac
	done
	if [ -n "$racer" ]; then
		kill "$racer"
		wait "$racer" 2> /dev/null
	fi
}

mkdir -p "$WORK/state"
snapshot > "$WORK/before"
witnesses > "$WORK/witnesses"
for target in "${targets[@]}"; do
	wrong=()
	for shape in "${shapes[@]}"; do
		try "$target" "$shape"
		witnesses > "$WORK/now"
		cmp -s "$WORK/witnesses" "$WORK/now" ||
			wrong+=("$shape: $(diff "$WORK/witnesses" "$WORK/now" | tail -n +2 | head -n 3)")
	done
	is "$target in ${#shapes[@]} shapes: an error, or an effect inside" "$(printf '%s\n' "${wrong[@]}")" ""
done
rm -rf "$WORK/evil"
rmdir /sys/fs/cgroup/test 2> /dev/null
snapshot > "$WORK/after"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$("$BUILD/runtime/berth-oci" --root "$WORK/state" list -q)" ""
done_testing
