/** A process that writes files into a store and says what it was promised, until it is killed. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { sha256, silentLog } from '../../src/base/index.js';
import { openContentStore } from '../../src/content/index.js';
import { openDatabase } from '../../src/store/index.js';
import { randomBytesOf } from './helpers.js';

/** One line of what it says. */
export interface Said {
  what: 'saved' | 'published';
  key: string;
  /** Of the file's bytes. */
  hash: string;
  size: number;
  /** What it was published as. */
  content?: string;
}

const [folder, seedText] = process.argv.slice(2) as [string, string];
const say = (said: Said) => writeSync(1, `${JSON.stringify(said)}\n`);

const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
const store = await openContentStore({
  folder: join(folder, 'content'),
  database,
  log: silentLog,
  limits: { freeFloorBytes: 0, reserveBytes: 1024 * 1024 },
});

async function writeFiles(lane: string, sizeOf: (i: number) => number): Promise<never> {
  for (let i = 0; ; i++) {
    const size = sizeOf(i);
    const key = `${seedText}-${lane}-${i}`;
    const bytes = randomBytesOf(size, Number(seedText) * 1000 + i);
    const file = store.open(key, '', 0);
    for (let at = 0; at < size; at += 100_000) await file.write(at, bytes.subarray(at, at + 100_000));
    await file.save();
    const hash = sha256(bytes);
    say({ what: 'saved', key, hash, size });
    const { content } = await file.publish();
    say({ what: 'published', key, hash, size, content });
    await file.close();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

await Promise.all([
  writeFiles('small', (i) => 1 + ((i * 7919) % 20_000)),
  writeFiles('large', (i) => 100_000 + ((i * 104_729) % 3_000_000)),
]);
