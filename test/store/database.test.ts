import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import { type Database, openDatabase } from '../../src/store/index.js';
import fc from '../property.js';

const bytes = (text: string) => Buffer.from(text);
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString();
const hasCode = (code: string) => (error: unknown) => error instanceof WormholeError && error.code === code;

describe('database', () => {
  let folder: string;
  let database: Database;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-database-'));
    database = openDatabase(join(folder, 'database'));
  });
  after(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });

  it('keeps what a batch wrote, and shows it inside the batch at once', () => {
    const table = database.table('batch');
    database.writeNow((batch) => {
      const inside = batch.table('batch');
      inside.put('a', bytes('1'));
      inside.put('b', bytes('2'));
      inside.put('empty', bytes(''));
      assert.equal(text(inside.get('a')), '1');
      inside.remove('a');
      assert.equal(inside.get('a'), undefined);
      assert.deepEqual([...inside.keys({})], ['b', 'empty']);
    });
    assert.equal(text(table.get('b')), '2');
    assert.equal(text(table.get('empty')), '');
    assert.equal(table.has('a'), false);
    assert.equal(table.has('b'), true);
    assert.equal(table.count(), 2);
  });

  it('undoes all of a batch that throws, tables that were first used in it too', () => {
    const boom = new Error('boom');
    assert.throws(
      () =>
        database.writeNow((batch) => {
          batch.table('undone').put('a', bytes('1'));
          batch.table('other').put('a', bytes('1'));
          throw boom;
        }),
      (error) => error === boom,
    );
    assert.equal(database.table('undone').get('a'), undefined);
    database.writeNow((batch) => batch.table('undone').put('b', bytes('2')));
    assert.deepEqual([...database.table('undone').keys({})], ['b']);
  });

  it('refuses work that is asynchronous, nested, or outside a batch', () => {
    assert.throws(
      () =>
        database.writeNow((async (batch: {
          table(name: string): { put(k: string, v: Uint8Array): void };
        }) => {
          batch.table('wrong').put('a', bytes('1'));
        }) as never),
      hasCode('internal'),
    );
    assert.equal(database.table('wrong').get('a'), undefined);
    assert.throws(() => database.writeNow(() => database.writeNow(() => {})), hasCode('internal'));
    let leaked: { put(key: string, value: Uint8Array): void } | undefined;
    database.writeNow((batch) => {
      leaked = batch.table('wrong');
    });
    assert.throws(() => leaked?.put('a', bytes('1')), hasCode('internal'));
  });

  it('writes queued puts in order, and reads them after the promise', async () => {
    const writes = Array.from({ length: 5000 }, (_, i) => ({
      table: i % 2 === 0 ? 'queued' : 'queued too',
      key: `k${String(i % 1000).padStart(4, '0')}`,
      value: bytes(`${i}`),
    }));
    const first = database.write(writes);
    const second = database.write([{ table: 'queued', key: 'k0000' }]);
    await Promise.all([first, second]);
    assert.equal(database.table('queued').get('k0000'), undefined);
    assert.equal(text(database.table('queued').get('k0002')), '4002');
    assert.equal(text(database.table('queued too').get('k0999')), '4999');
    await database.write([]);
    await database.flush();
  });

  it('ranges from start to before end, backwards too, with a limit, at any size', () => {
    const names = Array.from({ length: 3000 }, (_, i) => `p/${String(i).padStart(5, '0')}`);
    database.writeNow((batch) => {
      const table = batch.table('range');
      for (const name of names) table.put(name, bytes(name));
      table.put('o', bytes(''));
      table.put('q', bytes(''));
    });
    const table = database.table('range');
    assert.deepEqual([...table.keys({ start: 'p/', end: 'p0' })], names);
    assert.deepEqual([...table.keys({ start: 'p/~', end: 'p/', reverse: true })], names.toReversed());
    assert.deepEqual([...table.keys({ start: 'p/00010', end: 'p/00012' })], ['p/00010', 'p/00011']);
    assert.deepEqual(
      [...table.keys({ start: 'p/00012', end: 'p/00010', reverse: true })],
      ['p/00012', 'p/00011'],
    );
    assert.deepEqual([...table.keys({ limit: 2 })], ['o', 'p/00000']);
    assert.deepEqual([...table.keys({ limit: 2, reverse: true })], ['q', 'p/02999']);
    assert.deepEqual([...table.keys({ limit: 100, start: 'p/' })], names.slice(0, 100));
    assert.deepEqual([...table.keys({ start: '', end: '' })], []);
    assert.deepEqual([...table.keys({ start: 'z' })], []);
    const entries = [...table.range({ start: 'p/', end: 'p0' })];
    assert.deepEqual(
      entries.map((entry) => [entry.key, text(entry.value)]),
      names.map((name) => [name, name]),
    );
    const seen: string[] = [];
    table.scan({ start: 'p/00010' }, (key, value) => {
      assert.equal(text(value), key);
      // It may read as it goes.
      assert.ok(table.has('o'));
      return seen.push(key) < 5;
    });
    assert.deepEqual(seen, names.slice(10, 15));
    table.scan({ end: '' }, () => assert.fail('nothing is before every key'));
  });

  it('lets a loop remove what it walks over', () => {
    database.writeNow((batch) => {
      const table = batch.table('walk');
      for (let i = 0; i < 500; i++) table.put(`k${i}`, bytes(''));
    });
    database.writeNow((batch) => {
      const table = batch.table('walk');
      for (const key of table.keys({})) table.remove(key);
    });
    assert.equal(database.table('walk').count(), 0);
  });

  it('keeps the byte order of any UTF-8 key, in both directions', () => {
    const key = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .filter((k) => !/[\uD800-\uDFFF]/u.test(k));
    let round = 0;
    fc.assert(
      fc.property(fc.uniqueArray(key, { minLength: 1, maxLength: 60 }), (keys) => {
        const name = 'order';
        database.writeNow((batch) => {
          const table = batch.table(name);
          for (const old of table.keys({})) table.remove(old);
          for (const each of keys) table.put(each, bytes(`${round}${each}`));
        });
        const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const table = database.table(name);
        assert.deepEqual([...table.keys({})], sorted);
        assert.deepEqual([...table.keys({ reverse: true })], sorted.toReversed());
        const middle = sorted[Math.floor(sorted.length / 2)] as string;
        assert.deepEqual([...table.keys({ start: middle })], sorted.slice(sorted.indexOf(middle)));
        assert.deepEqual([...table.keys({ end: middle })], sorted.slice(0, sorted.indexOf(middle)));
        for (const each of keys) assert.equal(text(table.get(each)), `${round}${each}`);
        round++;
      }),
      { numRuns: 60 },
    );
  });

  it('takes keys up to its limit and refuses what it could not give back', () => {
    const longest = 'é'.repeat(989);
    database.writeNow((batch) => {
      const table = batch.table('keys');
      table.put(longest, bytes('1'));
      table.put('\u0000', bytes('2'));
      table.put(`parent/${'n'.repeat(255)}`, bytes('3'));
      assert.throws(() => table.put(`${longest}x`, bytes('')), hasCode('invalid'));
      assert.throws(() => table.put('', bytes('')), hasCode('invalid'));
      assert.throws(() => table.put('\uD800', bytes('')), hasCode('invalid'));
    });
    assert.equal(text(database.table('keys').get(longest)), '1');
    assert.deepEqual([...database.table('keys').keys({})][0], '\u0000');
  });

  it('gives values that stay as they are when others are read or written', () => {
    const large = Buffer.alloc(300_000, 7);
    database.writeNow((batch) => {
      batch.table('values').put('a', bytes('aaaa'));
      batch.table('values').put('b', large);
    });
    const table = database.table('values');
    const a = table.get('a');
    const b = table.get('b');
    database.writeNow((batch) => {
      batch.table('values').put('a', bytes('xxxx'));
      batch.table('values').put('b', Buffer.alloc(300_000, 9));
    });
    table.get('a');
    table.get('b');
    assert.equal(text(a), 'aaaa');
    assert.deepEqual(b && Buffer.from(b), large);
  });

  it('gives values of any size in one range, each for good', () => {
    const sizes = [0, 1, 100, 4091, 4092, 4093, 40_000, 70_000, 3, 1_200_000, 5];
    database.writeNow((batch) => {
      for (const [i, size] of sizes.entries())
        batch.table('sizes').put(`k${10 + i}`, Buffer.alloc(size, i + 1));
    });
    const check = (values: Uint8Array[]) => {
      assert.equal(values.length, sizes.length);
      for (const [i, value] of values.entries()) {
        assert.ok(Buffer.alloc(sizes[i] as number, i + 1).equals(value), `value ${i}`);
      }
    };
    const table = database.table('sizes');
    check([...table.range({})].map(({ value }) => value));
    check(sizes.map((_, i) => table.get(`k${10 + i}`) as Uint8Array));
    database.writeNow((batch) => {
      const inside = batch.table('sizes');
      inside.put('k10', Buffer.alloc(0));
      check([...inside.range({})].map(({ value }) => value));
      check(sizes.map((_, i) => inside.get(`k${10 + i}`) as Uint8Array));
    });
  });

  it('grows past the address space it began with', async () => {
    const small = openDatabase(join(folder, 'small'), { mapBytes: 1024 * 1024 });
    const value = Buffer.alloc(100_000, 3);
    for (let i = 0; i < 50; i++) small.writeNow((batch) => batch.table('t').put(`k${i}`, value));
    await small.write(Array.from({ length: 50 }, (_, i) => ({ table: 't', key: `q${i}`, value })));
    assert.equal(small.table('t').count(), 100);
    await small.close();
    const again = openDatabase(join(folder, 'small'));
    assert.deepEqual(Buffer.from(again.table('t').get('q49') ?? []), value);
    await again.close();
  });

  it('answers `closed` when it is closed, and can be opened again', async () => {
    const path = join(folder, 'closing');
    const first = openDatabase(path);
    const table = first.table('t');
    const written = first.write([{ table: 't', key: 'a', value: bytes('1') }]);
    await first.close();
    await first.close();
    await written;
    assert.throws(() => table.get('a'), hasCode('closed'));
    assert.throws(() => [...table.keys({})], hasCode('closed'));
    assert.throws(() => first.writeNow(() => {}), hasCode('closed'));
    await assert.rejects(first.write([]), hasCode('closed'));
    const second = openDatabase(path);
    assert.equal(text(second.table('t').get('a')), '1');
    await second.close();
  });
});

