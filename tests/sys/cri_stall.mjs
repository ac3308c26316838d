// SPDX-License-Identifier: GPL-2.0-or-later
// Status and the lists while something in the node hangs or lies. Prints
// "pass|fail<TAB>name<TAB>detail" lines for cri_stall.sh.
//
//   cri_stall.mjs SOCKET IMAGE LOGS CGPARENT SECONDS RTNL
//   SECONDS: how long each fault is looked at; RTNL: a script that holds the
//   kernel's network lock until its input ends, and says "held".
import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';
import { newAsker } from './asker.mjs';

const [socket, image, logs, cgparent, seconds, rtnl] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });
const asker = newAsker(socket, seconds, say);
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}
const call = (method, request = {}, timeout = 60) => cri.call(method, request, timeout);
const quiet = (promise) => promise.then(() => null, (e) => e);

const podConfig = (name) => ({
  metadata: { name, uid: name, namespace: 'stall', attempt: 0 },
  log_directory: `${logs}/${name}`, linux: { cgroup_parent: cgparent },
});
const run = async (name) => (await call('RunPodSandbox', { config: podConfig(name) })).pod_sandbox_id;
async function start(pod, name, command, more = {}) {
  const { container_id: id } = await call('CreateContainer', { pod_sandbox_id: pod,
    config: { metadata: { name, attempt: 0 }, image: { image }, command, log_path: `${name}.log`, ...more } });
  await call('StartContainer', { container_id: id });
  return id;
}
async function remove(pod) {
  await call('StopPodSandbox', { pod_sandbox_id: pod });
  await call('RemovePodSandbox', { pod_sandbox_id: pod });
}

// A pod that waits for its network while its process of this name is killed.
async function loses(name) {
  const all = () => { try { return execFileSync('pgrep', ['-x', name]).toString().trim().split('\n'); } catch { return []; } };
  const before = all(), born = () => all().find((p) => !before.includes(p)), pod = run(`loses-${name}`);
  pod.catch(() => {});
  while (!born()) await sleep(10);
  await sleep(500); // for the shim to be on its own, and crid to greet it
  process.kill(Number(born()), 'SIGKILL');
  return { name, pod };
}

// A registry that accepts and says nothing, or what nobody asked for.
async function registry(answer) {
  const server = createServer(answer);
  await new Promise((ok) => server.listen(0, '127.0.0.1', ok));
  return { server, at: `127.0.0.1:${server.address().port}` };
}

// The fault lasts as long as pulls are cancelled and asked for again.
async function pulls(what, answer) {
  const { server, at } = await registry(answer);
  let busy = true, codes = new Set(), count = 0;
  const one = async (n) => {
    while (busy) {
      const e = await quiet(call('PullImage', { image: { image: `${at}/${what}/image${n}:1` } }, 2));
      codes.add(e ? e.code : 0);
      count++;
    }
  };
  const all = [0, 1, 2].map(one);
  await asker.judge(`registry ${what}`);
  busy = false;
  await Promise.all(all);
  server.closeAllConnections();
  server.close();
  say(!codes.has(0), `registry ${what}: no pull works`, `${count} pulls, codes ${[...codes]}`);
}

const faults = {
  async stalls() {
    await pulls('stalls', (req, res) => { if (req.url === '/v2/') res.end('{}'); });
  },
  async drips() {
    await pulls('drips', (req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json', 'Content-Length': 2000 });
      const t = setInterval(() => res.write('{'), 20);
      res.on('close', () => clearInterval(t));
    });
  },
  async lies() {
    const blob = Buffer.alloc(8 << 20, 'lie');
    await pulls('lies', (req, res) => {
      if (!req.url.includes('/manifests/')) return res.end(blob);
      const digest = `sha256:${'5'.repeat(64)}`;
      const body = JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: blob.length },
        layers: Array(100).fill({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: blob.length }) });
      res.writeHead(200, { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' });
      res.end(body);
    });
  },
  async shim() {
    const pod = await run('stopped'), id = await start(pod, 'c', ['sleep', '1000']);
    const info = JSON.parse((await call('PodSandboxStatus', { pod_sandbox_id: pod, verbose: true })).info.info);
    process.kill(info.pid, 'SIGSTOP');
    const asks = [quiet(call('ExecSync', { container_id: id, cmd: ['true'], timeout: 1 }, 5))];
    for (let i = 0; i < 200; i++) asks.push(quiet(call('UpdateContainerResources', { container_id: id, linux: { cpu_shares: 100 } }, 5)));
    asks.push(quiet(call('StopContainer', { container_id: id, timeout: 0 }, 5)));
    await asker.judge('a stopped shim');
    say((await Promise.all(asks)).every((e) => e), 'a stopped shim does nothing');
    await remove(pod);
    say(true, 'its pod can be removed as it is');
  },
  async log() {
    const disk = `${logs}/disk`, names = ['a', 'b', 'c'];
    mkdirSync(disk, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'logdisk', disk]);
    const pod = (await call('RunPodSandbox', { config: { ...podConfig('log'), log_directory: disk } })).pod_sandbox_id;
    for (const n of names) await start(pod, n, ['sh', '-c', 'while :; do i=0; while [ $i -lt 100 ]; do echo a line of output, $i; i=$((i+1)); done; sleep 0.05; done']);
    await asker.judge('a full log disk');
    const { containers } = await call('ListContainers', { filter: { pod_sandbox_id: pod, state: { state: 'CONTAINER_RUNNING' } } });
    say(containers.length === names.length, 'who writes there runs on', containers.length);
    await remove(pod);
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  },
  // crid's own worker, and the kernel below it
  async worker() {
    const pid = execFileSync('pgrep', ['-f', 'berth-crid net$|^/proc/self/exe net$']).toString().trim().split('\n')[0];
    process.kill(Number(pid), 'SIGSTOP');
    const lost = [await loses('berth-shim'), await loses('berth-pause')];
    const pod = run('waits');
    await asker.judge('a stopped network worker');
    process.kill(Number(pid), 'SIGCONT');
    for (const l of lost) {
      const e = await quiet(l.pod);
      say(e?.code === 14 && e.details.includes('died'), `a pod whose ${l.name} dies meanwhile does not get ready`, e?.details);
    }
    await remove(await pod);
    say(true, 'a pod that waited for it runs then');
  },
  async rtnl() {
    const holder = spawn('python3', [rtnl], { stdio: ['pipe', 'pipe', 'inherit'] });
    const word = await new Promise((ok) => { holder.stdout.once('data', (d) => ok(String(d).trim())); holder.once('exit', () => ok('it ended')); });
    if (word !== 'held') return say(true, `the network lock held # SKIP ${word}`);
    const pod = run('locked');
    let done = false;
    pod.then(() => { done = true; }, () => { done = true; });
    await asker.judge('the network lock held');
    say(!done, 'no pod gets its network meanwhile');
    holder.stdin.end();
    await remove(await pod);
    say(true, 'a pod that waited for it runs then');
  },
};

try {
  await call('PullImage', { image: { image } });
  const pods = await Promise.all(['x', 'y', 'z'].map(run));
  for (const p of pods) await start(p, 'c', ['sleep', '1000']);
  await asker.begin();
  for (const name of Object.keys(faults)) await faults[name]();
  await Promise.all(pods.map(remove));
} catch (e) {
  say(false, 'the run', `${e.details ?? ''} ${e.stack}`);
}
cri.close();
asker.close();
