#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The man pages are well formed and name what the binaries take.
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
done_testing
