// SPDX-License-Identifier: GPL-2.0-or-later
// Kills crid at random times while pods with containers of all kinds of ends are run and
// removed, one worker by crictl when there is one, and a pod that must not notice runs on.
// Prints "pass|fail<TAB>name<TAB>detail" lines for cri_kill.sh.
//
//   cri_kill.mjs SOCKET IMAGE LOGS CGPARENT KILLS [CRICTL]
//   /run/crid.pid says which process is crid; it is not started while /run/crid.hold is there.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, wanted, crictl] = process.argv.slice(2);
const KILLS = Number(wanted);
const WORKERS = 3;
const RETRY_MS = 60000;
const SLACK_MS = 20; // a file's time is that of the last tick
const LATE_MS = 10000; // between the last word of a process and its end
const transient = [1, 2, 4, 14]; // what a retry may mend
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const random = (n) => Math.floor(Math.random() * n);
const cri = connect(socket, undefined, { defaults: true },
  { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 100 });
let kills = 0, churning = true;
const count = { lives: 0, crictl: 0, retries: 0, ends: 0, unseen: 0, execs: 0 };
const wrong = [];
const dead = []; // when crid was: [from, to]

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}

async function until(what, why) {
  for (const end = Date.now() + RETRY_MS; Date.now() < end; await sleep(20)) {
    const r = await what();
    if (r) return r;
  }
  throw new Error(`${why}: not within ${RETRY_MS} ms`);
}

// Until it works, as kubelet does.
async function again(method, request, timeout = 10) {
  for (let limit = Date.now() + RETRY_MS; ; count.retries++) {
    try {
      return await cri.call(method, request, timeout);
    } catch (e) {
      if (!transient.includes(e.code) || Date.now() > limit)
        throw new Error(`${method}: ${e.code} ${e.details}`);
      await sleep(20);
    }
  }
}

const ENDS = [
  ['exit 0', 0], ['exit 1', 1], ['exit 42', 42], ['exit 255', 255], ['kill -KILL $$', 137],
  ['kill -TERM $$', 143], ['kill -SEGV $$', 139],
];

const podConfig = (name, attempt = 0) => ({
  metadata: { name, namespace: 'kill', uid: `uid-${name}`, attempt },
  log_directory: `${logs}/${name}`, linux: { cgroup_parent: cgparent },
});
// The file that it writes last says when it ended.
const ctrConfig = (name, script, pod, more = {}) => ({
  metadata: { name, attempt: 0 }, image: { image }, log_path: `${name}.log`,
  command: ['sh', '-c', script],
  mounts: [{ container_path: '/out', host_path: `${logs}/${pod}/out` }], ...more,
});

async function start(pod, config) {
  const { container_id: id } = await again('CreateContainer', { pod_sandbox_id: pod, config });
  await started(id);
  return id;
}
async function started(id) {
  await until(async () => {
    const { status } = await again('ContainerStatus', { container_id: id });
    if (status.state !== 'CONTAINER_CREATED') return true;
    await cri.call('StartContainer', { container_id: id }, 10).catch(() => count.retries++);
    return false;
  }, 'StartContainer');
}
const pid = (path) => Number(readFileSync(path, 'utf8'));
const alive = (p) => existsSync(`/proc/${p}`);

async function remove(id) {
  await again('StopPodSandbox', { pod_sandbox_id: id });
  await again('RemovePodSandbox', { pod_sandbox_id: id });
}

// What is said of an end against what the process left.
function judge(s, file, code, limit = Infinity) {
  const at = Number(BigInt(s.finished_at) / 1000000n), word = statSync(file).mtimeMs;
  count.ends++;
  if (dead.some(([from, to]) => at > from && at < to)) count.unseen++;
  if (s.exit_code !== code) wrong.push(`exit code ${s.exit_code} of ${code}: ${s.reason} ${s.message}`);
  if (at < word - SLACK_MS || at > word + LATE_MS || at > limit)
    wrong.push(`finished at ${at}, its last word was at ${word}, the limit ${limit}`);
  if (BigInt(s.started_at) > BigInt(s.finished_at)) wrong.push('finished before it started');
}

