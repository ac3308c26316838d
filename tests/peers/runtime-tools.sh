#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The validation programs of opencontainers/runtime-tools with berth-oci. Each
# that does not pass is in runtime-tools.expected with the reason; one that is not
# there and fails twice is a failure, and so is one that is there and passes.
#
#	tests/peers/runtime-tools.sh [RUNTIME]   another runtime: its results alone
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
runtime=${1-}
[ -n "$runtime" ] || [ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
if [ -z "${BERTH_SANDBOX-}" ]; then
	VALIDATION=$("$TOP/tests/peers/install" runtime-tools 2> "$WORK/install.log") ||
		skip_all "runtime-tools is not there: $(tail -n 1 "$WORK/install.log")"
	export VALIDATION=$VALIDATION/runtime-tools
fi
. "$(dirname "$0")/../sandbox.sh"

cat > "$WORK/runtime" << SH
#!/bin/sh
exec ${runtime:-"$BUILD/runtime/berth-oci" --missing warn} --root "$WORK/state" "\$@"
SH
chmod +x "$WORK/runtime"
cd "$VALIDATION" || exit 1
passes()
{
	local out=$WORK/out.$1
	TMPDIR=$WORK RUNTIME=$WORK/runtime timeout -k 5 240 "./$1" > "$out" 2>&1 || return
	! grep -q '^not ok' "$out" && ! { grep -q '^1\.\.0' "$out" && grep -q '"error"' "$out"; }
}
expected()
{
	grep -E "^~?$1 " "$TOP/tests/peers/runtime-tools.expected"
}
programs=()
for program in *; do
	case $program in
	runtimetest | rootfs-*) continue ;;
	esac
	case $(expected "$program") in
	*" v1") # nothing can be learnt from it here
		[ -n "$runtime" ] || skip "$program" "it wants cgroup v1"
		continue
		;;
	esac
	programs+=("$program")
	while [ "$(jobs -r | wc -l)" -ge 6 ]; do
		sleep 0.1
	done
	{ passes "$program" && touch "$WORK/passed.$program"; } &
done
wait
for program in "${programs[@]}"; do
	reason=$(expected "$program")
	result=fails
	[ ! -e "$WORK/passed.$program" ] || result=passes
	if [ -n "$runtime" ]; then
		echo "# $program $result"
	elif [ $result = fails ] && [ -n "$reason" ]; then
		tap_pass "$program fails as expected: ${reason#* }"
	elif [ $result = fails ]; then
		ok "$program, alone" passes "$program" ||
			grep -v '^ok' "$WORK/out.$program" | cut -c 1-200 | head -n 20 | sed 's/^/# /'
	elif [ -z "$reason" ] || [ "${reason#"~"}" != "$reason" ]; then
		tap_pass "$program"
	else
		tap_fail "$program passes, and is expected to fail: ${reason#* }"
	fi
done
echo "# $(find "$WORK" -maxdepth 1 -name 'passed.*' | wc -l) of ${#programs[@]} programs pass"
# those that fail leave some
for id in $("$WORK/runtime" list -q); do
	"$WORK/runtime" delete --force "$id"
done
done_testing
