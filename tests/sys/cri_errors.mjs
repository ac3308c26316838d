// SPDX-License-Identifier: GPL-2.0-or-later
// Bad requests for every RPC: one row each, with the code and what the message
// must say. Prints "pass|fail<TAB>name<TAB>detail" lines for cri_errors.sh.
//
//   cri_errors.mjs SOCKET IMAGE LOGS CGPARENT bad|registry [PORT]
// CRI_CODES=1: another runtime's codes are compared, not its words; the detail is the code.
import http from 'node:http';
import { connect } from '../peers/cri-call.mjs';

const [socket, image, , , part, port] = process.argv.slice(2);
const codes = process.env.CRI_CODES;
const cri = connect(socket, undefined, {},
  { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 200 });
const code = {
  OK: 0, CANCELLED: 1, UNKNOWN: 2, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5,
  ALREADY_EXISTS: 6, PERMISSION_DENIED: 7, RESOURCE_EXHAUSTED: 8, FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12, DATA_LOSS: 15,
};
const none = 'f'.repeat(64);
const long = 'x'.repeat(5000);

function say(good, name, detail = '') {
  console.log([good ? 'pass' : 'fail', name, detail.replace(/[\t\n]/g, ' ')].join('\t'));
}

async function row(name, method, request, wanted, text, timeout = 20) {
  let got = 'OK', details = '';
  try {
    await cri.call(method, request, timeout);
  } catch (e) {
    got = Object.keys(code).find((k) => code[k] === e.code) ?? String(e.code);
    details = e.details ?? String(e);
  }
  const good = got === wanted && (codes || !text || new RegExp(text).test(details));
  if (codes && got === '14') {
    got = 'it crashed';
    await back();
  }
  say(good, `${method}: ${name}: ${wanted}`, good ? '' : codes ? got : `${got}: ${details}`);
}

// Somebody starts it again.
async function back() {
  for (let i = 0; i < 100; i++) {
    if (await cri.call('Version', {}, 1).catch(() => null)) return;
    await new Promise((ok) => setTimeout(ok, 100));
  }
}

const meta = (name) => ({ name, namespace: 'errors', uid: `uid-${name}`, attempt: 0 });
const pod = (name, more = {}) => ({ config: { metadata: meta(name), ...more } });
const linux = (l) => pod('bad', { linux: l });
const ns = (n) => linux({ security_context: { namespace_options: n } });

async function badPods() {
  const run = (name, request, text, wanted = 'INVALID_ARGUMENT') =>
    row(name, 'RunPodSandbox', request, wanted, text);

  await run('no configuration', {}, '^config: missing');
  await run('no metadata', { config: {} }, '^config: metadata: missing');
  await run('no name', { config: { metadata: { namespace: 'n', uid: 'u' } } }, 'metadata.name');
  await run('no namespace', { config: { metadata: { name: 'n', uid: 'u' } } }, 'metadata.namespace');
  await run('no uid', { config: { metadata: { name: 'n', namespace: 'n' } } }, 'metadata.uid');
  await run('a name that is too long', pod(long), 'metadata.name: 5000 bytes');
  await run('a hostname that is too long', pod('bad', { hostname: 'h'.repeat(65) }), 'hostname');
  await run('a hostname with a slash', pod('bad', { hostname: '../x' }), 'hostname');
  await run('a relative log folder', pod('bad', { log_directory: 'logs' }), 'log_directory');
  await run('an unknown handler', { ...pod('bad'), runtime_handler: 'kata' }, 'runtime_handler.*kata');
  await run('a port that is none', pod('bad', { port_mappings: [{ container_port: 80, host_port: 65536 }] }), 'host_port: 65536');
  await run('an address that is none', pod('bad', { port_mappings: [{ container_port: 80, host_port: 80, host_ip: '1.2.3' }] }), 'host_ip: 1.2.3');
  await run('a newline in resolv.conf', pod('bad', { dns_config: { searches: ['a\nnameserver 6.6.6.6'] } }), 'dns_config: searches');
  await run('a cgroup of the systemd form', linux({ cgroup_parent: 'kubepods-podx.slice' }), 'cgroup_parent: kubepods-podx.slice');
  await run('a cgroup that climbs', linux({ cgroup_parent: '/a/../../b' }), 'cgroup_parent');
  await run('a cgroup of ours', linux({ cgroup_parent: '/berth/crid' }), 'cgroup_parent: /berth/crid');
  await run("a sysctl of the node's", linux({ sysctls: { 'kernel.panic': '1' } }), 'sysctls: kernel.panic');
  await run('a network mode that is none', ns({ network: 'CONTAINER' }), 'network: mode 1');
  await run('a pid mode that is for containers', ns({ pid: 'TARGET' }), 'pid: TARGET');
  await run('a user namespace', ns({ userns_options: { mode: 'POD' } }), 'user namespaces are not supported');
  await run('a sysctl the kernel does not know', linux({ sysctls: { 'net.nothing': '1' } }), 'start the shim: .*sysctl net.nothing', 'UNKNOWN');
  for (const method of ['StopPodSandbox', 'RemovePodSandbox']) {
    await row('no id', method, {}, 'INVALID_ARGUMENT', 'pod_sandbox_id: empty');
    await row('an unknown id', method, { pod_sandbox_id: none }, 'OK');
  }
  await row('no id', 'PodSandboxStatus', {}, 'NOT_FOUND', 'pod sandbox ""');
  await row('an unknown id', 'PodSandboxStatus', { pod_sandbox_id: none }, 'NOT_FOUND', none);
  await row('an unknown id', 'ListPodSandbox', { filter: { id: none } }, 'OK');
}

