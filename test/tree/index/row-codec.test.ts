import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NamedContent, RowContents } from '../../../src/tree/index/contents.js';
import { decodeName, encodeName } from '../../../src/tree/index/name-record.js';
import type { NumberedTexts } from '../../../src/tree/index/numbered-texts.js';
import { decodeRow, encodeRow } from '../../../src/tree/index/row-codec.js';
import { ShortIds } from '../../../src/tree/index/short-ids.js';
import type { Row } from '../../../src/tree/resolver/tables.js';
import { KINDS } from '../../../src/tree/schema.js';
import fc from '../../property.js';

function memoryTexts(): Pick<NumberedTexts, 'textOf' | 'numberOf' | 'knownNumberOf'> {
  const texts: string[] = [];
  return {
    textOf: (number) => texts[number] ?? assert.fail(`unknown number ${number}`),
    numberOf: (text) => (texts.includes(text) ? texts.indexOf(text) : texts.push(text) - 1),
    knownNumberOf: (text) => (texts.includes(text) ? texts.indexOf(text) : undefined),
  };
}

function memoryNames() {
  return { actors: memoryTexts(), ids: new ShortIds(memoryTexts() as NumberedTexts) };
}

const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  .filter((text) => !text.includes('\0'));
const inode = fc.tuple(fc.stringMatching(/^[a-z0-9-]{1,24}$/), fc.nat(255)).map(([b, i]) => `${b}/${i}`);
const opId = fc
  .tuple(fc.maxSafeNat(), fc.constantFrom('aa', 'bb01', 'cc0203'))
  .map(([counter, actor]) => `${counter}@${actor}`);
const time = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
const seat = fc.record({ parent: inode, name });
const versioned = <T>(value: fc.Arbitrary<T>) =>
  fc.array(fc.record({ id: opId, value }, { noNullPrototype: true }), { maxLength: 3 });
const content = fc.oneof(
  fc.constant(''),
  fc.tuple(fc.constantFrom('c', 'm'), fc.stringMatching(/^[0-9a-f]{64}$/)).map((parts) => parts.join('')),
  name,
);
const row: fc.Arbitrary<Row> = fc
  .record(
    {
      l: versioned(
        fc.oneof(
          fc.record({ parent: inode, name }, { noNullPrototype: true }),
          fc.record({ parent: inode, name, previous: seat }, { noNullPrototype: true }),
        ),
      ),
      d: versioned(
        fc.record({
          kind: fc.oneof(fc.constantFrom(...KINDS), fc.constant('file' as const)),
          size: fc.maxSafeNat(),
          mtime: time,
          content,
          mode: fc.nat(0o7777),
        }),
      ),
      a: versioned(
        fc.record(
          {
            mode: fc.nat(0o7777),
            uid: fc.nat(2 ** 32 - 1),
            gid: fc.nat(2 ** 32 - 1),
            mtime: time,
            xattrs: fc.dictionary(fc.stringMatching(/^user\.[a-z]{1,5}$/), fc.uint8Array({ maxLength: 9 }), {
              noNullPrototype: true,
            }),
          },
          { requiredKeys: [], noNullPrototype: true },
        ),
      ),
      x: versioned(fc.record({ saw: fc.array(opId, { maxLength: 4 }) })),
    },
    { noNullPrototype: true },
  )
  .chain((registers) => {
    const location = registers.l.at(-1)?.value;
    const own = location === undefined ? seat : fc.constant({ parent: location.parent, name: location.name });
    const some = fc.option(fc.oneof(own, seat), { nil: undefined });
    return fc.record({
      registers: fc.constant(registers),
      seat: some,
      alive: fc.boolean(),
      shown: some,
      mergedInto: fc.option(inode, { nil: undefined }),
      members: fc.array(inode, { maxLength: 3 }),
      shadows: fc.array(fc.record({ inode, parent: inode, name }), { maxLength: 2 }),
      subfolders: fc.nat(),
      links: fc.nat(),
      names: fc.nat(),
      ctime: time,
      mtime: time,
    });
  });

/** Plain objects whatever the generator made them of, so that only values are compared. */
function plain<T>(value: T): T {
  return structuredClone(value);
}

test('a row comes back as it was stored', () => {
  const names = memoryNames();
  fc.assert(
    fc.property(row, (value) => {
      assert.deepEqual(decodeRow(encodeRow(value, names), names), plain(value));
    }),
    { numRuns: 300 },
  );
});

