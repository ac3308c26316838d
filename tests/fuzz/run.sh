#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every fuzz target: its corpus, then FUZZ_SECONDS (10) of search; before
# that, each must find the bug planted in its twin. FUZZ_TARGETS: only these.
. "$(dirname "$0")/../tap.sh"
command -v clang > /dev/null || skip_all "clang is missing"

build=$TOP/build/fuzz
mkdir -p "$build"
(
	cd "$build" || exit
	[ -f config.status ] || "$TOP/configure" CC=clang --enable-sanitizers --enable-fuzz
	make -j"$(nproc)" fuzzers
) > "$WORK/make.log" 2>&1
is "the targets are built" "$?" 0 || {
	tail -n 20 "$WORK/make.log" | sed 's/^/# /'
	done_testing
}
cd "$WORK" || exit 1
options="-timeout=10 -rss_limit_mb=512 -close_fd_mask=1 -print_final_stats=1"
for source in "$TOP"/tests/fuzz/*.c; do
	name=$(basename "$source" .c)
	[ -z "${FUZZ_TARGETS-}" ] || [[ " $FUZZ_TARGETS " == *" $name "* ]] || continue
	# the others are built and run by the scripts beside this one
	[ -x "$build/tests/fuzz/$name" ] || continue
	corpus=$TOP/tests/fuzz/corpus/$name
	# shellcheck disable=SC2086
	"$build/tests/fuzz/${name}_planted" $options -max_total_time=240 -artifact_prefix="$WORK/planted-" \
		"$(mktemp -d -p "$WORK")" "$corpus" > "$WORK/$name.planted" 2>&1
	is "$name finds the planted bug" "$?" 77
	mkdir -p "$WORK/$name"
	# shellcheck disable=SC2086
	ok "$name finds no other in ${FUZZ_SECONDS:-10} s" \
		"$build/tests/fuzz/$name" $options -max_total_time="${FUZZ_SECONDS:-10}" \
		-artifact_prefix="$TOP/build/fuzz-$name-" "$WORK/$name" "$corpus"
	"$build/tests/fuzz/$name" $options -runs=0 "$WORK/$name" 2>&1 | grep -E "cov:" | tail -n 1 | sed 's/^/# /'
done
done_testing
