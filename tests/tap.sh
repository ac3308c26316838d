# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced by every shell test: TAP lines, a private work folder, deadlines.
#
#	. "$(dirname "$0")/../tap.sh"
#	ok NAME COMMAND...       passes when COMMAND exits 0
#	is NAME GOT WANTED       passes when the texts are equal
#	like NAME TEXT REGEX     passes when TEXT matches (extended regex)
#	skip NAME REASON         a named skip
#	skip_all REASON          the whole script, e.g. a peer is missing
#	requires PROGRAM...      which skips it when one of them is missing
#	wait_for SECONDS CMD...  polls CMD until it succeeds; 1 at the deadline,
#	                         which is six times as long: machines are loaded
#	sanitized                the programs are built with ASan and UBSan
#	at_exit COMMAND          runs COMMAND at the end, newest first
#	done_testing             last line
#
# $TOP is the source tree, $BUILD the build tree, $WORK a folder removed at
# the end. Tests run as root with nothing of the user's environment needed.
set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TOP/build/gcc}
# without a folder of its own a test would write into /
WORK=$(mktemp -d "${TMPDIR:-/tmp}/berth-test.XXXXXX") || exit 1
chmod 711 "$WORK" # a node's helpers run as users of their own
tap_n=0
tap_failed=0
tap_cleanup=()

at_exit()
{
	tap_cleanup=("$1" "${tap_cleanup[@]}")
}

sanitized()
{
	grep -q "^BERTH_CFLAGS = .*-fsanitize=address" "$BUILD/Makefile" 2> /dev/null
}

tap_end()
{
	local c
	for c in "${tap_cleanup[@]}"; do
		eval "$c"
	done
	# a report on a program's standard error, which may be a log that no test reads
	if sanitized && c=$(timeout 100 grep -rEa -m 1 "ERROR: AddressSanitizer|: runtime error: " "$WORK"); then
		tap_fail "no sanitizer reports"
		printf '%s\n' "$c" | sed 's/^/# /'
	fi
	rm -rf --one-file-system "$WORK"
}
trap tap_end EXIT
trap 'exit 143' TERM INT

tap_pass()
{
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

tap_fail()
{
	tap_n=$((tap_n + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_n - $1"
}

ok()
{
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap_pass "$name"
	else
		tap_fail "$name"
		printf '# %s\n' "failed: $*"
		printf '%s\n' "$out" | tail -n 30 | sed 's/^/#   /'
		return 1
	fi
}

is()
{
	if [ "$2" = "$3" ]; then
		tap_pass "$1"
	else
		tap_fail "$1"
		printf '# got:    %s\n# wanted: %s\n' "$2" "$3"
		return 1
	fi
}

like()
{
	if [[ $2 =~ $3 ]]; then
		tap_pass "$1"
	else
		tap_fail "$1"
		printf '# got:    %s\n# wanted: /%s/\n' "$2" "$3"
		return 1
	fi
}

skip()
{
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

skip_all()
{
	skip "$(basename "$0")" "$1"
	done_testing
}

requires()
{
	local tool

	for tool; do
		command -v "$tool" > /dev/null || skip_all "$tool is missing"
	done
}

wait_for()
{
	local end=$((SECONDS + $1 * 6))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -ge $end ] && return 1
		sleep 0.05
	done
}

done_testing()
{
	echo "1..$tap_n"
	[ $tap_failed -eq 0 ]
	exit
}
