#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a script can hold of the house's form. TIDY_ROOT: another tree.
. "$(dirname "$0")/tap.sh"
cd "${TIDY_ROOT:-$TOP}" || exit 1

if [ -n "${TIDY_ROOT-}" ]; then
	sources=$(find . -name '*.[ch]')
else
	sources=$(git ls-files --cached --others --exclude-standard -- '*.c' '*.h')
fi

# names the file and line of everything the program prints
lint()
{
	# shellcheck disable=SC2086
	[ -z "$sources" ] || awk "$1" $sources
}

columns='{ s = $0; n = 0
	for (i = 1; i <= length(s); i++)
		n = substr(s, i, 1) == "\t" ? n + 8 - n % 8 : n + 1
	if (n > 100) print FILENAME ":" FNR ": " n " columns" }'
functions='FNR == 1 { begin = 0 } /^\{/ { begin = FNR }
	/^\}/ && begin { if (FNR - begin + 1 > 80)
		print FILENAME ":" begin ": a function of " FNR - begin + 1 " lines"; begin = 0 }'
files='FNR > 900 && !(FILENAME in seen) { seen[FILENAME] = 1; print FILENAME ": over 900 lines" }'
license='FNR == 1 && !/SPDX-License-Identifier: GPL-2.0-or-later/ { print FILENAME ": no SPDX line" }'
words='/(^|[^A-Z])(TODO|FIXME|XXX)([^A-Z]|$)/ { print FILENAME ":" FNR ": " $0 }'
blanks='/[ \t]$/ { print FILENAME ":" FNR ": blank at the end of the line" }'
init='FILENAME ~ /^(\.\/)?init\// && /[^a-z_](sleep|usleep|nanosleep|clock_nanosleep|poll)[ ]*\(/ {
	print FILENAME ":" FNR ": a sleeping call" }'
cloexec='/[^a-z_](pipe|accept|epoll_create|inotify_init|dup)\(/ {
	print FILENAME ":" FNR ": a descriptor that is not born close-on-exec" }
	/[^a-z_]fopen\(/ && !/"[rwa][^"]*e"/ {
	print FILENAME ":" FNR ": fopen without e" }
	/[^a-z_]open(at)?\(/ && /O_(RDONLY|WRONLY|RDWR|PATH)/ && !/CLOEXEC/ && /;[ ]*$/ {
	print FILENAME ":" FNR ": open without O_CLOEXEC" }'
pid1='FILENAME ~ /^(\.\/)?init\// { n++ } END { if (n > 2000) print "init/: " n " lines" }'

rule()
{
	is "$1" "$(lint "$2")" ""
}

rule "100 columns" "$columns"
rule "80 lines a function" "$functions"
rule "900 lines a file" "$files"
rule "an SPDX line" "$license"
rule "no unfinished notes" "$words"
rule "no blanks at the end of a line" "$blanks"
rule "no sleeping calls in init" "$init"
rule "descriptors are born close-on-exec" "$cloexec"
rule "PID 1 is under 2,000 lines" "$pid1"
if [ -z "${TIDY_ROOT-}" ] && command -v clang-format > /dev/null; then
	# shellcheck disable=SC2086
	ok "clang-format has nothing to change" clang-format --dry-run -Werror $sources
elif [ -z "${TIDY_ROOT-}" ]; then
	skip "clang-format has nothing to change" "clang-format is missing"
fi
if [ -z "${TIDY_ROOT-}" ]; then
	mkdir -p "$WORK/init"
	{
		printf 'int x(void)\n{\n'
		yes '	y();' | head -n 90
		printf '}\n/* %s: later */ \n' TODO
		printf '	usleep(5);\n	int f = open("x", O_RDONLY);\n'
		printf '/* %0120d */\n' 0
	} > "$WORK/init/x.c"
	is "each rule finds what breaks it" \
		"$(TIDY_ROOT=$WORK "$0" | grep -c '^not ok')" 7
fi
done_testing
