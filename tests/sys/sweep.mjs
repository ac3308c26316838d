// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a pod (pull, run, create, start, exec, stop, remove) again and again; each time
// strace kills one program at its n-th call of a system call. After that the life goes on with
// retries, or ends there; what was made is removed, and the node must be as it was.
// Prints "pass|fail<TAB>name<TAB>detail" lines for sweep.sh.
//
//   sweep.mjs SOCKET IMAGE LOGS CGPARENT POINTS SEED PROGRAM...
//   POINTS: how many of a program, or "all".
// /run/inject is where sweep.sh's wrappers of the programs look for arguments of strace.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, , logs, cgparent, points, seed, ...programs] = process.argv.slice(2);
const IMAGE = 'public.ecr.aws/docker/library/busybox:1';
const OTHER = 'registry.k8s.io/pause:3.9'; // shares no layer with it
const INJECT = '/run/inject', OUT = `${INJECT}/out`;
const RETRY_MS = 30000, SETTLE_MS = 20000;
const transient = [1, 2, 4, 14]; // what a retry may mend
// no use to try again: what it was about is gone; 8 is what clone says in a pid namespace
// whose first process was killed
const lost = [5, 6, 8, 9];
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const cri = connect(socket, undefined, { defaults: true },
  { 'grpc.initial_reconnect_backoff_ms': 20, 'grpc.max_reconnect_backoff_ms': 50 });

// How a program gets under strace: "service": crid's own start; "wrapper": its next start;
// "attach": now. With its children or without.
const kinds = {
  crid: { how: 'service' },
  recovery: { how: 'service', late: true }, // crid again, in its start beside what another left
  jobs: { how: 'service', follow: true }, // crid's forks, at calls that are not its own
  net: { how: 'attach' },
  shim: { how: 'wrapper', follow: true },
  fetch: { how: 'wrapper', follow: true },
  inflate: { how: 'wrapper', follow: true },
  unpack: { how: 'wrapper', follow: true },
};

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}

// --- the node's state -------------------------------------------------------

const read = (path) => { try { return readFileSync(path, 'latin1'); } catch { return ''; } };
const list = (path) => { try { return readdirSync(path, { withFileTypes: true }); } catch { return []; } };

function tree(path, files, found = []) {
  for (const d of list(path)) {
    const p = `${path}/${d.name}`;
    if (p === '/var/lib/berth/active/trash') continue; // emptied at leisure
    if (d.isDirectory() || files) found.push(p);
    if (d.isDirectory() && !p.includes('/ns/')) tree(p, files, found);
  }
  return found;
}

const run = (...argv) => new Promise((ok) => execFile(argv[0], argv.slice(1), (e, stdout) => ok(e ? String(e) : stdout)));
const pids = () => list('/proc').map((d) => d.name).filter((n) => /^\d+$/.test(n));
const words = (pid) => read(`/proc/${pid}/cmdline`).split('\0');

function worker() {
  return pids().find((p) => words(p)[1] === 'net' && read(`/proc/${p}/comm`) !== '');
}
const cridPid = () => Number(read('/run/crid.pid'));
const fds = (pid) => list(`/proc/${pid}/fd`).length;

async function look() {
  const nft = await run('nft', 'list', 'ruleset');
  const mine = String(process.pid);
  return [
    ...pids().filter((p) => p !== mine).map((p) => {
      const state = /\) (.)/.exec(read(`/proc/${p}/stat`))?.[1];
      const command = words(p).join(' ').trim();
      return state && (command || state === 'Z') ? `process ${state === 'Z' ? `zombie ${read(`/proc/${p}/comm`).trim()}` : command}` : '';
    }).filter(Boolean),
    ...read('/proc/self/mountinfo').split('\n').map((l) => `mount ${l.split(' ').slice(3).join(' ')}`),
    ...tree('/sys/fs/cgroup').map((p) => `cgroup ${p}`),
    ...list('/sys/class/net').map((d) => `link ${d.name}`),
    ...read('/proc/net/route').split('\n').map((l) => `route ${l.split('\t').slice(0, 3).join(' ')}`),
    ...nft.split('\n').map((l) => `nft ${l}`),
    ...tree('/run/berth', true).map((p) => `file ${p}`),
    ...tree('/var/lib/berth', true).map((p) => `file ${p}`),
  ].sort();
}

function minus(a, b) {
  const count = new Map();
  for (const x of b) count.set(x, (count.get(x) ?? 0) + 1);
  return a.filter((x) => !count.has(x) || count.set(x, count.get(x) - 1).get(x) < 0);
}

