#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGKILL at every system call of `berth-oci create`, and of the child that
# becomes the container of a `run`. What a killed create leaves must be found by
# `delete --force`; after a killed child run has taken everything back itself.
. "$(dirname "$0")/../tap.sh"
requires strace busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"
strace -o /dev/null true 2> /dev/null || skip_all "strace cannot trace here"

bundle b '.process.args = ["sleep", "1000"]'
bundle t '.process.args = ["true"]'
# born in two stages
bundle u '.process.args = ["true"] | .linux.namespaces += [{ type: "user" }, { type: "time" }] |
	.linux.uidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }] | .linux.gidMappings = .linux.uidMappings |
	.mounts += [{ destination: "/vol", source: "/tmp", options: ["rbind"] }]'
python3 - "$WORK" "$BUILD/runtime/berth-oci" << 'PY'
import collections, os, re, subprocess, sys, time

work, oci = sys.argv[1:]
root = f'{work}/state'
create = [oci, '--root', root, 'create', '--bundle', f'{work}/b', 'k']
delete = [oci, '--root', root, 'delete', '--force', 'k']

def strace(args, command, output=None):
    return subprocess.run(['strace', '-o', output or '/dev/null', *args, *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

def processes():
    return sorted(p for p in os.listdir('/proc') if p.isdigit() and
        not os.path.realpath(f'/proc/{p}/exe').startswith('/usr'))

def left():
    """what is there that was not before"""
    found = [d for d, _, _ in os.walk('/sys/fs/cgroup/test')][1:]
    found += os.listdir(root)
    for p in os.listdir('/proc'):
        try:
            if p.isdigit() and open(f'/proc/{p}/comm').read().strip() in ('sleep', 'berth-oci'):
                if open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0] != 'Z':
                    found.append('process ' + p)
        except OSError:
            pass
    return found

def settled():
    end = time.monotonic() + 10
    while left() and time.monotonic() < end:
        time.sleep(0.01)
    return left()

def trace(command, follow):
    """system calls and how often, of the command itself and of its children"""
    counts = [collections.Counter(), collections.Counter()]
    out = f'{work}/trace'
    strace(['-f'] if follow else [], command, out)
    first = None
    for line in open(out):
        m = re.match(r'(?:(\d+) +)?(\w+)\(', line)
        if not m:
            continue
        pid, name = m.groups()
        first = first or pid
        counts[pid != first][name] += 1
    subprocess.run(delete, check=True)
    settled()
    return counts

os.makedirs(root, exist_ok=True)
subprocess.run(create, stdin=subprocess.DEVNULL, check=True)
subprocess.run(delete, check=True)
if settled():
    print('not ok 1 - an undisturbed create and delete leave nothing'); sys.exit(1)

points = bad = 0
failures = []
parent, _ = trace(create, False)
for name, count in sorted(parent.items()):
    for n in range(1, count + 1):
        points += 1
        strace(['-e', f'trace={name}', '-e', f'inject={name}:signal=SIGKILL:when={n}'], create)
        r = subprocess.run(delete, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        rest = settled()
        if r.returncode != 0 or rest:
            failures.append(f'{name} {n}: {r.stderr.strip()} {rest}')
            subprocess.run(delete, capture_output=True)
print(('not ok' if failures else 'ok') +
      f' 1 - killed at {points} points, delete --force leaves nothing')
for f in failures[:20]:
    print('# ' + f)

failed = len(failures) > 0
for test, bundle in ((2, 't'), (3, 'u')):
    run = [oci, '--root', root, 'run', '--bundle', f'{work}/{bundle}', 'k']
    failures = []
    points = 0
    parent, child = trace(run, True)
    for name, count in sorted(child.items()):
        # the same number counts in each process: only those the engine does not reach
        for n in range(parent[name] + 1, count + 1):
            points += 1
            code = strace(['-f', '-e', f'trace={name}', '-e', f'inject={name}:signal=SIGKILL:when={n}'],
                run)
            rest = settled()
            # of two children either may reach the number, or neither
            if (code == 0 and bundle == 't') or rest:
                failures.append(f'{name} {n}: exit code {code} {rest}')
                subprocess.run(delete, capture_output=True)
    print(('not ok' if failures else 'ok') +
          f' {test} - its child killed at {points} points, nothing is left')
    for f in failures[:20]:
        print('# ' + f)
    failed = failed or bool(failures)
print('1..3')
sys.exit(failed)
PY
