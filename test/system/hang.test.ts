/** No accident leaves a process that cannot be ended, or a mount that nobody serves; `wh up` works after each. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../../src/cli/process.js';
import { isMounted, until } from '../mount/serve.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { eventually, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const LARGE = 8 * 1024 * 1024;

let folder: string;
let lan: TestNetwork;
let a: TestPod;
let b: TestPod;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'wormhole-hang-'));
  lan = makeNetwork(2);
  a = new TestPod(lan.hosts[0], 'alpha', folder);
  b = new TestPod(lan.hosts[1], 'beta', folder);
  await a.create('hang');
  // Its mount point has a folder above that can be renamed without its home.
  Object.assign(b, { mount: join(folder, 'above', 'mnt') });
  fs.mkdirSync(b.mount, { recursive: true });
  await b.join(a, { role: 'portal' });
});

after(async () => {
  for (const pod of [a, b]) await pod?.wh('down');
  await lan?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  if (skip) return;
  // Other tests wait for mounts of theirs meanwhile, none for as long.
  for (const pid of waitingForMounts())
    await eventually(() =>
      assert.ok(!waitsForMount(pid), `process ${pid} was left waiting by the test before`),
    );
});

const waitingForMounts = () => fs.readdirSync('/proc').filter(waitsForMount);

/** True of a process that waits in the kernel for a mount, and not even a signal ends it. */
function waitsForMount(pid: string): boolean {
  try {
    const [, state = ''] = /\) (\S)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return state === 'D' && /fuse/.test(fs.readFileSync(`/proc/${pid}/stack`, 'latin1'));
  } catch {
    return false;
  }
}

/** Runs a program that is going to wait. */
async function waiting(command: string, ...parameters: string[]): Promise<ChildProcess> {
  const child = spawn(command, parameters, { cwd: '/', stdio: 'ignore' });
  await once(child, 'spawn');
  await delay(400);
  assert.equal(child.exitCode, null, `${command} should be waiting`);
  return child;
}

async function endsBy(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = delay(30_000, undefined, { ref: false }).then(() =>
    assert.fail(`it still waits after ${signal}`),
  );
  await Promise.race([exited, late]);
}

/** Makes a file on alpha that beta knows and does not have. */
async function remote(name: string): Promise<string> {
  fs.writeFileSync(a.path(name), Buffer.alloc(LARGE, name));
  await eventually(() => assert.equal(fs.statSync(b.path(name)).size, LARGE));
  return b.path(name);
}

test('Ctrl-C ends who reads what a peer that is gone has', { skip }, async () => {
  const [path, other] = [await remote('far'), await remote('farther')];
  lan.hosts[0]?.cut('switch');
  try {
    await endsBy(await waiting('cat', path), 'SIGINT');
    await endsBy(await waiting('dd', `if=${other}`, 'of=/dev/null', 'bs=64k'), 'SIGTERM');
    // The mount serves everybody else meanwhile.
    fs.writeFileSync(b.path('near'), 'x');
    assert.equal(fs.readFileSync(b.path('near'), 'utf8'), 'x');
    assert.equal(fs.statSync(path).size, LARGE);
  } finally {
    lan.hosts[0]?.heal();
  }
  await eventually(() => assert.equal(fs.readFileSync(path).length, LARGE));
});

test('who asks a stopped daemon can be ended, and goes on when it goes on', { skip }, async () => {
  fs.mkdirSync(b.path('d'));
  process.kill(b.pid, 'SIGSTOP');
  try {
    for (const signal of ['SIGINT', 'SIGKILL'] as const)
      await endsBy(await waiting('ls', b.path('d', signal)), signal);
    const patient = await waiting('touch', b.path('d', 'patient'));
    process.kill(b.pid, 'SIGCONT');
    await once(patient, 'exit');
    assert.equal(patient.exitCode, 0);
  } finally {
    process.kill(b.pid, 'SIGCONT');
  }
});

