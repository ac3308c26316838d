#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// Small independent CRI client: call any CRI v1 method with JSON arguments
// over a unix socket.  The interface comes from cri/api/api.json,
// so no .proto file and no protoc is needed.
//
//   CRI_NODE_PATH=$(tests/peers/install grpc-js)   installs its two packages
//   cri-call.mjs SOCKET METHOD [JSON|-]   call; '-' reads the JSON from stdin
//   cri-call.mjs --list                   methods with request and response
//   cri-call.mjs --fields MESSAGE         fields of one message
//
// Options: --timeout SECONDS (gRPC deadline), --count N (unary: N sequential
// calls, prints latency figures in milliseconds; stream: stop after N items),
// --api FILE, --raw (bytes as base64 even where they are printable).
// Fields use proto names; 64-bit integers are JSON strings; enums are names.
// Exit status: 0, or 1 usage/connection, or 32 + gRPC status code.
import { createRequire } from 'node:module';
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const req = createRequire(process.env.CRI_NODE_PATH
  ? join(process.env.CRI_NODE_PATH, 'x.js') : import.meta.url);
const grpc = req('@grpc/grpc-js');
const loader = req('@grpc/proto-loader');

/** api.json -> the JSON form of a protobuf.js root */
function toProtobufJs(api) {
  const field = ([id, name, type, label]) => {
    const map = /^map<(\w+),(.*)>$/.exec(type);
    const f = map ? { id, keyType: map[1], type: map[2] } : { id, type };
    if (label === 'repeated') f.rule = 'repeated';
    return [name, f];
  };
  const enums = (e) => ({ values: Object.fromEntries((Array.isArray(e) ? e : e.values).map(([n, v]) => [n, v])) });
  const message = (m) => {
    const o = { fields: Object.fromEntries((m.fields || m).map(field)), nested: {} };
    for (const [n, e] of Object.entries(m.enums || {})) o.nested[n] = enums(e);
    for (const [n, x] of Object.entries(m.messages || {})) o.nested[n] = message(x);
    return o;
  };
  const nested = {};
  for (const [n, m] of Object.entries(api.messages)) nested[n] = message(m);
  for (const [n, e] of Object.entries(api.enums)) nested[n] = enums(e);
  for (const [n, rpcs] of Object.entries(api.services)) {
    nested[n] = { methods: Object.fromEntries(rpcs.map(([name, rq, rs, st]) => [name, {
      requestType: rq, responseType: rs,
      requestStream: st.includes('c'), responseStream: st.includes('s') }])) };
  }
  return api.package.split('.').reverse()
    .reduce((inner, part) => ({ nested: { [part]: inner } }), { nested });
}

export function loadApi(file = join(here, '../../cri/api/api.json')) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Clients for every service of the API; method(name) finds the right one. */
export function connect(socket, api = loadApi(), more = {}, channel = {}) {
  const defs = loader.fromJSON(toProtobufJs(api),
    { keepCase: true, longs: String, enums: String, defaults: false, bytes: Buffer, ...more });
  let pkg = grpc.loadPackageDefinition(defs);
  for (const part of api.package.split('.')) pkg = pkg[part];
  const target = socket.includes(':') ? socket : `unix://${socket}`;
  const options = { 'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': 16 << 20, ...channel };
  const clients = {};
  for (const s of Object.keys(api.services)) {
    clients[s] = new pkg[s](target, grpc.credentials.createInsecure(), options);
  }
  const find = (name) => {
    for (const [s, rpcs] of Object.entries(api.services)) {
      const rpc = rpcs.find(([n]) => n === name);
      if (rpc) return { client: clients[s], rpc };
    }
    throw new Error(`no such method: ${name}`);
  };
  const opt = (t) => (t ? { deadline: Date.now() + t * 1000 } : {});
  return {
    clients,
    isStream: (name) => find(name).rpc[3].includes('s'),
    call: (name, args = {}, timeout = 0) => new Promise((ok, bad) => {
      const { client } = find(name);
      client[name](args, opt(timeout), (e, r) => (e ? bad(e) : ok(r)));
    }),
    stream: (name, args = {}, timeout = 0) => find(name).client[name](args, opt(timeout)),
    close: () => Object.values(clients).forEach((c) => c.close()),
  };
}

const printable = (b) => /^[\t\n\r\x20-\x7e]*$/.test(b.toString('latin1'));
function show(value, raw) {
  return JSON.stringify(value, function (k, v) {
    const o = this[k];
    if (Buffer.isBuffer(o)) return raw || !printable(o) ? { base64: o.toString('base64') } : o.toString('latin1');
    return v;
  }, 1);
}

async function main(argv) {
  const o = { timeout: 0, count: 0, api: join(here, '../../cri/api/api.json'), raw: false };
  const pos = [];
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i];
    if (a === '--raw') o.raw = true;
    else if (a === '--timeout' || a === '--count') o[a.slice(2)] = Number(argv[++i]);
    else if (a === '--api') o.api = argv[++i];
    else pos.push(a);
  }
  const api = loadApi(o.api);
  if (pos[0] === '--list') {
    for (const [s, rpcs] of Object.entries(api.services)) {
      for (const [n, rq, rs, st] of rpcs) console.log(`${s} ${n} ${rq} ${st.includes('s') ? 'stream ' : ''}${rs}`);
    }
    return 0;
  }
  if (pos[0] === '--fields') {
    const m = api.messages[pos[1]];
    if (!m) throw new Error(`no such message: ${pos[1]}`);
    for (const [id, n, t, l] of m.fields || m) console.log(`${id}\t${l === 'repeated' ? 'repeated ' : ''}${t}\t${n}`);
    return 0;
  }
  const [socket, method, text] = pos;
  if (!socket || !method) throw new Error('usage: cri-call.mjs SOCKET METHOD [JSON|-]');
  const args = text ? JSON.parse(text === '-' ? readFileSync(0, 'utf8') : text) : {};
  const cri = connect(socket, api);
  try {
    if (cri.isStream(method)) {
      let n = 0;
      await new Promise((ok, bad) => {
        const s = cri.stream(method, args, o.timeout);
        s.on('data', (d) => { console.log(show(d, o.raw)); if (++n === o.count) { s.cancel(); ok(); } });
        s.on('end', ok); s.on('error', bad);
      });
    } else if (o.count) {
      const ms = [];
      for (let i = 0; i < o.count; i++) {
        const t = process.hrtime.bigint();
        await cri.call(method, args, o.timeout);
        ms.push(Number(process.hrtime.bigint() - t) / 1e6);
      }
      ms.sort((a, b) => a - b);
      console.log(JSON.stringify({ method, count: o.count, min: ms[0], median: ms[ms.length >> 1], max: ms[ms.length - 1] }));
    } else {
      console.log(show(await cri.call(method, args, o.timeout), o.raw));
    }
    return 0;
  } catch (e) {
    if (e.code === undefined) throw e;
    console.error(JSON.stringify({ code: e.code, name: grpc.status[e.code], details: e.details }));
    return 32 + e.code;
  } finally { cri.close(); }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).then((rc) => { process.exitCode = rc; },
    (e) => { console.error(String(e.message || e)); process.exitCode = 1; });
}
