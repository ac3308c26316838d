// SPDX-License-Identifier: GPL-2.0-or-later
// Lives of pods in which one system call of crid, its worker, a shim or what they start
// fails. Prints "pass|fail<TAB>name<TAB>detail" lines for cri_errno.sh.
//
//   cri_errno.mjs SOCKET IMAGE LOGS CGPARENT POINTS SEED STATE
//   POINTS: so many of all (0: each), or one, SYSCALL:ERRNO:N; STATE: a command that prints what the node has
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, points, seed, state] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const call = (method, request = {}, timeout = 20) => cri.call(method, request, timeout);

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}

// What can fail, and how. Memory of a heap is not here: who has none left ends, and is started again.
const ERRORS = {
  'openat openat2': 'ENOMEM EIO EMFILE EACCES EINTR', 'write pwrite64 writev': 'EIO ENOSPC EINTR',
  'read pread64 getdents64 readlinkat': 'EIO EINTR', 'mkdirat mkdir symlinkat symlink linkat': 'ENOSPC EIO EACCES ENOMEM',
  'unlinkat unlink rmdir': 'EBUSY EIO', 'renameat renameat2 rename': 'ENOSPC EIO', 'ftruncate fsync fdatasync syncfs': 'EIO ENOSPC',
  'clone clone3 vfork fork': 'ENOMEM EAGAIN', 'execve execveat': 'ENOMEM EIO EACCES',
  'socket socketpair pipe2 eventfd2 epoll_create1 timerfd_create signalfd4 inotify_init1 memfd_create': 'EMFILE ENOMEM',
  'dup dup3 fcntl pidfd_open': 'EMFILE', 'epoll_ctl': 'ENOMEM ENOSPC', 'epoll_wait epoll_pwait ppoll poll': 'EINTR',
  'fsopen fsconfig fsmount open_tree move_mount mount_setattr mount pivot_root': 'ENOMEM EBUSY EACCES',
  'umount2': 'EBUSY', 'unshare setns': 'ENOMEM', 'statx newfstatat fstat': 'EIO EACCES', 'connect bind listen accept4': 'EACCES ENOMEM EINTR',
  'sendmsg sendto recvmsg recvfrom': 'ENOMEM EINTR', 'fchmod fchmodat fchown fchownat chown chmod': 'EIO EACCES',
  'bpf seccomp prctl setgroups setresuid setresgid capset prlimit64 setrlimit sethostname ioctl': 'ENOMEM EACCES', 'waitid wait4': 'EINTR',
};
const ALL = Object.entries(ERRORS).flatMap(([names, errors]) => names.split(' ').map((n) => [n, errors.split(' ')]));

const pids = () => [['-o', '-x', 'berth-crid'], ['-f', 'exe net$|berth-crid net$']].map((args) =>
  execFileSync('pgrep', args).toString().trim().split('\n')[0]);

// A worker whose every life had the fault is started again after a while.
async function settledPids() {
  for (const end = Date.now() + 10000; Date.now() < end; await sleep(100))
    try { return pids(); } catch {}
  return pids();
}

