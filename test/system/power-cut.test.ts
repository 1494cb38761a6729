/** The power fails under a whole pod, at hundreds of instants of its work: what was promised is there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordedDisk } from '../durability/recorded-disk.js';
import { sweep } from '../durability/sweep.js';
import { Witness } from '../durability/witness.js';
import { work } from '../durability/workload.js';
import { makeNetwork, namespacesMissing } from './namespaces.js';
import { TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);

const DISK_BYTES = 256 * 1024 * 1024;
/** Each starts a pod. More of them: `WORMHOLE_POINTS=5000 node --test dist/test/system/power-cut.test.js` */
const POINTS = Number(process.env['WORMHOLE_POINTS'] ?? 60);
const SEED = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);

test('a power cut at any instant takes nothing that was promised', { skip: missing ?? false }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-power-cut-'));
  mkdirSync(join(folder, 'disk'));
  const disk = await RecordedDisk.make(join(folder, 'disk'), DISK_BYTES);
  const lan = makeNetwork(1);
  try {
    const witness = new Witness(() => disk.position());
    const pod = new TestPod(lan.hosts[0], 'alpha', folder, join(disk.folder, 'home'));
    await pod.create('power');
    const from = await disk.position();
    try {
      await work(pod.mount, witness, 1);
      // A clean stop writes the document's snapshot; what follows builds on it.
      await pod.ok('down');
      await pod.up();
      await work(pod.mount, witness, 2);
      await witness.settled();
    } finally {
      await pod.ok('down');
    }
    const to = await disk.position();
    await disk.unmount();
    const result = await sweep({
      disk,
      witness,
      pod: join('home', 'power'),
      scratch: folder,
      from,
      to,
      points: POINTS,
      seed: SEED,
      workers: 2,
    });
    console.log(
      `seed ${SEED}: ${result.points} power cuts over ${to - from} writes and flushes, ${result.promises} promises looked at`,
    );
    assert.deepEqual(result.complaints.slice(0, 3), []);
    assert.ok(result.points === POINTS && result.promises > POINTS, 'promises were made before the cuts');
  } finally {
    await lan.remove();
    await disk.remove();
    rmSync(folder, { recursive: true, force: true });
  }
});