async function badContainers(id) {
  const config = (more = {}) => ({ metadata: { name: 'bad' }, image: { image }, command: ['true'], ...more });
  const create = (name, more, text, wanted = 'INVALID_ARGUMENT') =>
    row(name, 'CreateContainer', { pod_sandbox_id: id, sandbox_config: pod('good').config, config: config(more) }, wanted, text);
  const security = (s) => ({ linux: { security_context: s } });

  await row('an unknown pod', 'CreateContainer', { pod_sandbox_id: none, config: config() }, 'NOT_FOUND', none);
  await row('no configuration', 'CreateContainer', { pod_sandbox_id: id }, 'INVALID_ARGUMENT', '^config: missing');
  await create('no metadata', { metadata: null }, 'metadata');
  await create('no image', { image: null }, 'image: missing');
  await create('an image that is not here', { image: { image: 'example.com/not/here:1' } }, 'example.com/not/here:1', 'NOT_FOUND');
  await create('an image name that is none', { image: { image: 'UPPER//case' } }, 'UPPER//case', 'NOT_FOUND');
  await create('a log path that climbs', { log_path: '../../x' }, 'log_path: ../../x');
  await create('a relative mount', { mounts: [{ container_path: 'a', host_path: '/tmp' }] }, 'mounts\\[0\\]: container_path: a');
  await create('a mount without source', { mounts: [{ container_path: '/a' }] }, 'mounts\\[0\\]: host_path');
  await create('a recursive read-only mount that is writable', { mounts: [{ container_path: '/a', host_path: '/tmp', recursive_read_only: true }] }, 'read', 'INVALID_ARGUMENT');
  await create('a device that is not there', { devices: [{ container_path: '/dev/x', host_path: '/dev/not-there', permissions: 'rw' }] }, '/dev/not-there', 'UNKNOWN');
  await create('a capability that is none', security({ capabilities: { add_capabilities: ['FLY'] } }), 'FLY');
  await create('a group without a user', security({ run_as_group: { value: 5 } }), 'run_as_group');
  await create('a user nobody knows', security({ run_as_username: 'nobody-knows-me' }), 'nobody-knows-me', 'INVALID_ARGUMENT');
  await create('a seccomp profile that is not there', security({ seccomp: { profile_type: 'Localhost', localhost_ref: '/not/there.json' } }), '/not/there.json', 'UNKNOWN');
  await create('a CDI device', { CDI_devices: [{ name: 'v.com/c=d' }] }, 'CDI');
  await create('negative shares', { linux: { resources: { cpu_shares: -1 } } }, 'cpu_shares: -1');
  await create('a signal that is none', { stop_signal: 99 }, 'stop_signal');
  await create('a target that is not there', security({ namespace_options: { pid: 'TARGET', target_id: none } }), none);
  for (const method of ['StartContainer', 'ContainerStatus', 'ReopenContainerLog', 'UpdateContainerResources', 'ContainerStats'])
    await row('an unknown id', method, { container_id: none }, 'NOT_FOUND', none);
  await row('an unknown id', 'ExecSync', { container_id: none, cmd: ['true'] }, 'NOT_FOUND', none);
  await row('an unknown id', 'Exec', { container_id: none, cmd: ['true'], stdout: true }, 'NOT_FOUND', none);
  await row('an unknown id', 'Attach', { container_id: none, stdout: true }, 'NOT_FOUND', none);
  await row('an unknown id', 'PortForward', { pod_sandbox_id: none }, 'NOT_FOUND', none);
  for (const method of ['StopContainer', 'RemoveContainer']) {
    await row('no id', method, {}, 'INVALID_ARGUMENT', 'container_id: empty');
    await row('an unknown id', method, { container_id: none }, 'OK');
  }
  await row('an unknown id', 'ListContainers', { filter: { id: none } }, 'OK');
  await row('an unknown id', 'ListContainerStats', { filter: { id: none } }, 'OK');
}

