// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of cri_full.sh. Prints "pass|fail<TAB>name<TAB>detail" lines.
//
//   cri_full.mjs SOCKET IMAGE LOGS CGPARENT pull|before|full|after
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, part] = process.argv.slice(2);
const cri = connect(socket, undefined, { defaults: true });
const RESOURCE_EXHAUSTED = 8;

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}
const call = (method, request = {}) => cri.call(method, request, 30);
const pod = (name) => ({ config: { metadata: { name, uid: name, namespace: 'full', attempt: 0 }, linux: { cgroup_parent: cgparent } } });
const ctr = (id, name) => ({ pod_sandbox_id: id, config: { metadata: { name, attempt: 0 }, image: { image }, command: ['sleep', '1000'] } });
async function refused(what, method, request) {
  const e = await call(method, request).then(() => ({ code: 0 }), (x) => x);
  say(e.code === RESOURCE_EXHAUSTED && /No space left on device/.test(e.details), `${what}: RESOURCE_EXHAUSTED`, `${e.code} ${e.details}`);
}

const parts = {
  async pull() {
    await refused('a pull', 'PullImage', { image: { image } });
    say((await call('ListImages')).images.length === 0, 'no image is listed');
  },
  async before() {
    const { pod_sandbox_id: id } = await call('RunPodSandbox', pod('old'));
    const { container_id: c } = await call('CreateContainer', ctr(id, 'c'));
    await call('StartContainer', { container_id: c });
    writeFileSync(`${logs}/full.json`, JSON.stringify({ id, c }));
    say(true, 'a pod runs before the disk is full');
  },
  async full() {
    const { id, c } = JSON.parse(readFileSync(`${logs}/full.json`));
    await refused('a pod', 'RunPodSandbox', pod('new'));
    await refused('a container', 'CreateContainer', ctr(id, 'd'));
    const { items } = await call('ListPodSandbox'), { containers } = await call('ListContainers');
    say(items.length === 1 && containers.length === 1, 'nothing of them is shown');
    const x = await call('ExecSync', { container_id: c, cmd: ['echo', 'alive'], timeout: 10 });
    say(String(x.stdout) === 'alive\n', 'what runs goes on and takes an exec', x.stderr);
    await call('StopContainer', { container_id: c, timeout: 0 });
    await call('RemoveContainer', { container_id: c });
    await call('StopPodSandbox', { pod_sandbox_id: id });
    await call('RemovePodSandbox', { pod_sandbox_id: id });
    say((await call('ListPodSandbox')).items.length === 0, 'it can be stopped and removed');
  },
  async after() {
    const { pod_sandbox_id: id } = await call('RunPodSandbox', pod('new'));
    await call('CreateContainer', ctr(id, 'c'));
    await call('RemovePodSandbox', { pod_sandbox_id: id });
    say(true, 'with room again, pods run');
  },
};

try {
  await parts[part]();
} catch (e) {
  say(false, `${part}: the run`, e.details ?? e.stack);
}
cri.close();