async function traced(options, work) {
  const out = `${logs}/trace`;
  const strace = spawn('strace', ['-f', '-q', ...pids().flatMap((p) => ['-p', p]), '-o', out, '-e', 'signal=none', ...options],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((ok) => strace.once('close', ok));
  // it says nothing when it is quiet: it is there when /proc says so
  for (const end = Date.now() + 20000; Date.now() < end; await sleep(5))
    if (pids().every((p) => !/TracerPid:\t0/.test(readFileSync(`/proc/${p}/status`, 'latin1')))) break;
  const result = await work();
  strace.kill('SIGINT');
  await Promise.race([ended, sleep(5000).then(() => strace.kill('SIGKILL'))]);
  return [result, readFileSync(out, 'latin1')];
}

// By the independent client; how it ends is the fault's, that it ends is crid's.
const client = new URL('../peers/cri-stream.py', import.meta.url).pathname;
const hung = [];
async function streams(step, pod, id) {
  for (const [method, request, verb, ...args] of [
    ['Exec', { container_id: id, cmd: ['true'], stdout: true }, 'exec'],
    ['Attach', { container_id: id, stdout: true }, 'attach', '--timeout', '0.1'],
    ['PortForward', { pod_sandbox_id: pod, port: [80] }, 'forward', '80'],
  ]) {
    const { url } = await step(method, request);
    if (url && await new Promise((ok) => execFile('python3', [client, verb, url, ...args], { timeout: 15000 }, (e) => ok(e?.killed))))
      hung.push(`the stream of ${method} does not end`);
  }
}

let n = 0;
async function life(container = {}, keep = false) {
  const name = `errno${++n}`, errors = [];
  const step = async (method, request) => {
    try {
      return await call(method, request);
    } catch (e) {
      errors.push({ method, code: e.code, details: e.details });
      return {};
    }
  };
  const config = { metadata: { name, namespace: 'errno', uid: name, attempt: 0 }, log_directory: `${logs}/${name}`,
    port_mappings: [{ protocol: 'TCP', container_port: 80, host_port: 8080 }], linux: { cgroup_parent: cgparent } };
  const { pod_sandbox_id: pod } = await step('RunPodSandbox', { config });
  if (pod) {
    const { container_id: id } = await step('CreateContainer', { pod_sandbox_id: pod, config: { metadata: { name: 'c', attempt: 0 },
      image: { image }, command: ['sleep', '1000'], log_path: 'c.log', ...container } });
    if (id) {
      await step('StartContainer', { container_id: id });
      await step('ExecSync', { container_id: id, cmd: ['true'], timeout: 10 });
      await streams(step, pod, id);
      await step('StopContainer', { container_id: id, timeout: 0 });
      if (!keep) await step('RemoveContainer', { container_id: id });
    }
    await step('StopPodSandbox', { pod_sandbox_id: pod });
    await step('RemovePodSandbox', { pod_sandbox_id: pod });
  }
  await step('PullImage', { image: { image } });
  rmSync(`${logs}/${name}`, { recursive: true, force: true });
  return errors;
}

async function mend() {
  for (const end = Date.now() + 20000; Date.now() < end; await sleep(50)) {
    const { items } = await call('ListPodSandbox');
    if (!items.length) return '';
    for (const p of items) await call('RemovePodSandbox', { pod_sandbox_id: p.id }).catch(() => {});
  }
  return 'a pod cannot be removed';
}

// A connection that fails is closed; its calls end with that.
const dropped = /^(Connection dropped|(read|write) E\w+)$/, socketry = ['recvfrom', 'sendto', 'sendmsg', 'epoll_ctl', 'accept4', 'read', 'write', 'writev'];
const look = () => execFileSync('bash', [state]).toString();
const fds = () => pids().map((p) => readdirSync(`/proc/${p}/fd`).length).join(' ');
async function settled(what, wanted, limit = 10) {
  let now;
  for (const end = Date.now() + limit * 1000; (now = what()) !== wanted && Date.now() < end; await sleep(100));
  return now;
}
function changed(was, now) {
  const a = was.split('\n'), b = now.split('\n');
  return [...b.filter((x) => !a.includes(x)).map((x) => `+${x}`), ...a.filter((x) => !b.includes(x)).map((x) => `-${x}`)].join(' ').slice(0, 2000);
}

// A record that cannot be unlinked, once: the call that removes it says so, and the next one finishes.
async function records(clean) {
  const bad = { mounts: [{ container_path: '/x', host_path: '/proc/1/no/such' }] };
  for (const [what, when, container, keep, method, words] of [
    ['a container', 1, {}, false, 'RemoveContainer', 'remove its record: remove record ctr-'],
    ['a container of a stopped pod', 1, {}, true, 'RemovePodSandbox', 'remove its containers: remove its record: remove record ctr-'],
    ['a pod', 2, {}, false, 'RemovePodSandbox', 'remove its record: remove record pod-'],
    ['a container that was not made', 1, bad, false, 'CreateContainer', 'prepare: '],
  ]) {
    const [errors, trace] = await traced(['-e', 'trace=unlinkat', '-P', '/var/lib/berth/records', '-e', `inject=unlinkat:error=EIO:when=${when}`],
      () => life(container, keep));
    const mended = await mend(), now = await settled(look, clean);
    say(trace.includes('INJECTED') && errors.length === 1 && errors[0].method === method && errors[0].details.includes(words) && !mended && now === clean,
      `the record of ${what} cannot be unlinked at first: ${method} fails, nothing is left`,
      `${JSON.stringify(errors)} ${mended} ${changed(clean, now)} ${trace.includes('INJECTED')}`);
  }
}

let lcg = Number(seed) || 1;
const random = (max) => { lcg = (lcg * 1103515245 + 12345) % 2147483648; return Math.floor(lcg / 2147483648 * max); };

try {
  await life();
  await mend();
  // the network worker ends and is started again when it cannot talk to crid
  let clean = look(), open = fds(), who = pids()[0];
  await records(clean);
  const [, text] = await traced(['-e', `trace=${ALL.map(([s]) => `?${s}`).join(',')}`], life);
  const counts = {}; // of one process at most
  for (const line of text.split('\n')) {
    const m = /^(\d+) +(\w+)\(/.exec(line);
    if (m) ((counts[m[2]] ??= {})[m[1]] ??= { n: 0 }).n++;
  }
  let todo = ALL.flatMap(([s, errors]) => Array.from({ length: Math.min(60, Math.max(0, ...Object.values(counts[s] ?? {}).map((x) => x.n))) },
    (_, i) => errors.map((e) => [s, e, i + 1])).flat());
  const total = todo.length;
  if (points.includes(':')) todo = [points.split(':')];
  else if (Number(points)) todo = Array.from({ length: Number(points) }, () => todo[random(todo.length)]);
  let hit = 0, failed = 0, bad = 0;
  for (const [s, e, when] of todo) {
    const [errors, trace] = await traced(['-e', `trace=${s}`, '-e', `inject=${s}:error=${e}:when=${when}`], life);
    const wrong = hung.splice(0);
    if (trace.includes('INJECTED')) hit++;
    failed += errors.length > 0;
    for (const x of errors)
      if (!/\w+: |\w+ \w+ \w+/.test(x.details ?? '') && !(dropped.test(x.details) && socketry.includes(s))) wrong.push(`${x.method} says only "${x.details}"`);
    try {
      if ((await settledPids())[0] !== who) wrong.push('it was started again');
      wrong.push(await mend());
      // a cgroup that is busy may have others' children: it goes with the next pod
      if (e === 'EBUSY' && s === 'unlinkat' && look() !== clean) await life();
    } catch (x) {
      wrong.push(`${x.details ?? x.message}`);
    }
    const now = await settled(look, clean);
    if (now !== clean) wrong.push(`left: ${changed(clean, now)}`);
    const held = await settled(fds, open);
    if (held !== open) wrong.push(`descriptors ${open}, now ${held}`);
    const why = wrong.filter(Boolean).join('; ');
    if (!why) continue;
    bad++;
    say(false, `${s} ${e} at ${when}`, `${why}; ${errors.map((x) => `${x.method}: ${x.details}`).join('; ')}; ${trace.split('\n').filter((l) => l.includes('INJECTED')).slice(0, 3).join(' ')}`);
    // the others are held against what is there now
    clean = look();
    open = fds();
    who = pids()[0];
  }
  say(hit > todo.length / 4, `${hit} of ${todo.length} points hit, of ${total} that there are; ${failed} lives had an error, ${bad} a wrong one`);
} catch (e) {
  say(false, 'the run', `${e.details ?? ''} ${e.stack}`);
}
cri.close();
