/** What goes wrong is told in one sentence with its cure, with the right exit code, and loses nothing. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, endAll, must, run, TestPod, WH } from './pods.js';

const skip = process.getuid?.() === 0 ? false : 'mounting needs root';
if (skip) console.log(`skipped: ${skip}`);

let folder: string;
let a: TestPod;
const others: TestPod[] = [];

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'wormhole-bad-'));
  a = new TestPod(undefined, 'alpha', folder);
  await a.create('bad');
  writeFileSync(a.path('precious.txt'), 'precious\n');
});

after(async () => {
  await endAll([...others, a]);
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

function newPod(name: string): TestPod {
  const pod = new TestPod(undefined, name, folder);
  others.push(pod);
  return pod;
}

/** One sentence for people on standard error, this exit code, and what was there is still there. */
function assertRefused(result: CommandResult, code: number, sentence: RegExp): void {
  assert.equal(result.code, code, `exit ${result.code}: ${result.stdout}${result.stderr}`);
  const lines = result.stderr.trim().split('\n');
  assert.equal(lines.length, 1, `more than one line: ${result.stderr}`);
  assert.match(lines[0] ?? '', sentence);
  assert.doesNotMatch(result.stderr, /at .*\.js:\d+|Error:/, 'a stack trace is not for people');
  assert.equal(readFileSync(a.path('precious.txt'), 'utf8'), 'precious\n');
}

/** The daemon's port on the loopback address. */
async function addressOf(pod: TestPod): Promise<string> {
  const log = pod.logTail(1_000);
  return `127.0.0.1:${/listening port=(\d+)/.exec(log)?.[1]}`;
}

test('a wrong code, a code with a typing error, a used and an expired code', { skip }, async () => {
  const b = newPod('beta');
  const address = await addressOf(a);
  const { code } = await a.json<{ code: string }>('invite');
  const typo = code.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
  assertRefused(await b.wh('join', typo, b.mount, '--address', address), 12, /typing error/);
  assertRefused(await b.wh('join', 'nonsense', b.mount, '--address', address), 12, /code/);
  await b.ok('join', code, b.mount, '--pod', 'beta', '--address', address);
  const c = newPod('gamma');
  assertRefused(await c.wh('join', code, c.mount, '--pod', 'gamma', '--address', address), 12, /used/);
  const short = await a.json<{ code: string }>('invite', '--expires', '1s');
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assertRefused(
    await c.wh('join', short.code, c.mount, '--pod', 'gamma', '--address', address),
    12,
    /expired/,
  );
  const stranger = newPod('stranger');
  await stranger.create('elsewhere');
  const foreign = await stranger.json<{ code: string }>('invite');
  assertRefused(
    await c.wh('join', foreign.code, c.mount, '--pod', 'gamma', '--address', address),
    12,
    /code/,
  );
});

test('a name that another pod has', { skip }, async () => {
  const c = newPod('delta');
  const { code } = await a.json<{ code: string }>('invite');
  const result = await c.wh('join', code, c.mount, '--pod', 'alpha', '--address', await addressOf(a));
  assertRefused(result, 1, /--pod/);
});

test('a port that is taken', { skip }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const pod = newPod('busy');
  assertRefused(
    await pod.wh('new', 'busy', pod.mount, '--port', String(port)),
    1,
    new RegExp(`port ${port}`),
  );
  server.close();
});

test('mount points: missing, a file, not empty, already mounted', { skip }, async () => {
  const pod = newPod('mounts');
  const at = (name: string) => join(folder, 'mounts', name);
  assertRefused(await pod.wh('new', 'mounts', at('missing')), 1, /mkdir -p/);
  writeFileSync(at('file'), '');
  assertRefused(await pod.wh('new', 'mounts', at('file')), 1, /not a folder/);
  mkdirSync(at('full'));
  writeFileSync(join(at('full'), 'x'), '');
  assertRefused(await pod.wh('new', 'mounts', at('full')), 1, /not empty/);
  assertRefused(await pod.wh('new', 'mounts', a.mount), 1, /mounted/);
  await pod.ok('new', 'mounts', pod.mount);
});

