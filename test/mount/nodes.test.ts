import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stat } from '../../src/fs/index.js';
import { NodeTable } from '../../src/mount/nodes.js';
import fc from '../property.js';

const stat = (inode: string) => ({ inode }) as Stat;

test('the root is node 1 and is never forgotten', () => {
  const nodes = new NodeTable('r');
  assert.equal(nodes.find('r')?.number, 1);
  nodes.forget(1, 100);
  assert.equal(nodes.get(1)?.inode, 'r');
});

test('an inode keeps its number while the kernel has it, and gets a new one afterwards', () => {
  const nodes = new NodeTable('r');
  const first = nodes.remember(stat('a'), 1).number;
  assert.equal(nodes.remember(stat('a'), 1).number, first);
  nodes.forget(first, 1);
  assert.equal(nodes.get(first)?.inode, 'a');
  nodes.forget(first, 1);
  assert.equal(nodes.get(first), undefined);
  assert.equal(nodes.find('a'), undefined);
  assert.notEqual(nodes.remember(stat('a'), 1).number, first);
});

test('any order of lookups and forgets keeps both directions one', () => {
  const step = fc.record({ inode: fc.constantFrom('a', 'b', 'c'), forget: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const nodes = new NodeTable('r');
      const model = new Map<string, { number: number; lookups: number }>();
      const used = new Set<number>();
      for (const { inode, forget } of steps) {
        const known = model.get(inode);
        if (forget === 0) {
          const { number } = nodes.remember(stat(inode), 1);
          if (known === undefined) assert.ok(!used.has(number), 'a number was used twice');
          else assert.equal(number, known.number);
          used.add(number);
          model.set(inode, { number, lookups: (known?.lookups ?? 0) + 1 });
        } else if (known !== undefined) {
          const back = Math.min(forget, known.lookups);
          nodes.forget(known.number, back);
          if (back === known.lookups) model.delete(inode);
          else known.lookups -= back;
        }
      }
      assert.equal(nodes.size, model.size + 1);
      for (const [inode, { number }] of model) {
        assert.equal(nodes.find(inode)?.number, number);
        assert.equal(nodes.get(number)?.inode, inode);
      }
    }),
  );
});
