/** Anything may stand in the document: what does not fit the schema is ignored and counted, and never throws. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeCbor } from '../../../src/base/cbor.js';
import { automerge, type Handle } from '../../../src/tree/engine/automerge.js';
import { foundingOf } from '../../../src/tree/engine/founding.js';
import { ROOT } from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { exchange, lines } from '../fixture.js';
import { Numbers } from './numbers.js';
import { fastFolder, NETWORK, SimulatedPod } from './pod.js';

const { top: TOP, change: FOUNDING } = foundingOf(NETWORK);
const REGISTERS = ['l', 'd', 'a', 'x'];
const NUMBERS = [-1, 0, 1, 2, 0o777, 2 ** 32, 2 ** 53, 0.5, Number.NaN];
const WORDS = [
  '',
  '.',
  '..',
  'a',
  'a/b',
  '\0',
  'lost+found',
  'root/0',
  '__proto__',
  '\ud800',
  'é'.repeat(300),
];

type Plain = string | number | null | boolean | Uint8Array | Plain[];

/** Most of the records are nearly right. */
const plain: fc.Arbitrary<Plain> = fc.oneof(
  fc.constantFrom<Plain[]>(...NUMBERS, ...WORDS, null, true),
  fc.uint8Array({ maxLength: 40 }),
);
const record = fc
  .tuple(fc.constantFrom<Plain[]>(1, 1, 1, 1, 0, 2, 'v'), fc.array(plain, { maxLength: 7 }))
  .map(([version, items]) => encodeCbor([version, ...items]));
const write = fc.record({
  where: fc.nat(),
  key: fc.constantFrom('v', 'network', 'b', 'epoch', 'root', 'made-00', 'zz', '', 'é', ...WORDS),
  index: fc.constantFrom('00', '01', '02', 'ff'),
  register: fc.constantFrom(...REGISTERS, 'q', ''),
  what: fc.constantFrom(
    'record',
    'record',
    'record',
    'known',
    'known',
    'bytes',
    'scalar',
    'map',
    'text',
    'delete',
  ),
  record,
  bytes: fc.uint8Array({ maxLength: 100 }),
  scalar: fc.oneof(fc.constantFrom(...NUMBERS.filter(Number.isSafeInteger), ...WORDS.slice(1)), fc.boolean()),
  names: fc.tuple(fc.constantFrom(...WORDS, 'b', 'c.txt'), fc.nat()),
});
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

/** Writes as no program of ours would, at any place in the document. */
function act(evil: Handle, inodes: readonly string[], { where, key, what, ...given }: Write): void {
  const buckets = evil
    .keys(TOP)
    .map((bucket) => evil.getWithType(TOP, bucket))
    .filter((v) => v?.[0] === 'map');
  const objects = ['_root', TOP, ...buckets.map((value) => String(value?.[1]))];
  // Most of them into a bucket that pods use.
  const object = String(where % 3 === 0 ? objects[where % objects.length] : (buckets.at(-1)?.[1] ?? TOP));
  const at = object === '_root' || object === TOP ? key : given.index + given.register;
  if (at === '') return;
  const pick = (n: number) => inodes[n % inodes.length] ?? ROOT;
  if (what === 'delete') {
    if (evil.get(object, at) !== undefined) evil.delete(object, at);
  } else if (what === 'map') evil.putObject(object, at, { inner: { deeper: 1 } });
  else if (what === 'text') evil.putObject(object, at, 'some text');
  else if (what === 'scalar') evil.put(object, at, given.scalar);
  else if (what === 'bytes') evil.put(object, at, given.bytes);
  else if (what === 'record') evil.put(object, at, given.record);
  else {
    // A record that fits, and means no good: cycles, links to links, names that are there.
    const [name, to] = given.names;
    const kind = to % 9;
    evil.put(
      object,
      at,
      given.register === 'l'
        ? encodeCbor([1, pick(to), name, pick(to + 1), name])
        : encodeCbor([1, kind, 3, 5, kind === 7 ? pick(to) : 'x1', 0o644]),
    );
  }
}

async function withPods(
  work: (pods: [SimulatedPod, SimulatedPod, SimulatedPod]) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(fastFolder(tmpdir()), 'wormhole-guard-'));
  const pods = ['a', 'b', 'c'].map((name, at) => new SimulatedPod(folder, name, at === 0, new Numbers(at)));
  try {
    await work(pods as [SimulatedPod, SimulatedPod, SimulatedPod]);
  } finally {
    for (const pod of pods) await pod.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeFiles({ tree }: SimulatedPod): void {
  const folder = tree.create(ROOT, 'a', { kind: 'directory', size: 0, content: '', mode: 0o755 }, {});
  for (const parent of [ROOT, folder.id]) {
    for (const name of ['b', 'c.txt'])
      tree.create(parent, name, { kind: 'file', size: 1, content: 'own', mode: 0o644 }, {});
  }
}

test('whatever a member writes into the document: pods agree, start again, and go on', async () => {
  let ignored = 0;
  const property = fc.asyncProperty(
    fc.array(fc.array(write, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 }),
    async (changes) =>
      withPods(async ([a, b, c]) => {
        await a.start();
        await b.start();
        makeFiles(a);
        await a.tree.commit();
        const evil = automerge.create({ actor: 'ee'.repeat(16) });
        evil.applyChanges([FOUNDING, ...a.outbox]);
        const inodes = [...[...a.reader.all()].map(({ inode }) => inode), ROOT, 'lost+found'];
        const written: Uint8Array[] = [];
        for (const writes of changes) {
          for (const one of writes) act(evil, inodes, one);
          if (evil.pendingOps() === 0) continue;
          evil.commit(null, 0);
          written.push(evil.getLastLocalChange() as Uint8Array);
        }
        // One takes them all at once, one in the wrong order and by and by, one with the rest of the document.
        await a.tree.sync.apply(written);
        await exchange(a.tree, b.tree, ['a', 'b']);
        for (const change of [...written].reverse()) await b.tree.sync.apply([change]);
        await c.start();
        await exchange(b.tree, c.tree, ['b', 'c']);
        b.tree.create(ROOT, 'after', { kind: 'file', size: 1, content: 'own', mode: 0o644 }, {});
        await b.tree.commit();
        await exchange(b.tree, a.tree, ['b', 'a']);
        await exchange(b.tree, c.tree, ['b', 'c']);
        const shown = lines(a.tree);
        for (const pod of [a, b, c]) {
          assert.deepEqual(lines(pod.tree), shown);
          assert.deepEqual(pod.tree.counts(), a.tree.counts());
          assert.deepEqual(pod.tree.heads(), a.tree.heads());
        }
        ignored += a.tree.counts().ignored;
        await a.restart();
        await b.crash();
        for (const pod of [a, b]) assert.deepEqual(lines(pod.tree), shown);
        assert.deepEqual(b.tree.counts(), a.tree.counts());
      }),
  );
  await fc.assert(property, {
    numRuns: Number(process.env['WORMHOLE_RUNS'] ?? 40),
    includeErrorInReport: true,
    endOnFailure: true,
  });
  assert.ok(ignored > 0, 'nothing was ever ignored: the test does not reach what it is for');
});
