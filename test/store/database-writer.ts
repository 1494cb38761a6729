// Run by database-threads.test.ts, as a thread or as a process of its own: counts in a database.
import { isMainThread, workerData } from 'node:worker_threads';
import { openDatabase } from '../../src/store/index.js';

interface Work {
  folder: string;
  name: string;
  batches: number;
  from: number;
  shared?: Int32Array;
}

const work: Work = isMainThread
  ? {
      folder: process.argv[2] as string,
      name: 'process',
      batches: Number.POSITIVE_INFINITY,
      from: Number(process.argv[3]),
    }
  : workerData;

const database = openDatabase(work.folder);
for (let count = work.from + 1; count <= work.from + work.batches; count++) {
  const value = Buffer.from(`${count}`);
  database.writeNow((batch) => {
    batch.table('counters').put(`${work.name}/left`, value);
    batch.table('counters').put(`${work.name}/right`, value);
  });
  if (work.shared !== undefined) {
    Atomics.store(work.shared, 0, count);
    Atomics.notify(work.shared, 0);
  }
  if (isMainThread) {
    await database.write([{ table: 'counters', key: `${work.name}/queued`, value }]);
    process.stdout.write(`${count}\n`);
  }
}
await database.close();
