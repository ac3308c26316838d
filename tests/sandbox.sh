# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2016
#
# Sourced behind tap.sh by tests that make containers: the rest of the script
# runs in mount, pid and cgroup namespaces of its own. /sys/fs/cgroup is a pure
# cgroup v2 view whose root is a folder of the test's own, so that
# a snapshot sees this test alone and nothing outlives it.
#
#	snapshot      mounts, cgroups and processes, for a comparison before and after
if [ -z "${BERTH_SANDBOX-}" ]; then
	[ "$(id -u)" = 0 ] || skip_all "root is needed"
	sandbox=$WORK/cgroup2
	mkdir "$sandbox"
	# a private view of the hierarchy, wherever the host has it
	unshare -m --propagation private bash -c '
		mount -t cgroup2 none "$1" && mkdir "$1/berth-test-$2" || exit 99
		shift 2
		(
			echo $BASHPID > "$0/cgroup.procs"
			BERTH_SANDBOX=1 exec unshare -m -C -p -f --kill-child --mount-proc \
				--propagation private bash -c "
				umount -R -l /sys/fs/cgroup 2> /dev/null
				mount -t cgroup2 none /sys/fs/cgroup || exit 98
				exec \"\$@\"" _ "$@"
		) &
		inner=$!
		trap "kill $inner" TERM INT
		wait $inner
		status=$?
		echo 1 > "$0/cgroup.kill"
		for i in 1 2 3 4 5 6 7 8 9 10; do
			find "$0" -depth -type d -exec rmdir {} + 2> /dev/null
			[ -d "$0" ] || break
			sleep 0.1
		done
		exit $status' "$sandbox/berth-test-$$" "$sandbox" $$ "$0" "$@" &
	outer=$!
	trap 'kill $outer; wait $outer; exit 143' TERM INT
	wait $outer
	status=$?
	case $status in
	98 | 99) skip_all "cgroup v2 cannot be mounted" ;;
	esac
	exit $status
fi

snapshot()
{
	cut -d' ' -f4- /proc/self/mountinfo
	find /sys/fs/cgroup -type d
	# no pipe: its processes would see each other
	ps -e -o stat=,args= > "$WORK/ps"
	awk '$1 !~ /Z/ && $2 != "ps" { $1 = ""; print }' "$WORK/ps"
}