// What a container in each state refuses.
async function wrongState(id) {
  const made = await cri.call('CreateContainer', { pod_sandbox_id: id, sandbox_config: pod('good').config, config: { metadata: { name: 'c' }, image: { image }, command: ['sleep', '1000'] } }, 20);
  const c = { container_id: made.container_id };

  await row('a container that does not run', 'ExecSync', { ...c, cmd: ['true'] }, 'FAILED_PRECONDITION', made.container_id);
  await row('a container that does not run', 'Exec', { ...c, cmd: ['true'], stdout: true }, 'FAILED_PRECONDITION', made.container_id);
  await row('a container that does not run', 'Attach', { ...c, stdout: true }, 'FAILED_PRECONDITION', made.container_id);
  await row('a container that does not run', 'ReopenContainerLog', c, 'FAILED_PRECONDITION', made.container_id);
  await row('another container of that name', 'CreateContainer', { pod_sandbox_id: id, sandbox_config: pod('good').config, config: { metadata: { name: 'c' }, image: { image }, command: ['false'] } }, 'ALREADY_EXISTS', made.container_id);
  await cri.call('StartContainer', c, 20);
  await row('a container that runs', 'StartContainer', c, 'FAILED_PRECONDITION', made.container_id);
  await row('no command', 'ExecSync', c, 'INVALID_ARGUMENT', 'cmd');
  await row('a terminal with stderr', 'Exec', { ...c, cmd: ['true'], tty: true, stdout: true, stderr: true }, 'INVALID_ARGUMENT');
  await row('no stream', 'Exec', { ...c, cmd: ['true'] }, 'INVALID_ARGUMENT');
  await row('a command that takes too long', 'ExecSync', { ...c, cmd: ['sleep', '100'], timeout: '1' }, 'DEADLINE_EXCEEDED');
  await row('negative shares', 'UpdateContainerResources', { ...c, linux: { cpu_shares: '-1' } }, 'INVALID_ARGUMENT', 'cpu_shares');
  await cri.call('RemoveContainer', c, 20);
  await row('a container that is removed', 'ContainerStatus', c, 'NOT_FOUND', made.container_id);
}

async function noProgram(id) {
  const made = await cri.call('CreateContainer', { pod_sandbox_id: id, sandbox_config: pod('good').config, config: { metadata: { name: 'd' }, image: { image }, command: ['/no/such/program'] } }, 20);
  const c = { container_id: made.container_id };

  await row('a program that is not there', 'StartContainer', c, 'UNKNOWN', '/no/such/program.*No such file');
  const { status } = await cri.call('ContainerStatus', c, 20);
  say(status.reason === 'StartError' && status.exit_code === 128, 'its container says StartError and 128', JSON.stringify(status));
  await cri.call('RemoveContainer', c, 20);
}