let clean, held;
async function settled() {
  for (const end = Date.now() + SETTLE_MS; ; await sleep(20)) {
    const now = await look();
    const diff = [...minus(now, clean).map((x) => `+${x}`), ...minus(clean, now).map((x) => `-${x}`)];
    if (held && fds(cridPid()) > held.crid) diff.push(`+${fds(cridPid()) - held.crid} descriptors of crid`);
    if (held && fds(1) > held.init) diff.push(`+${fds(1) - held.init} descriptors of PID 1`);
    if (!diff.length || Date.now() > end) return diff;
  }
}

// --- a life -----------------------------------------------------------------

const config = (name) => ({
  metadata: { name, namespace: 'sweep', uid: 'uid', attempt: 0 }, log_directory: `${logs}/${name}`,
  port_mappings: name === 'victim' ? [{ protocol: 'TCP', container_port: 80, host_port: 20080 }] : [],
  linux: { cgroup_parent: cgparent },
});
const ctr = (name, image, command) => ({ metadata: { name, attempt: 0 }, image: { image }, command, log_path: `${name}.log` });

class Lost extends Error {}

// once: without a second try, which is left to the removal
async function ask(method, request, once) {
  for (const limit = Date.now() + RETRY_MS; ; await sleep(20)) {
    try {
      return await cri.call(method, request, 10);
    } catch (e) {
      const text = `${method}: ${e.code} ${e.details}`;
      if (!transient.includes(e.code) && !lost.includes(e.code)) throw new Error(text);
      if (once || lost.includes(e.code)) throw new Lost(text);
      if (Date.now() > limit) throw new Error(`no try came through: ${text}`);
    }
  }
}

async function start(id, once) {
  for (const limit = Date.now() + RETRY_MS; ; await sleep(20)) {
    const { status } = await ask('ContainerStatus', { container_id: id }, once);
    if (status.state !== 'CONTAINER_CREATED') return;
    if (Date.now() > limit) throw new Error('StartContainer: no try came through');
    try {
      await cri.call('StartContainer', { container_id: id }, 10);
    } catch (e) {
      if (once) throw new Lost(`StartContainer: ${e.code} ${e.details}`);
    }
  }
}

async function exited(id, once) {
  for (const limit = Date.now() + RETRY_MS; Date.now() < limit; await sleep(10)) {
    const { status } = await ask('ContainerStatus', { container_id: id }, once);
    if (status.state === 'CONTAINER_EXITED') return status.exit_code;
  }
  throw new Error('a container does not end');
}

// Exit codes: of what died with its shim, or was killed, nobody knows more.
async function life(once, codes = []) {
  const fits = (what, got, wanted) => {
    if (got !== wanted && !codes.includes(got)) throw new Error(`${what}: ${got}, not ${wanted}`);
  };
  await ask('PullImage', { image: { image: IMAGE } }, once);
  const pod = (await ask('RunPodSandbox', { config: config('victim') }, once)).pod_sandbox_id;
  const make = async (c) => (await ask('CreateContainer', { pod_sandbox_id: pod, config: c }, once)).container_id;
  const main = await make(ctr('main', IMAGE, ['sh', '-c', 'trap "exit 5" TERM; echo here; while :; do usleep 10000; done']));
  await start(main, once);
  const short = await make(ctr('short', IMAGE, ['sh', '-c', 'exit 3']));
  await start(short, once);
  const x = await ask('ExecSync', { container_id: main, cmd: ['sh', '-c', 'echo out; exit 7'], timeout: 10 }, once);
  fits('the exec', x.exit_code, 7);
  fits('the short container', await exited(short, once), 3);
  for (let end = Date.now() + RETRY_MS; !/here/.test(read(`${logs}/victim/main.log`)) && Date.now() < end;) await sleep(5);
  await ask('StopContainer', { container_id: main, timeout: 20 }, once);
  fits('the main container', await exited(main, once), 5);
  await ask('RemoveContainer', { container_id: main }, once);
  await ask('StopPodSandbox', { pod_sandbox_id: pod }, once);
  await ask('RemovePodSandbox', { pod_sandbox_id: pod }, once);
  await ask('RemoveImage', { image: { image: IMAGE } }, once);
}

async function removeAll() {
  for (const p of (await ask('ListPodSandbox', {})).items.filter((i) => i.metadata.name === 'victim')) {
    await ask('StopPodSandbox', { pod_sandbox_id: p.id });
    await ask('RemovePodSandbox', { pod_sandbox_id: p.id });
  }
  await ask('RemoveImage', { image: { image: IMAGE } });
  rmSync(`${logs}/victim`, { recursive: true, force: true });
}

// --- strace -----------------------------------------------------------------

async function restart() {
  const old = cridPid();
  try { process.kill(old, 'SIGKILL'); } catch { /* by itself */ }
  for (const end = Date.now() + RETRY_MS; cridPid() === old && Date.now() < end;) await sleep(5);
}