describe('a damaged database', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-database-'));
    const database = openDatabase(folder);
    for (let i = 0; i < 100; i++) {
      database.writeNow((batch) => batch.table('t').put(`key-${i}`, bytes(`value-${i}-`.repeat(50))));
    }
    await database.close();
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is refused when its first pages are not those of a database', async () => {
    const path = join(folder, 'data.mdb');
    const whole = await readFile(path);
    const page = 4096;
    const damages: Buffer[] = [
      Buffer.alloc(0),
      ...[1, 100, page, page + 100, 2 * page].map((length) => whole.subarray(0, length)),
      Buffer.alloc(whole.length),
      Buffer.alloc(whole.length, 0x55),
      ...[0, page].map((at) =>
        Buffer.concat([whole.subarray(0, at), Buffer.alloc(page), whole.subarray(at + page)]),
      ),
    ];
    for (const [index, damage] of damages.entries()) {
      await writeFile(path, damage);
      const use = async () => {
        const database = openDatabase(folder);
        try {
          return [...database.table('t').range({})].length;
        } finally {
          await database.close();
        }
      };
      await assert.rejects(use(), hasCode('corrupt'), `damage ${index}`);
    }
    await writeFile(path, whole);
    const database = openDatabase(folder);
    assert.equal(database.table('t').count(), 100);
    await database.close();
  });

  it('never answers with a value that is not the one that was put', async () => {
    const path = join(folder, 'data.mdb');
    const whole = await readFile(path);
    for (let at = whole.indexOf('value-42-'); at >= 0; at = whole.indexOf('value-42-', at + 450)) {
      whole[at + 17] = (whole[at + 17] as number) ^ 4;
    }
    await writeFile(path, whole);
    const database = openDatabase(folder);
    const table = database.table('t');
    assert.throws(() => table.get('key-42'), hasCode('corrupt'));
    assert.throws(() => [...table.range({})], hasCode('corrupt'));
    assert.throws(() => table.scan({}, () => true), hasCode('corrupt'));
    assert.equal(text(table.get('key-41')), 'value-41-'.repeat(50));
    await database.close();
  });
});
