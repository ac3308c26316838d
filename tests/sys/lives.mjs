// SPDX-License-Identifier: GPL-2.0-or-later
// Many lives of pods; what crid, its network worker, netd and PID 1 hold after
// a tenth of them is held against what they hold after all of them. Prints
// "pass|fail<TAB>name<TAB>detail" lines for lives.sh.
//
//   lives.mjs SOCKET IMAGE LOGS CGPARENT LIVES
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, count] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });
const WORKERS = 4;
// a heap's holes move: crid's is between 0.8 and 1.2 MB, after 1,000 lives as after 5,000
const SLACK_KB = 320;
const call = (method, request = {}) => cri.call(method, request, 60);
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}

// Everything of a life, with what goes wrong in one.
async function life(n) {
  const name = `life${n % 40}`; // names are used again, as those of a Deployment are not
  const config = { metadata: { name, namespace: 'lives', uid: `uid-${n}`, attempt: n },
    log_directory: `${logs}/${name}`, labels: { n: String(n) }, hostname: name,
    port_mappings: [{ protocol: 'TCP', container_port: 80, host_port: 20000 + n % 1000 }],
    linux: { cgroup_parent: cgparent, sysctls: { 'net.ipv4.ip_forward': '0' } } };
  const ctr = (c, more = {}) => ({ pod_sandbox_id: pod, sandbox_config: config, config: {
    metadata: { name: c, attempt: 0 }, image: { image }, command: ['sh', '-c', 'echo alive; sleep 1000'],
    log_path: `${c}.log`, envs: [{ key: 'N', value: Buffer.from(String(n)) }], labels: { c }, ...more } });
  const { pod_sandbox_id: pod } = await call('RunPodSandbox', { config });
  const { container_id: id } = await call('CreateContainer', ctr('main'));
  await call('StartContainer', { container_id: id });
  const { container_id: short } = await call('CreateContainer', ctr('short', { command: ['true'] }));
  await call('StartContainer', { container_id: short });
  await call('CreateContainer', ctr('bad', { image: { image: 'nobody/has:this' } })).catch(() => {});
  await call('CreateContainer', ctr('worse', { mounts: [{ container_path: '/x', host_path: '/proc/1/no/such' }] })).catch(() => {});
  await call('ExecSync', { container_id: id, cmd: ['seq', '1000'], timeout: 20 });
  await call('ExecSync', { container_id: id, cmd: ['/no/such'], timeout: 20 }).catch(() => {});
  if (n % 50 === 0) await call('Exec', { container_id: id, cmd: ['true'], stdout: true }); // its URL lives a minute
  await call('UpdateContainerResources', { container_id: id, linux: { oom_score_adj: 5 } }).catch(() => {});
  await call('ReopenContainerLog', { container_id: id });
  for (const list of ['ListPodSandbox', 'ListContainers', 'ListImages', 'ListPodSandboxStats', 'ListContainerStats', 'ListPodSandboxMetrics'])
    await call(list).catch(() => {});
  await call('PodSandboxStatus', { pod_sandbox_id: pod, verbose: true });
  await call('ContainerStatus', { container_id: id, verbose: true });
  if (n % 2) {
    await call('StopContainer', { container_id: id, timeout: 0 });
    await call('RemoveContainer', { container_id: id });
    await call('StopPodSandbox', { pod_sandbox_id: pod });
  }
  if (n % 5 === 0) await call('PullImage', { image: { image } });
  if (n % 10 === 0) await call('PullImage', { image: { image: '127.0.0.1:5000/no/such:1' } }).catch(() => {});
  await call('RemovePodSandbox', { pod_sandbox_id: pod });
  rmSync(`${logs}/${name}`, { recursive: true, force: true });
}

// The oldest of a name: forks of crid for a job look like it.
function processes() {
  const found = { 'PID 1': 1 };
  for (const pid of readdirSync('/proc').filter((x) => /^\d+$/.test(x)).sort((a, b) => a - b)) {
    let words;
    try { words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0'); } catch { continue; }
    if (words[0].endsWith('berth-netd')) found.netd ??= pid;
    else if (words[1] === 'net') found['network worker'] ??= pid;
    else if (words[0].endsWith('berth-crid')) found.crid ??= pid;
  }
  return found;
}

function held(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const kb = (key) => Number(new RegExp(`^${key}: *(\\d+)`, 'm').exec(text)[1]);
  return { pid, kb: kb('Private_Dirty') + kb('Swap'), fds: readdirSync(`/proc/${pid}/fd`).length };
}

// At rest: what was put off (deleted trees, jobs) is over when two looks are alike.
async function look() {
  const pids = processes();
  for (let last = '', end = Date.now() + 20000; ;) {
    const now = Object.fromEntries(['crid', 'network worker', 'netd', 'PID 1'].map((name) => [name, held(pids[name])]));
    if (JSON.stringify(now) === last || Date.now() > end) return now;
    last = JSON.stringify(now);
    await sleep(500);
  }
}

async function lives(from, to) {
  let next = from;
  await Promise.all(Array.from({ length: WORKERS }, async () => {
    while (next < to) await life(next++);
  }));
}

try {
  const n = Number(count), tenth = Math.ceil(n / 10);
  await lives(0, tenth);
  const first = await look();
  const at = Date.now();
  await lives(tenth, n);
  const rate = (n - tenth) / ((Date.now() - at) / 1000);
  const last = await look();
  for (const name of ['crid', 'network worker', 'netd', 'PID 1']) {
    const a = first[name], b = last[name];
    const text = `${name} after ${tenth} lives: ${a?.kb} kB private dirty, ${a?.fds} descriptors; after ${n}: ${b?.kb} kB, ${b?.fds}`;
    say(a && b && a.pid === b.pid && b.fds === a.fds && b.kb <= a.kb + SLACK_KB, text, JSON.stringify([a, b]));
  }
  say(true, `${n} lives, ${rate.toFixed(1)} a second`);
} catch (e) {
  say(false, 'the run', `${e.details ?? ''} ${e.stack}`);
}
cri.close();
