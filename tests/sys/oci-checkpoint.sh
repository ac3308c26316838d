#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-oci checkpoint and restore before and behind criu: what it is asked, in what
# surroundings, and what an error leaves. A script stands for criu;
# tests/vm/checkpoint.sh has the real one.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

mkdir -p "$root" "$WORK/images"
is "callers ask for the verb by its help" "$(oci checkpoint --help; oci restore --help)" "usage: berth-oci checkpoint [OPTIONS] ID
usage: berth-oci restore [OPTIONS] ID"
bundle a '.process.args = ["sleep", "1000"] |
	.mounts += [{ destination: "/vol", type: "bind", source: "volume", options: ["rbind"] }]'
mkdir "$WORK/a/volume"
oci run --detach --bundle "$WORK/a" a < /dev/null > /dev/null 2>&1
pid=$(oci state a | jq .pid)

mount -t tmpfs none /usr/local/sbin
mount -t tmpfs none /usr/local/bin
for file in /usr/sbin/criu /usr/bin/criu; do
	[ ! -e $file ] || mount --bind /dev/null $file
done
like "without criu a checkpoint says so" "$(oci checkpoint --image-path "$WORK/images" a 2>&1; echo $?)" 'checkpoint: criu is not installed here: .*1$'
like "and a restore" "$(oci restore --image-path "$WORK/images" --bundle "$WORK/a" b 2>&1; echo $?)" 'restore: criu is not installed here: .*1$'
is "features says that it is not there" "$(oci features | jq -r '.annotations["org.opencontainers.runc.checkpoint.enabled"]')" false

cat > /usr/local/sbin/criu << SH
#!/bin/sh
{ echo "\$@"; env; ls /proc/self/fd; cat /proc/self/cgroup; ls -d $WORK/a/rootfs/vol; grep -c $WORK /proc/self/mountinfo; } > $WORK/asked
echo "(00.1) Error (criu/x.c:1): the cause" > $WORK/images/dump.log
cp $WORK/images/dump.log $WORK/images/restore.log
echo "(00.2) Error (criu/x.c:2): Dumping FAILED." >> $WORK/images/dump.log
[ ! -e $WORK/good ] && exit 1
[ \$1 != restore ] || { (exec 0< /dev/null > /dev/null 2>&1; exec sleep 1000) & echo \$! > $WORK/images/restore.pid; }
exit 0
SH
chmod +x /usr/local/sbin/criu
is "features says that it is" "$(oci features | jq -r '.annotations["org.opencontainers.runc.checkpoint.enabled"]')" true
out=$(SECRET=1 oci checkpoint --image-path "$WORK/images" --tcp-established --ext-unix-sk --shell-job --file-locks --leave-running a 2>&1)
like "a criu that fails is named with its error and its log" "$out" \
	"berth-oci: checkpoint of a: criu dump: exit status 1: Error \(criu/x.c:1\): the cause \($WORK/images/dump.log\)"
like "the end of the log is shown" "$out" 'the cause.*Dumping FAILED'
is "the container is unchanged" "$(oci state a | jq -r '.status, .pid' | tr '\n' ' ')" "running $pid "
asked=$(cat "$WORK/asked")
for word in "^dump " "--images-dir=$WORK/images " "--tree=$pid " "--tcp-established" "--ext-unix-sk" "--shell-job" "--file-locks" \
	"--leave-running" "--manage-cgroups=ignore" "--freeze-cgroup=/sys/fs/cgroup/test/a " "--network-lock=nftables" \
	"--external=mnt\[/vol\]:/vol"; do
	ok "it is asked $word" grep -q -e "$word" <<< "$asked"
done
is "its environment is a PATH alone" "$(grep -E '^[A-Za-z_]+=' <<< "$asked" | cut -d= -f1 | grep -v -e PWD -e OLDPWD -e _ -e SHLVL)" PATH
is "it has no other descriptors" "$(sed -n '/^[0-9]*$/p' <<< "$asked" | head -n 4 | tr '\n' ' ')" "0 1 2 3 "
is "what its stdio was is noted" "$(jq -c . "$WORK/images/descriptors.json")" '["/dev/null","/dev/null","/dev/null"]'
for bad in "--manage-cgroups-mode x:is unknown" "--empty-ns x:is not network" "--lazy-pages:not implemented"; do
	like "${bad%%:*} is refused" "$(oci checkpoint --image-path "$WORK/images" ${bad%%:*} a 2>&1)" "${bad#*:}"
done
touch "$WORK/good"
is "a checkpoint leaves it when asked" "$(oci checkpoint --image-path "$WORK/images" --leave-running a 2>&1; oci list -q)" a
is "a pre-dump leaves it" "$(oci checkpoint --image-path "$WORK/images" --pre-dump a 2>&1; oci list -q; cut -d' ' -f1 "$WORK/asked" | head -n 1)" "a
pre-dump"
is "else it is gone" "$(oci checkpoint --image-path "$WORK/images" a 2>&1; oci list -q; find /sys/fs/cgroup/test -mindepth 1 -type d)" ""
like "what is not there has no checkpoint" "$(oci checkpoint a 2>&1)" 'container "a" does not exist'

rmdir "$WORK/a/rootfs/vol"
is "a restore" "$(oci restore --image-path "$WORK/images" --bundle "$WORK/a" --detach --pid-file "$WORK/pid" b < /dev/null 2>&1; oci state b | jq -r .status)" running
asked=$(cat "$WORK/asked")
is "is in the container's cgroup, which is its root" "$(grep '^0::' <<< "$asked")" "0::/"
like "with the place of its volume made" "$asked" "$WORK/a/rootfs/vol"
for word in "^restore " "--restore-detached" "--root=$WORK/a/rootfs" "--external=mnt\[/vol\]:$WORK/a/volume " \
	"--external=mnt\[/proc/kcore\]:/dev/null"; do
	ok "it is asked $word" grep -q -e "$word" <<< "$asked"
done
is "the mounts for it are its own" "$(grep -c "$WORK/a" /proc/self/mountinfo)" 0
is "its process is the container's" "$(oci state b | jq .pid)" "$(cat "$WORK/pid")"
is "as its cgroup says" "$(cat /sys/fs/cgroup/test/a/cgroup.procs)" "$(cat "$WORK/pid")"
oci delete --force b
rm "$WORK/good"
like "one that fails" "$(oci restore --image-path "$WORK/images" --bundle "$WORK/a" --detach b 2>&1)" \
	"berth-oci: restore: criu restore: exit status 1: Error \(criu/x.c:1\): the cause"
is "leaves nothing" "$(oci list -q; find /sys/fs/cgroup/test -mindepth 1 -type d)" ""
like "without an image there is none" "$(oci restore --image-path "$WORK/none" --bundle "$WORK/a" b 2>&1)" 'No such file'
like "nor with a console socket" "$(oci restore --console-socket x b 2>&1)" 'console-socket: restore with a terminal'
rmdir /sys/fs/cgroup/test
done_testing