async function life(name, attempt) {
  const [end, code] = ENDS[random(ENDS.length)];
  const file = `${logs}/${name}/out/${attempt}`;
  mkdirSync(`${logs}/${name}/out`, { recursive: true });
  const pod = (await again('RunPodSandbox', { config: podConfig(name, attempt) })).pod_sandbox_id;
  const script = `sleep 0.${random(9)}; echo > /out/${attempt}; ${end}`;
  const id = await start(pod, ctrConfig(`c${attempt}`, script, name));
  const s = await until(async () => {
    const { status } = await again('ContainerStatus', { container_id: id });
    return status.state === 'CONTAINER_EXITED' && status;
  }, `the end of ${script}`);
  judge(s, file, code);
  await sleep(random(200));
  const { status: t } = await again('ContainerStatus', { container_id: id });
  for (const key of ['state', 'exit_code', 'finished_at', 'started_at', 'reason'])
    if (t[key] !== s[key]) wrong.push(`${key} became ${t[key]} of ${s[key]}`);
  await remove(pod);
  rmSync(file);
  count.lives++;
}

// The same by crictl.
async function tool(...args) {
  for (let limit = Date.now() + RETRY_MS; ; count.retries++) {
    const r = await new Promise((ok) => execFile(crictl, ['-r', `unix://${socket}`, '-i', `unix://${socket}`,
      '-t', '10s', ...args], (error, stdout, stderr) => ok({ error, stdout: stdout.trim(), stderr })));
    if (!r.error) return r.stdout;
    if (args[0] === 'rmp' && /code = NotFound/.test(r.stderr)) return ''; // by the try before
    if (Date.now() > limit) throw new Error(`crictl ${args.join(' ')}: ${r.stderr}`);
    await sleep(20);
  }
}

async function crictlLife(attempt) {
  const [end, code] = ENDS[random(ENDS.length)];
  const name = 'crictl', folder = `${logs}/${name}`;
  mkdirSync(`${folder}/out`, { recursive: true });
  writeFileSync(`${folder}/pod.json`, JSON.stringify(podConfig(name, attempt)));
  writeFileSync(`${folder}/ctr.json`, JSON.stringify(
    ctrConfig(`c${attempt}`, `sleep 0.${random(5)}; echo > /out/${attempt}; ${end}`, name)));
  const pod = await tool('runp', `${folder}/pod.json`);
  const id = await tool('create', pod, `${folder}/ctr.json`, `${folder}/pod.json`);
  await until(async () => {
    const { status } = JSON.parse(await tool('inspect', id));
    if (status.state !== 'CONTAINER_CREATED') return true;
    await new Promise((ok) => execFile(crictl, ['-r', `unix://${socket}`, '-t', '10s', 'start', id], ok));
    return false;
  }, 'crictl start');
  await until(async () => JSON.parse(await tool('inspect', id)).status.state === 'CONTAINER_EXITED', 'crictl inspect');
  const { status: s } = await again('ContainerStatus', { container_id: id });
  judge(s, `${folder}/out/${attempt}`, code);
  await tool('stopp', pod);
  await tool('rmp', pod);
  count.crictl++;
}

async function killer() {
  while (kills < KILLS) {
    // soon after its start as well as at work
    await sleep([20, 200, 1000][random(3)] * Math.random());
    const old = pid('/run/crid.pid');
    try {
      process.kill(old, 'SIGKILL');
      kills++;
    } catch { continue; } // between two
    const from = Date.now();
    await until(() => pid('/run/crid.pid') !== old, 'the next crid');
    dead.push([from, Date.now()]);
  }
  churning = false;
}

// A pod that is there all the time.
async function bystander() {
  mkdirSync(`${logs}/steady/out`, { recursive: true });
  const pod = (await again('RunPodSandbox', { config: podConfig('steady') })).pod_sandbox_id;
  const id = await start(pod, ctrConfig('count',
    'i=0; while :; do echo "line $i"; i=$((i+1)); usleep 2000; done', 'steady'));
  const info = async (method, request) => JSON.parse((await again(method, { ...request, verbose: true })).info.info).pid;
  // the process and when it began
  const birth = (p) => `${p} ${readFileSync(`/proc/${p}/stat`, 'latin1').split(') ')[1].split(' ')[19]}`;
  const look = async () => ({
    shim: birth(await info('PodSandboxStatus', { pod_sandbox_id: pod })),
    container: birth(await info('ContainerStatus', { container_id: id })),
    all: readFileSync(`/sys/fs/cgroup${cgparent}/${id}/cgroup.procs`, 'utf8').split('\n')[0],
  });
  return { pod, id, first: await look(), look };
}

