#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every fuzz target: the bug planted in its twin is found, then its corpus, what
# earlier runs found new (build/fuzz/kept) and FUZZ_SECONDS (2) of search. The
# long run is FUZZ_SECONDS=3600 tests/fuzz/run.sh. FUZZ_TARGETS: only these.
# FUZZ_SEED: of the search; 1 in the short run, new each time in a long one.
. "$(dirname "$0")/../tap.sh"
command -v clang > /dev/null || skip_all "clang is missing"

build=$TOP/build/fuzz
seed=${FUZZ_SEED:-$([ -n "${FUZZ_SECONDS-}" ] || echo 1)}
options="-seed=${seed:-0} -timeout=10 -rss_limit_mb=512 -close_fd_mask=1 -print_final_stats=1"
mkdir -p "$build"
FUZZ_FOLDER=$(mktemp -d /dev/shm/berth-fuzz.XXXXXX)
export FUZZ_FOLDER
at_exit 'rm -rf "$FUZZ_FOLDER"'
(
	cd "$build" || exit
	[ -f config.status ] || "$TOP/configure" CC=clang --enable-sanitizers --enable-fuzz
	make -j"$(nproc)" fuzzers
) > "$WORK/make.log" 2>&1
is "the targets are built" "$?" 0 || {
	tail -n 20 "$WORK/make.log" | sed 's/^/# /'
	done_testing
}

# search NAME: leaves both exit statuses and the logs in WORK
search()
{
	local name=$1 program=$build/tests/fuzz/$1 kept=$build/kept/$1
	mkdir -p "$kept" "$WORK/$name"
	cd "$WORK/$name" || exit
	# shellcheck disable=SC2086
	"${program}_planted" $options -max_total_time=240 -artifact_prefix="$WORK/$name/" \
		"$WORK/$name" "$TOP/tests/fuzz/corpus/$name" > "$WORK/$name.planted" 2>&1
	echo $? > "$WORK/$name.planted.status"
	# shellcheck disable=SC2086
	"$program" $options -max_total_time="${FUZZ_SECONDS:-2}" -artifact_prefix="$build/found-$name-" \
		"$kept" "$TOP/tests/fuzz/corpus/$name" > "$WORK/$name.log" 2>&1
	echo $? > "$WORK/$name.status"
}

names=()
for source in "$TOP"/tests/fuzz/*.c; do
	name=$(basename "$source" .c)
	[ -z "${FUZZ_TARGETS-}" ] || [[ " $FUZZ_TARGETS " == *" $name "* ]] || continue
	names+=("$name")
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	search "$name" &
done
wait
for name in "${names[@]}"; do
	is "$name finds the planted bug" "$(cat "$WORK/$name.planted.status")" 77
	is "$name finds no other in ${FUZZ_SECONDS:-2} s" "$(cat "$WORK/$name.status")" 0 ||
		grep -vE '^#[0-9]|^INFO' "$WORK/$name.log" | tail -n 40 | sed 's/^/# /'
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$WORK/$name.log")
	echo "# $name: ${runs:-no} executions, $(grep -oE 'cov: [0-9]+' "$WORK/$name.log" | tail -n 1)"
done
done_testing
