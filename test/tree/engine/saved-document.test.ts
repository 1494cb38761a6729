/** The maps of a saved document, read from its columns: they must be what the document itself answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automerge, type Handle } from '../../../src/tree/engine/automerge.js';
import { savedMaps } from '../../../src/tree/engine/saved-document.js';
import fc from '../../property.js';

const KEYS = ['00d', '00l', '01d', 'é', ''];

/** What the document answers for every key of a map. */
function asked(handle: Handle, object: string): [string, string, number[]][] {
  return handle
    .keys(object)
    .flatMap((key) =>
      handle
        .getAll(object, key)
        .map(([, value, id]): [string, string, number[]] => [
          Buffer.from(key).toString('latin1'),
          String(id),
          [...(value as Uint8Array)],
        ]),
    )
    .sort(byKeyAndId);
}

function byKeyAndId([a, x]: [string, string, number[]], [b, y]: [string, string, number[]]): number {
  return a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0;
}

const step = fc.record({
  by: fc.nat(2),
  puts: fc.array(
    fc.record({ key: fc.nat(KEYS.length - 2), bytes: fc.uint8Array({ maxLength: 200 }), gone: fc.nat(4) }),
    {
      minLength: 1,
      maxLength: 5,
    },
  ),
  /** Then this one takes all that another has. */
  from: fc.nat(2),
});

test('every map of a saved document is as the document answers', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const first = automerge.create({ actor: 'aa' });
      const maps = ['x', 'y'].map((name) =>
        first.putObjectFromHydrate('_root', name, { '05l': Uint8Array.of(1) }),
      );
      first.commit(null, 0);
      const start = first.getChanges([]);
      const handles = ['bb', 'cc', 'dd'].map((actor) => {
        const handle = automerge.create({ actor });
        handle.applyChanges(start);
        return handle;
      });
      for (const { by, puts, from } of steps) {
        const [handle, other] = [handles[by] as Handle, handles[from] as Handle];
        for (const { key, bytes, gone } of puts) {
          const map = maps[bytes.length % 2] ?? '';
          if (gone === 0) handle.delete(map, KEYS[key] ?? '');
          else handle.put(map, KEYS[key] ?? '', bytes);
        }
        if (handle.pendingOps() > 0) handle.commit(null, 0);
        if (other !== handle)
          handle.applyChanges(
            other.getChanges(handle.getHeads().filter((head) => other.getChangeMetaByHash(head) !== null)),
          );
      }
      for (const handle of handles) {
        const saved = new Map(
          [...savedMaps(handle.saveNoCompress())].map(({ object, writes }) => [object, writes]),
        );
        for (const map of maps) {
          const found = saved
            .get(map)
            ?.map(({ key, id, value }): [string, string, number[]] => [key, id, [...value]]);
          assert.deepEqual(found?.sort(byKeyAndId), asked(handle, map));
        }
      }
      for (const handle of [first, ...handles]) handle.free();
    }),
    { numRuns: 60 },
  );
});

test('a map with anything in it but bytes is left to the document', () => {
  const handle = automerge.create({ actor: 'aa' });
  const plain = handle.putObjectFromHydrate('_root', 'plain', { '00l': Uint8Array.of(1) });
  const strange: { [how: string]: (map: string) => void } = {
    text: (map) => handle.put(map, 'k', 'text'),
    number: (map) => handle.put(map, 'k', 7, 'uint'),
    nothing: (map) => handle.put(map, 'k', null),
    counter: (map) => {
      handle.put(map, 'k', 1, 'counter');
      handle.increment(map, 'k', 2);
    },
    map: (map) => handle.putObject(map, 'k', {}),
    list: (map) => handle.putObject(map, 'k', []),
  };
  const maps = Object.entries(strange).map(([how, write]) => {
    const map = handle.putObjectFromHydrate('_root', how, { '00l': Uint8Array.of(1) });
    write(map);
    return map;
  });
  handle.commit(null, 0);
  const saved = new Map(
    [...savedMaps(handle.saveNoCompress())].map(({ object, writes }) => [object, writes]),
  );
  for (const map of maps) {
    assert.ok(saved.has(map));
    assert.equal(saved.get(map), undefined);
  }
  assert.deepEqual(
    saved.get(plain)?.map(({ key, value }) => [key, [...value]]),
    [['00l', [1]]],
  );
  handle.free();
});

test('a saved document that is cut short is an error, wherever', () => {
  const handle = automerge.create({ actor: 'aa' });
  handle.putObjectFromHydrate('_root', 'b', { '00l': Uint8Array.of(1, 2, 3), '00d': Uint8Array.of(4) });
  handle.commit(null, 0);
  const saved = handle.saveNoCompress();
  // The last byte is of an index that comes after the columns.
  for (let length = 0; length < saved.length - 1; length++) {
    assert.throws(() => [...savedMaps(saved.subarray(0, length))], RangeError, `cut at ${length}`);
  }
  handle.free();
});