test('a daemon that does not answer goes by wh down, and comes by wh up', { skip }, async () => {
  fs.writeFileSync(b.path('closed'), 'kept');
  process.kill(b.pid, 'SIGSTOP');
  assert.match(await b.ok('down'), /was killed/);
  await until('the mount is gone', () => !isMounted(b.mount));
  await b.up();
  assert.equal(fs.readFileSync(b.path('closed'), 'utf8'), 'kept');
});

test('a killed daemon frees who waits, and wh up works at once', { skip }, async () => {
  process.kill(b.pid, 'SIGSTOP');
  const reader = await waiting('ls', b.path('d', 'whatever'));
  const exited = once(reader, 'exit');
  process.kill(b.pid, 'SIGKILL');
  await b.up();
  await exited;
  assert.ok(fs.existsSync(b.path('closed')));
});

test('a mount in use: wh down detaches it, its user is told, wh up works', { skip }, async () => {
  const inside = spawn('sleep', ['60'], { cwd: b.path('d') });
  const open = fs.openSync(b.path('closed'), 'r');
  await b.ok('down');
  assert.equal(isMounted(b.mount), false);
  // Attributes and pages the kernel may know still; for this it has to ask.
  assert.throws(() => fs.statfsSync(`/proc/self/fd/${open}`), { code: 'ENOTCONN' });
  fs.closeSync(open);
  await b.up();
  assert.equal(fs.readFileSync(b.path('closed'), 'utf8'), 'kept');
  await endsBy(inside, 'SIGTERM');
});

test('a renamed folder above the mount point takes the mount along, and leaves nothing', {
  skip,
}, async () => {
  const [above, moved] = [join(b.mount, '..'), join(folder, 'moved')];
  fs.renameSync(above, moved);
  try {
    assert.equal(fs.readFileSync(join(moved, 'mnt', 'closed'), 'utf8'), 'kept');
    process.kill(b.pid, 'SIGTERM');
    await until('the daemon has ended', () => !isAlive(b.pid));
    assert.equal(isMounted(join(moved, 'mnt')), false);
  } finally {
    fs.renameSync(moved, above);
  }
  await b.up();
  // And so when it is killed.
  fs.renameSync(above, moved);
  try {
    process.kill(b.pid, 'SIGKILL');
    await until('the mount is gone', () => !isMounted(join(moved, 'mnt')));
  } finally {
    fs.renameSync(moved, above);
  }
  await b.up();
});

test('a mount point that was removed from elsewhere ends the daemon in order', { skip }, async () => {
  // Who does not see the mount can remove the folder below it.
  const remover = spawn('unshare', ['-m', 'sh', '-c', 'umount -l "$1" && rmdir "$1"', 'sh', b.mount]);
  await once(remover, 'exit');
  if (!fs.existsSync(b.mount)) {
    await until('the daemon has ended', () => !isAlive(b.pid));
    fs.mkdirSync(b.mount);
    await b.up();
  }
  assert.equal(fs.readFileSync(b.path('closed'), 'utf8'), 'kept');
});

test('a rename that waits for a publication can be ended, and changes nothing then', { skip }, async () => {
  fs.writeFileSync(a.path('target'), 'old');
  fs.writeFileSync(a.path('source'), Buffer.alloc(64 * 1024 * 1024, 'x'));
  const mover = spawn('mv', ['-f', a.path('source'), a.path('target')], { cwd: '/', stdio: 'ignore' });
  const exited = once(mover, 'exit');
  await delay(30);
  mover.kill('SIGINT');
  await exited;
  // Either it was quicker, or nothing has happened.
  const names = fs.readdirSync(a.mount).filter((name) => name === 'source' || name === 'target');
  if (names.includes('source')) assert.equal(fs.readFileSync(a.path('target'), 'utf8'), 'old');
  else assert.equal(fs.statSync(a.path('target')).size, 64 * 1024 * 1024);
});
