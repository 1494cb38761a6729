import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import { type LogDisk, openRecordLog, type RecordLog, systemLogDisk } from '../../src/store/index.js';

const contents = (log: RecordLog, from = 0) =>
  [...log.read(from)].map(({ number, record }) => `${number}:${Buffer.from(record)}`);

describe('record log', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-log-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('gives back what was appended, in order, before and after a restart', async () => {
    const { log } = await openRecordLog(folder);
    assert.equal(log.next, 0);
    assert.equal(log.first, 0);
    assert.equal(log.append(Buffer.from('a')), 0);
    assert.equal(log.append(Buffer.from('')), 1);
    assert.equal(log.append(Buffer.from('ccc')), 2);
    assert.deepEqual(contents(log), ['0:a', '1:', '2:ccc']);
    assert.deepEqual(contents(log, 2), ['2:ccc']);
    await log.sync();
    await log.close();
    const again = await openRecordLog(folder);
    assert.deepEqual(again.condition, { tornBytes: 0 });
    assert.deepEqual(contents(again.log), ['0:a', '1:', '2:ccc']);
    assert.equal(again.log.append(Buffer.from('d')), 3);
    await again.log.close();
  });

  it('spreads over segments, lets go of old ones, and never gives a number twice', async () => {
    const opened = await openRecordLog(folder, { segmentBytes: 1000 });
    for (let i = 0; i < 100; i++) opened.log.append(Buffer.from(`record ${i}`));
    assert.ok((await readdir(folder)).length > 3);
    assert.equal(contents(opened.log).length, 100);
    assert.equal(contents(opened.log, 57)[0], '57:record 57');
    await opened.log.dropBefore(50);
    assert.ok(opened.log.first > 0 && opened.log.first <= 50);
    assert.equal(contents(opened.log).length, 100 - opened.log.first);
    await opened.log.dropBefore(100);
    assert.equal(opened.log.first, 100);
    assert.deepEqual(contents(opened.log), []);
    await opened.log.close();
    const { log } = await openRecordLog(folder);
    assert.equal(log.next, 100);
    assert.equal(log.append(Buffer.from('x')), 100);
    await log.close();
  });

  it('shares one flush between callers, and flushes again for records that came during one', async () => {
    let flushes = 0;
    const disk: LogDisk = {
      ...systemLogDisk,
      sync: async (fd) => {
        flushes++;
        await systemLogDisk.sync(fd);
      },
    };
    const { log } = await openRecordLog(folder, { disk });
    const before = flushes;
    await log.sync();
    assert.equal(flushes, before, 'nothing to flush');
    log.append(Buffer.from('a'));
    const first = log.sync();
    log.append(Buffer.from('b'));
    await Promise.all([first, log.sync(), log.sync(), log.sync()]);
    assert.equal(flushes, before + 2);
    await log.close();
  });

  it('is as it was after a full disk refused a record, and goes on when there is space', async () => {
    let room = Number.POSITIVE_INFINITY;
    const disk: LogDisk = {
      ...systemLogDisk,
      write: (fd, bytes, offset, length, position) => {
        if (room <= 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
        const written = systemLogDisk.write(fd, bytes, offset, Math.min(length, room), position);
        room -= written;
        return written;
      },
    };
    const { log } = await openRecordLog(folder, { disk, segmentBytes: 200 });
    const written: string[] = [];
    for (let i = 0; i < 30; i++) {
      room = i * 3;
      const bytes = log.bytes;
      const text = `record ${i}`;
      try {
        log.append(Buffer.from(text));
        written.push(text);
      } catch (error) {
        assert.ok(error instanceof WormholeError && error.code === 'full');
        assert.ok(log.bytes === bytes || log.bytes === bytes + 30, 'at most an empty segment came');
      }
    }
    room = Number.POSITIVE_INFINITY;
    log.append(Buffer.from('last'));
    written.push('last');
    const expected = written.map((text, number) => `${number}:${text}`);
    assert.ok(written.length > 5 && written.length < 31);
    assert.deepEqual(contents(log), expected);
    await log.close();
    const again = await openRecordLog(folder);
    assert.deepEqual(again.condition, { tornBytes: 0 });
    assert.deepEqual(contents(again.log), expected);
    await again.log.close();
  });

  it('never answers for records again once a flush has failed', async () => {
    for (let k = 1; k <= 3; k++) {
      let left = Number.POSITIVE_INFINITY;
      const disk: LogDisk = {
        ...systemLogDisk,
        sync: async (fd) => {
          if (--left === 0) throw Object.assign(new Error('EIO'), { code: 'EIO' });
          await systemLogDisk.sync(fd);
        },
      };
      const path = join(folder, `log-${k}`);
      const synced: number[] = [];
      const { log } = await openRecordLog(path, { disk });
      left = k;
      for (let i = 0; i < k; i++) {
        log.append(Buffer.from(`${i}`));
        await log.sync().then(
          () => synced.push(i),
          (error) => assert.equal(error.code, 'io'),
        );
      }
      assert.equal(synced.length, k - 1);
      await assert.rejects(log.sync(), { code: 'io' });
      assert.throws(() => log.append(Buffer.from('x')), { code: 'io' });
      assert.equal(contents(log).length, k);
      await log.close();
      // The next start writes what it keeps once more, and only then counts it as durable.
      let rewritten = 0;
      const counting: LogDisk = {
        ...systemLogDisk,
        write: (fd, bytes, offset, length, position) => {
          rewritten += length;
          return systemLogDisk.write(fd, bytes, offset, length, position);
        },
      };
      const again = await openRecordLog(path, { disk: counting });
      assert.ok(rewritten > 0);
      assert.equal(contents(again.log).length, k);
      again.log.append(Buffer.from('goes on'));
      await again.log.close();
    }
  });

  it('takes no more records after an error of the disk, but lets them be read', async () => {
    let broken = false;
    const disk: LogDisk = {
      ...systemLogDisk,
      write: (fd, bytes, offset, length, position) => {
        if (broken) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        return systemLogDisk.write(fd, bytes, offset, length, position);
      },
    };
    const { log } = await openRecordLog(folder, { disk });
    log.append(Buffer.from('a'));
    broken = true;
    assert.throws(() => log.append(Buffer.from('b')), { code: 'io' });
    broken = false;
    assert.throws(() => log.append(Buffer.from('c')), { code: 'io' });
    assert.deepEqual(contents(log), ['0:a']);
    await log.close();
  });

  it('reads from any number, records of any size, while more are appended', async () => {
    const { log } = await openRecordLog(folder, { segmentBytes: 3_000_000 });
    const sizes = Array.from({ length: 200 }, (_, i) => (i % 37 === 0 ? 1_500_000 : (i * 977) % 9000));
    for (const [i, size] of sizes.entries()) log.append(Buffer.alloc(size, i));
    for (const from of [0, 1, 36, 37, 38, 111, 199, 200]) {
      let number = from;
      for (const entry of log.read(from)) {
        assert.equal(entry.number, number);
        const size = sizes[number] as number;
        assert.equal(entry.record.length, size);
        if (size > 0) assert.ok(entry.record[0] === number && entry.record[size - 1] === number);
        number++;
      }
      assert.equal(number, 200);
    }
    const reader = log.read(198);
    assert.equal(reader.next().value?.number, 198);
    log.append(Buffer.from('late'));
    assert.deepEqual(
      [...reader].map(({ number }) => number),
      [199, 200],
    );
    await log.close();
    assert.throws(() => log.append(Buffer.from('x')), { code: 'closed' });
  });

  it('does not take the records of another log, stored in its own, for damage', async () => {
    const inner = join(folder, 'inner');
    const other = await openRecordLog(inner);
    for (let i = 0; i < 10; i++) {
      other.log.append(Buffer.from(`other ${i}`));
      await other.log.sync();
    }
    await other.log.close();
    const [name] = await readdir(inner);
    const stored = await readFile(join(inner, name as string));
    const path = join(folder, 'outer');
    const { log } = await openRecordLog(path);
    log.append(Buffer.from('mine'));
    log.append(stored);
    await log.close();
    const file = join(path, name as string);
    const bytes = await readFile(file);
    bytes[bytes.indexOf(stored) - 2] = 0xff; // inside the head of the frame that holds the other log
    await writeFile(file, bytes);
    const again = await openRecordLog(path);
    assert.equal(again.condition.damagedAt, undefined);
    assert.ok(again.condition.tornBytes > stored.length);
    assert.deepEqual(contents(again.log), ['0:mine']);
    await again.log.close();
  });

  it('survives being killed between any two steps of letting go', async () => {
    const path = join(folder, 'log');
    const { log } = await openRecordLog(path, { segmentBytes: 100 });
    for (let i = 0; i < 20; i++) log.append(Buffer.from(`record ${i}`));
    await log.close();
    const names = (await readdir(path)).sort();
    for (let gone = 0; gone < names.length; gone++) {
      const copy = join(folder, `copy-${gone}`);
      await cp(path, copy, { recursive: true });
      for (const name of names.slice(0, gone)) await rm(join(copy, name));
      const again = await openRecordLog(copy, { segmentBytes: 100 });
      assert.deepEqual(again.condition, { tornBytes: 0 });
      assert.equal(again.log.next, 20);
      assert.equal(again.log.first, Number(names[gone]?.slice(0, 16)));
      await again.log.close();
    }
  });
});
