import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseTables, NO_INDEX } from '../../../src/tree/index/database-tables.js';
import { FreshTables } from '../../../src/tree/index/fresh-tables.js';
import { HotTables } from '../../../src/tree/index/hot-tables.js';
import { LayeredTables } from '../../../src/tree/index/layered-tables.js';
import { compareUtf8 } from '../../../src/tree/index/order.js';
import fc from '../../property.js';
import { withDatabase } from './fixture.js';

// Names that lie badly: control characters, prefixes of each other, beyond U+FFFF against U+E000.
const NAMES = ['a', 'a\u0001', 'ab', 'b', 'ä', '\u0001', '\uffff', '\ue000x', '😀', 'a.b', ' ', '~'];
const PARENTS = ['p/0', 'p/00', 'p', 'p/0\u0001'];

test('strings compare as their bytes do', () => {
  const text = fc.string({ unit: 'binary', maxLength: 6 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

type Step =
  | {
      do: 'seat' | 'unseat' | 'entry' | 'unentry' | 'mark' | 'unmark';
      parent: string;
      name: string;
      inode: string;
    }
  | { do: 'write' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('seat', 'unseat', 'entry', 'unentry', 'mark', 'unmark'),
      parent: fc.constantFrom(...PARENTS),
      name: fc.constantFrom(...NAMES),
      inode: fc.constantFrom('i/1', 'i/2', 'i/3'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'write' } as const) },
);

const BETWEEN = {
  'what is in use': (below: DatabaseTables) => new HotTables(below),
  // So few bits that it often has to ask in vain.
  'what is being built': (below: DatabaseTables) => new FreshTables(below, 1),
};

test('layer and database together are one table in byte order, whatever is kept in memory between them', async () => {
  await withDatabase(async (database) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(BETWEEN)),
        fc.array(step, { maxLength: 40 }),
        (over, steps) => {
          const below = new DatabaseTables(database, 0);
          while (below.clearSome(100));
          const hot = over(below);
          let tables = new LayeredTables(hot);
          const model = new Model();
          for (const one of steps) {
            if (one.do === 'write') {
              below.write(tables.heldRows(), tables.heldNames(), NO_INDEX);
              hot.adopt(tables);
              tables = new LayeredTables(hot);
            } else {
              act(tables, one);
              act(model, one);
            }
          }
          compare(tables, model);
        },
      ),
      { numRuns: 80 },
    );
  });
});

type Writer = Pick<
  LayeredTables,
  'putSeat' | 'removeSeat' | 'putDentry' | 'removeDentry' | 'putMark' | 'removeMark'
>;

function act(tables: Writer, one: Exclude<Step, { do: 'write' }>): void {
  const { parent, name, inode } = one;
  if (one.do === 'seat') tables.putSeat({ parent, name }, inode);
  else if (one.do === 'unseat') tables.removeSeat({ parent, name }, inode);
  else if (one.do === 'entry') tables.putDentry(parent, name, { inode, kind: 'file' });
  else if (one.do === 'unentry') tables.removeDentry(parent, name);
  else if (one.do === 'mark') tables.putMark(name, inode);
  else tables.removeMark(name, inode);
}

class Model implements Writer {
  readonly seats = new Set<string>();
  readonly entries = new Map<string, string>();
  readonly marks = new Set<string>();

  putSeat(seat: { parent: string; name: string }, inode: string): void {
    this.seats.add([seat.parent, seat.name, inode].join('\0'));
  }

  removeSeat(seat: { parent: string; name: string }, inode: string): void {
    this.seats.delete([seat.parent, seat.name, inode].join('\0'));
  }

  putDentry(parent: string, name: string, dentry: { inode: string }): void {
    this.entries.set(`${parent}\0${name}`, dentry.inode);
  }

  removeDentry(parent: string, name: string): void {
    this.entries.delete(`${parent}\0${name}`);
  }

  putMark(mark: string, inode: string): void {
    this.marks.add(`${mark}\0${inode}`);
  }

  removeMark(mark: string, inode: string): void {
    this.marks.delete(`${mark}\0${inode}`);
  }

  under(set: Iterable<string>, parent: string): string[] {
    const found = [...set]
      .filter((key) => key.startsWith(`${parent}\0`))
      .map((key) => key.slice(parent.length + 1));
    return found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}

function compare(tables: LayeredTables, model: Model): void {
  for (const parent of PARENTS) {
    const seats = [...tables.seated(parent)].map(({ name, inode }) => `${name}\0${inode}`);
    assert.deepEqual(seats, model.under(model.seats, parent));
    const names = model.under(model.entries.keys(), parent);
    assert.deepEqual(
      [...tables.dentries(parent, undefined, 100)].map(({ name }) => name),
      names,
    );
    for (const name of NAMES) {
      const after = names.filter((other) => compareUtf8(other, name) > 0);
      assert.deepEqual(
        [...tables.dentries(parent, name, 2)].map((entry) => entry.name),
        after.slice(0, 2),
      );
      assert.equal(tables.dentry(parent, name)?.inode, model.entries.get(`${parent}\0${name}`));
      assert.deepEqual(
        [...tables.seated(parent, name)].map(({ inode }) => inode),
        model.under(model.seats, `${parent}\0${name}`),
      );
    }
  }
  for (const mark of NAMES) assert.deepEqual([...tables.marked(mark)], model.under(model.marks, mark));
}
