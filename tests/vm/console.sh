#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The debug shell on the serial line, as a person uses it: job control, the
# terminal's size, a new shell after exit; and nothing without berth.shell.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/vm/vm.sh"
at_exit vm_kill
for program in qemu-system-x86_64 expect socat; do
	command -v $program > /dev/null || skip_all "$program is missing"
done

# meanwhile, a node without berth.shell: somebody presses return on its line
quiet()
{
	vm_start "$WORK/quiet" --limit 300 || return
	vm_sh 'true' || return
	socat -u - "UNIX-CONNECT:$WORK/quiet/console" <<< $'\n\n'
	sleep 60
	vm_sh 'for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" != /usr/libexec/berth/debug/busybox ] || cat "$p/cmdline"
	done' > "$WORK/shells"
	vm_kill
	touch "$WORK/quiet/done"
}
vm_image 6.12 || exit 1
quiet &
at_exit 'VM_DIR=$WORK/quiet vm_kill'

vm_start "$WORK/vm" --append berth.shell --limit 300 || exit 1
wait_for 20 test -S "$WORK/vm/console"
cat > "$WORK/shell.exp" <<'EXP'
log_user 0
set timeout 40
spawn -noecho socat -,raw,echo=0 UNIX-CONNECT:$env(CONSOLE)
proc see {name pattern} {
	expect {
		-re $pattern { puts "ok $name" }
		timeout { puts "no $name: timeout" }
		eof { puts "no $name: the line is gone"; exit 1 }
	}
}
set prompt {berth:[^ ]*# }
see "prompt" $prompt
send "tty; echo session \$\$\r"
see "tty" {/dev/ttyS0\r\nsession [0-9]+\r\n}
see "prompt" $prompt
send "sh -c 'echo star''ted; exec sleep 100'\r"
see "sleep" {started\r\n}
send "\032"
see "stop" {Stopped +sh -c}
see "prompt" $prompt
send "fg\r"
see "fg" {fg\r\nsh -c[^\n]*\n}
send "\003"
see "interrupt" $prompt
send "echo status \$?\r"
see "status" {status 130\r\n}
see "prompt" $prompt
send "resize; stty size\r"
see "question" "\033\\\[999;999H\033\\\[6n"
send "\033\[50;132R"
see "size" {50 132\r\n}
see "prompt" $prompt
send "exit\r"
see "echo" "exit\r\n"
see "respawn" $prompt
EXP
CONSOLE=$WORK/vm/console expect -f "$WORK/shell.exp" > "$WORK/seen" 2>&1
sed 's/^/# /' "$WORK/seen"
has()
{
	grep -qx "ok $1" "$WORK/seen"
}
ok "a prompt comes with berth.shell" has prompt
ok "the shell's terminal is the serial line" has tty
ok "^Z stops a program" has stop
ok "fg continues it" has fg
ok "^C ends it" has status
ok "the terminal's size is asked and set" has size
ok "after exit there is another shell" has respawn
vm_kill
wait
ok "a node without berth.shell runs" test -e "$WORK/quiet/done"
is "it has no shell process" "$(cat "$WORK/shells" 2>&1)" ""
is "and gives no prompt in 60 s" "$(grep -aE 'berth:|# $|sh-' "$WORK/quiet/console.log")" ""
done_testing
