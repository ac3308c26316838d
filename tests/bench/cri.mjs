// SPDX-License-Identifier: GPL-2.0-or-later
// Times pod starts of several CRI runtimes, interleaved: from the call of
// RunPodSandbox to the first instruction of the container's program (by the
// clock that all processes of the machine share), and ExecSync of "true".
//
//	cri.mjs ROUNDS OUTFOLDER NAME=SOCKET...
//
// The first runtime named is the one the others are divided by. Prints
// medians and ratios; absolute times mean little on a busy machine.
import { mkdirSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, loadApi } from '../peers/cri-call.mjs';

const [rounds, folder, ...peers] = process.argv.slice(2);
const image = 'registry.k8s.io/berth-bench/stamp:1';
const now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC
const api = loadApi();
const runtimes = peers.map((p) => {
  const [name, socket] = p.split('=');
  return { name, cri: connect(socket, api), times: {} };
});
let serial = 0;

async function stamp(file) {
  const end = now() + 30_000_000_000n;
  while (!existsSync(file)) {
    if (now() > end) throw new Error(`${file} was never written`);
    await sleep(1);
  }
  return BigInt(readFileSync(file, 'utf8'));
}

async function once(rt, count) {
  const n = `${process.pid}-${++serial}`;
  const out = `${folder}/${rt.name}-${n}`;
  mkdirSync(out, { recursive: true });
  const pod = {
    metadata: { name: `bench-${n}`, uid: `u${n}`, namespace: 'bench', attempt: 0 },
    log_directory: out, linux: {},
  };
  const ctr = {
    metadata: { name: 'c', attempt: 0 }, image: { image }, log_path: 'c.log',
    mounts: [{ container_path: '/out', host_path: out }],
    linux: { security_context: { seccomp: { profile_type: 'RuntimeDefault' } } },
  };
  const note = (what, from, to) => {
    if (count) (rt.times[what] ??= []).push(Number(to - from) / 1e6);
  };
  const timed = async (method, request) => {
    const from = now();
    const reply = await rt.cri.call(method, request);
    note(method, from, now());
    return reply;
  };
  const begin = now();
  const { pod_sandbox_id: id } = await timed('RunPodSandbox', { config: pod });
  const { container_id: c } = await timed('CreateContainer',
    { pod_sandbox_id: id, config: ctr, sandbox_config: pod });
  await timed('StartContainer', { container_id: c });
  note('RunPodSandbox to first instruction', begin, await stamp(`${out}/stamp`));
  for (let i = 0; i < 5; i++) {
    const r = await timed('ExecSync', { container_id: c, cmd: ['/true'], timeout: 10 });
    if (r.exit_code) throw new Error(`${rt.name}: exec exits ${r.exit_code}`);
  }
  await timed('StopContainer', { container_id: c, timeout: 5 });
  await timed('StopPodSandbox', { pod_sandbox_id: id });
  await timed('RemovePodSandbox', { pod_sandbox_id: id });
  note('whole life with 5 execs', begin, now());
  rmSync(out, { recursive: true, force: true });
}

const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];

// A peer that this machine's kernel or capabilities do not let run is left out, by name.
for (const rt of [...runtimes]) {
  try {
    await rt.cri.call('PullImage', { image: { image } });
    await once(rt, false);
  } catch (e) {
    if (rt === runtimes[0]) throw e;
    console.log(`${rt.name} is left out: ${e.details ?? e}`);
    runtimes.splice(runtimes.indexOf(rt), 1);
    rt.cri.close();
  }
}
for (let i = 0; i < Number(rounds); i++) {
  for (const rt of runtimes) await once(rt, true);
}
console.log(`${rounds} interleaved rounds, ms: median (ratio to ${runtimes[0].name}), least (ratio)`);
const shown = (ms, base) => `${ms.toFixed(2).padStart(9)} ${(ms / base).toFixed(1).padStart(6)}`;
for (const what of Object.keys(runtimes[0].times)) {
  const base = runtimes[0].times[what];
  for (const rt of runtimes) {
    const t = rt.times[what];
    console.log(what.padEnd(36), rt.name.padEnd(16), shown(median(t), median(base)),
      shown(Math.min(...t), Math.min(...base)));
  }
}
runtimes.forEach((rt) => rt.cri.close());
