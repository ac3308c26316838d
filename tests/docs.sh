#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The man pages are well formed and name what the binaries take; SECURITY.md names
# tests that are there.
. "$(dirname "$0")/tap.sh"
cd "$TOP" || exit 1

for page in man/*.[1-9]; do
	[ -f "$page" ] || continue
	ok "$page is well formed" mandoc -T lint -W warning "$page"
done
ok "the node's architecture and road map are there" test -s doc/ARCHITECTURE.md -a -s doc/ROADMAP.md
for binary in init/berth-init net/berth-netd cri/berth-crid runtime/berth-shim \
	runtime/berth-oci ctl/berthctl; do
	[ -x "$BUILD/$binary" ] || continue
	ok "$(basename "$binary") has a man page" \
		test -f "man/$(basename "$binary").8" -o -f "man/$(basename "$binary").1"
done
# --help is printed from the table of verbs
if [ -x "$BUILD/runtime/berth-oci" ]; then
	"$BUILD/runtime/berth-oci" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort > "$WORK/verbs"
	sed -n '/^\.Sh VERBS/,/^\.Sh FILES/p' man/berth-oci.8 | grep '^\.It Cm' | grep -oE '(It|,) Cm [a-z]+' |
		sed 's/.* //' | sort > "$WORK/described"
	ok "berth-oci's verbs are those of its man page" diff "$WORK/verbs" "$WORK/described"
	# rows of options, and those of update, which say where the value goes
	is "and every option is described" "$(cat runtime/oci*.c | tr '\n\t' '  ' |
		grep -oE "\{ *\"[a-z][a-z0-9-]+\", *('|\"[a-zA-Z]+\", \"[a-zA-Z]+\", UPDATE)" |
		sed 's/[^"]*"\([^"]*\)".*/\1/' | sort -u | while read -r option; do
		grep -qE "Fl -$option( |\$)" man/berth-oci.8 || echo "$option"
	done)" ""
fi
missing=$(grep -oE '`tests/[a-zA-Z0-9_/.-]+`: "[^"]+"' SECURITY.md | while IFS= read -r row; do
	file=${row#\`} file=${file%%\`*} text=${row#*\"}
	grep -qF -- "${text%\"}" "$file" || echo "$row"
done)
is "the tests that SECURITY.md names are there" "$missing" ""
ok "which are some" test "$(grep -c '^| S-' SECURITY.md)" -ge 20
done_testing
