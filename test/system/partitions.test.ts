/**
 * Five pods, cut apart in every shape: what is written meanwhile is there on all once they are together again, and
 * nowhere before. CI takes a shape of each kind, `npm run partitions` all 52 ways to part five.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256 } from '../../src/base/index.js';
import { ROOT } from '../../src/tree/index.js';
import { type Between, FivePods } from '../durability/five-pods.js';
import { type InnerPod, readInside, writeInside } from '../durability/inner-pod.js';
import { seededBytes } from '../durability/random.js';
import { Numbers } from '../tree/simulation/numbers.js';
import { eventually } from './pods.js';

const COUNT = 5;
const ALL = process.env['WORMHOLE_ALL'] !== undefined;
const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);
const numbers = new Numbers(seed);
const AGREE_WITHIN_MS = 60_000;
const NAMES_MAX = 100_000;
const WRITE_PAUSE_MS = 60;
const SHAPE_MS = 400;
const OPEN: Between = () => 'open';

let five: FivePods;
/** What was acknowledged and nobody removed, by name. */
const acknowledged = new Map<string, Buffer>();
let serial = 0;

before(async () => {
  console.log(`WORMHOLE_SEED=${seed}`);
  five = await FivePods.start(COUNT);
});
after(() => five?.close());

/** All ways to part so many into groups: for each its group, numbered in the order in which they come up. */
function partitions(count: number): number[][] {
  let all: number[][] = [[]];
  for (let index = 0; index < count; index++) {
    all = all.flatMap((groups) =>
      Array.from({ length: Math.max(-1, ...groups) + 2 }, (_, group) => [...groups, group]),
    );
  }
  return all;
}

/** The sizes of its groups, which two of a kind have in common. */
function kindOf(groups: readonly number[]): string {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  return [...sizes.values()].sort((a, b) => b - a).join('+');
}

function apart(groups: readonly number[], how: 'held' | 'refused'): Between {
  return (from, to) => (groups[from] === groups[to] ? 'open' : how);
}

async function put(pod: InnerPod, name: string): Promise<void> {
  const bytes = seededBytes(numbers.once(8) ? 90_000 : 50 + numbers.below(3_000), serial++);
  await writeInside(pod, name, bytes);
  acknowledged.set(name, bytes);
}

function namesOn(pod: InnerPod): string[] {
  return pod.tree.list(ROOT, undefined, NAMES_MAX).map(({ name }) => name);
}

/** Everybody writes, somebody removes, and each group makes one file of the same name. */
async function work(label: string, groups: readonly number[]): Promise<{ made: string[]; shared: Buffer[] }> {
  const shared: Buffer[] = [];
  const made: string[] = [];
  await Promise.all(
    five.pods.map(async (pod, index) => {
      const name = `${label}-${index}`;
      made.push(name);
      await put(pod, name);
      if (groups.indexOf(groups[index] ?? 0) !== index) return;
      const bytes = seededBytes(500, 1_000_000 + serial++);
      await writeInside(pod, `${label}-shared`, bytes);
      shared.push(bytes);
    }),
  );
  const remover = numbers.pick(five.pods);
  const victim = numbers.pick([...acknowledged.keys()].filter((name) => !made.includes(name)));
  await remover.fileSystem.unlink(ROOT, victim);
  acknowledged.delete(victim);
  return { made, shared };
}

/** All come to show the same names, and each what was acknowledged. */
async function agree(
  made: Iterable<string>,
  shared?: { name: string; versions: readonly Buffer[] },
): Promise<void> {
  await eventually(async () => {
    const [first, ...others] = five.pods.map(namesOn) as [string[], ...string[][]];
    for (const names of others) assert.deepEqual(names, first);
    assert.deepEqual(
      first.filter((name) => !name.includes('-shared')),
      [...acknowledged.keys()].sort(),
    );
    for (const [index, pod] of five.pods.entries()) {
      for (const name of made)
        assert.equal(hash(await readInside(pod, name)), hash(acknowledged.get(name)), `${name} on ${index}`);
      if (shared === undefined) continue;
      // Made apart, they stand side by side.
      const names = first.filter((name) => name.startsWith(shared.name));
      const seen = await Promise.all(names.map(async (name) => hash(await readInside(pod, name))));
      assert.deepEqual(seen.sort(), shared.versions.map(hash).sort(), `${shared.name} on ${index}`);
    }
  }, AGREE_WITHIN_MS);
}

function hash(bytes: Buffer | undefined): string {
  return bytes === undefined ? 'nothing' : sha256(bytes).slice(0, 12);
}

