/**
 * A process that writes the same few contents again and again under the same few names, while it collects without a
 * pause what has no name just then. It says each name once it has it, until it is killed.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../src/base/index.js';
import { openContentStore } from '../../src/content/index.js';
import { openDatabase } from '../../src/store/index.js';
import { randomBytesOf } from './helpers.js';
import { Names } from './names.js';

/** One line of what it says: this name has this content from now on. */
export interface Named {
  name: string;
  content: string;
  size: number;
  seed: number;
}

const NAMES = 12;
/** Fewer than there are writes, so that what was just collected is often written anew. */
const CONTENTS = 16;

/** Bytes of one of the contents: some small, some of several chunks. */
export function bytesOf(seed: number): Buffer {
  return randomBytesOf(seed % 3 === 0 ? 400_000 + seed * 90_000 : 500 + seed * 3_000, 1 + seed);
}

async function main(folder: string, first: number, known: Named[]): Promise<void> {
  const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
  const store = await openContentStore({
    folder: join(folder, 'content'),
    database,
    log: silentLog,
    limits: { freeFloorBytes: 0, reserveBytes: 1024 * 1024 },
  });
  const names = new Names();
  for (const { name, content } of known) names.set(name, content);
  const { signal } = new AbortController();

  const write = async (lane: number): Promise<never> => {
    for (let i = first + lane * 7; ; i++) {
      const seed = Math.imul(i, 7919) % CONTENTS;
      const name = `name ${(i * 5 + lane) % NAMES}`;
      const bytes = bytesOf(seed);
      const file = store.open(`${lane}-${i}`, '', 0);
      await file.write(0, bytes);
      const { content, size } = await file.publish();
      names.set(name, content);
      writeSync(1, `${JSON.stringify({ name, content, size, seed } satisfies Named)}\n`);
      await file.close();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const collect = async (): Promise<never> => {
    let removed = 0;
    for (let rounds = 1; ; rounds++) {
      const options = { naming: names, historyMs: 0, seenByAllMs: Number.POSITIVE_INFINITY, signal };
      removed += (await store.collect(options))?.removed ?? 0;
      if (rounds % 10 === 0) writeSync(2, `removed ${removed}\n`);
    }
  };
  await Promise.all([write(0), write(1), collect()]);
}

const [folder, first, known] = process.argv.slice(2);
if (folder !== undefined) await main(folder, Number(first), JSON.parse(known ?? '[]') as Named[]);
