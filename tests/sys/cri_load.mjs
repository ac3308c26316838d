// SPDX-License-Identifier: GPL-2.0-or-later
// Clients and containers that ask for too much. Prints "pass|fail<TAB>name<TAB>detail"
// lines for cri_load.sh.
//
//   cri_load.mjs SOCKET IMAGE LOGS CGPARENT SECONDS ABUSE
//   SECONDS: how long each lasts; ABUSE: tests/sys/h2_abuse.py
import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, readFileSync, readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { connect } from '../peers/cri-call.mjs';
import { newAsker } from './asker.mjs';

const [socket, image, logs, cgparent, seconds, abuse] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const call = (method, request = {}, timeout = 60) => cri.call(method, request, timeout);
const crid = execFileSync('pgrep', ['-o', '-x', 'berth-crid']).toString().trim();
const KINDS = ['reset', 'continuation', 'window', 'settings', 'ping', 'empty', 'unread', 'table'];

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}
const asker = newAsker(socket, seconds, say);

const kb = (file, key) => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(readFileSync(`/proc/${crid}/${file}`, 'latin1'))[1]);
const fds = () => readdirSync(`/proc/${crid}/fd`).length;
const ticks = () => readFileSync(`/proc/${crid}/stat`, 'latin1').split(') ')[1].split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);
const peakReset = () => execFileSync('sh', ['-c', `echo 5 > /proc/${crid}/clear_refs`]);
async function until(what, limit = 30) {
  for (const end = Date.now() + limit * 1000; Date.now() < end; await sleep(50)) if (await what()) return true;
  return false;
}

// What crid needs at its peak during work(), above what it has before; and that it ends.
async function bounded(name, mb, work) {
  await sleep(200);
  const before = kb('status', 'VmRSS'), open = fds();
  peakReset();
  await work();
  const peak = kb('status', 'VmHWM') - before;
  if (process.env.SANITIZED) mb += 512; // what is freed is kept for a while
  say(peak < mb * 1024, `${name}: at most ${mb} MB more than ${(before / 1024).toFixed(1)}: ${(peak / 1024).toFixed(1)}`);
  say(await until(() => fds() <= open), `${name}: no descriptor stays`, `${open}, now ${fds()}`);
  let used = 0;
  say(await until(async () => {
    const at = ticks();
    await sleep(500);
    return (used = ticks() - at) <= 3;
  }), `${name}: then it is at rest`, `${used} ticks in half a second`);
}

async function lines(path) {
  let n = 0;
  for await (const chunk of createReadStream(path)) for (const b of chunk) n += b === 10;
  return n;
}

const config = { metadata: { name: 'load', uid: 'load', namespace: 'load', attempt: 0 }, log_directory: `${logs}/load`, linux: { cgroup_parent: cgparent } };
async function start(pod, name, command) {
  const { container_id: id } = await call('CreateContainer', { pod_sandbox_id: pod,
    config: { metadata: { name, attempt: 0 }, image: { image }, command, log_path: `${name}.log` } });
  await call('StartContainer', { container_id: id });
  return id;
}

const parts = {
  async flood(pod) {
    const n = 300000;
    await bounded('a log flood', 8, async () => {
      const id = await start(pod, 'flood', ['sh', '-c', `yes "$(printf %0100d 0)" | head -n ${n}`]);
      await asker.judge('a log flood');
      await until(async () => (await call('ContainerStatus', { container_id: id })).status.state === 'CONTAINER_EXITED', 60);
    });
    say(await lines(`${logs}/load/flood.log`) === n, `all ${n} lines are in the log`);
  },
  async idle() {
    await bounded('300 idle connections', 64, async () => {
      const hello = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
      const all = await Promise.all(Array.from({ length: 300 }, () => new Promise((ok, bad) => {
        const s = createConnection(socket, () => s.write(hello));
        s.once('data', () => ok(s)).on('error', bad);
      })));
      const at = ticks();
      await sleep(500);
      say(ticks() - at <= 3, '300 idle connections cost nothing', `${ticks() - at} ticks`);
      await asker.judge('300 idle connections');
      all.forEach((s) => s.destroy());
    });
  },
  async abuse() {
    for (const kind of KINDS)
      await bounded(`HTTP/2 ${kind}`, 64, async () => {
        let text = '';
        const all = [0, 1].map(() => spawn('python3', [abuse, socket, kind, String(Number(seconds) + 0.5)], { stdio: ['ignore', 'pipe', 'inherit'] }));
        all.forEach((p) => p.stdout.on('data', (d) => { text += ` ${String(d).trim()};`; }));
        const done = Promise.all(all.map((p) => new Promise((ok) => p.once('close', ok))));
        await asker.judge(`HTTP/2 ${kind}`);
        await done;

      });
  },
  async execs(pod, id) {
    let codes;
    await bounded('20 ExecSync of yes', 192, async () => {
      const all = Array.from({ length: 20 }, () => call('ExecSync', { container_id: id, cmd: ['yes'], timeout: seconds }).then(() => 0, (e) => e.code));
      await asker.judge('20 ExecSync of yes');
      codes = await Promise.all(all);
    });
    say(codes.every((c) => c === 4), '20 ExecSync of yes: each ends at its timeout', codes);
    await bounded('20 ExecSync with 16 MB each', 192, async () => {
      const cmd = ['sh', '-c', 'yes | head -c 16000000'];
      codes = await Promise.all(Array.from({ length: 20 }, () => call('ExecSync', { container_id: id, cmd, timeout: 50 }).then((r) => r.exit_code, (e) => e.code)));
    });
    say(codes.every((c) => c === 0 || c === 8), '20 ExecSync with 16 MB each: answered or RESOURCE_EXHAUSTED', codes);
    const r = await call('ExecSync', { container_id: id, cmd: ['echo', 'alive'], timeout: 20 });
    say(String(r.stdout) === 'alive\n', 'an ExecSync works afterwards');
  },
};

try {
  await call('PullImage', { image: { image } });
  const { pod_sandbox_id: pod } = await call('RunPodSandbox', { config });
  const id = await start(pod, 'c', ['sleep', '1000']);
  await asker.begin();
  for (const name of Object.keys(parts)) await parts[name](pod, id);
  await call('StopPodSandbox', { pod_sandbox_id: pod });
  await call('RemovePodSandbox', { pod_sandbox_id: pod });
} catch (e) {
  say(false, 'the run', `${e.details ?? ''} ${e.stack}`);
}
cri.close();
asker.close();
