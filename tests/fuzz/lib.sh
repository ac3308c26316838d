# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced by fuzz scripts after tap.sh:
#
#	fuzz TARGET SOURCE... [-- LIBRARY...]
#
# builds tests/fuzz/TARGET.c with clang's libFuzzer, ASan and UBSan, replays
# tests/fuzz/corpus/TARGET, searches for FUZZ_SECONDS (10), and shows that a
# bug planted by -DFUZZ_SELFTEST is found. New inputs stay in build/fuzz.
fuzz_flags="-std=c11 -D_GNU_SOURCE -iquote $TOP -g -O1 -fno-omit-frame-pointer
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -w"
fuzz_kept=${FUZZ_KEPT:-$TOP/build/fuzz}

command -v clang > /dev/null || skip_all "clang is missing"

fuzz()
{
	local target=$1 sources=() libraries=() found=$WORK/$1.found
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		sources+=("$TOP/$1")
		shift
	done
	[ $# -eq 0 ] || shift
	libraries=("$@")
	mkdir -p "$fuzz_kept/$target" "$found"
	# shellcheck disable=SC2086
	for selftest in "" -DFUZZ_SELFTEST; do
		if ! clang $fuzz_flags $selftest -o "$WORK/$target$selftest" \
			"$TOP/tests/fuzz/$target.c" "${sources[@]}" "${libraries[@]}" 2> "$WORK/log"; then
			sed 's/^/# /' "$WORK/log" | tail -n 20
			tap_fail "$target: build"
			return
		fi
	done
	ok "$target: replay of the corpus" "$WORK/$target" -runs=0 "$TOP/tests/fuzz/corpus/$target" "$fuzz_kept/$target"
	ok "$target: nothing found in ${FUZZ_SECONDS:-10} s" "$WORK/$target" -max_total_time="${FUZZ_SECONDS:-10}" \
		-rss_limit_mb=1024 -timeout=10 -artifact_prefix="$fuzz_kept/$target-" \
		"$fuzz_kept/$target" "$TOP/tests/fuzz/corpus/$target"
	if "$WORK/$target-DFUZZ_SELFTEST" -max_total_time=60 -artifact_prefix="$found/" \
		"$found" "$TOP/tests/fuzz/corpus/$target" > "$WORK/log" 2>&1; then
		tap_fail "$target: a planted bug is found"
	else
		ok "$target: a planted bug is found" grep -q 'ERROR: \|runtime error: ' "$WORK/log"
	fi
}