function order(name, args) {
  writeFileSync(`${INJECT}/${name}.new`, args.join(' '));
  chmodSync(`${INJECT}/${name}.new`, 0o644);
  renameSync(`${INJECT}/${name}.new`, `${INJECT}/${name}`);
}

// Puts a program under strace; returns what ends that.
async function arm(name, args) {
  const kind = kinds[name];
  writeFileSync(OUT, '');
  chmodSync(OUT, 0o666);
  const all = [...(kind.follow ? ['-f'] : []), '-o', OUT, ...args];
  if (kind.how === 'service') {
    order('crid', all);
    await restart();
    await ask('Version', {}); // of this one, or of the next when it was killed in its start
  } else if (kind.how === 'wrapper') {
    order(`berth-${name}`, all);
  } else {
    let pid;
    for (const end = Date.now() + RETRY_MS; !(pid = worker()) && Date.now() < end;) await sleep(10);
    const tracer = spawn('strace', [...all, '-p', pid], { stdio: ['ignore', 'ignore', 'pipe'] });
    await new Promise((ok) => {
      tracer.stderr.on('data', (d) => /attached/.test(d) && ok());
      tracer.on('exit', ok);
    });
  }
  return async () => {
    rmSync(`${INJECT}/${kind.how === 'service' ? 'crid' : `berth-${name}`}`, { force: true });
    await release();
  };
}

const tracers = () => pids().filter((p) => words(p)[0] === 'strace' && words(p).includes(OUT));

// strace lets go of what lives; it would go on killing whatever comes to the call. Told by SIGTERM
// it may wait for ever for one of many processes; when it is killed the kernel lets go of them.
async function release() {
  for (const end = Date.now() + SETTLE_MS; Date.now() < end; await sleep(5)) {
    const left = tracers();
    if (!left.length) return;
    for (const p of left) try { process.kill(p, 'SIGKILL'); } catch { /* gone */ }
  }
}

// One kill a point: of all children of a program one comes to it first.
async function onlyOnce(call, n, going) {
  for (; going.on; await sleep(5)) {
    if (!isHit(call, n)) continue;
    await release();
    return;
  }
}

