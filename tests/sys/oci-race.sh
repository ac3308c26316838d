#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Races that were ways out of other runtimes: a volume whose folders turn into
# links while a container is made, and a container that looks into the
# processes which join it.
#
#	STARTS=N	containers and execs of each race, 150 unless told
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"
starts=${STARTS:-150}
oci()
{
	"$BUILD/runtime/berth-oci" --root "$WORK/state" "$@"
}

# a volume that changes under the mounts ---------------------------------------

mkdir -p "$WORK/volume/a" "$WORK/volume/sub" "$WORK/sentinel/sub" "$WORK/source"
echo untouched > "$WORK/sentinel/file"
ln -s "$WORK/sentinel" "$WORK/volume/b"
cat > "$WORK/racer.py" << 'PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(p) for p in sys.argv[1:3])
parent = os.getppid()
n = 0
while n & 0xfff or os.getppid() == parent:
    libc.renameat2(-100, a, -100, b, 2) # RENAME_EXCHANGE
    n += 1
PY
bundle v ".mounts += [
	{ destination: \"/vol\", source: \"$WORK/volume\", options: [\"rbind\"] },
	{ destination: \"/vol/a\", source: \"$WORK/source\", options: [\"bind\"] },
	{ destination: \"/vol/a/made\", type: \"tmpfs\", source: \"t\" },
	{ destination: \"/vol/a/file\", source: \"$WORK/sentinel/file\", options: [\"bind\"] }] |
	.process.cwd = \"/vol/a\" | .linux.maskedPaths += [\"/vol/a/sub\"] |
	.linux.devices = [{ path: \"/vol/a/node\", type: \"c\", major: 1, minor: 3 }]"
look()
{
	find "$WORK/sentinel" -printf '%p %y %m %s %i\n' | sort
	cut -d' ' -f4- /proc/self/mountinfo
}
look > "$WORK/before"
python3 "$WORK/racer.py" "$WORK/volume/a" "$WORK/volume/b" &
racer=$!
began=0
for i in $(seq "$starts"); do
	oci run --bundle "$WORK/v" "v$i" > "$WORK/out" 2>&1 < /dev/null && began=$((began + 1))
done
kill $racer
wait $racer 2> /dev/null
look > "$WORK/after"
echo "# $began of $starts began, the others were refused"
ok "whatever a volume's folders turn into, the host is untouched" diff "$WORK/before" "$WORK/after"
is "and no container is left" "$(oci list -q; find /sys/fs/cgroup/test -mindepth 1 -type d)" ""

# a container that looks at who joins it ----------------------------------------

bundle x '.process.args = ["sh", "/spy"]'
cat > "$WORK/x/rootfs/spy" << 'SH'
while :; do
	for p in /proc/[0-9]*; do
		[ $p != /proc/1 ] && read c 2> /dev/null < $p/comm && [ "$c" = berth-oci ] || continue
		echo $p >> /seen
		for f in $p/fd/* $p/cwd $p/root $p/exe; do
			# what has become the program is the container's own
			l=$(readlink $f) && read c 2> /dev/null < $p/comm && [ "$c" = berth-oci ] &&
				echo "$f is $l" >> /leaked
		done
		(: >> $p/exe) 2> /dev/null && echo "$p/exe opened" >> /leaked
	done
done
SH
oci run --detach --bundle "$WORK/x" x > /dev/null 2>&1 < /dev/null
before=$(md5sum < "$BUILD/runtime/berth-oci")
for i in $(seq "$starts"); do
	oci exec x true > /dev/null 2>&1 || break
done
is "execs run beside a curious container" "$i" "$starts"
echo "# it saw $(sort -u "$WORK/x/rootfs/seen" 2> /dev/null | wc -l) of them while they joined"
is "and nothing of theirs can be read" "$(cat "$WORK/x/rootfs/leaked" 2> /dev/null | head -n 5)" ""
is "berth-oci's file is what it was" "$(md5sum < "$BUILD/runtime/berth-oci")" "$before"
oci delete --force x
done_testing
