#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Containers that only run `true`, and execs, one after the other by two callers
# at once: none stuck, none failed, no descriptor inside that was not given,
# and no cgroup, mount, process, network namespace or key left.
#
#	tests/sys/oci-soak.sh [CONTAINERS [EXECS]]
#
# ./check runs the short form; the long one is 100000 10000.
# shellcheck disable=SC2016
. "$(dirname "$0")/../tap.sh"
requires busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"

containers=${1:-200} execs=${2:-100}
# the build may go on meanwhile
cp "$BUILD/runtime/berth-oci" "$WORK/berth-oci"
for i in 0 1; do
	# what is inherited beside 0, 1 and 2 is an exit code of its own
	bundle true$i '.process.args = ["true"]'
	bundle look$i '.process.args = ["sh", "-c", "for fd in /proc/self/fd/*; do case ${fd##*/} in [012]) ;; *)
		[ -e $fd ] && exit 9 ;; esac; done; exit 0"]'
done
bundle sleep '.process.args = ["sleep", "1000000"]'
python3 - "$WORK" "$containers" "$execs" << 'PY' > "$WORK/figures"
import os, select, subprocess, sys, tempfile, threading, time

work, containers, execs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
root = f'{work}/state'
os.makedirs(root, exist_ok=True)
counts = dict.fromkeys(('stuck', 'failed', 'descriptors'), 0)
lock = threading.Lock()
look = ['sh', '-c', 'for fd in /proc/self/fd/*; do case ${fd##*/} in [012]) ;; *) [ -e $fd ] && exit 9 ;; esac; done; exit 0']

def oci(*args):
    # no pipe: a container that was made holds its end
    with tempfile.TemporaryFile() as out:
        try:
            r = subprocess.run([f'{work}/berth-oci', '--root', root, *args], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, timeout=120)
        except subprocess.TimeoutExpired:
            what = 'stuck'
        else:
            if r.returncode == 0:
                return True
            what = 'descriptors' if r.returncode == 9 else 'failed'
            out.seek(0)
            print(f'# {args}: {r.returncode}: {out.read()[-300:]}', file=sys.stderr)
    with lock:
        counts[what] += 1
    return False

def stepwise(bundle, id):
    """as containerd does it; a short wait is the caller's"""
    if not oci('create', '--bundle', bundle, '--pid-file', f'{work}/{id}.pid', id):
        return oci('delete', '--force', id)
    pidfd = os.pidfd_open(int(open(f'{work}/{id}.pid').read()))
    try:
        if oci('start', id) and not select.select([pidfd], [], [], 120)[0]:
            with lock:
                counts['stuck'] += 1
    finally:
        os.close(pidfd)
    return oci('delete', id) or oci('delete', '--force', id)

def caller(number):
    for i in range(number, containers, 2):
        kind = 'look' if i % 50 < 2 else 'true'
        bundle, id = f'{work}/{kind}{number}', f'c{i}'
        if i % 10 < 2:
            stepwise(bundle, id)
        else:
            oci('run', '--bundle', bundle, id) or oci('delete', '--force', id)
        if i // 2 % 5000 == 4999:
            print(f'# {i} containers, {time.monotonic() - begin:.0f} s, {counts}', file=sys.stderr)

def execer(number):
    for i in range(number, execs, 2):
        oci('exec', 'sleep', *(look if i % 50 < 2 else ['true']))

def both(work):
    global begin
    begin = time.monotonic()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.monotonic() - begin

def seen():
    mounts = sum(1 for _ in open('/proc/self/mountinfo'))
    cgroups = sum(len(d) for _, d, _ in os.walk('/sys/fs/cgroup'))
    processes, spaces = 0, set()
    for p in filter(str.isdigit, os.listdir('/proc')):
        try:
            spaces.add(os.readlink(f'/proc/{p}/ns/net'))
            processes += 1
        except OSError:
            pass # gone, or a zombie
    return {'descriptors of the caller': len(os.listdir('/proc/self/fd')), 'mounts': mounts,
        'cgroups': cgroups, 'processes': processes, 'network namespaces': len(spaces),
        'states': len(os.listdir(root)), 'keys': sum(1 for _ in open('/proc/keys')) if os.path.exists('/proc/keys') else 0}

def settled(before):
    """what the kernel takes apart later has some time"""
    end = time.monotonic() + 60
    while (after := seen()) != before and time.monotonic() < end:
        time.sleep(0.2)
    return after

# the first makes the folders that stay
oci('run', '--bundle', f'{work}/true0', 'warm')
subprocess.run([f'{work}/berth-oci', '--root', root, 'run', '--detach', '--bundle', f'{work}/sleep', 'sleep'],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
before = seen()
took = both(caller)
print(f'# {containers} containers in {took:.0f} s', file=sys.stderr)
took = both(execer)
print(f'# {execs} execs in {took:.0f} s', file=sys.stderr)
after = settled(before)
inside = [d for d, _, _ in os.walk('/sys/fs/cgroup/test/sleep')][1:]
procs = open('/sys/fs/cgroup/test/sleep/cgroup.procs').read().split()
for name, n in counts.items():
    print(name, n)
for name in before:
    more = after[name] - before[name]
    # those of all of the machine are among the keys
    print(name, 0 if name == 'keys' and more < containers // 100 + 10 else more)
print('in the execs\' container', len(inside) + len(procs) - 1)
PY
is "$containers containers, $execs execs: none is stuck, none failed, nothing is left" "$(grep -v ' 0$' "$WORK/figures"; wc -l < "$WORK/figures")" 11
sed 's/^/# /' "$WORK/figures"
"$WORK/berth-oci" --root "$WORK/state" delete --force sleep
is "no cgroup is left" "$(find /sys/fs/cgroup/test -mindepth 1 -type d)" ""
rmdir /sys/fs/cgroup/test
done_testing