// System calls of each process in strace's output: pid -> name -> count; and who was killed.
function calls() {
  const of = new Map(), killed = new Set(), execs = new Set();
  for (const line of read(OUT).split('\n')) {
    const m = /^(?:(\d+) +)?(\w+)\(/.exec(line), k = /^(?:(\d+) +)?\+\+\+ killed by SIGKILL/.exec(line);
    if (k) killed.add(k[1] ?? '0');
    if (!m) continue;
    const pid = m[1] ?? '0', c = of.get(pid) ?? {};
    of.set(pid, c);
    c[m[2]] = (c[m[2]] ?? 0) + 1;
    if (m[2].startsWith('execve')) execs.add(pid);
  }
  return { of, killed, execs };
}

function isHit(call, n) {
  const { of, killed } = calls();
  return [...killed].some((pid) => (of.get(pid)?.[call] ?? 0) >= n);
}

function shuffled(a) {
  let s = Number(seed) >>> 0 || 1;
  const next = () => { // xorshift
    s ^= s << 13; s >>>= 0; s ^= s >>> 17; s ^= s << 5; s >>>= 0;
    return s;
  };
  for (let i = a.length - 1; i > 0; i--) {
    const j = next() % (i + 1);
    [a[i], a[j]] = [a[j], a[i]];
  }
  return a;
}

// What a program calls in a life: [[name, n]...]
async function learn(name) {
  const end = await arm(name, []);
  await life(false);
  await sleep(50);
  await end();
  if (kinds[name].how === 'service') await restart();
  await removeAll();
  const { of, execs } = calls(), most = {};
  const first = of.keys().next().value;
  for (const [pid, c] of of) {
    if (name === 'jobs' && (pid === first || execs.has(pid))) continue;
    for (const [call, n] of Object.entries(c)) most[call] = Math.max(most[call] ?? 0, n);
  }
  const found = [];
  for (const [call, n] of Object.entries(most))
    for (let i = name === 'jobs' ? (of.get(first)[call] ?? 0) + 1 : 1; i <= n; i++) found.push([call, i]);
  return found;
}

// --- the sweep --------------------------------------------------------------

let bystander;
async function bystanderPid() {
  const { status, info } = await ask('ContainerStatus', { container_id: bystander, verbose: true });
  return `${status.state} ${JSON.parse(info.info).pid}`;
}

async function point(name, call, n, once) {
  const args = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${n}`];
  const kind = kinds[name];
  const codes = name === 'shim' || name === 'jobs' ? [137, 255] : []; // processes of the pod are under strace
  let bad = '';
  const going = { on: true };
  if (kind.late) await half();
  const end = await arm(name, args);
  const watch = onlyOnce(call, n, going);
  try {
    await (kind.late ? sleep(20) : life(once, codes));
  } catch (e) {
    if (!(e instanceof Lost)) bad = e.message;
  }
  going.on = false;
  await watch;
  await end();
  const hit = isHit(call, n);
  if (kind.how === 'service' && !hit) await restart(); // from under strace
  try {
    await removeAll();
  } catch (e) {
    bad ||= `removal: ${e.message}`;
  }
  const left = await settled();
  const now = await bystanderPid();
  if (now !== bystanderFirst) bad ||= `the pod beside it: ${now}, was ${bystanderFirst}`;
  return { hit, bad, left };
}

// A pod with a container that runs, one that ended, one that was made only, and a pull.
async function half() {
  await ask('PullImage', { image: { image: IMAGE } });
  const pod = (await ask('RunPodSandbox', { config: config('victim') })).pod_sandbox_id;
  const make = async (c) => (await ask('CreateContainer', { pod_sandbox_id: pod, config: c })).container_id;
  const main = await make(ctr('main', IMAGE, ['sleep', '1000']));
  await start(main);
  const short = await make(ctr('short', IMAGE, ['true']));
  await start(short);
  await exited(short);
  // and one that is being made, or is made
  const other = { ...config('victim'), metadata: { ...config('victim').metadata, attempt: 1 }, port_mappings: [] };
  await make(ctr('made', IMAGE, ['true']));
  cri.call('RunPodSandbox', { config: other }, 10).catch(() => {});
  await sleep(Math.random() * 20);
}

async function learnRecovery() {
  await half();
  const end = await arm('recovery', []);
  await sleep(200);
  await end();
  const { of } = calls();
  await restart();
  await removeAll();
  return Object.entries(of.get('0')).flatMap(([call, n]) => Array.from({ length: n }, (_, i) => [call, i + 1]));
}

let bystanderFirst;
async function sweep(name) {
  const all = shuffled(name === 'recovery' ? await learnRecovery() : await learn(name));
  if (process.env.SWEEP_CALL) all.splice(0, all.length, ...all.filter(([c]) => c === process.env.SWEEP_CALL));
  const most = points === 'all' ? all.length : Number(points);
  let hits = 0, tried = 0;
  const leaks = [], wrong = [], at = Date.now();
  // not every life comes to the same number of calls
  for (const [i, [call, n]] of all.entries()) {
    if (hits === most || tried === 4 * most) break;
    tried++;
    const { hit, bad, left } = await point(name, call, n, i % 2 === 1);
    hits += hit;
    if (left.length) leaks.push(`${call} ${n}: ${left.slice(0, 4).join(', ')}`);
    if (bad) wrong.push(`${call} ${n}: ${bad}`);
    if (process.env.SWEEP_VERBOSE) console.error(`${name} ${call} ${n} ${hit ? "hit" : "miss"}`);
    if (left.length || bad) console.error(`${name} ${call} ${n} ${i % 2 ? 'once' : 'retried'}: ${bad} ${left.join(', ')}`);
    if (left.length) clean = await look(); // told once
  }
  say(!leaks.length && !wrong.length && hits > 0, `${name}: killed at ${hits} of ${tried} points (${all.length} known, `
    + `${((Date.now() - at) / 1000).toFixed(0)} s): ${leaks.length} leaks, ${wrong.length} wrong answers`,
  [...leaks, ...wrong].slice(0, 8).join('; '));
}

try {
  rmSync(INJECT, { recursive: true, force: true });
  mkdirSync(INJECT);
  chmodSync(INJECT, 0o777); // helpers take their orders as users of their own
  await ask('PullImage', { image: { image: OTHER } });
  const pod = (await ask('RunPodSandbox', { config: config('bystander') })).pod_sandbox_id;
  bystander = (await ask('CreateContainer', { pod_sandbox_id: pod, config: ctr('c', OTHER, []) })).container_id;
  await start(bystander);
  bystanderFirst = await bystanderPid();
  await life(false);
  await removeAll();
  await restart();
  await life(false);
  await removeAll();
  await sleep(300);
  writeFileSync(OUT, '');
  clean = await look();
  held = { crid: fds(cridPid()), init: fds(1) };
  for (const name of programs) await sweep(name);
  await ask('StopPodSandbox', { pod_sandbox_id: pod });
  await ask('RemovePodSandbox', { pod_sandbox_id: pod });
  await ask('RemoveImage', { image: { image: OTHER } });
} catch (e) {
  say(false, 'the sweep', e.stack);
}
cri.close();
