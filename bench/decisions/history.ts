// Decision 23, measured: versions of a file read back from the document's history beside the table that the index
// keeps, and what noting costs an overwrite. `node dist/bench/decisions/history.js`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, systemRandom } from '../../src/base/index.js';
import { openDatabase } from '../../src/store/index.js';
import { makeActor } from '../../src/tree/engine/actor.js';
import { automerge } from '../../src/tree/engine/automerge.js';
import { TreeDocument } from '../../src/tree/engine/document.js';
import { encodeData, encodeLocation } from '../../src/tree/engine/registers.js';
import { History } from '../../src/tree/history/history.js';
import { openHistoryLog } from '../../src/tree/history/history-log.js';
import { HistoryRecorder, type Observed } from '../../src/tree/history/recorder.js';
import { blankRow } from '../../src/tree/resolver/registers.js';
import { type Data, type InodeId, ROOT } from '../../src/tree/schema.js';

const FILES = 2_000;
const VERSIONS = 10;
const GROUP = 200;

const inodeOf = (n: number): InodeId =>
  `aaaaaaaaaaaaaaaa${Math.floor(n / 256)}/${(n % 256).toString(16).padStart(2, '0')}`;
const dataOf = (n: number, version: number): Data => ({
  kind: 'file',
  size: 1 + n,
  mtime: 1_700_000_000_000_000_000n + BigInt(version),
  content: `c${(n * VERSIONS + version).toString(16).padStart(64, '0')}`,
  mode: 0o644,
});

function timed(name: string, pieces: number, unit: string, work: () => void): void {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  const ms = (user + system) / 1000;
  console.log(
    `${name.padEnd(62)} ${ms.toFixed(0).padStart(6)} ms, ${((1000 * ms) / pieces).toFixed(1)} µs ${unit}`,
  );
}

/** Every version in a change of its own, as saves of users are. */
function makeDocument(): TreeDocument {
  const document = TreeDocument.empty(makeActor('ab'.repeat(32), 'bench', systemRandom), new Uint8Array(16));
  document.found();
  for (let n = 0; n < FILES; n += 256) document.makeBucket(inodeOf(n).split('/')[0] as string);
  for (let n = 0; n < FILES; n++)
    document.put(inodeOf(n), 'l', encodeLocation({ parent: ROOT, name: `f${n}` }));
  document.commit();
  for (let version = 0; version < VERSIONS; version++) {
    for (let n = 0; n < FILES; n++) {
      document.put(inodeOf(n), 'd', encodeData(dataOf(n, version)));
      document.commit();
    }
  }
  return document;
}

/** What the resolver tells of a group of overwrites. */
function overwrites(from: number, version: number): Observed[] {
  return Array.from({ length: GROUP }, (_, at) => {
    const n = from + at;
    const row = (which: number) => ({
      ...blankRow(inodeOf(n)),
      alive: true,
      names: 1,
      registers: { l: [], d: [{ id: `${which * FILES + n + 1}@ab`, value: dataOf(n, which) }], a: [], x: [] },
    });
    return { inode: inodeOf(n), before: row(version), now: row(version + 1) };
  });
}

const folder = mkdtempSync(join(tmpdir(), 'wormhole-history-'));
try {
  const document = makeDocument();
  const changes = document.changeCount();
  console.log(`${FILES} files of ${VERSIONS} versions, ${changes} changes`);
  timed('document: decode its whole history, for the versions of one file', changes, 'a change', () => {
    for (const bytes of document.changesSince([])) automerge.decodeChange(bytes);
  });
  const database = openDatabase(join(folder, 'index'), { flushed: false });
  const monotonicMs = () => performance.now();
  const log = await openHistoryLog(join(folder, 'history'), silentLog, monotonicMs);
  const recorder = new HistoryRecorder({ database, log, monotonicMs, left: () => 0 });
  const groups: Observed[][] = [];
  for (let version = 0; version + 1 < VERSIONS; version++) {
    for (let n = 0; n < FILES; n += GROUP) groups.push(overwrites(n, version));
  }
  const count = groups.length * GROUP;
  const notes = groups.map((group) => recorder.note(group, [], () => 0));
  timed('noting: decide and encode', count, 'an overwrite', () => {
    for (const group of groups) recorder.note(group, [], () => 0);
  });
  timed('noting: append to the log of history', count, 'an overwrite', () => {
    for (const note of notes) if (note !== undefined) recorder.keep(note);
  });
  timed('noting: put into the batch of the index', count, 'an overwrite', () => {
    for (const note of notes)
      if (note !== undefined) database.writeNow((batch) => recorder.write(batch, note));
  });
  const history = new History(
    database,
    () => undefined,
    () => performance.now(),
  );
  timed('table: the versions of each file', FILES, 'a file', () => {
    for (let n = 0; n < FILES; n++) {
      if (history.versions(inodeOf(n)).length !== VERSIONS - 1) throw new Error('versions are missing');
    }
  });
  console.log(`log of history: ${(log.bytes / count).toFixed(0)} bytes an overwrite`);
  await log.close();
  await database.close();
  document.free();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
