/**
 * The disk fails at the k-th call: what was promised before and after is there, also when the power fails right
 * afterwards; nothing wrong is read, and nothing crashes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Fault, FaultyPod, faultsMissing } from '../durability/faulty-pod.js';
import { Looker } from '../durability/looker.js';
import type { Step } from '../durability/player.js';
import { seededBytes } from '../durability/random.js';
import { RecordedDisk } from '../durability/recorded-disk.js';
import { mountScratch } from '../durability/sweep.js';
import { type Content, Witness } from '../durability/witness.js';
import { cannotMount } from '../mount/serve.js';
import { must, TestPod } from './pods.js';

const skip = cannotMount() ?? (await faultsMissing()) ?? false;
if (skip) console.log(`skipped: ${skip}`);

const DISK_BYTES = 128 * 1024 * 1024;
/** All of them: `npm run bad-disks`. */
const EVERY = process.env['WORMHOLE_ALL'] === '1';
/** More calls than any thread makes of one kind while the steps are taken. */
const CALLS_MAX = 400;

interface Kind {
  name: string;
  calls: string;
  effect: Fault['effect'];
  /** Which calls in CI. */
  some: string[];
  /** Where the call is one of LMDB's, the process may end: nobody catches that. */
  ends?: true;
}

const WRITES = 'pwrite64,pwritev,writev';
const NAMES = 'rename,unlink,link,mkdir,ftruncate';
const FLUSHES = 'fsync,fdatasync';
const KINDS: Kind[] = [
  { name: 'an fsync fails', calls: FLUSHES, effect: 'error=EIO', some: ['2', '6', '7'] },
  { name: 'a write fails', calls: WRITES, effect: 'error=EIO', some: ['3', '8'], ends: true },
  { name: 'a write finds the disk full', calls: WRITES, effect: 'error=ENOSPC', some: ['2'], ends: true },
  { name: 'a name cannot be made or removed', calls: NAMES, effect: 'error=EIO', some: ['1'] },
  { name: 'a read fails', calls: 'pread64,preadv', effect: 'error=EIO', some: ['1', '4'], ends: true },
  {
    name: 'the disk becomes read-only',
    calls: [WRITES, NAMES, FLUSHES].join(','),
    effect: 'error=EROFS',
    some: ['5+'],
    ends: true,
  },
  {
    name: 'the process is killed',
    calls: [WRITES, NAMES, FLUSHES].join(','),
    effect: 'signal=SIGKILL',
    some: ['12', '30'],
    ends: true,
  },
];

/** A disk that fails is not waited for; one that is well has much to make up for. */
const PATIENCE_MS = { ill: 1_000, well: 30_000 };
/** After every position of the disk's record. */
const NOW = Number.MAX_SAFE_INTEGER;
const ENDED = /^\{.*\}: Error: the process of the pod (ended with SIG(ABRT|SEGV|KILL)|is gone)$/;

let folder: string;
let disk: RecordedDisk;
let witness: Witness;
let pod: FaultyPod;
let seed = 1;
const looker = new Looker();

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-bad-disk-'));
  for (const name of ['disk', 'scratch']) mkdirSync(join(folder, name));
  await mountScratch(join(folder, 'scratch'));
  mkdirSync(join(folder, 'scratch', 'look'));
  disk = await RecordedDisk.make(join(folder, 'disk'), DISK_BYTES);
  witness = new Witness(() => disk.position());
  const made = new TestPod(undefined, 'alpha', folder, join(disk.folder, 'home'));
  await made.create('bad');
  await made.ok('down');
  // The space that was held back for a large disk.
  rmSync(join(disk.folder, 'home', 'bad', 'store', 'content', 'reserve'));
  pod = await FaultyPod.start();
  await work(() => {});
});

after(async () => {
  if (skip) return;
  await pod?.kill();
  await looker.close();
  await disk?.remove();
  await must(undefined, ['umount', '-l', join(folder, 'scratch')]);
  rmSync(folder, { recursive: true, force: true });
});

for (const { name, calls, effect, some, ends = false } of KINDS) {
  test(`${name} (${effect})`, { skip }, async () => {
    let struck = 0;
    const complaints: string[] = [];
    const whens = EVERY ? Array.from({ length: CALLS_MAX }, (_, index) => `${index + 1}`) : some;
    for (const when of whens) {
      const times = await suffer({ calls, effect, when }, (said) => {
        if (ends && ENDED.test(said)) return;
        complaints.push(`${effect} at call ${when}: ${said}`);
        if (EVERY) console.log(complaints.at(-1));
      });
      if (times === 0 && EVERY) break;
      assert.ok(times > 0, `nothing failed: there is no call ${when} of ${calls}`);
      struck++;
      // A sweep may be cut off.
      if (struck % 10 === 0) console.log(`${name}: at ${struck} calls so far`);
    }
    assert.deepEqual(complaints.slice(0, 6), []);
    assert.ok(struck > 0);
    console.log(`${name}: at ${struck} calls`);
  });
}

