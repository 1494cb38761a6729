import type { Notes } from '../placement/index.js';
import type { Database } from '../store/index.js';

/** Notes in a table of the database. */
export function makeNotes(database: Database, table: string): Notes {
  return {
    read: (key) => {
      const value = database.table(table).get(key);
      return value === undefined ? undefined : Buffer.from(value).toString();
    },
    list: (prefix) =>
      [...database.table(table).range({ start: prefix, end: `${prefix}\u{10ffff}` })].map(
        ({ key, value }) => ({
          key,
          value: Buffer.from(value).toString(),
        }),
      ),
    write: async (notes) => {
      await database.write(
        notes.map(({ key, value }) =>
          value === undefined ? { table, key } : { table, key, value: Buffer.from(value) },
        ),
      );
      database.refresh();
    },
  };
}
