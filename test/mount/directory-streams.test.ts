import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileSystem } from '../../src/fs/index.js';
import { Cookies, DirectoryStream } from '../../src/mount/directory-streams.js';
import fc from '../property.js';

/** A folder of names in order, as a file system lists it. */
class Folder {
  readonly names = new Set<string>();

  readonly fileSystem = {
    list: (_inode: string, after: string | undefined, limit: number) =>
      [...this.names]
        .sort()
        .filter((name) => after === undefined || name > after)
        .slice(0, limit)
        .map((name) => ({ name, inode: name, kind: 'file' as const })),
  } as Partial<FileSystem> as FileSystem;
}

/** Hands out at most `count` names behind a cookie, as READDIR does. */
function read(stream: DirectoryStream, folder: Folder, cookie: number, count: number) {
  stream.seek(cookie);
  const names: string[] = [];
  const cookies: number[] = [];
  while (names.length < count) {
    const entry = stream.peek(folder.fileSystem);
    if (entry === undefined || entry instanceof Promise) break;
    cookies.push(stream.cookieOf(entry));
    names.push(entry.name);
    stream.advance(entry);
  }
  return { names, cookies };
}

const name = fc.nat(700).map((number) => `n${String(number).padStart(3, '0')}`);
const step = fc.oneof(
  fc.record({ do: fc.constant('read' as const), count: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ do: fc.constant('add' as const), name }),
  fc.record({ do: fc.constant('remove' as const), name }),
  // The kernel took only the first of what it was given, and asks again from there.
  fc.record({ do: fc.constant('back' as const), count: fc.integer({ min: 1, max: 5 }) }),
);

test('whatever comes and goes meanwhile, what stays is handed out exactly once', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { maxLength: 600 }),
      fc.array(step, { maxLength: 40 }),
      (start, steps) => {
        const folder = new Folder();
        for (const each of start) folder.names.add(each);
        const stream = new DirectoryStream('d');
        const touched = new Set<string>();
        let seen: string[] = [];
        let cookies = [0];
        const take = (count: number) => {
          const more = read(stream, folder, cookies.at(-1)!, count);
          seen.push(...more.names);
          cookies.push(...more.cookies);
          return more.names.length;
        };
        for (const each of steps) {
          if (each.do === 'read') take(each.count);
          else if (each.do === 'back') {
            const keep = Math.max(0, seen.length - each.count);
            seen = seen.slice(0, keep);
            cookies = cookies.slice(0, keep + 1);
          } else {
            touched.add(each.name);
            folder.names[each.do === 'add' ? 'add' : 'delete'](each.name);
          }
        }
        while (take(100) > 0);
        assert.equal(new Set(seen).size, seen.length, 'a name twice');
        const stayed = start.filter((each) => !touched.has(each)).sort();
        assert.deepEqual(seen.filter((each) => !touched.has(each)).sort(), stayed);
      },
    ),
    { numRuns: 300 },
  );
});

test('starting anew shows what has come since', () => {
  const folder = new Folder();
  folder.names.add('b');
  const stream = new DirectoryStream('d');
  assert.deepEqual(read(stream, folder, 0, 10).names, ['b']);
  folder.names.add('a');
  assert.deepEqual(read(stream, folder, 3, 10).names, []);
  assert.deepEqual(read(stream, folder, 0, 10).names, ['a', 'b']);
});

test('an entry that has vanished is skipped without a cookie', () => {
  const folder = new Folder();
  for (const each of ['a', 'b', 'c']) folder.names.add(each);
  const stream = new DirectoryStream('d');
  stream.seek(0);
  const first = stream.peek(folder.fileSystem);
  assert.ok(first !== undefined && !(first instanceof Promise));
  stream.skip();
  assert.deepEqual(read(stream, folder, 2, 10), { names: ['b', 'c'], cookies: [3, 4] });
});

test('the kernel goes on behind a name by the number that it has from an earlier listing of the folder', () => {
  const folder = new Folder();
  for (const each of ['a', 'b', 'c', 'd']) folder.names.add(each);
  const cookies = new Cookies();
  const { cookies: given } = read(new DirectoryStream('d', cookies), folder, 0, 3);
  folder.names.delete('b');
  const another = new DirectoryStream('d', cookies);
  assert.deepEqual(read(another, folder, given[1] ?? 0, 10).names, ['c', 'd']);
  assert.deepEqual(read(another, folder, given[0] ?? 0, 10).names, ['c', 'd']);
});
