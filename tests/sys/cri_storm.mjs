// SPDX-License-Identifier: GPL-2.0-or-later
// Pods are run and removed without end while somebody kills crid and shims: each step is
// tried again until it works, as kubelet does. Prints "pass|fail" lines.
//
//   cri_storm.mjs SOCKET IMAGE LOGS CGPARENT WORKERS SECONDS
import { connect } from '../peers/cri-call.mjs';

const [socket, image, logs, cgparent, workers, seconds] = process.argv.slice(2);
const end = Date.now() + Number(seconds) * 1000;
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));
const transient = [1, 2, 4, 9, 14]; // what a retry may mend
let lives = 0, retries = 0, lost = 0;

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, String(detail).replace(/[\t\n]/g, ' ')].join('\t'));
}

async function again(cri, method, request) {
  for (let last, limit = Date.now() + 30000; ; retries++) {
    try {
      return await cri.call(method, request, 10);
    } catch (e) {
      last = e;
      if (!transient.includes(e.code) || Date.now() > limit)
        throw Object.assign(new Error(`${method}: ${last.code} ${last.details}`), { code: e.code });
      await sleep(30);
    }
  }
}

// One life; an attempt that is lost half way is removed and counted up.
async function life(cri, name, attempt) {
  const config = {
    metadata: { name, namespace: 'storm', uid: `uid-${name}`, attempt },
    log_directory: `${logs}/${name}`, linux: { cgroup_parent: cgparent },
  };
  let pod;
  try {
    pod = (await again(cri, 'RunPodSandbox', { config })).pod_sandbox_id;
    const ctr = {
      metadata: { name: 'c', attempt: 0 }, image: { image }, log_path: `${attempt}.log`,
      command: ['sh', '-c', 'echo here; sleep 1000'],
    };
    const { container_id: id } = await again(cri, 'CreateContainer', { pod_sandbox_id: pod, config: ctr });
    const { status } = await again(cri, 'ContainerStatus', { container_id: id });
    if (status.state === 'CONTAINER_CREATED')
      await cri.call('StartContainer', { container_id: id }, 10).catch(() => {}); // once only
    await again(cri, 'ContainerStatus', { container_id: id });
    lives++;
  } catch (e) {
    if (![5, 6, 9, 14].includes(e.code)) throw e; // its shim was killed, or no try came through
    lost++;
  } finally {
    const { items } = await again(cri, 'ListPodSandbox', { filter: { label_selector: {} } });
    for (const p of items.filter((x) => x.metadata.name === name)) {
      await again(cri, 'StopPodSandbox', { pod_sandbox_id: p.id });
      await again(cri, 'RemovePodSandbox', { pod_sandbox_id: p.id });
    }
  }
}

async function worker(n) {
  const cri = connect(socket, undefined, { defaults: true },
    { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 200 });
  for (let attempt = 0; Date.now() < end; attempt++) await life(cri, `w${n}`, attempt);
  cri.close();
}

try {
  await Promise.all(Array.from({ length: Number(workers) }, (_, n) => worker(n)));
  say(lives > 0, `${lives} lives of pods, ${lost} lost, ${retries} retries`);
} catch (e) {
  say(false, 'the storm', e.stack);
}
