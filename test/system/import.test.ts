/** `wh import` and `wh export` on a real mount: what the kernel shows is what was copied. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Transferred } from '../../src/daemon/control.js';
import { cannotMount } from '../mount/serve.js';
import { endAll, fingerprint, TestPod } from './pods.js';

const skip = cannotMount() ?? false;
const folder = mkdtempSync(join(tmpdir(), 'wormhole-import-'));
const source = join(folder, 'source');
let pod: TestPod;

before(async () => {
  if (skip) return;
  for (let i = 0; i < 40; i++) {
    mkdirSync(join(source, `d${i}`), { recursive: true });
    for (let j = 0; j < 10; j++) writeFileSync(join(source, `d${i}`, `f${j}`), `${i} ${j}\n`);
  }
  writeFileSync(join(source, 'large'), Buffer.alloc(2_500_000, 'wormhole '));
  pod = new TestPod(undefined, 'alone', folder);
  await pod.create('imports');
});

after(async () => {
  await endAll([pod]);
  rmSync(folder, { recursive: true, force: true });
});

test('a folder goes in past the mount, shows there at once, and comes out the same', { skip }, async () => {
  // The kernel remembers what is not there.
  assert.equal(existsSync(pod.path('source')), false);
  assert.deepEqual(readdirSync(pod.mount), []);
  const imported = await pod.json<Transferred>('import', source);
  assert.deepEqual([imported.path, imported.files, imported.folders], ['/source', 401, 40]);
  assert.deepEqual(fingerprint(pod.path('source')), fingerprint(source));
  const out = join(folder, 'out');
  const exported = await pod.json<Transferred>('export', pod.path('source'), out);
  assert.equal(exported.files, 401);
  assert.deepEqual(fingerprint(out), fingerprint(source));
});

test('again, it copies only what is new, and names what differs', { skip }, async () => {
  writeFileSync(join(source, 'd0', 'new'), 'new');
  writeFileSync(join(source, 'd1', 'f1'), 'changed');
  assert.equal(existsSync(pod.path('source', 'd0', 'new')), false);
  const result = await pod.wh('import', source, '/source', '--json');
  assert.equal(result.code, 3);
  const { files, already, left } = JSON.parse(result.stdout) as Transferred;
  assert.deepEqual([files, already], [1, 400]);
  assert.deepEqual(
    left.map(({ path }) => path),
    [join(source, 'd1', 'f1')],
  );
  assert.ok(existsSync(pod.path('source', 'd0', 'new')));
});

test('a mount is not imported into itself, and what is missing is said', { skip }, async () => {
  assert.equal((await pod.wh('import', pod.mount, '/x')).code, 2);
  assert.equal((await pod.wh('export', '/', folder)).code, 2);
  assert.equal((await pod.wh('export', '/nothing', join(folder, 'nowhere'))).code, 10);
  const missing = await pod.wh('import', join(folder, 'missing'), '/x');
  assert.equal(missing.code, 10);
  assert.match(missing.stderr, /missing/);
});
