import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type LogDisk, openRecordLog, systemLogDisk } from '../../src/store/index.js';
import fc from '../property.js';

// What is tested here is what bytes mean, not what a flush does: without it, thousands of logs open in seconds.
const disk: LogDisk = { ...systemLogDisk, sync: async () => {}, syncFolder: async () => {} };
const segmentBytes = 110;
const headerBytes = 30;
const frameOverheadBytes = 32;

/** Each is followed by a sync, so that every frame says that all before it were durable. */
const records = [
  'first',
  '',
  'a longer third record, of a few dozen bytes',
  'x'.repeat(90),
  'y',
  'six',
  'seven',
];

describe('a log with bytes cut, zeroed, flipped or repeated', () => {
  let folder: string;
  let whole: string;
  /** The segments in order, and the offsets at which their frames end. */
  let segments: { name: string; bytes: Buffer; ends: number[]; first: number }[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-damage-'));
    whole = join(folder, 'whole');
    const { log } = await openRecordLog(whole, { segmentBytes, disk });
    for (const record of records) {
      log.append(Buffer.from(record));
      await log.sync();
    }
    await log.close();
    segments = [];
    for (const name of (await readdir(whole)).sort()) {
      const bytes = await readFile(join(whole, name));
      const first = Number(name.slice(0, 16));
      const ends = [headerBytes];
      for (let n = first; (ends.at(-1) as number) < bytes.length; n++) {
        ends.push((ends.at(-1) as number) + frameOverheadBytes + (records[n] as string).length);
      }
      segments.push({ name, bytes, ends, first });
    }
    assert.ok(segments.length >= 3);
    assert.deepEqual(
      segments.map((segment) => segment.ends.at(-1)),
      segments.map((segment) => segment.bytes.length),
    );
  });
  after(() => rm(folder, { recursive: true }));

  /** Opens a log in which one segment has other bytes, and checks all that must hold whatever they are. */
  async function open(index: number, bytes: Buffer) {
    const copy = join(folder, 'copy');
    await mkdir(copy);
    for (const segment of segments) await writeFile(join(copy, segment.name), segment.bytes);
    const { name } = segments[index] as (typeof segments)[number];
    await writeFile(join(copy, name), bytes);
    const { log, condition } = await openRecordLog(copy, { segmentBytes, disk });
    const found = [...log.read(0)].map(({ record }) => Buffer.from(record).toString());
    assert.deepEqual(found, records.slice(0, found.length), 'the records are a prefix');
    assert.equal(log.next, found.length);
    if (condition.damagedAt === undefined) {
      assert.equal(log.append(Buffer.from('next')), found.length);
      await log.close();
      const again = await openRecordLog(copy, { segmentBytes, disk });
      assert.deepEqual(again.condition, { tornBytes: 0 });
      assert.equal(Buffer.from([...again.log.read(found.length)][0]?.record ?? []).toString(), 'next');
      await again.log.close();
    } else {
      assert.throws(() => log.append(Buffer.from('next')), { code: 'corrupt' });
      await log.close();
      assert.deepEqual(await readFile(join(copy, name)), bytes, 'a damaged log is left as it is');
    }
    await rm(copy, { recursive: true });
    return { found: found.length, condition };
  }

  /** What every change of bytes must lead to: the loss is told, as damage where that can be known. */
  async function check(index: number, bytes: Buffer, firstChanged: number) {
    const segment = segments[index] as (typeof segments)[number];
    const { found, condition } = await open(index, bytes);
    if (bytes.equals(segment.bytes)) {
      assert.equal(found, records.length);
      assert.deepEqual(condition, { tornBytes: 0 });
      return;
    }
    const intact = segment.first + segment.ends.filter((end) => end <= firstChanged).length - 1;
    assert.ok(found >= intact, 'what lies before the change is kept');
    if (index === 0 && firstChanged < headerBytes) assert.ok(condition.damagedAt !== undefined);
    const isLast = index === segments.length - 1;
    const last = segments[segments.length - 1] as (typeof segments)[number];
    const lastFrame = last.bytes.subarray(last.ends.at(-2));
    if (found < records.length - 1 && (!isLast || bytes.includes(lastFrame))) {
      assert.ok(condition.damagedAt !== undefined, 'the last record says that the lost one was durable');
    }
    // A log that ends between two records is one in which they were not written yet: the only loss that the
    // log alone cannot know of.
    const ends = [0, ...segment.ends];
    const endsBetweenRecords = isLast && bytes.length === firstChanged && ends.includes(firstChanged);
    if (found < records.length && !endsBetweenRecords) {
      assert.ok(condition.damagedAt !== undefined || condition.tornBytes > 0, 'the loss is told');
    }
  }

  it('is cut anywhere', async () => {
    for (const [index, { bytes }] of segments.entries()) {
      for (let at = 0; at < bytes.length; at++) await check(index, bytes.subarray(0, at), at);
    }
  });

  it('has a bit flipped anywhere', async () => {
    for (const [index, { bytes }] of segments.entries()) {
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ (1 << (at % 8));
        await check(index, changed, at);
      }
    }
  });

  it('has bytes zeroed or repeated anywhere', async () => {
    const place = fc.record({
      index: fc.nat({ max: segments.length - 1 }),
      at: fc.nat({ max: segmentBytes }),
      length: fc.integer({ min: 1, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(place, fc.boolean(), async ({ index, at, length }, zero) => {
        const { bytes } = segments[index] as (typeof segments)[number];
        const start = Math.min(at, bytes.length - 1);
        const end = Math.min(start + length, bytes.length);
        const changed = zero
          ? Buffer.concat([bytes.subarray(0, start), Buffer.alloc(end - start), bytes.subarray(end)])
          : Buffer.concat([bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end)]);
        await check(index, changed, firstDifference(bytes, changed));
      }),
      { numRuns: 150 },
    );
  });

  it('lost a segment', async () => {
    for (const [index, { name }] of segments.entries()) {
      const copy = join(folder, 'copy');
      await cp(whole, copy, { recursive: true });
      await rm(join(copy, name));
      const { log, condition } = await openRecordLog(copy, { segmentBytes, disk });
      const numbers = [...log.read(0)].map(({ number }) => number);
      if (index === 0) assert.equal(numbers[0], segments[1]?.first, 'it looks as if it had been dropped');
      else if (index < segments.length - 1) assert.ok(condition.damagedAt !== undefined);
      await log.close();
      await rm(copy, { recursive: true });
    }
  });
});

