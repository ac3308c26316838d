#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGKILL by strace at system calls of crid, its network worker, the shim and
# the helpers of a pull over the life of a pod: nothing may be left on the node
# and no answer may be wrong. A sample; tests/sweep is the whole.
#
#	SWEEP_POINTS	kills at so many (system call, n) of each program, or "all"; 4 unless told
#	SWEEP_PROGRAMS	of crid recovery jobs net shim fetch inflate unpack; all unless told
#	SWEEP_SEED	of the choice; printed
#	SWEEP_CALL	at this system call alone
#	SWEEP_VERBOSE	not empty: a line for each point
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

command -v strace > /dev/null || skip_all "strace is missing"
strace -o /dev/null true 2> /dev/null || skip_all "strace cannot trace here"
SWEEP_POINTS=${SWEEP_POINTS:-4}
SWEEP_PROGRAMS=${SWEEP_PROGRAMS:-crid recovery jobs net shim fetch inflate unpack}
SWEEP_SEED=${SWEEP_SEED:-$RANDOM}
echo "# SWEEP_POINTS=$SWEEP_POINTS SWEEP_SEED=$SWEEP_SEED"

# crid, under strace when there is an order; not restarted by PID 1, which
# takes its time with a service that always fails
cat > "$WORK/service" <<SH
#!/bin/sh
while :; do
	if mv /run/inject/crid /run/inject/crid.now 2> /dev/null; then
		strace -D \$(cat /run/inject/crid.now) $WORK/node/run/libexec/berth-crid &
	else
		$WORK/node/run/libexec/berth-crid &
	fi
	echo \$! > /run/crid.new
	mv /run/crid.new /run/crid.pid
	wait
done
SH
chmod 755 "$WORK/service"
cat > "$WORK/services.json" <<JSON
[ { "name": "crid", "type": "simple", "pods": true, "argv": [ "$WORK/service" ] } ]
JSON
export BERTH_SERVICES=$WORK/services.json
cri_node_up
node_state > "$WORK/clean"
mkdir "$dir/run/libexec/real"
for program in shim fetch inflate unpack; do
	mv "$dir/run/libexec/berth-$program" "$dir/run/libexec/real/"
	cat > "$dir/run/libexec/berth-$program" <<-SH
	#!/bin/sh
	mv /run/inject/berth-$program /run/inject/now.\$\$ 2> /dev/null &&
		exec strace -D \$(cat /run/inject/now.\$\$) $dir/run/libexec/real/berth-$program "\$@"
	exec $dir/run/libexec/real/berth-$program "\$@"
	SH
	chmod 755 "$dir/run/libexec/berth-$program"
done
# shellcheck disable=SC2086
drive sweep.mjs "$SWEEP_POINTS" "$SWEEP_SEED" $SWEEP_PROGRAMS
sed 's/^/# /' "$WORK/$SWEEP_POINTS.err"
cp "$dir/var/log/berth/crid.log" "$TOP/build/sweep.log" 2> /dev/null
is_clean "nothing is left"
"$NODE" down "$dir" > "$WORK/down.log" 2>&1
is "the node goes down" "$?" 0
done_testing
