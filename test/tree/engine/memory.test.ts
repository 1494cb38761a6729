/** Trap 1 of Automerge 3.5: without the cure, a thousand edits of a loaded tree fill the memory of the thread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automerge, type Handle } from '../../../src/tree/engine/automerge.js';
import { TreeDocument } from '../../../src/tree/engine/document.js';
import { encodeData, encodeLocation } from '../../../src/tree/engine/registers.js';
import { file, NETWORK } from './rig.js';

const BUCKETS = 200;
const index = (n: number) => n.toString(16).padStart(2, '0');
const content = (n: number) => `c${n.toString(16).padStart(64, '0')}`;

/** A tree of 51,200 files: a change a bucket. */
function buildTree(): Uint8Array {
  const document = TreeDocument.empty('aa'.repeat(10), NETWORK);
  document.found();
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const values: { [key: string]: Uint8Array } = {};
    for (let n = 0; n < 256; n++) {
      values[`${index(n)}l`] = encodeLocation({ parent: 'root/0', name: `file-${bucket}-${n}.txt` });
      values[`${index(n)}d`] = encodeData(file(content(bucket * 256 + n), n));
    }
    document.makeBucket(`bench${bucket}`, values);
    document.commit();
  }
  const bytes = document.save();
  document.free();
  return bytes;
}

/** Edits in ascending order of the document. @returns how much the process grew, bytes */
function growth(edits: number, edit: (bucket: number, inode: number, value: Uint8Array) => void): number {
  const before = process.memoryUsage().rss;
  for (let n = 0; n < edits; n++) {
    const at = Math.floor((n * BUCKETS * 256) / edits);
    edit(Math.floor(at / 256), at % 256, encodeData(file(content(n), 1_000_000 + n)));
  }
  return process.memoryUsage().rss - before;
}

test('a thousand ascending edits of a loaded tree need less than 100 MB', () => {
  const bytes = buildTree();
  const document = TreeDocument.load(bytes, 'bb'.repeat(10), NETWORK);
  const { heads } = { heads: document.heads() };
  const cured = growth(1000, (bucket, inode, value) => {
    document.put(`bench${bucket}/${index(inode)}`, 'd', value);
    document.commit();
  });
  assert.ok(cured < 100e6, `grew by ${Math.round(cured / 1e6)} MB`);
  document.free();

  // Should an upgrade mend Automerge itself, this tells that the cure may go.
  const raw = automerge.load(bytes, { actor: 'cc'.repeat(10) });
  assert.deepEqual(raw.getHeads().sort(), heads, 'the cure left the heads as they were');
  const top = mapAt(raw, '_root', 'b');
  const uncured = growth(60, (bucket, inode, value) => {
    raw.put(mapAt(raw, top, `bench${bucket}`), `${index(inode)}d`, value);
    raw.commit(null, 0);
  });
  assert.ok(
    uncured > 60e6,
    `without the cure only ${Math.round(uncured / 1e6)} MB for 60 edits: is it needed?`,
  );
  raw.free();
});

function mapAt(handle: Handle, object: string, key: string): string {
  const value = handle.getWithType(object, key);
  assert.equal(value?.[0], 'map');
  return String(value?.[1]);
}
