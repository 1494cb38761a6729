import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog, WormholeError } from '../../../src/base/index.js';
import { openDatabase } from '../../../src/store/index.js';
import { inspectDatabaseFile } from '../../../src/store/lmdb-inspection.js';
import { BODY_BYTES, headerOf, NODE_BYTES, PAGE_BYTES, soundNodes } from '../../../src/store/lmdb-pages.js';
import { makeIndexer } from '../../../src/tree/index/indexer.js';
import { Overlay } from '../../../src/tree/index/overlay.js';
import { INDEX_DATABASE_TABLES } from '../../../src/tree/index-database.js';
import { provisionalActor } from '../../../src/tree/operations/patch.js';
import { type InodeId, ROOT } from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { data, ME, OTHER, POD, Registry, withFolder } from './fixture.js';

/** Of two starts, so that one may be taken for the other. */
const STARTS = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'];
const FOLDERS = 4;
const FILES = 40;
const NUMBER = /^[0-9a-f]{8}$/;
const BITS = 8;
const RUNS = 80;

/** An index with rows of all kinds in a database that is closed again. */
async function writeIndex(path: string): Promise<InodeId[]> {
  const registry = new Registry();
  for (let index = 0; index < FOLDERS; index++) {
    registry.folder(`${STARTS[index % 2]}000/0${index}`, 10 + index, ROOT, `folder-${index}`, ME);
  }
  for (let index = 0; index < FILES; index++) {
    const folder = index % FOLDERS;
    const inode = `${STARTS[index % 2]}001/${String(index).padStart(2, '0')}`;
    const content = `f${index.toString(16).padStart(64, '0')}`;
    const parent = `${STARTS[folder % 2]}000/0${folder}`;
    registry.file(inode, 100 + 3 * index, parent, `file-${index}`, content, index % 3 ? ME : OTHER);
    if (index % 9 === 0) registry.put(inode, 'd', `${101 + 3 * index}@${ME}1`, data('file', 'g'.repeat(65)));
    if (index % 7 === 0) registry.put(inode, 'x', `${400 + index}@${ME}`, { saw: [] });
  }
  const database = openDatabase(path, { flushed: false });
  makeIndexer(database, registry).rebuild({ heads: ['head'], seq: 1, time: 5n });
  await database.close();
  return [...registry.map.keys()];
}

interface Seen {
  /** What each question was answered; `corrupt` where it was refused. */
  answers: string[];
  damages: number;
}

/** All that readers ask of an index. */
async function readIndex(path: string, inodes: readonly InodeId[]): Promise<Seen> {
  const seen: Seen = { answers: [], damages: 0 };
  const database = openDatabase(path, { flushed: false, onDamage: () => seen.damages++ });
  const ask = (question: () => unknown) => {
    try {
      const text = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);
      seen.answers.push(JSON.stringify(question(), text) ?? 'nothing');
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
      seen.answers.push('corrupt');
    }
  };
  try {
    const actor = provisionalActor(POD.padEnd(64, '0'), 'me');
    let overlay: Overlay | undefined;
    ask(() => {
      overlay = new Overlay(database, actor, silentLog);
    });
    const open = overlay;
    if (open === undefined) return seen;
    ask(() => open.counts());
    ask(() => [...open.rows(undefined)]);
    ask(() => open.contents(undefined, 1_000));
    for (const inode of inodes) {
      ask(() => open.tables.row(inode));
      ask(() => open.contentsAt(inode));
      ask(() => [...open.tables.dentries(inode, undefined, 1_000)]);
    }
    for (let index = 0; index < FILES; index++) {
      ask(() => open.tables.dentry(inodes[index % FOLDERS] ?? '', `file-${index}`));
    }
    return seen;
  } finally {
    await database.close();
  }
}

/** Refused, or what was there with something missing, and nothing else. */
function isPartOf(whole: string, answer: string): boolean {
  if (answer === whole || answer === 'corrupt' || answer === 'nothing') return true;
  if (!whole.startsWith('[')) return false;
  const parts = (JSON.parse(whole) as unknown[]).map((part) => JSON.stringify(part));
  return (JSON.parse(answer) as unknown[]).every((part) => parts.includes(JSON.stringify(part)));
}

/** Bytes of keys and values in leaf pages; and those of keys that are numbers, which rows are told apart by. */
function placesOfRows(bytes: Buffer): { all: number[]; numbers: number[] } {
  const places: { all: number[]; numbers: number[] } = { all: [], numbers: [] };
  for (let number = 2; number < bytes.length / PAGE_BYTES; number++) {
    const page = bytes.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES);
    if (headerOf(page).kind !== 'leaf') continue;
    for (const { start, end, isTree, key } of soundNodes(page, number, 'leaf')?.nodes ?? []) {
      const body = (number + 1) * PAGE_BYTES - BODY_BYTES;
      for (let at = start + NODE_BYTES; at < end && !isTree; at++) places.all.push(body + at);
      if (NUMBER.test(key.toString())) places.numbers.push(body + start + NODE_BYTES, body + start + 15);
    }
  }
  return places;
}

test('a row that rotted in a sound page is damage: to whoever starts, and to whoever reads it all the same', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'index');
    const file = join(path, 'data.mdb');
    const inodes = await writeIndex(path);
    const whole = readFileSync(file);
    const right = await readIndex(path, inodes);
    assert.ok(right.answers.length > 3 * FILES && !right.answers.includes('corrupt'));
    let refused = 0;
    const { all, numbers } = placesOfRows(whole);
    const examples = numbers.flatMap((at) =>
      Array.from({ length: BITS }, (_, bit): [number, number] => [at, bit]),
    );
    assert.ok(examples.length >= 4 * BITS);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...all), fc.nat(BITS - 1), async (at, bit) => {
        const rotten = Buffer.from(whole);
        rotten[at] = (rotten[at] ?? 0) ^ (1 << bit);
        writeFileSync(file, rotten);
        const seen = await readIndex(path, inodes);
        const wrong = seen.answers.filter((answer, index) => answer !== right.answers[index]);
        for (const [index, answer] of seen.answers.entries()) {
          const full = right.answers[index] ?? '';
          assert.ok(isPartOf(full, answer), `${answer} instead of ${full}`);
        }
        const isRefused = seen.answers.includes('corrupt');
        if (isRefused) assert.ok(seen.damages > 0, 'the next start hears of what was refused');
        if (wrong.length > 0)
          assert.ok(
            inspectDatabaseFile(file, { tables: INDEX_DATABASE_TABLES, long: true }) !== undefined,
            'a start finds it',
          );
        if (isRefused) refused++;
      }),
      { numRuns: examples.length + RUNS, examples },
    );
    assert.ok(refused > 50, `${refused} were met`);
  });
});
