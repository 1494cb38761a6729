/** What we rely on in Automerge's own binding: an upgrade that changes any of it must fail here, not in a tree. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { automerge, type Handle } from '../../../src/tree/engine/automerge.js';

const [A, B] = ['aa', 'bb'] as const;
const bytes = (...values: number[]) => Uint8Array.from(values);

/** A document with one map at `m`, and a copy of it for another actor. */
function two(): { a: Handle; b: Handle; map: string } {
  const a = automerge.create({ actor: A });
  const map = a.putObject('_root', 'm', {});
  a.put(map, 'k', bytes(1));
  a.commit(null, 0);
  const b = automerge.create({ actor: B });
  b.applyChanges(a.getChanges([]));
  return { a, b, map };
}

function put(handle: Handle, map: string, key: string, value: Uint8Array): Uint8Array {
  handle.put(map, key, value);
  handle.commit(null, 0);
  return handle.getLastLocalChange() as Uint8Array;
}

test('the version is the pinned one', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.equal(manifest.dependencies['@automerge/automerge'], '3.5.0');
  const installed = JSON.parse(readFileSync('node_modules/@automerge/automerge/package.json', 'utf8'));
  assert.equal(installed.version, '3.5.0');
});

test('getAll gives all concurrent values with their ids, the winner last', () => {
  const { a, b, map } = two();
  const byA = put(a, map, 'k', bytes(2));
  const byB = put(b, map, 'k', bytes(3));
  a.applyChanges([byB]);
  b.applyChanges([byA]);
  const expected = [
    ['bytes', bytes(2), '3@aa'],
    ['bytes', bytes(3), '3@bb'],
  ];
  assert.deepEqual(a.getAll(map, 'k'), expected);
  assert.deepEqual(b.getAll(map, 'k'), expected);
  assert.deepEqual(a.get(map, 'k'), bytes(3));
});

test('a change shows its own writes before the commit', () => {
  const { a, map } = two();
  a.put(map, 'k', bytes(9));
  assert.deepEqual(a.getAll(map, 'k'), [['bytes', bytes(9), '3@aa']]);
  assert.equal(a.pendingOps(), 1);
  assert.equal(a.rollback(), 1);
  assert.deepEqual(a.getAll(map, 'k'), [['bytes', bytes(1), '2@aa']]);
});

test('putting the only value again writes nothing, putting one of several settles', () => {
  const { a, b, map } = two();
  a.put(map, 'k', bytes(1));
  assert.equal(a.pendingOps(), 0);
  put(a, map, 'k', bytes(2));
  a.applyChanges([put(b, map, 'k', bytes(3))]);
  a.put(map, 'k', bytes(3));
  assert.equal(a.pendingOps(), 1);
  a.commit(null, 0);
  // The winner keeps its id: only the others are taken away.
  assert.deepEqual(a.getAll(map, 'k'), [['bytes', bytes(3), '3@bb']]);
});

test('putting the losing value again makes it the only one', () => {
  const { a, b, map } = two();
  put(a, map, 'k', bytes(2));
  a.applyChanges([put(b, map, 'k', bytes(3))]);
  put(a, map, 'k', bytes(2));
  assert.deepEqual(
    a.getAll(map, 'k').map(([, value]) => value),
    [bytes(2)],
  );
});

test('decoded changes name object and key of each write; the n-th has the n-th counter', () => {
  const { a, map } = two();
  const object = a.putObjectFromHydrate(map, 'bucket', { '00d': bytes(1), '00l': bytes(2) });
  a.commit(null, 0);
  const decoded = automerge.decodeChange(a.getLastLocalChange() as Uint8Array);
  assert.equal(object, `${decoded.startOp}@aa`);
  assert.deepEqual(
    decoded.ops.map(({ obj, key }) => [obj, key]),
    [
      [map, 'bucket'],
      [object, '00d'],
      [object, '00l'],
    ],
  );
  assert.equal(a.getChangeMetaByHash(decoded.hash)?.maxOp, decoded.startOp + 2);
});

test('the same writes by the same actor give the same hashes', () => {
  assert.deepEqual(two().a.getHeads(), two().a.getHeads());
});

test('a change whose dependency is missing waits, and is not in the document', () => {
  const { a, b, map } = two();
  const first = put(a, map, 'k', bytes(2));
  const second = put(a, map, 'k', bytes(3));
  const before = b.getHeads();
  b.applyChanges([second]);
  assert.deepEqual(b.getHeads(), before);
  assert.deepEqual(b.getChanges(before), []);
  assert.equal(b.getChangeMetaByHash(automerge.decodeChange(second).hash), null);
  b.applyChanges([first]);
  assert.deepEqual(b.getHeads(), a.getHeads());
  assert.equal(b.getChanges(before).length, 2);
  b.applyChanges([first, second]);
  assert.deepEqual(b.getHeads(), a.getHeads());
});

test('what is no change, document or message is refused with an ordinary error', () => {
  const { a, b } = two();
  const state = automerge.initSyncState();
  for (const work of [
    () => a.applyChanges([bytes(1, 2, 3)]),
    () => automerge.decodeChange(bytes(1, 2, 3)),
    () => automerge.load(bytes(1, 2, 3), { actor: A }),
    () => b.receiveSyncMessage(state, bytes(1, 2, 3)),
    () => automerge.decodeSyncMessage(bytes(1, 2, 3)),
    () => automerge.decodeSyncState(bytes(1, 2, 3)),
  ]) {
    assert.throws(work, (error: Error) => error.name !== 'RuntimeError' && error.name !== 'PanicError');
  }
  assert.deepEqual(a.getHeads(), b.getHeads());
});

test('a saved document loads with its history, its actor chosen', () => {
  const { a, map } = two();
  put(a, map, 'k', bytes(2));
  const loaded = automerge.load(a.saveNoCompress(), { actor: 'cc' });
  assert.equal(loaded.getActorId(), 'cc');
  assert.deepEqual(loaded.getHeads(), a.getHeads());
  assert.deepEqual(
    loaded.getChanges([]).map((change) => automerge.decodeChange(change).hash),
    a.getChanges([]).map((change) => automerge.decodeChange(change).hash),
  );
});

test('the sync state can be kept: it holds the shared heads', () => {
  const { a, b } = two();
  const [ofB, ofA] = [automerge.initSyncState(), automerge.initSyncState()];
  for (let round = 0; round < 4; round++) {
    const toB = a.generateSyncMessage(ofB);
    if (toB !== null) b.receiveSyncMessage(ofA, toB);
    const toA = b.generateSyncMessage(ofA);
    if (toA !== null) a.receiveSyncMessage(ofB, toA);
  }
  const kept = automerge.decodeSyncState(automerge.encodeSyncState(ofB));
  assert.deepEqual(kept.sharedHeads, a.getHeads());
});
