import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from '../../../src/tree/resolver/tables.js';
import {
  type Data,
  type InodeId,
  type Kind,
  LOST_FOUND,
  type Registers,
  ROOT,
} from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { state, WatchedTables } from './helpers.js';
import { EXAMPLES } from './soup-examples.js';

// Registers that no honest pod would write, changing at random and back again: the tables must always be what a
// rebuild makes of the registers as they stand, and never throw.

const IDS = ['a/0', 'a/1', 'a/2', 'a/3', 'b/0', 'b/1', 'b/2', 'b/3', ROOT];
const PARENTS = [ROOT, ROOT, ...IDS, 'unknown/0', LOST_FOUND];
const NAMES = [
  'x',
  'x',
  'y.txt',
  'x (conflict, pod aaaaaaaa)',
  'lost+found',
  '',
  '..',
  'a/b',
  '\0',
  'é'.repeat(200),
];
const KINDS: Kind[] = ['directory', 'directory', 'directory', 'file', 'file', 'symlink', 'link'];
const ACTOR = '00'.repeat(10);

const seat = fc.record({ parent: fc.constantFrom(...PARENTS), name: fc.constantFrom(...NAMES) });
const location = fc.oneof(
  seat,
  fc.record({ parent: fc.constantFrom(...PARENTS), name: fc.constantFrom(...NAMES), previous: seat }),
);
const data = fc.record({
  kind: fc.constantFrom(...KINDS),
  size: fc.constantFrom(0, 1),
  content: fc.constantFrom('p', 'q', ...IDS),
});
const values = <T>(value: fc.Arbitrary<T>, weights: number[]) =>
  fc.oneof(
    ...weights.map((weight, length) => ({
      weight,
      arbitrary: fc.array(fc.tuple(fc.nat(500), value), { minLength: length, maxLength: length }),
    })),
  );
const step = fc.record({
  inode: fc.constantFrom(...IDS),
  gone: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  only: fc.constantFrom('l', 'd', 'x', 'ld', 'ldx', 'ldx'),
  l: values(location, [1, 12, 6, 2]),
  d: values(data, [1, 12, 4, 2]),
  saw: fc.constantFrom('none', 'none', 'all', 'name', 'first'),
  join: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

let serial = 0;
function versions<T>(list: [number, T][]): { id: string; value: T }[] {
  return list
    .map(([counter, value]) => {
      // The serial number makes the id unique; the counter decides its rank.
      const id = `${counter + 1}@${ACTOR}${(++serial).toString(16).padStart(12, '0')}`;
      return { id, value, counter, serial };
    })
    .sort((a, b) => a.counter - b.counter || a.serial - b.serial)
    .map(({ id, value }) => ({ id, value }));
}

function change(old: Registers | undefined, { gone, only, l, d, saw }: Step): Registers | undefined {
  if (gone) return undefined;
  const next: Registers = { l: [], d: [], a: [], x: [], ...old };
  if (old === undefined || only.includes('l')) next.l = versions(l);
  if (old === undefined || only.includes('d'))
    next.d = versions(d).map(({ id, value }) => ({
      id,
      value: { mtime: 0n, mode: 0o644, ...value } as Data,
    }));
  if (only.includes('x')) {
    const ids = { none: [], all: [...next.l, ...next.d], name: next.l, first: next.d.slice(0, 1) }[saw];
    next.x = saw === 'none' ? [] : versions([[1, { saw: ids.map(({ id }) => id) }]]);
  }
  return next;
}

function run(steps: Step[]): void {
  serial = 0;
  const world = new Map<InodeId, Registers>();
  const watched = new WatchedTables();
  let batch = new Map<InodeId, Change>();
  const flush = () => {
    if (batch.size === 0) return;
    watched.resolve([...batch.values()]);
    batch = new Map();
    watched.check();
  };
  for (const one of steps) {
    const registers = change(world.get(one.inode), one);
    if (registers === undefined) world.delete(one.inode);
    else world.set(one.inode, registers);
    batch.set(one.inode, { inode: one.inode, registers });
    if (!one.join) flush();
  }
  flush();
  const rebuilt = new WatchedTables();
  rebuilt.resolve([...world].reverse().map(([inode, registers]) => ({ inode, registers })));
  assert.deepEqual(state(watched.tables), state(rebuilt.tables), 'a rebuild differs');
}

test('whatever the registers hold and however they change, the tables are what a rebuild would make', (t) => {
  const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const numRuns = Number(process.env['WORMHOLE_RUNS'] ?? 300);
  fc.assert(fc.property(fc.array(step, { minLength: 2, maxLength: 25, size: 'max' }), run), {
    seed,
    numRuns,
    includeErrorInReport: true,
  });
});

test('in whatever order the registers come, and in whatever groups, the tables are the same', () => {
  const cut = fc.record({
    weights: fc.array(fc.nat(), { minLength: 9, maxLength: 9 }),
    size: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 25, size: 'max' }),
      fc.array(cut, { minLength: 2, maxLength: 4 }),
      (steps, cuts) => {
        serial = 0;
        const world = new Map<InodeId, Registers>();
        for (const one of steps) {
          const registers = change(world.get(one.inode), { ...one, gone: false });
          if (registers !== undefined) world.set(one.inode, registers);
        }
        const all = [...world].map(([inode, registers]): Change => ({ inode, registers }));
        const whole = new WatchedTables();
        whole.resolve(all, false);
        whole.check();
        for (const { weights, size } of cuts) {
          const rank = (inode: InodeId) => weights[IDS.indexOf(inode)] ?? 0;
          const order = [...all].sort((a, b) => rank(a.inode) - rank(b.inode));
          const parts = new WatchedTables();
          for (let at = 0; at < order.length; at += size) parts.resolve(order.slice(at, at + size), false);
          // Twice is once.
          parts.resolve(order, false);
          assert.deepEqual(state(parts.tables), state(whole.tables));
          assert.deepEqual(parts.counts, whole.counts);
        }
      },
    ),
    { numRuns: Number(process.env['WORMHOLE_RUNS'] ?? 300) },
  );
});

for (const [about, steps] of EXAMPLES) {
  test(about, () => run(JSON.parse(steps) as Step[]));
}
