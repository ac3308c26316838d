#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The streaming server against an independent client, without a node: execs
# are processes of this machine.
. "$(dirname "$0")/../tap.sh"
limit=16384
# what is freed is kept for a while
sanitized && limit=262144 && export ASAN_OPTIONS=quarantine_size_mb=16

client=$TOP/tests/peers/cri-stream.py
command -v python3 > /dev/null || skip_all "python3 is missing"
coproc server { exec "$BUILD/tests/stream_server" 2> "$WORK/server.log"; }
to=${server[1]} from=${server[0]} pid=$server_PID
at_exit "kill $pid 2> /dev/null"

# url WORD...: asks the server for a URL
url()
{
	local IFS=$'\t'
	printf '%s\n' "$*" >&"$to"
	IFS= read -r -t 5 REPLY <&"$from"
	printf '%s' "$REPLY"
}

# run FLAGS CLIENT-ARGUMENTS... -- CMD...: an exec; out, err and status are set
run()
{
	local flags=$1 args=() u
	shift
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	u=$(url exec "$flags" "$@")
	status=0
	python3 "$client" exec "$u" --timeout 20 "${args[@]}" > "$WORK/out" 2> "$WORK/err" || status=$?
	out=$(tr -d '\0' < "$WORK/out") err=$(cat "$WORK/err")
}

run oe -- /bin/sh -c 'echo out; echo err >&2; exit 7' < /dev/null
is "stdout arrives" "$out" out
is "stderr arrives apart" "$err" err
is "so does the exit code" "$status" 7
run oe -- /bin/true < /dev/null
is "silence is a success" "$status$out$err" 0
run oe -- /no/such/program < /dev/null
is "a program that does not start is an error" "$status" 125
like "that names it" "$err" "/no/such/program"

for version in v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io; do
	run oe --proto $version -- /bin/sh -c 'echo out; exit 7' < /dev/null
	like "$version: plain text tells the end" "$out $err" "^out .*exit code 7"
done

head -c 3000000 /dev/urandom > "$WORK/big"
run ioe -i -- /bin/cat < "$WORK/big"
ok "three megabytes go through a cat unchanged" cmp "$WORK/big" "$WORK/out"
run ioe -i -- /usr/bin/sort < <(printf 'b\na\n')
is "a half-close ends stdin and nothing else" "$out" $'a\nb'
run ioe -i -- /bin/sh -c 'exec < /dev/null; sleep 0.2; echo done' < "$WORK/big"
is "a program that closes its stdin is not in the way" "$status$out" 0done
run oe --flush full -- /bin/echo full < /dev/null
is "blocks flushed in full are read" "$out" full

# what the program leaves behind keeps stdout open: the end is told all the same
begin=$SECONDS
run oe -- /bin/sh -c 'echo first; sleep 15 & exit 3' < /dev/null
is "the exit is told though a grandchild holds stdout" "$status$out" 3first
ok "and soon" test $((SECONDS - begin)) -lt 14

u=$(url exec oe /bin/echo once)
python3 "$client" exec "$u" > "$WORK/out" < /dev/null
is "a URL works" "$(cat "$WORK/out")" once
python3 "$client" exec "$u" > "$WORK/out" 2> "$WORK/err" < /dev/null
like "once" "$(cat "$WORK/err")" "404"
python3 "$client" exec "${u%/*}/0123456789abcdef0123456789abcdef" > "$WORK/out" 2> "$WORK/err"
like "another token is unknown" "$(cat "$WORK/err")" "404"
run oe --proto v9.channel.k8s.io -- /bin/echo x < /dev/null
like "an unknown protocol is refused" "$err" "403"

run oe --ws v4.channel.k8s.io -- /bin/sh -c 'echo out; echo err >&2; exit 7' < /dev/null
is "websocket v4: output and exit code" "$status $out $err" "7 out err"
run ioe -i --ws v5.channel.k8s.io -- /bin/cat < "$WORK/big"
ok "websocket v5: three megabytes through a cat" cmp "$WORK/big" "$WORK/out"
is "websocket v5: closing stdin ends the cat" "$status" 0

# port forwards, to a server of this machine
python3 - "$WORK/port" <<'PY' &
import socket, sys, threading
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(16)
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
def one(c):
    d = b""
    while True:
        x = c.recv(65536)
        if not x: break
        d += x
    c.sendall(d[::-1]); c.close()
while True:
    threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()
PY
echo_pid=$!
at_exit "kill $echo_pid 2> /dev/null"
wait_for 5 test -s "$WORK/port"
port=$(cat "$WORK/port")
u=$(url portforward)
is "a forward carries both ways, with a half-close" \
	"$(printf hello | python3 "$client" forward "$u" "$port" --timeout 20)" olleh
u=$(url portforward)
is "so it does inside a websocket" \
	"$(printf hello | python3 "$client" forward "$u" "$port" --timeout 20 --ws SPDY/3.1+portforward.k8s.io)" olleh
u=$(url portforward)
python3 "$client" forward "$u" 1 --timeout 20 > "$WORK/out" 2> "$WORK/err" < /dev/null
like "a closed port is told on the error stream" "$(cat "$WORK/err")" "port 1: .*refused"

# neither a client that does not read nor a program that does not read fills our memory
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
u=$(url exec oe /usr/bin/yes)
python3 "$client" exec "$u" --timeout 30 > /dev/null 2>&1 < /dev/null &
reader=$!
sleep 0.5
kill -STOP $reader
sleep 1
full=$(rss)
ok "a client that stops reading holds its program ($full kB)" test "$full" -lt $limit
kill -KILL $reader
wait $reader 2> /dev/null
u=$(url exec ioe /bin/sleep 30)
python3 "$client" exec "$u" -i --timeout 2 > /dev/null 2>&1 < <(head -c 60000000 /dev/zero)
ok "a program that does not read holds its client ($(rss) kB)" test "$(rss)" -lt $limit
u=$(url exec oe /bin/echo alive)
is "and others go on" "$(python3 "$client" exec "$u" --timeout 20 < /dev/null)" alive

# nothing stays behind
before=$(ls "/proc/$pid/fd" | wc -l)
for i in 1 2 3 4 5 6 7 8; do
	u=$(url exec ioe /bin/cat)
	python3 "$client" exec "$u" -i --timeout 0.5 > /dev/null 2>&1 < <(sleep 1) || true
done
calm()
{
	[ "$(ls "/proc/$pid/fd" | wc -l)" -le "$before" ] && ! pgrep -P "$pid" > /dev/null
}
ok "clients that went away leave no process and no descriptor" wait_for 10 calm

done_testing
