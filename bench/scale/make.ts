import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TreeDocument } from '../../src/tree/engine/document.js';
import { snapshotPath } from '../../src/tree/engine/load.js';
import { encodeData, encodeLocation } from '../../src/tree/engine/registers.js';
import { writeSnapshot } from '../../src/tree/engine/snapshot.js';
import { type InodeId, ROOT } from '../../src/tree/index.js';

export const BENCH_NETWORK = new Uint8Array(32).fill(7);
/** Folder in the root that holds the whole tree. */
export const TOP = 'everything';
export const FILES_PER_FOLDER = 20;
const FOLDERS_PER_GROUP = 100;
const BUCKET = 256;
const PREFIX = 'benchpodbenchrun';

/** A document of `files` files in folders of twenty, as an import makes it: a change a bucket. */
export async function makeTree(folder: string, files: number): Promise<{ bytes: number; seconds: number }> {
  const started = performance.now();
  const document = TreeDocument.empty('ab'.repeat(10), BENCH_NETWORK);
  document.found();
  let values: { [key: string]: Uint8Array } = {};
  let made = 0;
  const flush = () => {
    if (Object.keys(values).length === 0) return;
    document.makeBucket(`${PREFIX}${Math.floor((made - 1) / BUCKET).toString(36)}`, values);
    document.commit();
    values = {};
  };
  const add = (parent: InodeId, name: string, content?: { size: number; id: string }): InodeId => {
    const index = (made % BUCKET).toString(16).padStart(2, '0');
    const inode = `${PREFIX}${Math.floor(made / BUCKET).toString(36)}/${index}`;
    const kind = content === undefined ? 'directory' : 'file';
    const mtime = 1_790_000_000_000_000_000n + BigInt(made) * 1_000_003n;
    const data = { kind, size: content?.size ?? 0, mtime, content: content?.id ?? '', mode: 0o644 } as const;
    values[`${index}l`] = encodeLocation({ parent, name });
    values[`${index}d`] = encodeData(data);
    made++;
    if (made % BUCKET === 0) flush();
    return inode;
  };
  const top = add(ROOT, TOP);
  let group = top;
  let inside = top;
  for (let i = 0; i < files; i++) {
    if (i % (FILES_PER_FOLDER * FOLDERS_PER_GROUP) === 0) group = add(top, `group ${i}`);
    if (i % FILES_PER_FOLDER === 0) inside = add(group, `folder ${i}`);
    const id = `c${createHash('sha256').update(String(i)).digest('hex')}`;
    add(inside, `file ${i}.txt`, { size: 1 + (i % 100_000), id });
  }
  flush();
  const bytes = document.save();
  const heads = document.heads();
  document.free();
  mkdirSync(join(folder, 'document'), { recursive: true });
  const header = { heads, seq: 0, log: 'changes-0', logNext: 0, own: { actors: [], groups: [] } };
  await writeSnapshot(snapshotPath(join(folder, 'document')), { header, document: bytes });
  return { bytes: bytes.length, seconds: (performance.now() - started) / 1000 };
}