test('no /dev/fuse', { skip }, async () => {
  const pod = newPod('nofuse');
  // In a mount namespace of its own, with a /dev that lacks it.
  const devices = join(folder, 'dev');
  mkdirSync(devices);
  for (const [name, minor] of [
    ['null', 3],
    ['zero', 5],
    ['random', 8],
    ['urandom', 9],
  ]) {
    await must(undefined, ['mknod', '-m', '666', join(devices, String(name)), 'c', '1', String(minor)]);
  }
  const script = `mount --bind ${devices} /dev && exec ${WH} new nofuse ${pod.mount}`;
  const result = await run(undefined, ['unshare', '--mount', 'sh', '-c', script], {
    env: { WH_HOME: pod.home },
  });
  assertRefused(result, 1, /\/dev\/fuse/);
});

test('a second daemon on the same store', { skip }, async () => {
  assertRefused(await a.wh('up'), 11, /running|process/);
  assertRefused(await a.wh('new', 'bad', a.mount), 1, /already/);
});

test('commands without a daemon, without a network, with a wrong word', { skip }, async () => {
  const pod = newPod('none');
  assertRefused(await pod.wh('up'), 10, /wh new/);
  assertRefused(await a.wh('status', '--network', 'nope'), 10, /nope/);
  assertRefused(await a.wh('inspect', '/nowhere'), 10, /nowhere/);
  assert.equal((await a.wh('sync', '--copies', 'many')).code, 2);
  assert.equal((await a.wh('invite', '--expires', 'soon')).code, 2);
  assert.equal((await a.wh('frobnicate')).code, 2);
});

test('a corrupt identity, a missing one', { skip }, async () => {
  const pod = newPod('identity');
  await pod.create('identity');
  writeFileSync(pod.path('kept.txt'), 'kept\n');
  await pod.ok('down');
  const key = join(pod.home, 'identity', 'identity.pem');
  const good = readFileSync(key);
  writeFileSync(key, 'nonsense');
  assertRefused(await pod.wh('up'), 1, /identity\.pem/);
  await rm(key);
  assertRefused(await pod.wh('up'), 1, /identity\.pem/);
  writeFileSync(key, good);
  await chmod(key, 0o600);
  await pod.up();
  assert.equal(readFileSync(pod.path('kept.txt'), 'utf8'), 'kept\n');
});

test('a store of a newer format, a corrupt format file', { skip }, async () => {
  const pod = newPod('format');
  await pod.create('format');
  writeFileSync(pod.path('kept.txt'), 'kept\n');
  await pod.ok('down');
  const file = join(pod.home, 'format', 'store', 'format.json');
  await copyFile(file, `${file}.good`);
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), format: 99 }));
  assertRefused(await pod.wh('up'), 1, /update/);
  writeFileSync(file, '{"format":');
  assertRefused(await pod.wh('up'), 1, /format\.json/);
  await copyFile(`${file}.good`, file);
  await rm(`${file}.good`);
  await pod.up();
  assert.equal(readFileSync(pod.path('kept.txt'), 'utf8'), 'kept\n');
});

test('a full disk: the writer is told, what was acknowledged stays, work goes on once there is room', {
  skip,
}, async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  await must(undefined, ['mount', '-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', disk]);
  try {
    const pod = new TestPod(undefined, 'full', disk);
    await must(undefined, ['mkdir', '-p', join(folder, 'full-mnt')]);
    const mount = join(folder, 'full-mnt');
    await pod.ok('new', 'full', mount, '--pod', 'full');
    try {
      writeFileSync(join(mount, 'acknowledged'), 'acknowledged\n');
      const filler = await run(undefined, [
        'dd',
        'if=/dev/urandom',
        `of=${join(mount, 'filler')}`,
        'bs=1M',
        'count=400',
      ]);
      assert.notEqual(filler.code, 0);
      assert.match(filler.stderr, /No space left on device/);
      assert.equal(readFileSync(join(mount, 'acknowledged'), 'utf8'), 'acknowledged\n');
      await pod.ok('status');
      await rm(join(mount, 'filler'));
      const end = performance.now() + 30_000;
      for (;;) {
        try {
          writeFileSync(join(mount, 'afterwards'), 'room again\n');
          break;
        } catch (error) {
          if (performance.now() > end) throw error;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      }
      assert.equal(readFileSync(join(mount, 'afterwards'), 'utf8'), 'room again\n');
    } finally {
      await pod.wh('down');
    }
  } finally {
    await must(undefined, ['umount', '-l', disk]);
  }
});
