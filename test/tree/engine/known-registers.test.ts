/** The index is told what writes made of the registers: it must be what the document would answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automerge } from '../../../src/tree/engine/automerge.js';
import { TreeDocument } from '../../../src/tree/engine/document.js';
import { registersAfter } from '../../../src/tree/engine/known-registers.js';
import { encodeData, encodeLocation, encodeTombstone } from '../../../src/tree/engine/registers.js';
import type { InodeId, RegisterName, Registers } from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { file, NETWORK } from './rig.js';

const INODES: InodeId[] = ['root/1', 'root/2', 'made-00/0123456789'];
const VALUES: { [name in RegisterName]: Uint8Array[] } = {
  l: [encodeLocation({ parent: 'root/0', name: 'x' }), encodeLocation({ parent: 'root/0', name: 'y' })],
  d: [encodeData(file('v1')), encodeData(file('v2'))],
  // Nothing of these fits the schema.
  a: [Uint8Array.of(1), Uint8Array.of(2, 3)],
  x: [encodeTombstone({ saw: [] }), encodeTombstone({ saw: ['5@aa'] })],
};

interface Replica {
  document: TreeDocument;
  /** What an index would show. */
  shown: Map<InodeId, Registers | undefined>;
  changes: Uint8Array[];
}

const step = fc.record({
  by: fc.nat(2),
  puts: fc.array(
    fc.record({
      inode: fc.nat(2),
      register: fc.constantFrom<RegisterName>('l', 'd', 'a', 'x'),
      value: fc.nat(1),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  /** Then this replica takes so many of another's changes, the later first. */
  from: fc.nat(2),
  takes: fc.nat(4),
});

test('registers that were not read back are those of the document', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const founder = TreeDocument.empty('00'.repeat(10), NETWORK);
      const founding = founder.found();
      const replicas = ['aa', 'bb', 'cc'].map((name): Replica => {
        const document = TreeDocument.empty(name.repeat(10), NETWORK);
        document.applyChanges([founding]);
        document.findBuckets();
        return { document, shown: new Map(), changes: [] };
      });
      for (const { by, puts, from, takes } of steps) {
        const replica = replicas[by] as Replica;
        for (const { inode, register, value } of puts) {
          replica.document.put(INODES[inode] ?? '', register, VALUES[register][value] as Uint8Array);
        }
        if (replica.document.pendingWrites() > 0) {
          const { change, firstCounter, lastCounter } = replica.document.commit();
          const decoded = automerge.decodeChange(change);
          assert.deepEqual(
            [firstCounter, lastCounter],
            [decoded.startOp, decoded.startOp + decoded.ops.length - 1],
          );
          replica.changes.push(change);
          follow(replica, [change]);
        }
        const other = replicas[from] as Replica;
        const taken = other.changes.slice(-takes - 1).reverse();
        if (other === replica || taken.length === 0) continue;
        const before = replica.document.heads();
        replica.document.applyChanges(taken);
        follow(replica, replica.document.changesSince(before).reverse());
      }
      for (const { document } of replicas) assertAllIsRead(document);
      for (const { document } of [...replicas, { document: founder }]) document.free();
    }),
    { numRuns: 60 },
  );
});

function follow({ document, shown }: Replica, changes: readonly Uint8Array[]): void {
  const { inodes, registerWrites } = document.touched(changes.map(automerge.decodeChange));
  const known = registersAfter(registerWrites, (id) => shown.get(id));
  for (const inode of inodes) shown.set(inode, known.has(inode) ? known.get(inode) : document.read(inode));
  for (const inode of INODES) assert.deepEqual(shown.get(inode), document.read(inode));
}

test('an inode of another kind of value than this program writes is left to the document', () => {
  const document = TreeDocument.empty('aa'.repeat(10), NETWORK);
  document.found();
  const change = automerge.decodeChange(document.changesSince([])[0] as Uint8Array);
  const bucket = change.ops.findIndex(({ key }) => key === 'root') + change.startOp;
  const op = (action: string) => ({ action, obj: `${bucket}@${change.actor}`, key: '1d', pred: [] });
  const touched = (action: string) =>
    document.touched([{ ...change, hash: '', ops: [op(action)] } as typeof change]);
  assert.deepEqual([...touched('makeMap').inodes], ['root/1']);
  assert.equal(touched('makeMap').registerWrites.length, 0);
  assert.equal(touched('del').registerWrites.length, 0);
  document.free();
});

/** What is read from the saved document in one pass is what it answers when it is asked. */
function assertAllIsRead(document: TreeDocument): void {
  const all = new Map([...document.all()].map(({ inode, registers }) => [inode, registers]));
  for (const inode of INODES) assert.deepEqual(all.get(inode), document.read(inode));
  assert.ok([...all.keys()].every((inode) => INODES.includes(inode)));
}