async function steady(b) {
  const now = await b.look();
  const { status } = await again('ContainerStatus', { container_id: b.id });
  say(status.state === 'CONTAINER_RUNNING' && JSON.stringify(now) === JSON.stringify(b.first),
    'the long-running pod is never restarted', `${status.state} ${JSON.stringify([b.first, now])}`);
  await remove(b.pod);
  const lines = readFileSync(`${logs}/steady/count.log`, 'utf8').split('\n').slice(0, -1);
  const bad = lines.findIndex((l, i) => l.split(' ').slice(1).join(' ') !== `stdout F line ${i}`);
  say(bad < 0, `its log of ${lines.length} lines has no gap and no double line`,
    `line ${bad}: ${lines[bad]}; before: ${lines[bad - 1]}`);
}

// Ends of all kinds while crid is kept dead.
async function whileDead() {
  const name = 'dead', folder = `${logs}/${name}/out`;
  mkdirSync(folder, { recursive: true });
  const pod = (await again('RunPodSandbox', { config: podConfig(name) })).pod_sandbox_id;
  const ctrs = await Promise.all(ENDS.map(async ([end, code], i) => {
    const id = await start(pod, ctrConfig(`end${i}`,
      `while [ ! -e /out/gate ]; do usleep 20000; done; echo > /out/${i}; ${end}`, name));
    const { info } = await again('ContainerStatus', { container_id: id, verbose: true });
    return { id, code, file: `${folder}/${i}`, pid: JSON.parse(info.info).pid };
  }));
  writeFileSync('/run/crid.hold', '');
  const crid = pid('/run/crid.pid');
  process.kill(crid, 'SIGKILL');
  await until(() => !alive(crid), 'the end of crid');
  const from = Date.now();
  writeFileSync(`${folder}/gate`, '');
  await until(() => !ctrs.some((c) => alive(c.pid)), 'the ends');
  await sleep(100); // a finish time is not that of the restart
  const limit = Date.now();
  rmSync('/run/crid.hold');
  dead.push([from, limit]);
  wrong.length = 0;
  for (const c of ctrs) {
    const { status } = await again('ContainerStatus', { container_id: c.id });
    if (status.state !== 'CONTAINER_EXITED') wrong.push(`${c.code}: ${status.state}`);
    judge(status, c.file, c.code, limit);
  }
  say(wrong.length === 0, `${ctrs.length} ends while crid was dead have their codes and times`, wrong.slice(0, 5).join('; '));
  await remove(pod);
}

try {
  const b = await bystander();
  const churn = (one) => (async () => {
    for (let attempt = 0; churning; attempt++) await one(attempt);
  })();
  const jobs = [killer(), ...Array.from({ length: WORKERS }, (_, n) => churn((a) => life(`w${n}`, a)))];
  if (crictl) jobs.push(churn(crictlLife));
  jobs.push(churn(async () => {
    const { exit_code: code } = await again('ExecSync', { container_id: b.id, cmd: ['sh', '-c', 'exit 7'], timeout: 10 });
    if (code !== 7) wrong.push(`exec: ${code} of 7`);
    count.execs++;
    await sleep(50);
  }));
  await Promise.all(jobs.map((j) => j.catch((e) => {
    churning = false;
    wrong.push(e.message);
  })));
  say(wrong.length === 0 && count.lives > 0, `${kills} kills of crid: ${count.ends} ends (${count.unseen} while it was dead) have their codes and times`,
    wrong.slice(0, 5).join('; '));
  say(!crictl || count.crictl > 0, `${count.lives} lives, ${count.crictl} by crictl, ${count.execs} execs, ${count.retries} retries`);
  await whileDead();
  await steady(b);
  const left = [(await again('ListPodSandbox', {})).items, (await again('ListContainers', {})).containers];
  say(left.every((l) => l.length === 0), 'the lists are empty', JSON.stringify(left));
} catch (e) {
  say(false, 'the run', e.stack);
}
cri.close();
