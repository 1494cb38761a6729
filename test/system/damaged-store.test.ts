/**
 * A small whole pod of which one file of the store is flipped, cut, zeroed or doubled somewhere: it serves what it
 * acknowledged, or says what is wrong, and never wrong bytes. Far more offsets: `npm run damage`.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import { podPaths, readPodRecord } from '../../src/daemon/home.js';
import { loadOrCreateIdentity } from '../../src/net/index.js';
import { readSnapshot } from '../../src/tree/engine/snapshot.js';
import { DAMAGES, type Damage, damaged, describeDamage } from '../durability/damage.js';
import { lookAt } from '../durability/damage-sweep.js';
import { filesIn, makeSamples, type Sample } from '../durability/damaged-pod.js';
import { Looker } from '../durability/looker.js';
import { seededRandom } from '../durability/random.js';
import { mountScratch } from '../durability/sweep.js';
import { namespacesMissing } from './namespaces.js';
import { makePair } from './pair.js';
import { eventually, fingerprint, must } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

/** Places in each file at which each kind of damage is done to a whole pod; none in CI, where that takes too long. */
const PLACES = Number(process.env['WORMHOLE_PLACES'] ?? 0);
const notSwept = PLACES === 0 && '`npm run damage` does it: a pod is started for each damage';
if (notSwept) console.log(`skipped: the sweep over all files; ${notSwept}`);
const SEED = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);
/** Held back for a full disk, or for people: what is in them says nothing. */
const IDLE = /reserve$|lock$|lock\.mdb$/;
/** What is staged is not named by its hash yet: it is as the disk gives it, as in any folder. */
const UNNAMED = /content\/staging\/\d/;

let folder: string;
let samples: { closed: Sample; crashed: Sample };
const looker = new Looker();

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-damaged-store-'));
  await mountScratch(folder);
  samples = await makeSamples(folder);
});

after(async () => {
  await looker.close();
  if (folder === undefined) return;
  await must(undefined, ['umount', '-l', folder]);
  rmSync(folder, { recursive: true, force: true });
});

test('a whole pod with one file damaged serves what it acknowledged, or says what is wrong', {
  skip: skip || notSwept,
}, async () => {
  const random = seededRandom(SEED);
  const complaints: string[] = [];
  const outcomes: Record<string, number> = {};
  for (const sample of [samples.closed, samples.crashed]) {
    const names = (await filesIn(sample.folder)).filter((name) => !IDLE.test(name) && !UNNAMED.test(name));
    for (const file of names) {
      for (const damage of damagesOf(readFileSync(join(sample.folder, file)), file, random)) {
        const verdict = await lookAt(sample, file, damage, { looker, scratch: folder });
        outcomes[verdict.outcome] = (outcomes[verdict.outcome] ?? 0) + 1;
        complaints.push(...verdict.complaints);
        // At once: a sweep may be cut off.
        for (const complaint of verdict.complaints) console.log(`seed ${SEED}: ${complaint}`);
      }
    }
  }
  console.log(`seed ${SEED}: ${JSON.stringify(outcomes)}`);
  assert.deepEqual(complaints.slice(0, 5), []);
  assert.ok((outcomes['told'] ?? 0) > 5 && (outcomes['refused'] ?? 0) > 0, 'damage struck');
});

function* damagesOf(bytes: Buffer, file: string, random: () => number): Generator<Damage> {
  // Of databases most is not in use.
  const places = file.endsWith('.mdb')
    ? [...bytes.keys()].filter((at) => bytes[at] !== 0)
    : [...bytes.keys()];
  for (const kind of DAMAGES) {
    for (let index = 0; index < PLACES; index++) {
      const share = (index + random()) / PLACES;
      yield {
        kind,
        at: places[Math.floor(places.length * share)] ?? 0,
        length: 1 + Math.floor(random() * 64),
      };
    }
  }
}

test('the files that are read whole are right or refused, whatever is damaged in them', {
  skip,
}, async () => {
  const home = join(folder, 'whole');
  mkdirSync(join(home, 'store'), { recursive: true });
  const paths = podPaths(home);
  const { folder: from } = samples.closed;
  const snapshot = join('store', 'tree', 'document', 'snapshot');
  const { pod } = await loadOrCreateIdentity(podPaths(from).identity);
  const readers: [string, string, () => Promise<boolean>][] = [
    // Its owner may change what is in it.
    ['pod.json', paths.record, async () => typeof readPodRecord(paths).mount === 'string'],
    // Another key is noticed when it is compared with the members.
    [
      'identity.pem',
      paths.identity,
      async () => (await loadOrCreateIdentity(paths.identity)).pod.length === pod.length,
    ],
    [
      snapshot,
      join(home, 'snapshot'),
      async () => (await readSnapshot(join(home, 'snapshot'))) === undefined,
    ],
  ];
  for (const [name, path, read] of readers) {
    const bytes = readFileSync(join(from, name));
    let refused = 0;
    for (const damage of everywhere(bytes.length)) {
      const changed = damaged(bytes, damage);
      if (changed.equals(bytes)) continue;
      writeFileSync(path, changed, { mode: 0o600 });
      const right = await read().catch((error) => {
        assert.ok(error instanceof WormholeError, `${name}, ${describeDamage(damage)}: ${error}`);
        assert.ok(['corrupt', 'newer-format'].includes(error.code));
        refused++;
        return true;
      });
      assert.ok(right, `${name}, ${describeDamage(damage)}: it is read as if it were whole`);
    }
    assert.ok(refused > bytes.length, `${refused} damages of ${name} were refused`);
  }
});

function* everywhere(length: number): Generator<Damage> {
  for (let at = 0; at < length; at++) for (const kind of DAMAGES) yield { kind, at, length: 1 + (at % 40) };
}

test('what a damaged database lost comes back from the other pod', { skip }, async () => {
  const { a, b, remove } = await makePair('damaged');
  try {
    for (let index = 0; index < 120; index++)
      writeFileSync(a.path(`file-${index}`), `${index} `.repeat(300 + index));
    await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
    const whole = fingerprint(a.mount);
    await b.ok('down');
    const data = join(b.home, 'damaged', 'store', 'database', 'data.mdb');
    copyFileSync(data, join(folder, 'data.mdb'));
    const bytes = readFileSync(data);
    // The start of every fifth page but the first two, and half of every seventh. The network's record lies on two pages,
    // and where those are depends on what was written when: without both of them there is nothing to go on with.
    for (let page = 2; page < bytes.length / 4096; page++) {
      if (bytes.subarray(page * 4096, (page + 1) * 4096).includes('network')) continue;
      if (page % 5 === 0) bytes.fill(0x5a, page * 4096, page * 4096 + 30);
      if (page % 7 === 0) bytes.fill(0, page * 4096 + 2000, page * 4096 + 4096);
    }
    writeFileSync(data, bytes);
    await b.up();
    await eventually(() => assert.deepEqual(fingerprint(b.mount), whole));
    const { stdout } = await b.wh('logs');
    assert.match(stdout, /the database was damaged/);
    await b.ok('fsck', '--read-data');
  } finally {
    await remove();
  }
});
