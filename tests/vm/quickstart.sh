#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The newcomer's first command, as a newcomer runs it; on a machine whose clock
# cannot be read without a system call, which sandboxed helpers must survive.
. "$(dirname "$0")/../tap.sh"
command -v qemu-system-x86_64 > /dev/null || skip_all "qemu-system-x86_64 is missing"

QUICKSTART_APPEND="tsc=unstable clocksource=acpi_pm" "$TOP/quickstart" > "$WORK/out" 2>&1
is "quickstart succeeds" "$?" 0
has()
{
	grep -qE "$1" "$WORK/out"
}
ok "CRI gets ready" has '^CRI ready'
ok "the image is pulled" has '^sha256:[0-9a-f]{64}$'
ok "two containers run" has ' talk +quickstart.test/busybox:1 +running'
ok "one reaches the other, as its log shows" has '^I am root in web'
is "the page comes from the pod, to its neighbour and to the host" \
	"$(grep -c '^<h1>Hello from a pod on Berth</h1>' "$WORK/out")" 2
ok "the boot is a table" has '^service crid +[0-9.]+ +[0-9.]+ +-'
ok "the memory of each process is shown" has '^ +[0-9]+ KiB +/sbin/init'
ok "a pod's shim among them" has '^ +[0-9]+ KiB +berth-shim'
ok "the node powers off" has '^done: the node is off'

# the second run in a row, with the operator's shell at its end
cat > "$WORK/shell.exp" <<'EXP'
log_user 1
set timeout 300
spawn -noecho $env(TOP)/quickstart --shell
expect "your shell on the node" {} timeout { exit 1 } eof { exit 2 }
send "\r"
expect -re {berth:[^ ]*# } {} timeout { exit 3 } eof { exit 4 }
send "berthctl pods\r"
expect -re {web +default +ready} {} timeout { exit 5 } eof { exit 6 }
send "\035"
expect "done: the node is off" {} timeout { exit 7 } eof { exit 8 }
EXP
TOP=$TOP expect -f "$WORK/shell.exp" > "$WORK/out2" 2>&1
is "a second run leaves the operator on the node, until ^]" "$?" 0 || sed 's/^/# /' "$WORK/out2"
ok "it installed nothing" sh -c "! grep -q 'installing' '$WORK/out2'"
[ $tap_failed -eq 0 ] || sed 's/^/# /' "$WORK/out"
done_testing
