import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openRecordLog, type RecordLog } from '../../src/store/index.js';

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
});
