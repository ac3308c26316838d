#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Folders are layers: who may include whom, read from the include lines.
# LAYERS_ROOT: another tree to look at (the test of this test).
. "$(dirname "$0")/tap.sh"
cd "${LAYERS_ROOT:-$TOP}" || exit 1

declare -A may=(
	[lib]="lib"
	[cgroups]="lib cgroups"
	[net]="lib net"
	[image]="lib image"
	[runtime]="lib cgroups runtime"
	[init]="lib cgroups init"
	[cri]="lib cgroups net image cri"
	[ctl]="lib cri/api ctl"
)

violations()
{
	local folder file target allowed ok a
	for folder in "${!may[@]}"; do
		allowed=${may[$folder]}
		while IFS=: read -r file target; do
			ok=no
			for a in $allowed; do
				[ "${target#"$a"/}" != "$target" ] && ok=yes
			done
			[ "$target" = config.h ] && ok=yes
			[ $ok = yes ] || echo "$file includes $target"
		done < <(grep -rHoE --include='*.[ch]' '^#include "[^"]+"' "$folder" 2>/dev/null |
			sed 's/#include "//; s/"$//')
	done
}

found=$(violations)
is "every include keeps to its layer" "$found" ""
if [ -z "${LAYERS_ROOT-}" ]; then
	mkdir -p "$WORK/lib"
	printf '#include "cri/pod.h"\n' > "$WORK/lib/x.c"
	if LAYERS_ROOT=$WORK "$0" > /dev/null 2>&1; then
		tap_fail "an upward include is found"
	else
		tap_pass "an upward include is found"
	fi
fi
done_testing
