#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci with bundles of our own: what a container sees, what a bad bundle
# gets, what is left. Busybox inside and the host's /proc outside decide.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
command -v busybox > /dev/null && command -v jq > /dev/null || skip_all "busybox or jq is missing"
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

root=$WORK/state
oci()
{
	"$BUILD/runtime/berth-oci" --root "$root" "$@"
}

mkdir -p "$root"
run . true > /dev/null
snapshot > "$WORK/before"

# what the container sees -----------------------------------------------------

status=$(run . 'cat /proc/self/status')
like "a seccomp filter is in force" "$status" $'Seccomp:\t2'
like "no_new_privs is set" "$status" $'NoNewPrivs:\t1'
like "the bounding set is exactly what was given" "$status" $'CapBnd:\t00000000a80425fb'
like "the permitted set too" "$status" $'CapPrm:\t00000000a80425fb'
like "nothing is inheritable" "$status" $'CapInh:\t0000000000000000'
like "nothing is ambient" "$status" $'CapAmb:\t0000000000000000'
like "without no_new_privs the filter is there as well" \
	"$(run '.process.noNewPrivileges = false' 'grep -E "Seccomp:|NoNewPrivs" /proc/self/status | tr -d "\n\t"')" \
	'NoNewPrivs:0Seccomp:2'
like "a user without capabilities has none, and the filter" \
	"$(run '.process.noNewPrivileges = false | .process.user = { uid: 1000, gid: 1000 } |
		del(.process.capabilities)' 'id; grep -E "CapEff|CapBnd|Seccomp:" /proc/self/status | tr -d "\n\t"')" \
	'uid=1000\(user\) gid=1000.*CapEff:0+CapBnd:0+Seccomp:2'
is "groups are those given" "$(run '.process.user = { uid: 1000, gid: 1000,
	additionalGids: [5, 6] }' 'id -G')" "1000 5 6"
is "an ambient capability reaches a user's process" \
	"$(run '.process.user.uid = 1000 | .process.capabilities.inheritable = ["CAP_KILL"] |
		.process.capabilities.ambient = ["CAP_KILL"]' 'grep CapEff /proc/self/status')" \
	$'CapEff:\t0000000000000020'
like "/proc/sys is read-only" "$(run . 'echo x > /proc/sys/kernel/hostname')" 'Read-only file system'
like "/proc/irq is read-only" "$(run . 'echo 3 > /proc/irq/default_smp_affinity')" 'Read-only file system'
is "masked files are empty" "$(run . 'cat /proc/keys /proc/timer_list')" ""
is "masked folders are empty" "$(run . 'ls /sys/firmware')" ""
like "masked folders take nothing" "$(run . 'touch /sys/firmware/x')" 'Read-only file system'
like "a system call outside of the profile is refused" "$(run . 'mount -t tmpfs x /tmp')" \
	'Operation not permitted|permission denied'
like "devices outside of the list are refused" \
	"$(run . 'mknod /tmp/d c 1 1 && cat /tmp/d')" 'Operation not permitted'
is "usual devices work" "$(run . 'echo x > /dev/null; head -c 4 /dev/zero | wc -c; stat -c %a /dev/null')" \
	"$(printf '4\n666')"
is "a rootfs asked to be read-only is" \
	"$(run '.root.readonly = true' 'touch /x 2>&1 | grep -c Read-only; touch /dev/shm/y && echo shm')" \
	"$(printf '1\nshm')"
is "the hostname is the container's" "$(run . hostname)" berth
is "the first process is process 1" "$(run . 'exec sh -c "echo \$\$"')" 1
is "the cgroup is the root that is seen" "$(run . 'cat /proc/self/cgroup | grep ^0:')" "0::/"
is "loopback is up" "$(run . 'ping -c 1 -W 2 127.0.0.1 | grep -c "1 packets received"')" 1
is "no descriptor but the three is open" "$(run . 'ls /proc/self/fd | tr "\n" " "')" "0 1 2 3 "
is "nothing of the host is mounted" "$(run . 'cut -d" " -f5 /proc/self/mountinfo | grep -vE "^/(proc|sys|dev)"')" /
is "HOME comes from the passwd file" "$(run '.process.user.uid = 1000' 'echo $HOME')" /home/user
is "of variables with one name the last one is handed on, where it stands" \
	"$(run '.process.env += ["A=1", "AB=2", "A=3", "=", "NONE", "NONE", "A=", "B=1"]' 'tr "\0" " " < /proc/self/environ; echo')" \
	"PATH=/bin TERM=xterm AB=2 = NONE NONE A= B=1 HOME=/root "
