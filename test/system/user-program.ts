// A user: works on the mount that it is given until it is told to end, and tells of each file what it may hold from now
// on and, once close() or rename() returned, what it holds: `{path, may: [hash…]}`, `{path, is: hash}`, where null is no
// file. What failed it leaves alone from then on. Files are in folders of its own, and some in one of everybody's.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Numbers } from '../tree/simulation/numbers.js';

const [mount = '', name = '', seed = '1', pauseMs = ''] = process.argv.slice(2);
const numbers = new Numbers(Number(seed));
/** What failed will fail for a while: the daemon is away. */
const AFTER_FAILURE_MS = 200;
const FILES_MAX = 150;
const FOLDERS = ['', 'a', 'b', 'c/d'].map((folder) => join(name, folder));
const VERBS = {
  create: 10,
  append: 8,
  overwrite: 6,
  save: 8,
  rename: 5,
  unlink: 4,
  read: 12,
  list: 3,
  shared: 3,
} as const;

/** Own files, by path, with the hash of their bytes. */
const files = new Map<string, string>();
let serial = 0;

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function fresh(): Buffer {
  const size = numbers.once(40) ? 1_000_000 + numbers.below(2_000_000) : 1 + numbers.below(16_000);
  const bytes = Buffer.alloc(size, `${name} ${serial} `);
  for (let at = 0; at < size; at += 512) bytes.writeUInt8(numbers.below(256), at);
  return bytes;
}

/** Does something to some files, each of which may be as before or as after until it returned; `halfway`: or anything. */
function change(after: Record<string, string | null>, act: () => void, halfway = false): void {
  for (const [path, now] of Object.entries(after))
    say(halfway ? { path, may: 'anything' } : { path, may: [files.get(path) ?? null, now] });
  // What becomes of them if this fails, nobody knows.
  for (const path of Object.keys(after)) files.delete(path);
  act();
  for (const [path, now] of Object.entries(after)) {
    say({ path, is: now });
    if (now !== null) files.set(path, now);
  }
}

function write(path: string, bytes: Uint8Array, synced: boolean): void {
  const descriptor = openSync(path, 'w');
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    if (synced) fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function newPath(): string {
  return join(numbers.pick(FOLDERS), `${serial++}`);
}

function act(): void {
  const own = [...files.keys()];
  const path = own.length > 0 ? numbers.pick(own) : undefined;
  let verb = numbers.weighted(VERBS);
  if (path === undefined || (verb === 'create' && own.length >= FILES_MAX))
    verb = path === undefined ? 'create' : 'unlink';
  const at = (relative: string) => join(mount, relative);
  if (verb === 'create' || path === undefined) {
    const [made, bytes] = [newPath(), fresh()];
    change({ [made]: hash(bytes) }, () => write(at(made), bytes, numbers.once(4)), true);
  } else if (verb === 'append') {
    const [before, more] = [readFileSync(at(path)), fresh().subarray(0, 8_000)];
    if (hash(before) !== files.get(path)) throw new Error(`${path} is not what was written`);
    change({ [path]: hash(Buffer.concat([before, more])) }, () => appendFileSync(at(path), more), true);
  } else if (verb === 'overwrite') {
    const bytes = fresh();
    change({ [path]: hash(bytes) }, () => write(at(path), bytes, false), true);
  } else if (verb === 'save') {
    const [temporary, bytes] = [`${path}.tmp${serial++}`, fresh()];
    change({ [temporary]: hash(bytes) }, () => write(at(temporary), bytes, true), true);
    change({ [temporary]: null, [path]: hash(bytes) }, () => renameSync(at(temporary), at(path)));
  } else if (verb === 'rename') {
    const to = newPath();
    change({ [path]: null, [to]: files.get(path) ?? null }, () => renameSync(at(path), at(to)));
  } else if (verb === 'unlink') {
    change({ [path]: null }, () => rmSync(at(path)));
  } else if (verb === 'read') {
    if (hash(readFileSync(at(path))) !== files.get(path)) throw new Error(`${path} is not what was written`);
  } else if (verb === 'list') {
    readdirSync(mount, { recursive: true });
  } else {
    // Everybody's: conflicts come and go, and are nobody's loss here.
    const shared = join(mount, 'shared', String(numbers.below(5)));
    if (numbers.once(3)) rmSync(shared, { force: true });
    else writeFileSync(shared, fresh().subarray(0, 4_000));
  }
}

for (const folder of [...FOLDERS, 'shared']) mkdirSync(join(mount, folder), { recursive: true });
let ending = false;
process.stdin.on('end', () => {
  ending = true;
});
process.stdin.resume();
while (!ending) {
  try {
    act();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    // Without its daemon a mount answers ENOTCONN, or is a plain folder: then the folders are not there.
    say(code === undefined ? { wrong: message } : { failed: code });
    await setTimeout(AFTER_FAILURE_MS);
  }
  await setTimeout(numbers.below(2 * Number(pauseMs)));
}
process.exit(0);
