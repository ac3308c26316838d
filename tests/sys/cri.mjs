// SPDX-License-Identifier: GPL-2.0-or-later
// The life of pods and containers, driven by an independent client. Prints
// "pass|fail<TAB>name<TAB>detail" lines for cri.sh; each part stands alone.
//
//   cri.mjs SOCKET IMAGE LOGS CGPARENT PART
//   LOGS is a folder that node and test see by the same path.
import { execFileSync } from 'node:child_process';
import { readFileSync, existsSync, renameSync, writeFileSync, mkdirSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, part, ...args] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}
const same = (name, got, wanted) =>
  say(JSON.stringify(got) === JSON.stringify(wanted), name, `got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
const call = (method, request = {}, timeout = 30) => cri.call(method, request, timeout);
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
async function until(what, seconds = 10) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(20)) {
    const r = await what();
    if (r) return r;
  }
  return null;
}

const podConfig = (name, more = {}) => ({
  metadata: { name, uid: `uid-${name}`, namespace: 'test', attempt: 0 },
  log_directory: `${logs}/${name}`,
  labels: { app: name, all: 'yes' },
  annotations: { note: `about ${name}` },
  linux: { cgroup_parent: cgparent },
  ...more,
});
const ctrConfig = (name, command, more = {}) => ({
  metadata: { name, attempt: 0 },
  image: { image },
  command,
  log_path: `${name}/0.log`,
  labels: { ctr: name, all: 'yes' },
  ...more,
});
const run = async (name, more) => (await call('RunPodSandbox', { config: podConfig(name, more) })).pod_sandbox_id;
async function start(pod, name, command, more) {
  const { container_id: id } = await call('CreateContainer', { pod_sandbox_id: pod, config: ctrConfig(name, command, more) });
  await call('StartContainer', { container_id: id });
  return id;
}
const status = async (id) => (await call('ContainerStatus', { container_id: id })).status;
const podStatus = async (id) => (await call('PodSandboxStatus', { pod_sandbox_id: id })).status;
const exec = (id, cmd, timeout = '10') => call('ExecSync', { container_id: id, cmd, timeout });
const exited = (id, seconds) => until(async () => {
  const s = await status(id);
  return s.state === 'CONTAINER_EXITED' && s;
}, seconds);
const lines = (path) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);
async function remove(pod) {
  await call('StopPodSandbox', { pod_sandbox_id: pod });
  await call('RemovePodSandbox', { pod_sandbox_id: pod });
}

const parts = {
  async runtime() {
    const v = await call('Version');
    same('Version', [v.version, v.runtime_name, v.runtime_api_version], ['0.1.0', 'berth', 'v1']);
    const s = await call('Status', { verbose: true });
    same('Status: conditions', s.status.conditions.map((c) => [c.type, c.status]), [['RuntimeReady', true], ['NetworkReady', true]]);
    same('Status: the default handler', s.runtime_handlers.map((h) => h.name), ['']);
    say(JSON.parse(s.info.config).stateDir === '/run/berth', 'Status: its configuration when asked');
    same('RuntimeConfig', (await call('RuntimeConfig')).linux.cgroup_driver, 'CGROUPFS');
    await call('UpdateRuntimeConfig', { runtime_config: { network_config: { pod_cidr: '10.77.0.0/24' } } });
    say(true, 'UpdateRuntimeConfig');
  },

  async images() {
    const { image_ref: id } = await call('PullImage', { image: { image } }, 60);
    say(/^sha256:[0-9a-f]{64}$/.test(id), 'PullImage answers the id', id);
    same('PullImage again answers the same', (await call('PullImage', { image: { image } }, 60)).image_ref, id);
    const i = (await call('ImageStatus', { image: { image } })).image;
    same('ImageStatus by name', [i.id, i.repo_tags.includes(image), Number(i.size) > 0], [id, true, true]);
    same('ImageStatus by id', (await call('ImageStatus', { image: { image: id } })).image.id, id);
    same('ImageStatus by digest', (await call('ImageStatus', { image: { image: i.repo_digests[0] } })).image.id, id);
    same('ListImages', (await call('ListImages')).images.map((x) => x.id), [id]);
    const u = (await call('ImageFsInfo')).image_filesystems[0];
    say(Number(u.used_bytes.value) > 100000 && u.fs_id.mountpoint === '/var/lib/berth', 'ImageFsInfo', JSON.stringify(u));
  },

  async life() {
    const pod = await run('life');
    const p = await podStatus(pod);
    same('a pod is ready with an address', [p.state, /^10\./.test(p.network.ip)], ['SANDBOX_READY', true]);
    same('its metadata, labels and annotations come back', [p.metadata, p.labels, p.annotations],
      [podConfig('life').metadata, podConfig('life').labels, podConfig('life').annotations]);
    same('the same request gives the same pod', await run('life'), pod);

    const config = ctrConfig('main', ['sh', '-c', 'trap "echo bye; exit 3" TERM; echo hello; echo oops >&2; while :; do sleep 0.1; done']);
    const create = { pod_sandbox_id: pod, config };
    const { container_id: id } = await call('CreateContainer', create);
    same('the same request gives the same container', (await call('CreateContainer', create)).container_id, id);
    let s = await status(id);
    same('a container is created', [s.state, s.started_at, s.image.image, s.image_ref === s.image_id], ['CONTAINER_CREATED', '0', image, true]);
    same('its log path is absolute', s.log_path, `${logs}/life/main/0.log`);
    await call('StartContainer', { container_id: id });
    s = await status(id);
    say(s.state === 'CONTAINER_RUNNING' && BigInt(s.started_at) >= BigInt(s.created_at), 'it runs', JSON.stringify(s));
    await until(() => lines(s.log_path).length >= 2);
    const log = lines(s.log_path);
    say(log.every((l) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (stdout|stderr) F /.test(l)), 'log lines have the form of the interface', log[0]);
    same('and the words', log.map((l) => l.split(' ').slice(1).join(' ')).sort(), ['stderr F oops', 'stdout F hello']);

    let x = await exec(id, ['sh', '-c', 'echo out; echo err >&2; exit 7']);
    same('ExecSync: output and exit code', [String(x.stdout), String(x.stderr), x.exit_code], ['out\n', 'err\n', 7]);
    x = await exec(id, ['hostname']);
    same('ExecSync: hostname is the pod\'s', String(x.stdout).trim(), execFileSync('hostname').toString().trim());
    x = await exec(id, ['cat', '/proc/1/comm']);
    same('ExecSync: process 1 of the pod is pause', String(x.stdout), 'berth-pause\n');
    const t = Date.now();
    const e = await exec(id, ['sh', '-c', 'sleep 4321 & sleep 4321'], '1').catch((err) => err);
    say(e.code === 4 && Date.now() - t < 30000, 'ExecSync: a timeout is DEADLINE_EXCEEDED', e.details);
    x = await exec(id, ['sh', '-c', 'ps | grep -c "[s]leep 4321"']);
    same('and nothing of the session is left', String(x.stdout), '0\n');

    const stats = (await call('ContainerStats', { container_id: id })).stats;
    same('ContainerStats', [stats.attributes.id, stats.attributes.metadata.name, stats.cpu.timestamp !== '0'], [id, 'main', true]);
    say((await call('ListContainerStats', { filter: { label_selector: { ctr: 'main' } } })).stats.length === 1, 'ListContainerStats by label');

    renameSync(s.log_path, `${s.log_path}.old`);
    await call('ReopenContainerLog', { container_id: id });
    say(existsSync(s.log_path), 'ReopenContainerLog makes a new file');
    await call('StopContainer', { container_id: id, timeout: '20' });
    s = await status(id);
    same('StopContainer: the trap ran', [s.state, s.exit_code, s.reason], ['CONTAINER_EXITED', 3, 'Error']);
    say(BigInt(s.finished_at) >= BigInt(s.started_at), 'it finished after it started');
    same('its last words are in the new file', lines(s.log_path).map((l) => l.split(' ').slice(3).join(' ')), ['bye']);
    await call('StopContainer', { container_id: id, timeout: '0' });
    say(true, 'StopContainer again is fine');
    await call('RemoveContainer', { container_id: id });
    await call('RemoveContainer', { container_id: id });
    same('RemoveContainer', (await call('ListContainers', { filter: { id } })).containers, []);
    await call('StopPodSandbox', { pod_sandbox_id: pod });
    await call('StopPodSandbox', { pod_sandbox_id: pod });
    same('StopPodSandbox, twice', (await podStatus(pod)).state, 'SANDBOX_NOTREADY');
    await call('RemovePodSandbox', { pod_sandbox_id: pod });
    await call('RemovePodSandbox', { pod_sandbox_id: pod });
    same('RemovePodSandbox, twice', (await call('ListPodSandbox')).items, []);
  },

  async ends() {
    const pod = await run('ends');
    const end = async (name, command, more) => exited(await start(pod, name, command, more));
    let s = await end('good', ['true']);
    same('exit 0 is Completed', [s.exit_code, s.reason], [0, 'Completed']);
    s = await end('bad', ['sh', '-c', 'exit 42']);
    same('exit 42 is Error', [s.exit_code, s.reason], [42, 'Error']);
    s = await end('signal', ['sh', '-c', 'kill -USR1 $$']);
    same('a signal is 128 and more', [s.exit_code, s.reason], [138, 'Error']);
    const id = await start(pod, 'stubborn', ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done']);
    await sleep(200);
    const t = Date.now();
    const first = call('StopContainer', { container_id: id, timeout: '100' });
    await sleep(100);
    await call('StopContainer', { container_id: id, timeout: '1' });
    await first;
    say(Date.now() - t < 30000, 'a second, shorter stop shortens the first', Date.now() - t);
    s = await status(id);
    same('what ignores TERM is killed', [s.state, s.exit_code], ['CONTAINER_EXITED', 137]);
    s = await end('usr', ['sh', '-c', 'trap "exit 9" USR2; kill -USR2 $$; sleep 10']);
    same('a handler runs', s.exit_code, 9);
    const q = await start(pod, 'stopsignal', ['sh', '-c', 'trap "exit 11" USR1; while :; do sleep 0.1; done'], { stop_signal: 'SIGNAL_SIGUSR1' });
    await sleep(200);
    await call('StopContainer', { container_id: q, timeout: '10' });
    s = await status(q);
    same('the stop signal is the one asked for', [s.exit_code, s.stop_signal], [11, 'SIGNAL_SIGUSR1']);
    const bare = 'registry.k8s.io/pause:3.9';
    await call('PullImage', { image: { image: bare } }, 60);
    const r = await start(pod, 'bare', [], { image: { image: bare } });
    same('an image without accounts runs', (await status(r)).state, 'CONTAINER_RUNNING');
    await start(pod, 'left', ['sleep', '1000']);
    await remove(pod);
    await call('RemoveImage', { image: { image: bare } });
    same('a pod is removed with what still runs in it', (await call('ListContainers', {})).containers, []);
  },

  async lists() {
    const a = await run('lista'), b = await run('listb');
    const one = await start(a, 'one', ['sleep', '1000']), two = await start(b, 'two', ['true']);
    await exited(two);
    const pods = async (filter) => (await call('ListPodSandbox', { filter })).items.map((x) => x.id).sort();
    const ctrs = async (filter) => (await call('ListContainers', { filter })).containers.map((x) => x.id).sort();
    const none = 'f'.repeat(64);

    same('pods: all', await pods(null), [a, b].sort());
    same('pods: by id', await pods({ id: a }), [a]);
    same('pods: by a prefix', await pods({ id: a.slice(0, 12) }), [a]);
    same('pods: by label', await pods({ label_selector: { app: 'lista' } }), [a]);
    same('pods: by two labels', await pods({ label_selector: { app: 'lista', all: 'no' } }), []);
    same('pods: by state', await pods({ state: { state: 'SANDBOX_NOTREADY' } }), []);
    same('pods: unknown id', await pods({ id: none }), []);
    same('containers: all', await ctrs(null), [one, two].sort());
    same('containers: by id', await ctrs({ id: one.slice(0, 10) }), [one]);
    same('containers: by pod', await ctrs({ pod_sandbox_id: b }), [two]);
    same('containers: by state', await ctrs({ state: { state: 'CONTAINER_EXITED' } }), [two]);
    same('containers: by label', await ctrs({ label_selector: { all: 'yes', ctr: 'one' } }), [one]);
    same('containers: unknown pod', await ctrs({ pod_sandbox_id: none }), []);
    await remove(a);
    await remove(b);
  },

  // Six clients ask for one pod and give up at once; a last one waits.
  async retries() {
    const config = podConfig('retries');
    const first = Array.from({ length: 5 }, () => cri.call('RunPodSandbox', { config }, 0.001).catch((e) => e.code));
    await Promise.all(first);
    const id = (await call('RunPodSandbox', { config })).pod_sandbox_id;
    same('five deadlines and a retry make one pod', (await call('ListPodSandbox')).items.map((x) => x.id), [id]);
    await remove(id);
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => run(`many${i}`)));
    const ips = new Set(await Promise.all(many.map(async (m) => (await podStatus(m)).network.ip)));
    same('twenty pods at once have twenty addresses', ips.size, 20);
    await Promise.all(many.map(remove));
    same('and are gone', (await call('ListPodSandbox')).items, []);
  },

  // Across a restart of crid: cri.sh kills it between these three.
  async before() {
    const pod = await run('restart');
    const steady = await start(pod, 'steady', ['sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done']);
    const brief = await start(pod, 'brief', ['sh', '-c', `while [ ! -e /gate/open ]; do sleep 0.05; done; exit 5`],
      { mounts: [{ container_path: '/gate', host_path: `${logs}/gate` }] });
    const created = (await call('CreateContainer', { pod_sandbox_id: pod, config: ctrConfig('created', ['true']) })).container_id;
    await call('ExecSync', { container_id: steady, cmd: ['true'] });
    writeFileSync(`${logs}/before.json`, JSON.stringify({ pod, steady, brief, created, lists: await snapshot() }));
    say(true, 'a pod with three containers waits for the restart');
  },
  async after() {
    const { pod, steady, brief, created, lists } = JSON.parse(readFileSync(`${logs}/before.json`));
    const s = await exited(brief);
    same('an exit while crid was down is known', [s.exit_code, s.reason], [5, 'Error']);
    const now = await snapshot();
    const fix = (t) => JSON.stringify(t).replace(/CONTAINER_(RUNNING|EXITED)/g, 'X');
    say(fix(now) === fix(lists), 'lists are what they were', `${fix(now)} ${fix(lists)}`);
    same('a container runs on', (await status(steady)).state, 'CONTAINER_RUNNING');
    const path = (await status(steady)).log_path, n = lines(path).length;
    say(await until(() => lines(path).length > n + 3), 'its log goes on');
    const numbers = lines(path).map((l) => Number(l.split(' ')[3]));
    say(numbers.every((x, i) => x === i), 'and has no gap', numbers.join(' '));
    same('it takes an exec', String((await exec(steady, ['echo', 'hi'])).stdout), 'hi\n');
    await call('StartContainer', { container_id: created });
    same('a created container can be started', (await exited(created)).exit_code, 0);
    await remove(pod);
  },

  // Nothing that takes its time may hold up who only asks.
  async latency() {
    const ms = [];
    let busy = true;
    const asking = (async () => {
      for (; busy; await sleep(3)) {
        const at = process.hrtime.bigint();
        await call('Status');
        ms.push(Number(process.hrtime.bigint() - at) / 1e6);
      }
    })();
    const pods = await Promise.all(Array.from({ length: 40 }, (_, i) => run(`busy${i}`)));
    const ctrs = await Promise.all(pods.map((p) => start(p, 'c', ['sleep', '1000'])));
    await Promise.all(ctrs.map((c) => exec(c, ['true'])));
    const at = Date.now();
    await Promise.all(pods.map(remove));
    say(Date.now() - at < 40000, 'forty pods are removed at once', Date.now() - at);
    busy = false;
    await asking;
    ms.sort((a, b) => a - b);
    const p90 = ms[Math.floor(ms.length * 0.9)], max = ms[ms.length - 1];
    say(p90 < 200 && max < 5000, 'Status is answered meanwhile', `p90 ${p90} ms, max ${max} ms of ${ms.length}`);
  },

  // A file system below args[0] never answers.
  async hang(dead) {
    const pod = await run('hang');
    const create = { pod_sandbox_id: pod, config: ctrConfig('stuck', ['true'], { mounts: [{ container_path: '/x', host_path: dead }] }) };
    const e = await cri.call('CreateContainer', create, 1).catch((x) => x);
    same('a dead host path ends by the deadline', e.code, 4);
    const t = Date.now();
    for (const more of [{ linux: { security_context: { seccomp: { profile_type: 'Localhost', localhost_ref: dead } } } },
      { devices: [{ container_path: '/dev/x', host_path: dead, permissions: 'r' }] }]) {
      const other = { pod_sandbox_id: pod, config: ctrConfig(`stuck-${Object.keys(more)[0]}`, ['true'], more) };
      same(`so does a dead path in ${Object.keys(more)[0]}`, (await cri.call('CreateContainer', other, 1).catch((x) => x)).code, 4);
    }
    await call('Status');
    say(Date.now() - t < 7000, 'Status is answered meanwhile');
    same('nothing of it is shown', (await call('ListContainers')).containers, []);
    const good = await start(pod, 'good', ['true']);
    same('another container of the pod runs', (await exited(good)).exit_code, 0);
    await remove(pod);
    say(Date.now() - t < 30000, 'the pod is removed at once', Date.now() - t);
  },

  async shimdeath() {
    const pod = await run('shimdeath'), other = await run('other');
    const id = await start(pod, 'victim', ['sleep', '1000']), safe = await start(other, 'safe', ['sleep', '1000']);
    const info = JSON.parse((await call('PodSandboxStatus', { pod_sandbox_id: pod, verbose: true })).info.info);
    writeFileSync(`${logs}/shim.pid`, String(info.pid));
    await until(() => existsSync(`${logs}/shim.killed`));
    const s = await exited(id);
    same('a container whose shim died is EXITED with a reason', [s.state, s.exit_code, s.reason], ['CONTAINER_EXITED', 255, 'Unknown']);
    say(/shim died/.test(s.message), 'and a message', s.message);
    same('its pod is NOTREADY', await until(async () => (await podStatus(pod)).state === 'SANDBOX_NOTREADY'), true);
    same('another pod lives on', (await status(safe)).state, 'CONTAINER_RUNNING');
    await remove(pod);
    await remove(other);
  },
};

async function snapshot() {
  const all = { pods: (await call('ListPodSandbox')).items, ctrs: (await call('ListContainers')).containers };
  all.status = await Promise.all(all.ctrs.map(async (c) => {
    const s = await status(c.id);
    for (const k of ['state', 'finished_at', 'exit_code', 'reason']) delete s[k]; // one of them ends meanwhile
    return s;
  }));
  return all;
}

mkdirSync(`${logs}/gate`, { recursive: true });
try {
  await parts[part](...args);
} catch (e) {
  say(false, `${part}: the run`, e.details ?? e.stack ?? e);
}
cri.close();