/** Works while calls fail, looks at what a power cut leaves, then works with the disk well again.
 *  @returns how many calls failed */
async function suffer(fault: Fault, complain: (said: string) => void): Promise<number> {
  assert.ok(witness.promisedAt(NOW) > 0, 'something was promised before');
  if (pod.isOver) pod = await FaultyPod.start();
  const struck = await pod.suffering(fault, join(folder, 'calls'), () => work(complain));
  // LMDB may have spoilt its memory.
  await pod.kill();
  await look((said) => complain(`then a power cut: ${said}`));
  await work((said) => complain(`then, with the disk well again: ${said}`), true);
  return struck;
}

/** Opens the pod, works on it, reads all of it, closes it. @param well nothing may fail */
async function work(complain: (said: string) => void, well = false): Promise<void> {
  const home = join(disk.folder, 'home', 'bad');
  if (pod.isOver) pod = await FaultyPod.start();
  const take = async (step: Step): Promise<Buffer | undefined> => {
    const { failed, bytes, log } = await pod.take(step).catch(async (error) => {
      complain(`${JSON.stringify(step)}: ${error}`);
      await pod.kill();
      throw error;
    });
    if (failed === undefined) return bytes;
    const said = `${JSON.stringify(step)}: ${failed.code} ${failed.message}\n${log}`;
    if (well || failed.code === 'crash' || failed.code === 'internal') complain(said);
    throw new Error(said);
  };
  try {
    await take({ do: 'open', folder: home });
  } catch {
    return;
  }
  for (const change of changes()) {
    await witness.change({ ...change, act: () => take(change.step) }).catch(() => {});
  }
  await take({ do: 'publish', patienceMs: well ? PATIENCE_MS.well : PATIENCE_MS.ill }).catch(() => {});
  for (const path of witness.paths) {
    // What cannot be read says so; what is read is right.
    const seen = await take({ do: 'read', name: path }).catch(() => 'failed' as const);
    if (seen !== 'failed') witness.complaint(path, NOW, seen).forEach(complain);
  }
  await take({ do: 'close' }).catch(() => {});
}

function changes(): { path: string; after: Content; during: (seen: Content) => boolean; step: Step }[] {
  const written = (name: string, length: number) => {
    const step: Step = { do: 'write', name, length, seed: ++seed };
    const after = seededBytes(length, seed);
    // Truncated, then written: what is not acknowledged may be there in part.
    const during = (seen: Content) => seen === undefined || seen.length <= length;
    return { path: name, after, during, step };
  };
  const saved = (name: string, length: number) => {
    const step: Step = { do: 'save', name, length, seed: ++seed };
    return { path: name, after: seededBytes(length, seed), during: () => false, step };
  };
  return [
    written('small', 3_000),
    saved('saved', 20_000),
    written('large', 400_000),
    saved('saved', 90_000),
    { path: 'small', after: undefined, during: () => false, step: { do: 'remove', name: 'small' } },
    written('again', 100),
  ];
}

/** What the disk holds when the power fails now, and all that was not flushed is lost. */
async function look(complain: (said: string) => void): Promise<void> {
  const [image, at] = [join(folder, 'scratch', 'image'), join(folder, 'scratch', 'look')];
  const position = await disk.position();
  await disk.image(position, LOSE_ALL, image);
  await must(undefined, ['mount', '-o', 'loop', image, at]);
  const found: string[] = [];
  try {
    const { paths } = witness;
    const answer = await looker.ask({ folder: join(at, 'home', 'bad'), paths, whole: true });
    found.push(...(answer.failed === undefined ? [] : [answer.failed]), ...answer.troubles);
    for (const [index, seen] of answer.seen.entries()) {
      const path = paths[index] ?? '';
      if (seen !== undefined && 'failed' in seen) found.push(`${path}: ${seen.failed}`);
      else found.push(...witness.complaint(path, position, seen));
    }
    if (found.length > 0) found.push(answer.log);
  } finally {
    await must(undefined, ['umount', '--lazy', at]);
    if (process.env['WORMHOLE_KEEP'] !== undefined && found.length > 0) {
      await disk.image(position, LOSE_ALL, join(process.env['WORMHOLE_KEEP'], `bad-disk-${position}`));
    }
    rmSync(image);
  }
  found.forEach(complain);
}

/** Of what was written and not flushed, nothing stays. */
const LOSE_ALL = -1;
