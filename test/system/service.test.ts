/** What keeps a pod running and shows how it is: `wh service`, `wh logs`, `wh metrics`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { namespacesMissing } from './namespaces.js';
import { eventually, run, TestPod, WH } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let folder: string;
let pod: TestPod;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-service-'));
  pod = new TestPod(undefined, 'alpha', folder);
  await pod.create('service');
});

after(async () => {
  if (skip) return;
  await pod.wh('down');
  rmSync(folder, { recursive: true, force: true });
});

test('metrics are Prometheus text and JSON, logs the last lines', { skip }, async () => {
  let text = '';
  // A pod serves before its document is loaded.
  await eventually(async () => {
    text = await pod.ok('metrics');
    assert.match(text, /^wormhole_running 1$/m);
  });
  assert.match(text, /^# TYPE wormhole_files gauge\nwormhole_files 0$/m);
  for (const line of text.trimEnd().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? -?[\d.e+-]+)$/);
  const metrics = await pod.json<{ name: string }[]>('metrics');
  assert.ok(metrics.some(({ name }) => name === 'wormhole_store_bytes'));
  const lines = await pod.json<string[]>('logs', '--lines', '3');
  assert.ok(lines.length > 0 && lines.length <= 3);
  assert.match(await pod.ok('logs'), /serving/);
});

test('a unit is installed that systemd accepts, and removed', { skip }, async () => {
  const env = { WH_HOME: pod.home, XDG_CONFIG_HOME: join(folder, 'config') };
  const units = join(folder, 'config', 'systemd', 'user');
  const installed = await run(undefined, [WH, 'service', 'install', '--user', '--json'], { env });
  // 3: written, but no systemd of this user runs here.
  assert.ok(installed.code === 0 || installed.code === 3, installed.stderr);
  const [name = ''] = readdirSync(units).filter((entry) => entry.endsWith('.service'));
  const unit = join(units, name);
  assert.equal((JSON.parse(installed.stdout) as { unit: string }).unit, unit);
  assert.match(readFileSync(unit, 'utf8'), /up --foreground --network "service"/);
  const verified = spawnSync('systemd-analyze', ['verify', '--user', unit], { encoding: 'utf8' });
  if (verified.error !== undefined) console.log('skipped: systemd-analyze is not here');
  else assert.ok(!verified.stderr.includes(`${name}:`), verified.stderr);
  const removed = await run(undefined, [WH, 'service', 'remove', '--user'], { env });
  assert.equal(removed.code, 0, removed.stderr);
  assert.equal(existsSync(unit), false);
  assert.equal((await run(undefined, [WH, 'service', 'remove', '--user'], { env })).code, 10);
});
