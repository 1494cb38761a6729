/** Run by mutants.test.ts in a copy of the program whose document traps, once, when a certain file is there. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../src/tree/index.js';
import { file, lines, open } from '../fixture.js';

const DEADLINE_MS = 20_000;
const folder = process.argv[2] ?? '';
const trap = process.env['WORMHOLE_TRAP'] ?? '';

setTimeout(() => {
  console.error('the tree did not go on');
  process.exit(1);
}, DEADLINE_MS).unref();

const tree = await open(join(folder, 'a'));
const states: string[] = [];
tree.events.on('engine', ({ state }) => states.push(state));
tree.create(ROOT, 'before', file('c1'), {});
await tree.commit();
writeFileSync(trap, '');
tree.create(ROOT, 'trapped', file('c2'), {});
while (!states.includes('failed')) {
  assert.equal(tree.lookup(ROOT, 'trapped')?.content, 'c2', 'reads go on');
  await new Promise((resolve) => setTimeout(resolve, 1));
}
assert.ok(!existsSync(trap));
tree.create(ROOT, 'meanwhile', file('c3'), {});
const expected = ['/before file c1', '/meanwhile file c3', '/trapped file c2'];
assert.deepEqual(lines(tree), expected, 'and so do writes');
await tree.commit();
assert.equal(states.at(-1), 'ready');
assert.deepEqual(lines(tree), expected);
assert.equal(tree.counts().files, 3);
await tree.close();
const again = await open(join(folder, 'a'));
assert.deepEqual(lines(again), expected);
await again.close();
