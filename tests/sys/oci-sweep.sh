#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGKILL by strace at system calls of berth-oci's verbs and of their children:
# a killed exec leaves the container alone, and after `delete --force` nothing
# is left. oci-kill.sh has every call of create; this is a sample of all verbs,
# and tests/sweep the whole.
#
#	SWEEP_POINTS	so many (system call, n) of each verb, or "all"; 12 unless told
#	SWEEP_SEED	of the choice; printed
#	SWEEP_BUNDLE	a jq filter over config.json
. "$(dirname "$0")/../tap.sh"
requires strace busybox jq python3
[ -x "$BUILD/runtime/berth-oci" ] || skip_all "berth-oci is not built"
. "$(dirname "$0")/../sandbox.sh"
. "$(dirname "$0")/../bundle.sh"
strace -o /dev/null true 2> /dev/null || skip_all "strace cannot trace here"

bundle b "${SWEEP_BUNDLE:-.}"' | .process.args = ["sleep", "1000"]'
python3 - "$WORK" "$BUILD/runtime/berth-oci" "${SWEEP_POINTS:-12}" "${SWEEP_SEED:-$RANDOM}" << 'PY'
import collections, os, random, re, subprocess, sys, time

work, program, wanted, seed = sys.argv[1:]
root = f'{work}/state'
pid_file = f'{work}/pid'
random.seed(int(seed))
print(f'# SWEEP_POINTS={wanted} SWEEP_SEED={seed}')

def oci(*words):
    return [program, '--root', root, *words]

create = oci('create', '--bundle', f'{work}/b', '--pid-file', pid_file, 'k')
start, delete = oci('start', 'k'), oci('delete', '--force', 'k')

def run(command):
    # a file: what a container runs would hold a pipe
    with open(f'{work}/stderr', 'w+') as said:
        r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=said, timeout=60)
        said.seek(0)
        r.stderr = said.read()
    return r

def must(command):
    r = run(command)
    if r.returncode:
        raise RuntimeError(f'{command[3]}: {r.stderr.strip()}')

def alive():
    """sleep and berth-oci, other than zombies, by name"""
    found = []
    for p in os.listdir('/proc'):
        try:
            if p.isdigit():
                stat = open(f'/proc/{p}/stat').read()
                name, state = stat[stat.index('(') + 1:stat.rindex(')')], stat.rsplit(') ', 1)[1][0]
                if name in ('sleep', 'berth-oci', 'true', 'strace') and state != 'Z':
                    found.append(name)
        except OSError:
            pass
    return sorted(found)

def left():
    found = [d for d, _, _ in os.walk('/sys/fs/cgroup/test')][1:] + alive()
    found += os.listdir(root)
    found += sorted(set(mounts()) ^ set(clean))
    return found

def mounts():
    return [l.split(' ', 3)[3] for l in open('/proc/self/mountinfo')]

def settled(look, wanted=[]):
    end = time.monotonic() + 10
    while look() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return look()

# verb -> what comes before it, the command, what must live after it was killed
verbs = {
    'create': ([], create, None),
    'start': ([create], start, None),
    'exec': ([create, start], oci('exec', 'k', 'true'), ['sleep']),
    'exec --detach': ([create, start], oci('exec', '--detach', 'k', 'true'), ['sleep']),
    'state': ([create, start], oci('state', 'k'), ['sleep']),
    'pause': ([create, start], oci('pause', 'k'), ['sleep']),
    'resume': ([create, start, oci('pause', 'k')], oci('resume', 'k'), ['sleep']),
    'kill': ([create, start], oci('kill', 'k', 'KILL'), None),
    'delete': ([create, start, oci('kill', 'k', 'KILL')], delete, None),
    'delete --force': ([create, start], delete, None),
    'run': ([], oci('run', '--detach', '--bundle', f'{work}/b', 'k'), None),
}

def calls():
    """pid -> system call -> how often; and who was killed"""
    of, killed = collections.defaultdict(collections.Counter), set()
    for line in open(f'{work}/trace', errors='replace'):
        if m := re.match(r'(\d+) +(\w+)\(', line):
            of[m[1]][m[2]] += 1
        elif m := re.match(r'(\d+) +\+\+\+ killed by SIGKILL', line):
            killed.add(m[1])
    return of, killed

def traced(command):
    """strace itself would wait for what the container runs"""
    subprocess.run(['strace', '-D', '-f', '-o', f'{work}/trace', *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

def point(verb, call, n):
    before, command, wanted = verbs[verb]
    for b in before:
        must(b)
    traced(['-e', f'trace={call}', '-e', f'inject={call}:signal=SIGKILL:when={n}', *command])
    bad = []
    if wanted is not None and settled(alive, wanted) != wanted:
        # strace stays with what was begun; the container is not to be touched
        bad.append(f'alive: {alive()}')
    r = run(delete)
    if r.returncode:
        bad.append(r.stderr.strip())
    bad += settled(left)
    of, killed = calls()
    hit = any(of[p][call] >= n for p in killed)
    if bad:
        run(delete)
        run(delete)
    return hit, bad

os.makedirs(root, exist_ok=True)
clean = mounts()
failed, number = False, 0
for verb, (before, command, _) in verbs.items():
    number += 1
    failures, hits, begin = [], 0, time.monotonic()
    try:
        for b in before:
            must(b)
        traced(command)
        time.sleep(0.05)
        run(delete)
        settled(left)
        most = collections.Counter()
        for c in calls()[0].values():
            most |= c
        points = [(c, n) for c, m in most.items() for n in range(1, m + 1)]
        known = len(points)
        random.shuffle(points)
        if wanted != 'all':
            points = points[:int(wanted)]
        for call, n in points:
            hit, bad = point(verb, call, n)
            hits += hit
            if bad:
                failures.append(f'{call} {n}: {bad}')
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        failures.append(str(e))
    good = not failures and hits > 0
    failed |= not good
    print(f'{"ok" if good else "not ok"} {number} - {verb}: killed at {hits} of {len(points)} points '
        f'({known} known, {time.monotonic() - begin:.0f} s): {len(failures)} leaks', flush=True)
    for f in failures[:20]:
        print('# ' + f)
print(f'1..{number}')
sys.exit(failed)
PY
