/** The power fails under a whole pod, at hundreds of instants of its work: what was promised is there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Fsck, Inspection } from '../../src/daemon/control.js';
import { collecting } from '../durability/collecting.js';
import { seededBytes } from '../durability/random.js';
import { RecordedDisk } from '../durability/recorded-disk.js';
import { mountScratch, type SweepOptions, sweep } from '../durability/sweep.js';
import { Witness } from '../durability/witness.js';
import { work } from '../durability/workload.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { must, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const DISK_BYTES = 256 * 1024 * 1024;
/** All tests of this file together. More of them: `npm run power-cuts`. */
const POINTS = Number(process.env['WORMHOLE_POINTS'] ?? 300);
/** One in so many is looked at by a whole daemon, which takes ten times as long. */
const MOUNTED_EVERY = 50;
const LANES = 3;
const SEED = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);

interface Stage {
  folder: string;
  disk: RecordedDisk;
  lan: TestNetwork;
  witness: Witness;
}

/** A recorded disk and two hosts, for one test. */
async function onStage(use: (stage: Stage) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-power-cut-'));
  for (const name of ['disk', 'scratch']) mkdirSync(join(folder, name));
  await mountScratch(join(folder, 'scratch'));
  const disk = await RecordedDisk.make(join(folder, 'disk'), DISK_BYTES);
  const lan = makeNetwork(2);
  try {
    await use({ folder, disk, lan, witness: new Witness(() => disk.position()) });
  } finally {
    await lan.remove();
    await disk.remove();
    await must(undefined, ['umount', '-l', join(folder, 'scratch')]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Cuts the power at so many points of the stage's record, and expects that every promise holds. */
async function cut(
  { folder, disk, witness }: Stage,
  points: number,
  options: Pick<SweepOptions, 'pod' | 'from' | 'to' | 'partly' | 'bornAt' | 'ailing'>,
): Promise<void> {
  await disk.unmount();
  const result = await sweep({
    ...options,
    disk,
    witness,
    scratch: join(folder, 'scratch'),
    points,
    mounted: Math.ceil(points / MOUNTED_EVERY),
    seed: SEED,
    lanes: LANES,
    keep: process.env['WORMHOLE_KEEP'],
  });
  console.log(
    `seed ${SEED}: ${result.points} power cuts over ${options.to - options.from} writes and flushes, ` +
      `${result.struck} of them lost writes, ${result.promises} promises looked at`,
  );
  assert.deepEqual(result.complaints.slice(0, 3), []);
  assert.equal(result.points, points);
  assert.ok(result.struck > points / 4, 'the power was cut while writes were under way');
}

test('a power cut at any instant takes nothing that was promised', { skip }, () =>
  onStage(async (stage) => {
    const { disk, lan, witness, folder } = stage;
    const pod = new TestPod(lan.hosts[0], 'alpha', folder, join(disk.folder, 'home'));
    await pod.create('power');
    try {
      await work(pod.mount, witness, 1);
      await importing(pod, witness, join(folder, 'source'));
      // A clean stop writes the document's snapshot; what follows builds on it.
      await pod.ok('down');
      await collecting(join(disk.folder, 'home', 'power'), witness);
      await pod.up();
      await work(pod.mount, witness, 2);
      await witness.settled();
    } finally {
      await pod.ok('down');
    }
    const to = await disk.position();
    await cut(stage, Math.ceil(POINTS * 0.7), { pod: join('home', 'power'), from: witness.firstPromise, to });
  }),
);

test('a power cut on a pod that joins, takes copies and mends them', { skip }, () =>
  onStage(async (stage) => {
    const { disk, lan, witness, folder } = stage;
    const a = new TestPod(lan.hosts[0], 'alpha', folder);
    const b = new TestPod(lan.hosts[1], 'beta', folder, join(disk.folder, 'home'));
    await a.create('power');
    let bornAt = Number.NaN;
    let ailingFrom = Number.NaN;
    let ailingTo = Number.NaN;
    const from = await disk.position();
    try {
      writeFileSync(a.path('before'), seededBytes(3_000_000, 1));
      await b.join(a);
      bornAt = await disk.position();
      for (let round = 0; round < 4; round++) await copying(a, witness, round);
      ailingFrom = await disk.position();
      await mending(b, join(disk.folder, 'home', 'power', 'store'));
      ailingTo = await disk.position();
      await copying(a, witness, 4);
    } finally {
      await b.wh('down');
      await a.ok('down');
    }
    await cut(stage, Math.floor(POINTS * 0.3), {
      pod: join('home', 'power'),
      from,
      to: await disk.position(),
      partly: true,
      // Between the join and the first copies nothing is promised.
      bornAt: Math.max(bornAt, witness.firstPromise),
      ailing: (position) => position >= ailingFrom && position < ailingTo,
    });
  }),
);

/** `wh import`: from its end on all of it is there. */
async function importing(pod: TestPod, witness: Witness, source: string): Promise<void> {
  mkdirSync(source);
  const files = Array.from({ length: 150 }, (_, index) => ({
    name: `file-${index}`,
    bytes: seededBytes(index % 50 === 0 ? 400_000 : 300 + index * 41, 600 + index),
  }));
  for (const { name, bytes } of files) writeFileSync(join(source, name), bytes);
  const fates = files.map(({ name, bytes }) => ({
    path: join('imported', name),
    after: bytes,
    during: (seen: Buffer | undefined) => seen?.length === 0,
  }));
  await witness.changeAll(fates, { act: () => pod.ok('import', source, '/imported') });
}

/** Writes on one pod; what is held by two is promised on the other. */
async function copying(a: TestPod, witness: Witness, round: number): Promise<void> {
  const fates = [2_500_000, 70_000, 900, 40, 0].map((length, index) => ({
    path: `copied-${round}-${index}`,
    after: seededBytes(length, round * 10 + index + 700),
    // As it was when it was made, before anything was written to it.
    during: (seen: Buffer | undefined) => seen?.length === 0,
  }));
  // Every round writes over this one.
  fates.push({
    path: 'copied',
    after: seededBytes(150_000, round + 800),
    during: (seen) => seen?.length === 0,
  });
  await witness.changeAll(fates, {
    act: async () => {
      for (const { path, after } of fates) writeFileSync(a.path(path), after);
      await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
    },
  });
}

/** Chunks rot on the disk of a pod, which fetches them again. */
async function mending(b: TestPod, store: string): Promise<void> {
  const { chunks } = await b.json<Inspection>('inspect', '/copied-0-0');
  const names = readdirSync(join(store, 'content', 'chunks'), { recursive: true }).map(String);
  const rotten = names.filter((name) => chunks.some(({ id }) => name.replaceAll('/', '') === id));
  assert.ok(rotten.length > 0, 'there are chunks to spoil');
  for (const name of rotten) {
    const path = join(store, 'content', 'chunks', name);
    const bytes = readFileSync(path);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }
  const { damaged } = await b.json<Fsck>('fsck', '--read-data');
  assert.ok(damaged.length > 0 && damaged.every(({ mended }) => mended), 'what rotted was mended');
}
