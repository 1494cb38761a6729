/**
 * Faults that are planted on purpose in copies of the compiled program, each of which loses something that was promised:
 * the simulation of whole pods must notice each within some seeds.
 */
import { after, before, test } from 'node:test';
import { assertNoticed, MutatedCopy } from '../mutated-copy.js';
import { FAULTS } from './faults.js';

const SEEDS = 40;

let copy: MutatedCopy;
before(() => {
  copy = new MutatedCopy(['src', 'test/simulation', 'test/sync', 'test/tree/simulation']);
});
after(() => copy.remove());

for (const { fault, ...mutation } of FAULTS) {
  test(`noticed: ${fault}`, (t) => {
    const run = ['test/simulation/main.js', 'whole', '--seeds', String(SEEDS), '--bail'];
    const found = copy.run([mutation], run);
    assertNoticed(found);
    const noticed = /^replay: .*$/m.exec(found.said)?.[0] ?? '';
    const why = /cause: .*$/m.exec(found.said)?.[0] ?? '';
    t.diagnostic(`${noticed} ${why}`);
  });
}