is "of many too, in time" \
	"$(run '.process.env += [range(65000) | "V\(. % 60000)=\(.)"]' 'tr "\0" "\n" < /proc/self/environ > /e
		wc -l < /e; grep -E "^V(0|4999|5000|59999)=" /e | tr "\n" " "')" \
	"$(printf '60003\nV5000=5000 V59999=59999 V0=60000 V4999=64999 ')"
is "the umask is what was given" "$(run '.process.user.umask = 63' umask)" 0077
is "limits are set" "$(run '.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 99 }]' \
	'ulimit -n; ulimit -Hn')" "$(printf '77\n99')"
is "the working folder is made" "$(run '.process.cwd = "/made/here"' pwd)" /made/here
is "oom_score_adj is set" "$(run '.process.oomScoreAdj = 321' 'cat /proc/self/oom_score_adj')" 321
is "sysctls are those of its namespaces" \
	"$(run '.linux.sysctl = { "net.ipv4.ip_forward": "1", "kernel.msgmax": "7777" }' \
		'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax')" "$(printf '1\n7777')"
isnt=$(cat /proc/sys/kernel/msgmax)
like "and not the host's" "$isnt" '^8192$'

# mounts ----------------------------------------------------------------------

mkdir -p "$WORK/volume/sub"
echo hello > "$WORK/volume/file"
volume="{ destination: \"/vol\", type: \"bind\", source: \"$WORK/volume\" }"
is "a bind mount is seen" "$(run ".mounts += [$volume + { options: [\"rbind\"] }]" 'cat /vol/file')" hello
like "a read-only one is" "$(run ".mounts += [$volume + { options: [\"rbind\", \"ro\"] }]" \
	'echo x > /vol/file')" 'Read-only'
mount -t tmpfs sub "$WORK/volume/sub"
is "read-only stops at a mount below" \
	"$(run ".mounts += [$volume + { options: [\"rbind\", \"ro\"] }]" 'touch /vol/sub/x && echo made')" made
like "recursively it does not" \
	"$(run ".mounts += [$volume + { options: [\"rbind\", \"rro\"] }]" 'touch /vol/sub/x')" 'Read-only'
umount "$WORK/volume/sub"
is "a file can be mounted onto a new file" \
	"$(run ".mounts += [{ destination: \"/new/dir/f\", source: \"$WORK/volume/file\",
		options: [\"bind\"] }]" 'cat /new/dir/f')" hello
ln -sfn ../run/link/target "$WORK/inside/rootfs/etc/resolv.conf"
is "a link to nowhere is followed inside" \
	"$(run ".mounts += [{ destination: \"/etc/resolv.conf\", source: \"$WORK/volume/file\",
		options: [\"bind\"] }]" 'cat /run/link/target')" hello
rm "$WORK/inside/rootfs/etc/resolv.conf"
like "options reach the file system" \
	"$(run '.mounts += [{ destination: "/t", type: "tmpfs", source: "t",
		options: ["nosuid", "size=64k", "mode=700"] }]' 'grep " /t " /proc/self/mountinfo')" \
	'nosuid.*size=64k,mode=700'
mkdir -p "$WORK/inside/rootfs/up/d"
echo up > "$WORK/inside/rootfs/up/d/f"
ln -s d/f "$WORK/inside/rootfs/up/l"
chmod 2750 "$WORK/inside/rootfs/up/d"
chown 3:4 "$WORK/inside/rootfs/up/d/f"
is "a tmpfs can begin with what it hides" \
	"$(run '.mounts += [{ destination: "/up", type: "tmpfs", options: ["tmpcopyup", "ro"] }]' \
		'cat /up/l; stat -c "%a %u %g %F" /up/d /up/d/f; touch /up/x 2>&1 | grep -c Read-only')" \
	"$(printf 'up\n2750 0 0 directory\n644 3 4 regular file\n1')"
mount --make-shared -t tmpfs shared "$WORK/volume/sub"
like "propagation is what was asked for" \
	"$(run ".mounts += [$volume + { source: \"$WORK/volume/sub\", options: [\"rbind\", \"rshared\"] }]" \
		'grep " /vol " /proc/self/mountinfo')" 'shared:'
like "and receives without sending when nothing was" \
	"$(run ".mounts += [$volume + { source: \"$WORK/volume/sub\", options: [\"rbind\"] }]" \
		'grep " /vol " /proc/self/mountinfo')" 'master:'
umount "$WORK/volume/sub"

# life ------------------------------------------------------------------------

is "the exit code is the program's" "$(run . 'exit 42'; echo $?)" 42
is "a signal is told as 128 and it" "$(run '.linux.namespaces |= map(select(.type != "pid"))' 'kill -9 $$'; echo $?)" 137
bundle c '.process.args = ["sh", "-c", "trap \"echo term; exit 3\" TERM; echo up; while :; do sleep 0.1; done"]'
mkfifo "$WORK/fifo"
oci create --bundle "$WORK/c" --pid-file "$WORK/pid" c > "$WORK/out" 2>&1 < /dev/null
is "created is told" "$(oci state c | jq -r .status)" created
is "the program does not run before the start" "$(cat "$WORK/out")" ""
is "the pid file names the process" "$(oci state c | jq .pid)" "$(cat "$WORK/pid")"
like "an id is taken once" "$(oci create --bundle "$WORK/c" c 2>&1)" 'container with id exists: c'
like "a cgroup with processes is not taken" "$(oci create --bundle "$WORK/c" other 2>&1)" \
	'cgroup /test/c has processes'
oci start c
wait_for 5 grep -q up "$WORK/out"
is "running is told" "$(oci state c | jq -r .status)" running
like "it starts once" "$(oci start c 2>&1)" 'cannot start a container that is running'
is "exec runs beside it" "$(oci exec c sh -c 'echo $$ | grep -qv "^1$" && cat /proc/1/comm')" sh
is "its exit code is told" "$(oci exec c sh -c 'exit 7'; echo $?)" 7
like "it has the container's confinement" \
	"$(oci exec c sh -c 'grep -E "Seccomp:|CapBnd|CapInh|NoNew" /proc/self/status | tr -d "\n\t"')" \
	'CapInh:0+CapBnd:00000000a80425fbNoNewPrivs:1Seccomp:2'
is "and no descriptor of ours" "$(oci exec c sh -c 'ls /proc/self/fd | tr "\n" " "')" "0 1 2 3 "
like "a missing program is named" "$(oci exec c nosuch 2>&1)" 'exec: "nosuch": executable file not found in \$PATH'
is "and its exit code is 255" "$(oci exec c nosuch 2> /dev/null; echo $?)" 255
like "a missing file too" "$(oci exec c /no/such 2>&1)" 'exec /no/such: No such file or directory'
is "user, environment and folder can be given" \
	"$(oci exec --user 1000:7 -e A=b --cwd /tmp c sh -c 'id -u; id -g; echo $A; pwd' | tr '\n' ' ')" \
	"1000 7 b /tmp "
is "a variable of the container's too" "$(oci exec -e TERM=x -e TERM=y c sh -c 'tr "\0" "\n" < /proc/$$/environ | grep TERM')" TERM=y
for user in -1 +0 0x0 1: :1 1:2:3 4294967295 4294967296 99999999999999999999 root; do
	like "user $user is refused" "$(oci exec --user "$user" c id 2>&1)" 'is not UID or UID:GID'
done
jq '.process | .args = ["sh", "-c", "echo $$; sleep 1000"]' "$WORK/c/config.json" > "$WORK/process"
oci exec --process "$WORK/process" --detach --pid-file "$WORK/exec.pid" c > "$WORK/exec.out" 2>&1
ok "a detached one runs on" kill -0 "$(cat "$WORK/exec.pid")"
ok "ps names the host's pids" jq -e --argjson exec "$(cat "$WORK/exec.pid")" 'index($exec) != null' \
	<<< "$(oci ps --format json c)"
oci pause c
is "paused is told" "$(oci state c | jq -r .status)" paused
like "nothing is run in a paused one" "$(oci exec c id 2>&1)" 'cannot exec in a paused container'
oci resume c
like "a running one is not deleted" "$(oci delete c 2>&1)" 'cannot delete container c that is not stopped: running'
oci kill c TERM
ok "a signal reaches it" wait_for 5 grep -q term "$WORK/out"
wait_for 5 sh -c "$BUILD/runtime/berth-oci --root $root state c | grep -q stopped"
is "stopped is told" "$(oci state c | jq -r .status,.pid | tr '\n' ' ')" "stopped 0 "
like "kill says why it does not" "$(oci kill c KILL 2>&1)" 'container not running'
ok "delete ends it" oci delete c
like "then there is none" "$(oci state c 2>&1)" 'container "c" does not exist'
ok "delete by force does not mind" oci delete --force c

bundle c '.linux.namespaces |= map(select(.type != "pid")) |
	.process.args = ["sh", "-c", "sleep 1000 & exit 0"]'
oci run --detach --bundle "$WORK/c" c > /dev/null 2>&1 < /dev/null
wait_for 5 sh -c "$BUILD/runtime/berth-oci --root $root state c | grep -q stopped"
like "what a dead one without a pid namespace left can be listed" "$(oci ps c)" sleep
ok "and killed" oci kill --all c KILL
ok "so that its cgroup is empty" wait_for 5 grep -q 'populated 0' /sys/fs/cgroup/test/c/cgroup.events
oci delete c
bundle c '.process.args = ["/no/such"]'
like "create tells that the program is not there" "$(oci create --bundle "$WORK/c" c 2>&1 < /dev/null)" \
	'exec /no/such: No such file or directory'
for program in /etc/passwd /etc ./etc/passwd ../etc bin/../etc/passwd; do
	bundle c ".process.args = [\"$program\"]"
	like "or that $program is none" "$(oci create --bundle "$WORK/c" c 2>&1 < /dev/null)" \
		"exec $program: Permission denied"
done
bundle c '.process.args = ["./no/such"] | .process.cwd = "/bin"'
like "nor is one from the working folder" "$(oci create --bundle "$WORK/c" c 2>&1 < /dev/null)" \
	'exec ./no/such: No such file or directory'
is "which is one when it is there" "$(run '.process.cwd = "/bin" | .process.args[0] = "./sh"' 'echo ran')" ran
printf '#!/no/such\n' > "$WORK/c/rootfs/script"
chmod +x "$WORK/c/rootfs/script"
bundle c '.process.args = ["/script"]'
oci create --bundle "$WORK/c" c > /dev/null 2>&1 < /dev/null
like "start tells why the program does not run" "$(oci start c 2>&1)" 'exec /script: No such file or directory'
ok "and the rest is deleted" oci delete c
bundle c '.process.args = ["sleep", "1000"]'
oci create --bundle "$WORK/c" c > /dev/null 2>&1 < /dev/null
ok "one that was never started is deleted" oci delete c
is "all of this left nothing" "$(find /sys/fs/cgroup/test -mindepth 1 -type d; ls "$root")" ""

# terminal --------------------------------------------------------------------

bundle t '.process.terminal = true | .process.consoleSize = { height: 33, width: 99 } |
	.process.args = ["sh", "-c", "tty; stty size; test -c /dev/console && echo console; ls -l /dev/console | wc -l; sleep 1000"]'
like "without a socket there is no terminal to detach from" \
	"$(oci create --bundle "$WORK/t" t 2>&1)" 'without setting console socket'
python3 - "$WORK/console" > "$WORK/console.out" << 'PY' &
import array, os, select, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1]); s.listen(1); c, _ = s.accept()
_, anc, _, _ = c.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array('i', anc[0][2][:4])[0]
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data); sys.stdout.flush()
PY
wait_for 5 test -S "$WORK/console"
oci create --bundle "$WORK/t" --console-socket "$WORK/console" t < /dev/null > /dev/null
oci start t
wait_for 5 grep -q '^1' "$WORK/console.out"
is "the console is a terminal of the container" "$(tr -d '\r' < "$WORK/console.out" | tr '\n' ' ')" \
	"/dev/pts/0 33 99 console 1 "
like "exec has one too" "$(oci exec -t t sh -c 'tty; test -t 0 && test -t 1 && echo yes' < /dev/null)" \
	'/dev/pts/1.*yes'
oci delete --force t
bundle t '.process.terminal = true | .process.args = ["sh", "-c", "echo one; echo two"]'
is "run relays it, without doubled returns" "$(oci run --bundle "$WORK/t" t < /dev/null | od -An -c | tr -d ' \n')" \
	'one\ntwo\n'

# hooks -----------------------------------------------------------------------

cat > "$WORK/hook" << 'SH'
#!/bin/sh
echo "$1 $(jq -r .status) $(readlink /proc/self/ns/mnt | md5sum | cut -c1-4)" >> "$2"
exit ${3-0}
SH
chmod +x "$WORK/hook"
hook()
{
	echo "[{ path: \"$WORK/hook\", args: [\"hook\", \"$1\", \"$WORK/hooks\"], env: [\"PATH=$PATH\"] }]"
}
bundle h ".hooks = { prestart: $(hook prestart), createRuntime: $(hook createRuntime),
	createContainer: $(hook createContainer), poststart: $(hook poststart), poststop: $(hook poststop),
	startContainer: [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat > /hooked\"] }] } |
	.process.args = [\"cat\", \"/hooked\"]"
rm -f "$WORK/hooks"
like "hooks in the container get its state" "$(oci run --bundle "$WORK/h" h < /dev/null)" '"status":"created","pid":1'
is "each runs once, in order, with its state" "$(cut -d' ' -f1,2 "$WORK/hooks" | tr '\n' ';')" \
	'prestart creating;createRuntime creating;createContainer creating;poststart running;poststop stopped;'
is "createContainer's namespace is another" "$(cut -d' ' -f3 "$WORK/hooks" | sort -u | wc -l)" 2
for kind in prestart createRuntime createContainer startContainer poststart; do
	bundle h ".hooks = { $kind: [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"true\"] },
		{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"echo broken >&2; exit 9\"] }] }"
	like "a failing $kind hook is told" "$(oci run --bundle "$WORK/h" h 2>&1 < /dev/null)" \
		"^berth-oci: error running $kind hook #1: /bin/sh: exit status 9: broken"
done
bundle h '.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1 }] }'
like "one that takes too long too" "$(oci run --bundle "$WORK/h" h 2>&1 < /dev/null)" 'not done in 1 s'

# where KIND FILE [ENV]: writes its kind, its folder and X
where()
{
	echo "{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"echo $1 \$(pwd -P) \$X >> $2\"] ${3:+, env: $3} }"
}
# where_hooks OUTER INNER ENV: what hooks with this env (or none) tell
where_hooks()
{
	local kind hooks=
	for kind in prestart createRuntime createContainer poststart poststop; do
		hooks="$hooks $kind: [$(where $kind "$WORK/where" "$3")],"
	done
	bundle w ".process.cwd = \"/home\" | .process.env += [\"X=inside\"] |
		.hooks = { $hooks startContainer: [$(where startContainer /where "$3")] }"
	rm -f "$WORK/where" "$WORK/w/rootfs/where"
	X=outside oci run --bundle "$WORK/w" w < /dev/null > "$WORK/out" 2>&1
	is "hooks of the host run in the bundle or the rootfs, with env ${3:-of berth-oci}" "$(tr '\n' ';' < "$WORK/where")" \
		"$(printf '%s;' "prestart $WORK/w$1" "createRuntime $WORK/w$1" "createContainer $WORK/w/rootfs$1" \
			"poststart $WORK/w$1" "poststop $WORK/w$1")"
	is "startContainer's in process.cwd, with env ${3:-of the process}" "$(cat "$WORK/w/rootfs/where")" "startContainer /home$2"
}
where_hooks " outside" " inside" ""
where_hooks "" "" "[]"
where_hooks " own" " own" '["X=own"]'
bundle w ".hooks.poststop = [$(where poststop "$WORK/where")] | .root.path = \"$WORK/w.rootfs\""
rm -f "$WORK/where"
mv "$WORK/w/rootfs" "$WORK/w.rootfs"
oci run --detach --bundle "$WORK/w" w < /dev/null > "$WORK/out" 2>&1
rm -r "$WORK/w"
oci delete --force w
is "without the bundle poststop hooks run in the root" "$(cat "$WORK/where")" "poststop /"

# undone HOOKS [FILTER]: a create that fails, what poststop was told, and what is left
undone()
{
	rm -f "$WORK/stopped"
	bundle f ".hooks = { $1, poststop: [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat >> $WORK/stopped\"] }] }${2:+ | $2}"
	oci create --bundle "$WORK/f" f < /dev/null > "$WORK/out" 2>&1
	echo "$? $(jq -r '.id + " is " + .status' "$WORK/stopped" 2>&1) $(find /sys/fs/cgroup/test/f 2> /dev/null)"
	oci delete --force f
}
for kind in prestart createRuntime createContainer; do
	is "poststop hooks follow a failing $kind hook" \
		"$(undone "$kind: [{ path: \"/bin/true\" }, { path: \"/bin/false\" }]")" "1 f is stopped "
	is "and what fails behind a $kind hook" \
		"$(undone "$kind: [{ path: \"/bin/true\" }]" '.process.args = ["/no/such"]')" "1 f is stopped "
	like "but not what fails before it" \
		"$(undone "$kind: [{ path: \"/bin/true\" }]" '.root.path = "nosuch"')" "^1 jq: .*stopped: No such file[^/]*$"
done
is "they follow one that takes too long" \
	"$(undone 'createRuntime: [{ path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1 }]')" "1 f is stopped "

for kind in startContainer poststart; do
	rm -f "$WORK/stopped"
	bundle f ".process.args = [\"sleep\", \"1000\"] | .hooks = { $kind: [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"exit 7\"] }],
		poststop: [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat >> $WORK/stopped\"] }] }"
	oci create --bundle "$WORK/f" f < /dev/null > /dev/null 2>&1
	like "a $kind hook that fails fails the start" "$(oci start f 2>&1; echo $?)" \
		"^berth-oci: error running $kind hook #0: /bin/sh: exit status 7.*1$"
	is "and is the end of the container" "$(oci state f 2>&1; oci list -q; find /sys/fs/cgroup/test/f 2> /dev/null)" \
		'berth-oci: container "f" does not exist: No such file or directory'
	is "with its poststop hooks" "$(jq -r '.id + " is " + .status' "$WORK/stopped")" "f is stopped"
done

# as_user FILTER SCRIPT: what a startContainer hook writes, where a user may
as_user()
{
	bundle u "$1 | .process.user = { uid: 1000, gid: 1001, umask: 63, additionalGids: [5] } | .process.args = [\"cat\", \"/tmp/hooked\"] |
		.hooks.startContainer = [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"exec > /tmp/hooked 2>&1; $2\"] }]"
	rm -rf "$WORK/u/rootfs/tmp"
	mkdir -m 1777 "$WORK/u/rootfs/tmp"
	oci run --bundle "$WORK/u" u < /dev/null 2>&1
}
rights='id; umask; grep -E \"CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp:\" /proc/self/status | tr -d \"\\n\\t\"'
nobody='uid=1000\(user\) gid=1001 groups=5.0077.CapPrm:0+CapEff:0+CapBnd:0+'
like "a startContainer hook has the rights of the process: without capabilities" \
	"$(as_user 'del(.process.capabilities)' "$rights")" "$nobody"'NoNewPrivs:1Seccomp:2$'
like "without no_new_privs the filter as well" \
	"$(as_user 'del(.process.capabilities) | .process.noNewPrivileges = false' "$rights")" "$nobody"'NoNewPrivs:0Seccomp:2$'
like "with those that it was given" \
	"$(as_user '.process.capabilities |= (.inheritable = ["CAP_KILL"] | .ambient = ["CAP_KILL"])' "$rights")" \
	'CapPrm:0000000000000020CapEff:0000000000000020CapBnd:00000000a80425fbNoNewPrivs:1Seccomp:2$'
is "with the limits of the process" "$(as_user '.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 99, hard: 99 }]' 'ulimit -Hn')" 99
is "and with no descriptor beside 0, 1 and 2" \
	"$(as_user . 'i=3; while [ $i -lt 40 ]; do readlink /proc/self/fd/$i; i=$((i + 1)); done')" ""
is "few may be open" "$(as_user '.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 16, hard: 16 }]' 'echo here')" here
is "process.cwd may be one that the user cannot enter" \
	"$(mkdir -pm 700 "$WORK/u/rootfs/closed"; as_user '.process.cwd = "/closed"' 'echo here')" here
like "a hook that is no program is told of" \
	"$(bundle v '.hooks.startContainer = [{ path: "/no/such" }]'; oci run --bundle "$WORK/v" v 2>&1 < /dev/null)" \
	'startContainer hook #0: /no/such: start /no/such: exec: No such file'

# bad bundles -----------------------------------------------------------------

bad()
{
	local out
	bundle bad "$1"
	out=$(timeout 20 "$BUILD/runtime/berth-oci" --root "$root" run --bundle "$WORK/bad" bad 2>&1 < /dev/null)
	like "refused: $2" "$out" "$2"
}
bad 'del(.ociVersion)' 'ociVersion: missing'
bad '.ociVersion = "2.0"' 'ociVersion: 2.0 is not 1.x'
bad 'del(.root)' 'root: missing'
bad '.root.path = "nosuch"' 'root.path nosuch: No such file'
bad 'del(.process)' 'process: missing'
bad '.process.args = []' 'process.args: empty'
bad '.process.cwd = "x"' 'process.cwd: not absolute'
bad '.process.user.uid = -1' 'process.user.uid: -1 is no whole number'
bad '.process.user.uid = 4294967295' 'process.user.uid: outside of 0 to 4294967294'
bad '.process.rlimits = [{ type: "RLIMIT_X", soft: 1, hard: 1 }]' 'process.rlimits\[0\].type: RLIMIT_X is unknown'
bad '.process.rlimits = [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }]' 'process.rlimits\[0\].soft: above hard'
bad '.process.apparmorProfile = "x"' 'apparmorProfile'
bad '.linux.namespaces += [{ type: "pid" }]' 'linux.namespaces\[6\].type: given twice'
bad '.linux.namespaces += [{ type: "x" }]' 'linux.namespaces\[6\].type: x is unknown'
bad '.linux.namespaces |= map(if .type == "uts" then .path = "/proc/self/ns/net" else . end)' \
	'uts namespace /proc/self/ns/net: of another type'
bad '.linux.namespaces |= map(if .type == "uts" then .path = "/etc/passwd" else . end)' \
	'uts namespace /etc/passwd: not a namespace'
bad '.linux.namespaces |= map(if .type == "network" then .path = "/no/such" else . end)' \
	'network namespace /no/such: No such file'
bad '.linux.namespaces |= map(select(.type != "uts"))' 'hostname: needs a uts namespace'
bad '.linux.cgroupsPath = "/a/../../b"' 'a/../../b is no path for a new cgroup'
bad '.linux.cgroupsPath = "system.slice:x:y"' 'the systemd form is not implemented'
bad '.linux.resources.memory.limit = 1000000' 'cgroup controller memory is missing'
bad '.linux.resources.pids.limit = 10' 'cgroup controller pids is missing'
bad '.linux.resources.devices = [{ allow: true, type: "z" }]' 'linux.resources.devices\[0\].type: z is unknown'
bad '.linux.seccomp.defaultAction = "SCMP_ACT_X"' 'linux.seccomp.defaultAction: SCMP_ACT_X is unknown'
bad '.linux.sysctl = { "kernel.core_pattern": "|x" }' 'sysctl: kernel.core_pattern belongs to no namespace'
bad '.linux.sysctl = { "net.ipv4.nosuch": "1" }' 'sysctl net.ipv4.nosuch'
bad '.linux.sysctl = { "net.ipv4.ip_forward/../../../kernel/hostname": "x" }' 'sysctl'
bad '.linux.rootfsPropagation = "x"' 'rootfsPropagation: x is unknown'
bad '.linux.maskedPaths = ["proc"]' 'maskedPaths\[0\]: not absolute'
bad '.linux.devices = [{ type: "x", path: "/dev/x" }]' 'linux.devices\[0\].type: x is unknown'
bad '.linux.devices = [{ type: "c", path: "/dev/null/x", major: 1, minor: 3 }]' 'devices\[0\]'
bad '.linux.devices = [{ type: "c", path: "/bin/busybox", major: 1, minor: 3 }]' '/bin/busybox is something else'
bad '.mounts += [{ destination: "/x", type: "bind", source: "/no/such" }]' 'mounts\[7\] /x: copy mount /no/such: No such file'
bad '.mounts += [{ destination: "/x", type: "nosuchfs" }]' 'mounts\[7\] /x: mount nosuchfs'
bad '.mounts += [{ destination: "/x", type: "tmpfs", options: ["size=lots"] }]' 'mounts\[7\] /x: mount tmpfs with .*size=lots'
bad '.mounts += [{ destination: "/..", type: "tmpfs" }]' 'mounts\[7\].destination: above the root'
bad '.mounts += [{ destination: "/proc/self/attr", type: "tmpfs" }]' 'nothing may be mounted inside of /proc'
bad '.mounts += [{ destination: "/proc", type: "tmpfs" }]' '/proc takes nothing but procfs'
bad '.hooks = { poststop: [{ path: "x" }] }' 'hooks.poststop\[0\].path: not absolute'
bad '.annotations = { "": "x" }' 'annotations: an empty key'
printf '{"ociVersion":"1.0.0","ociVersion":"1.1.0"}' > "$WORK/bad/config.json"
like "refused: a key twice" "$(oci run --bundle "$WORK/bad" bad 2>&1)" 'config.json: .*twice'
printf '{' > "$WORK/bad/config.json"
like "refused: half a file" "$(oci run --bundle "$WORK/bad" bad 2>&1)" 'ends too early'
like "refused: no bundle" "$(oci run --bundle "$WORK/none" bad 2>&1)" "bundle $WORK/none: No such file"
like "refused: an id with a slash" "$(bundle c .; oci run --bundle "$WORK/c" a/b 2>&1)" 'container id'
is "limits without their controllers can be only warned about" \
	"$(bundle c '.linux.resources.pids.limit = 10'; "$BUILD/runtime/berth-oci" --root "$root" --missing warn \
		run --bundle "$WORK/c" c 2>&1 < /dev/null; echo $?)" \
	"$(printf 'berth-oci: warning: cgroup controller pids is missing: pids.max is not set\n0')"
if (echo -999 > /proc/self/oom_score_adj) 2> /dev/null; then
	skip "a missing capability is an error or a warning" "CAP_SYS_RESOURCE is here"
else
	bundle c '.process.oomScoreAdj = -500 | .process.args = ["echo", "ran"] |
		.process.rlimits = [{ type: "RLIMIT_MEMLOCK", soft: 99999999999, hard: 99999999999 }]'
	like "a missing capability is an error" "$(oci run --bundle "$WORK/c" c 2>&1 < /dev/null)" \
		'process.oomScoreAdj -500: Permission denied'
	like "or a warning" "$("$BUILD/runtime/berth-oci" --root "$root" --missing warn run --bundle "$WORK/c" c 2>&1 < /dev/null)" \
		'oom_score_adj -500 cannot be set without CAP_SYS_RESOURCE.*ran'
fi
like "errors go to the log as JSON" "$(oci --log "$WORK/log" --log-format json run --bundle "$WORK/none" x 2> /dev/null
	jq -r '.level + " " + .msg' "$WORK/log")" "^error bundle $WORK/none: No such file"
like "systemd cgroups are refused" "$(oci --systemd-cgroup list 2>&1)" 'cgroupfs only'

# links in the rootfs ---------------------------------------------------------

for fd in 3 4 5 6 7 8 9 10 11 12; do
	for path in "/proc/self/fd/$fd" "/proc/1/fd/$fd"; do
		bundle c ".process.cwd = \"$path\""
		oci run --bundle "$WORK/c" c > "$WORK/out" 2>&1 < /dev/null
		like "a working folder $path is refused" "$(cat "$WORK/out")" 'process.cwd'
	done
done
rm -rf "$WORK/evil"
bundle evil '.process.args = ["/proc/self/exe"]'
oci run --bundle "$WORK/evil" evil > "$WORK/out" 2>&1 < /dev/null
like "a program that is a magic link is refused" "$(cat "$WORK/out")" 'exec /proc/self/exe'
bundle evil '.process.args = ["proc/self/exe"]'
oci run --bundle "$WORK/evil" evil > "$WORK/out" 2>&1 < /dev/null
like "from the working folder too" "$(cat "$WORK/out")" 'exec proc/self/exe: Too many levels'
printf '#!/proc/self/exe\n' > "$WORK/evil/rootfs/script"
chmod +x "$WORK/evil/rootfs/script"
bundle evil '.process.args = ["/script"] | .process.noNewPrivileges = false'
before=$(md5sum < "$BUILD/runtime/berth-oci")
oci run --bundle "$WORK/evil" evil > "$WORK/out" 2>&1 < /dev/null
is "berth-oci's own file cannot be changed from inside" "$(md5sum < "$BUILD/runtime/berth-oci")" "$before"

# nothing is left -------------------------------------------------------------

rmdir /sys/fs/cgroup/test 2> /dev/null
snapshot > "$WORK/after"
sed -i '/\/test$/d' "$WORK/before"
ok "mounts, cgroups and processes are as before" diff "$WORK/before" "$WORK/after"
is "no container is remembered" "$(oci list -q)" ""
done_testing