async function linkedAs(between: Between): Promise<void> {
  await eventually(() => {
    for (let a = 0; a < COUNT; a++) {
      for (let b = 0; b < COUNT; b++) {
        const way = [between(a, b), between(b, a)];
        if (a === b || way.includes('held')) continue;
        assert.equal(five.linked(a, b), !way.includes('refused'), `${a} and ${b}`);
      }
    }
  }, AGREE_WITHIN_MS);
}

async function part(label: string, groups: readonly number[], how: 'held' | 'refused'): Promise<void> {
  const between = apart(groups, how);
  const held = five.passed('held');
  five.set(between);
  await linkedAs(between);
  const { made, shared } = await work(label, groups);
  await eventually(() => {
    for (const [index, pod] of five.pods.entries()) {
      const names = namesOn(pod);
      for (const [from, name] of made.entries())
        assert.equal(
          names.includes(`${label}-${from}`),
          groups[from] === groups[index],
          `${name}: a group sees what is written in it, and nothing else`,
        );
    }
  }, AGREE_WITHIN_MS);
  // Whoever is alone sees its own names before it tells of them.
  if (how === 'held' && shared.length > 1)
    await eventually(() => assert.ok(five.passed('held') > held, 'nothing was held'), AGREE_WITHIN_MS);
  five.set(OPEN);
  await agree(made, { name: `${label}-shared`, versions: shared });
}

test('pods that are together agree', async () => {
  await linkedAs(OPEN);
  for (let round = 0; round < 20; round++) await put(numbers.pick(five.pods), `before-${round}`);
  await agree(acknowledged.keys());
});

test('parted in every way: each group goes on by itself, healed all agree', async () => {
  const all = numbers.shuffled(partitions(COUNT));
  const kinds = new Map(all.map((groups) => [kindOf(groups), groups]));
  assert.deepEqual([all.length, kinds.size], [52, 7]);
  const taken = ALL ? all : [...kinds.values()];
  for (const [index, groups] of taken.entries())
    for (const how of ALL
      ? (['refused', 'held'] as const)
      : [index % 2 === 0 ? ('refused' as const) : ('held' as const)])
      await part(`parted-${groups.join('')}-${how}`, groups, how);
});

/** Which pairs are linked. */
const SHAPES = {
  chain: [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
  ],
  star: [
    [0, 1],
    [0, 2],
    [0, 3],
    [0, 4],
  ],
  ring: [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 0],
  ],
  bridge: [
    [0, 1],
    [1, 2],
    [2, 0],
    [2, 3],
    [3, 4],
  ],
} as const;

for (const [shape, pairs] of Object.entries(SHAPES)) {
  test(`a ${shape}: what one writes comes to all, although few are linked`, async () => {
    const among = numbers.shuffled([0, 1, 2, 3, 4]);
    const isPair = (a: number, b: number) => pairs.some(([x, y]) => among[x] === a && among[y] === b);
    const between: Between = (from, to) => (isPair(from, to) || isPair(to, from) ? 'open' : 'refused');
    five.set(between);
    await linkedAs(between);
    for (const index of five.pods.keys()) await put(five.pods[index] as InnerPod, `${shape}-${index}`);
    const names = five.pods.map((_, index) => `${shape}-${index}`);
    await eventually(() => {
      for (const pod of five.pods) for (const name of names) assert.ok(namesOn(pod).includes(name), name);
    }, AGREE_WITHIN_MS);
    await linkedAs(between);
    five.set(OPEN);
    await agree(names);
  });
}

test('one way only: what nobody hears waits, and comes', async () => {
  await linkedAs(OPEN);
  // Each hears only those with a higher number.
  const held = five.passed('held');
  five.set((from, to) => (from > to ? 'open' : 'held'));
  const { made, shared } = await work('one-way', [0, 1, 2, 3, 4]);
  await eventually(() => assert.ok(five.passed('held') > held, 'nothing was held'));
  five.set(OPEN);
  await agree(made, { name: 'one-way-shared', versions: shared });
});

test('the shape changes again and again while all write', async () => {
  const stop = new AbortController();
  const made: string[] = [];
  const writing = five.pods.map(async (pod, index) => {
    for (let count = 0; !stop.signal.aborted; count++) {
      const name = `changing-${index}-${count}`;
      await put(pod, name);
      made.push(name);
      await delay(numbers.below(2 * WRITE_PAUSE_MS));
    }
  });
  const all = partitions(COUNT);
  for (let change = 0; change < (ALL ? 100 : 8); change++) {
    five.set(apart(numbers.pick(all), numbers.pick(['held', 'refused'])));
    await delay(SHAPE_MS);
  }
  stop.abort();
  await Promise.all(writing);
  assert.ok(made.length > five.pods.length, 'nothing was written');
  five.set(OPEN);
  await agree(made);
});