/** What a row says of contents, the long way. */
function contentsOf(inode: string, { alive, names, registers, shown }: Row): NamedContent[] {
  if (!alive && names === 0) return [];
  const files = registers.d.filter(({ value }) => value.kind === 'file' && value.content !== '');
  const set = registers.a.at(-1)?.value.mtime;
  return files
    .filter(({ value }, i) => files.findIndex((other) => other.value.content === value.content) === i)
    .map(({ value: { content, size, mtime } }) => {
      return { inode, content, size, seat: shown, mtimeMs: Number(set ?? mtime) / 1e6 };
    });
}

test('the contents of a row are told without the rest of it', () => {
  const names = memoryNames();
  const contents = new RowContents(names.ids);
  let some = 0;
  fc.assert(
    fc.property(fc.array(row, { maxLength: 4 }), (rows) => {
      const found: NamedContent[] = [];
      const wanted: NamedContent[] = [];
      for (const [i, value] of rows.entries()) {
        contents.take(`b/${i}`, encodeRow(value, names), found);
        wanted.push(...contentsOf(`b/${i}`, value));
      }
      some += found.length;
      // A time in nanoseconds has more digits than a number holds.
      const near = (all: NamedContent[]) => all.map((one) => ({ ...one, mtimeMs: Math.round(one.mtimeMs) }));
      assert.deepEqual(near(found), near(plain(wanted)));
    }),
    { numRuns: 300 },
  );
  assert.ok(some > 100, `only ${some} contents were made up`);
});

test('an ordinary file takes about a hundred bytes', () => {
  const names = memoryNames();
  const at = { parent: 'abcdefghij234567a1/0f', name: 'some-file-name.txt' };
  const content = `c${'ab'.repeat(32)}`;
  const value: Row = {
    registers: {
      l: [{ id: `12345@${'01'.repeat(16)}`, value: at }],
      d: [
        {
          id: `12346@${'01'.repeat(16)}`,
          value: { kind: 'file', size: 4096, mtime: 1_700_000_000_123_456_789n, content, mode: 0o644 },
        },
      ],
      a: [],
      x: [],
    },
    seat: at,
    alive: true,
    shown: at,
    mergedInto: undefined,
    members: [],
    shadows: [],
    subfolders: 0,
    links: 0,
    names: 1,
    ctime: 1_700_000_000_123_456_789n,
    mtime: 0n,
  };
  const bytes = encodeRow(value, names);
  assert.ok(bytes.length <= 120, `${bytes.length} bytes`);
  assert.deepEqual(decodeRow(bytes, names), value);
});

test('what is kept of a name comes back as it was stored', () => {
  const kind = fc.constantFrom(...KINDS.filter((k) => k !== 'link'));
  const dentry = fc.oneof(
    fc.record({ inode, kind }, { noNullPrototype: true }),
    fc.record({ inode, kind, by: inode }, { noNullPrototype: true }),
  );
  const seats = fc.array(inode, { maxLength: 3 });
  const { ids } = memoryNames();
  fc.assert(
    fc.property(seats, fc.option(dentry, { nil: undefined }), fc.boolean(), (some, visible, usual) => {
      const record =
        visible === undefined ? { seats: some } : { seats: usual ? [visible.inode] : some, dentry: visible };
      assert.deepEqual(decodeName(encodeName(record, ids), ids), plain(record));
    }),
  );
});

test('ids are shorter by what all of one start have in common, and come back as they were', () => {
  const { ids } = memoryNames();
  const starts = Array.from({ length: 800 }, (_, n) => n.toString(36).padStart(16, 'x'));
  for (const start of starts) {
    assert.equal(ids.find(`${start}0/00`), undefined);
    assert.ok(ids.shorten(`${start}0/00`).length <= 7);
  }
  const shorts = new Set(starts.map((start) => ids.shorten(`${start}0/00`)));
  assert.equal(shorts.size, starts.length);
  for (const id of [
    ...starts.map((start) => `${start}a/ff`),
    'root/0',
    'made-00/1234567890',
    'lost+found',
    '~',
  ]) {
    assert.equal(ids.restore(ids.shorten(id)), id);
    assert.equal(ids.find(id), ids.shorten(id));
  }
});
