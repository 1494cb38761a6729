/**
 * Faults that are planted on purpose, and traps whose cure is taken out: for each, a test that must fail. They live in
 * copies of the compiled program only; one that no test notices fails here.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertNoticed, MutatedCopy, type Mutation } from '../../mutated-copy.js';

interface Mutant extends Mutation {
  fault: string;
  /** What must fail: a compiled file and its arguments. */
  run: string[];
}

const SIMULATION = ['test/simulation/main.js', '--seeds', '300', '--bail'];

function tests(file: string, title: string): string[] {
  return ['--test', `--test-name-pattern=${title}`, `test/tree/${file}.test.js`];
}

/** Unplanted, the document does nothing of this. */
const TRAP: Mutation = {
  file: 'src/tree/engine/document.js',
  from: /\n {4}commit\(\) \{/,
  to: `
    commit() {
        const { existsSync, rmSync } = process.getBuiltinModule('node:fs');
        const trap = process.env['WORMHOLE_TRAP'];
        if (trap && existsSync(trap)) {
            rmSync(trap);
            throw new WebAssembly.RuntimeError('unreachable');
        }`,
};

const MUTANTS: Mutant[] = [
  {
    fault: 'the resolver is fed by patches, which do not report a later losing value',
    file: 'src/tree/engine/document.js',
    from: /touched\.inodes\.add\(inode\);/,
    to: "if (this.values(inode, register).at(-1)?.id !== startOp + at + '@' + actor) continue; touched.inodes.add(inode);",
    run: SIMULATION,
  },
  {
    fault: 'conflict copies are not made real before a write',
    file: 'src/tree/engine/local-group.js',
    from: /this\.makeReal\(inode, value, now\);/,
    to: 'void value;',
    run: SIMULATION,
  },
  {
    fault: 'the victim of a cycle is chosen by arrival',
    file: 'src/tree/resolver/seats.js',
    from: /const ids = compareOpIds\(this\.locationId\(a\), this\.locationId\(b\)\);/,
    to: 'const ids = this.folders.indexOf(a) - this.folders.indexOf(b);',
    run: SIMULATION,
  },
  {
    fault: 'an actor is used again by a store that was put back',
    file: 'src/tree/engine/actor.js',
    from: /random\.bytes\(RANDOM_BYTES\)/,
    to: 'new Uint8Array(RANDOM_BYTES)',
    run: tests('engine/durability', 'a store put back from a backup'),
  },
  {
    fault: 'every pod makes the same buckets',
    file: 'src/tree/engine/allocator.js',
    from: /return base32\(Buffer\.concat\(/,
    to: "return 'shared'; base32(Buffer.concat(",
    run: SIMULATION,
  },
  {
    fault: 'of two maps under one key one hides the other',
    file: 'src/tree/engine/document.js',
    from: /\[\.\.\.maps, map\]\.sort\(compareOpIds\)/,
    to: '[map]',
    run: tests('engine/hostile', 'makes again at the same time'),
  },
  {
    fault: 'what a member writes over the head is believed',
    file: 'src/tree/engine/document.js',
    from: /get founded\(\) \{/,
    to: 'get founded() { if (this.version() !== 1) return false;',
    run: tests('engine/hostile', 'own head'),
  },
  {
    fault: 'a loaded document is not spread',
    file: 'src/tree/engine/document.js',
    from: /\[0\.75, 0\.25\]/,
    to: '[]',
    run: tests('engine/memory', 'ascending edits'),
  },
  {
    fault: 'the hash of a change is not compared',
    file: 'src/tree/engine/change-check.js',
    from: /throw new RangeError\('wrong (checksum|hash)'\)/g,
    to: 'void 0',
    run: tests('engine/change-check', 'every bit flip'),
  },
  {
    fault: 'the heads are not compared after loading',
    file: 'src/tree/engine/load.js',
    from: /!sameHeads\(document\.heads\(\), expected\)/,
    to: 'false',
    run: tests('engine/durability', 'a record that is not in the log'),
  },
  {
    fault: 'a change carries the time of the wall clock',
    file: 'src/tree/engine/document.js',
    from: /commit\(null, 0\)/,
    to: 'commit(null, Date.now())',
    run: tests('engine/durability', 'no clock is in them'),
  },
  {
    fault: 'a large tree is one change, and so always new for the most part',
    file: 'src/base/limits.js',
    from: /groupOperationsMax: [\d_]+/,
    to: 'groupOperationsMax: 1e9',
    run: tests('engine/sync', 'who missed little'),
  },
];

let copy: MutatedCopy;
before(() => {
  copy = new MutatedCopy(['src', 'test/tree', 'test/simulation', 'test/sync']);
});
after(() => copy.remove());

for (const { fault, run, ...mutation } of MUTANTS) {
  test(`noticed: ${fault}`, (t) => {
    const found = copy.run([mutation], run);
    assertNoticed(found);
    const seed = /^replay: .*$/m.exec(found.said)?.[0];
    if (seed !== undefined) t.diagnostic(seed);
  });
}

test('the document traps: its thread begins again from snapshot and log, and reads and writes go on', () => {
  const env = { WORMHOLE_TRAP: join(copy.folder, 'trap') };
  const program = ['test/tree/mutants/dead-handle.js', join(copy.folder, 'trapped')];
  const cured = copy.run([TRAP], program, env);
  assert.ok(cured.ok, cured.said);
  const isDead = {
    file: 'src/tree/engine/automerge.js',
    from: /return error instanceof Error &&/,
    to: 'return false &&',
  };
  const uncured = copy.run([TRAP, isDead], [program[0] ?? '', join(copy.folder, 'uncured')], env);
  assert.ok(!uncured.ok, 'a trap that is taken for an ordinary error goes unnoticed');
});
