# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by the scripts that make images.

fail()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# needs FILE: the names of the shared objects it names itself, loader included
needs()
{
	readelf -ldW "$1" 2> /dev/null | sed -n \
		-e 's/.*(NEEDED).*\[\(.*\)\]/\1/p' \
		-e 's/.*program interpreter: \(.*\)\]/\1/p'
}

# closure ROOT DIR: copies the shared objects that programs below DIR need,
# and those that these need, to where their loader looks for them in ROOT
closure()
{
	local root=$1 lib=$1/usr/lib/x86_64-linux-gnu seen=" " name path f todo
	mkdir -p "$lib"
	mapfile -t todo < <(find "$2" -type f -perm /111)
	while [ ${#todo[@]} -gt 0 ]; do
		f=${todo[0]}
		todo=("${todo[@]:1}")
		while read -r name; do
			case $seen in *" $name "*) continue ;; esac
			seen="$seen$name "
			if [ "${name#/}" != "$name" ]; then
				install -D -m 755 "$(readlink -f "$name")" "$root/usr${name#/usr}"
				continue
			fi
			path=$(library "$name")
			[ -n "$path" ] || fail "$f needs $name, which is not there"
			[ -e "$lib/$name" ] || install -m 644 "$path" "$lib/$name"
			todo+=("$path")
		done < <(needs "$f")
	done
}

library()
{
	local dir
	for dir in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do
		if [ -e "$dir/$1" ]; then
			readlink -f "$dir/$1"
			return
		fi
	done
}
