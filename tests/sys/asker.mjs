// SPDX-License-Identifier: GPL-2.0-or-later
// Asks for Status and the lists on a connection of its own, as a second client
// would, while a test does its worst.
import { connect } from '../peers/cri-call.mjs';

const BOUND_MS = 100;
const LISTS = ['Status', 'ListPodSandbox', 'ListContainers', 'ListImages', 'ListPodSandboxStats', 'ListContainerStats'];
const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));

export function newAsker(socket, seconds, say) {
  const cri = connect(socket, undefined, { defaults: true }, { 'grpc.use_local_subchannel_pool': 1 });
  let usual;

  async function measure() {
    const ms = [];
    for (const end = Date.now() + seconds * 1000; Date.now() < end || ms.length < 300; )
      for (const method of LISTS) {
        const at = process.hrtime.bigint();
        await cri.call(method, {}, 60);
        ms.push(Number(process.hrtime.bigint() - at) / 1e6);
        await sleep(1);
      }
    ms.sort((a, b) => a - b);
    return { p99: ms[Math.floor(ms.length * 0.99)], max: ms[ms.length - 1], n: ms.length };
  }

  return {
    // without a fault: what a slow machine takes anyway
    async begin() {
      await measure();
      usual = await measure();
      say(true, `without a fault: p99 ${usual.p99.toFixed(1)} ms, worst ${usual.max.toFixed(1)} of ${usual.n}`);
    },
    async judge(what) {
      const m = await measure();
      const bound = Math.max(BOUND_MS, 10 * usual.p99);
      say(m.p99 < bound, `${what}: Status and lists within ${Math.round(bound)} ms: p99 ${m.p99.toFixed(1)}, worst ${m.max.toFixed(1)} of ${m.n}`,
        JSON.stringify({ usual, m }));
    },
    close: () => cri.close(),
  };
}