describe('a log after a power cut', () => {
  const synced = 3;

  it('keeps what was synced, whatever of the rest the disk has written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wormhole-cut-'));
    const whole = join(folder, 'whole');
    const { log } = await openRecordLog(whole, { segmentBytes: 300, disk });
    for (let i = 0; i < synced; i++) log.append(Buffer.from(`synced ${i}`));
    await log.sync();
    const durable = log.bytes;
    for (let i = synced; i < 20; i++) log.append(Buffer.from(`not synced ${i}`));
    const names = (await readdir(whole)).sort();
    const segments = await Promise.all(names.map((name) => readFile(join(whole, name))));
    await log.close();
    const lost = fc.array(fc.tuple(fc.nat({ max: segments.length - 1 }), fc.nat({ max: 15 })), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(lost, fc.boolean(), async (blocks, cut) => {
        const copy = await mkdtemp(join(folder, 'copy-'));
        const files: Buffer[] = segments.map((bytes) => Buffer.from(bytes));
        for (const [index, block] of blocks) {
          const file = files[index] as Buffer;
          const from = Math.min(Math.max(block * 20, index === 0 ? durable : 0), file.length);
          if (cut) files[index] = file.subarray(0, from);
          else file.fill(0, from, Math.min(from + 20, file.length));
        }
        for (const [index, name] of names.entries())
          await writeFile(join(copy, name), files[index] as Buffer);
        const { log, condition } = await openRecordLog(copy, { segmentBytes: 300, disk });
        assert.equal(condition.damagedAt, undefined);
        const found = [...log.read(0)].map(({ record }) => Buffer.from(record).toString());
        assert.ok(found.length >= synced);
        assert.ok(found.every((text, i) => text === (i < synced ? `synced ${i}` : `not synced ${i}`)));
        assert.equal(log.append(Buffer.from('next')), found.length);
        await log.close();
        await rm(copy, { recursive: true });
      }),
      { numRuns: 100 },
    );
    await rm(folder, { recursive: true });
  });
});

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0;
  while (at < Math.min(a.length, b.length) && a[at] === b[at]) at++;
  return at;
}
