// Run by store-power-cut.test.ts as a process of its own: writes on, and says what is durable.
import { join } from 'node:path';
import { openDatabase, openRecordLog } from '../../src/store/index.js';

const disk = process.argv[2] as string;
const database = openDatabase(join(disk, 'database'));
const { log } = await openRecordLog(join(disk, 'log'), { segmentBytes: 200_000 });
const bytesOf = (count: number) => Buffer.alloc(100 + (count % 5000), count);

for (let count = Number(process.argv[3]); ; count++) {
  database.writeNow((batch) => {
    batch.table('rows').put(String(count).padStart(8, '0'), bytesOf(count));
    batch.table('state').put('count', Buffer.from(`${count + 1}`));
  });
  while (log.next <= count) log.append(bytesOf(log.next));
  await log.sync();
  // Written, but not acknowledged: it may be there after a cut or not.
  log.append(bytesOf(log.next));
  process.stdout.write(`${count + 1}\n`);
}