async function badImages() {
  for (const method of ['ImageStatus', 'PullImage', 'RemoveImage'])
    await row('no image', method, {}, 'INVALID_ARGUMENT', 'image: missing');
  await row('a name that is none', 'PullImage', { image: { image: 'UPPER//case:tag' } }, 'INVALID_ARGUMENT', 'UPPER//case');
  await row('a digest that is none', 'PullImage', { image: { image: 'a/b@sha256:123' } }, 'INVALID_ARGUMENT', 'sha256:123');
  await row('a name that is too long', 'PullImage', { image: { image: `a/${long}` } }, 'INVALID_ARGUMENT', '');
  await row('an image that is not here', 'ImageStatus', { image: { image: 'example.com/not/here:1' } }, 'OK');
  await row('an image that is not here', 'RemoveImage', { image: { image: 'example.com/not/here:1' } }, 'OK');
  await row('an image that is not here', 'ListImages', { filter: { image: { image: 'example.com/not/here:1' } } }, 'OK');
}

// Not there, and said so.
async function notThere() {
  for (const method of ['CheckpointContainer', 'CheckpointPod', 'RestorePod', 'UpdatePodSandboxResources'])
    await row('not there', method, {}, 'UNIMPLEMENTED', method);
  for (const method of ['StreamPodSandboxes', 'StreamContainers', 'StreamContainerStats', 'StreamImages', 'GetContainerEvents']) {
    const e = await new Promise((ok) => cri.stream(method, {}, 20).on('error', ok).on('end', () => ok({})).on('data', () => {}));
    say(e.code === code.UNIMPLEMENTED, `${method}: UNIMPLEMENTED`, String(e.details));
  }
}

// Registries that lie: a server of our own on the port that the node's mirror names.
async function badRegistries(port) {
  const pull = (name, path, wanted, text, timeout = 20) =>
    row(name, 'PullImage', { image: { image: `liar.test/${path}` } }, wanted, text, timeout);

  await pull('a registry that is not there', 'a:1', 'UNKNOWN', '^RegistryUnavailable.*liar.test/a:1');
  const open = new Set();
  const server = http.createServer((req, res) => {
    if (req.url.includes('/slow/')) return; // never answers
    if (req.url.includes('/denied/')) { res.writeHead(401).end(); return; }
    if (req.url.includes('/junk/')) { res.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }).end('{]'); return; }
    res.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"x"}]}');
  });
  server.on('connection', (s) => { open.add(s); s.on('close', () => open.delete(s)); });
  await new Promise((ok) => server.listen(port, '127.0.0.1', ok));
  // what a mirror does not give, the registry itself is asked for, and that is out of reach here
  await pull('a mirror does not have it', 'a:1', 'UNKNOWN', '^RegistryUnavailable.*liar.test/a:1.*not found');
  await pull('a mirror wants credentials', 'denied/a:1', 'UNKNOWN', '^RegistryUnavailable.*liar.test/denied/a:1.*401');
  await pull('a manifest that is none', 'junk/a:1', 'DATA_LOSS', 'liar.test/junk/a:1');
  await pull('a manifest of another digest', `junk/a@sha256:${none}`, 'DATA_LOSS', none);
  await pull('a registry that does not answer', 'slow/a:1', 'DEADLINE_EXCEEDED', '', 2);
  open.forEach((s) => s.destroy());
  server.close();
}

// Another runtime may fail where this one does not: that ends a part, not the run.
async function part_of(f, ...args) {
  try {
    await f(...args);
  } catch (e) {
    if (!codes) throw e;
    say(false, f.name, String(e.details ?? e));
  }
}

try {
  if (part === 'registry') {
    await badRegistries(Number(port));
  } else {
    const { pod_sandbox_id: id } = await cri.call('RunPodSandbox', pod('good'), 30);
    await part_of(badPods);
    await row('another pod of that name', 'RunPodSandbox', pod('good', { hostname: 'other' }), 'ALREADY_EXISTS', id);
    await part_of(badContainers, id);
    await part_of(wrongState, id);
    await part_of(noProgram, id);
    await part_of(badImages);
    await part_of(notThere);
    await cri.call('StopPodSandbox', { pod_sandbox_id: id }, 30);
    await row('a pod that is stopped', 'CreateContainer', { pod_sandbox_id: id, sandbox_config: pod('good').config, config: { metadata: { name: 'e' }, image: { image } } }, 'FAILED_PRECONDITION', id);
    await row('a pod that is stopped', 'PortForward', { pod_sandbox_id: id }, 'FAILED_PRECONDITION', id);
    await cri.call('RemovePodSandbox', { pod_sandbox_id: id }, 30);
  }
} catch (e) {
  say(false, 'the run', String(e.details ?? e.stack ?? e));
}
cri.close();
