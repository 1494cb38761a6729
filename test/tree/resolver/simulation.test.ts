import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InodeId, ROOT } from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { dump, look, state, WatchedTables } from './helpers.js';
import { Replica } from './replica.js';
import { type Entry, User } from './user.js';

// Users on three to eight pods, cut off from each other and joined again in any order, a change at a time or many.

const NAMES = ['a', 'b.txt', '.rc', 'c'];
const VERBS = {
  file: 6,
  folder: 5,
  symlink: 1,
  write: 8,
  rename: 8,
  move: 8,
  unlink: 4,
  rmdir: 3,
  remove: 2,
  link: 3,
  chmod: 1,
  settle: 4,
  sync: 16,
} as const;
type Verb = keyof typeof VERBS;

const command = fc.record({
  pod: fc.nat(7),
  verb: fc.oneof(
    ...(Object.keys(VERBS) as Verb[]).map((verb) => ({ weight: VERBS[verb], arbitrary: fc.constant(verb) })),
  ),
  entry: fc.nat(30),
  other: fc.nat(30),
  name: fc.constantFrom(...NAMES),
  /** Contents of which several may be the same. */
  common: fc.boolean(),
});
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

interface World {
  pods: Replica[];
  users: User[];
}

function found(pods: number): World {
  const names = ['laptop', 'desk', 'phone', 'nas', 'box', '', 'tv (old)', 'büro'];
  const actors = Array.from({ length: pods }, (_, i) => {
    return `${i}${i}${'0'.repeat(8)}${'ab'.repeat(5)}${Buffer.from(names[i] ?? '').toString('hex')}`;
  });
  const replicas = actors.map((actor) => new Replica(actor));
  return { pods: replicas, users: replicas.map((pod) => new User(pod)) };
}

function play(world: World, { pod, verb, entry, other, name, common }: Command, step: number): void {
  const user = world.users[pod % world.users.length]!;
  const entries = user.entries();
  const at = entries[entry % entries.length];
  const folders = [ROOT, ...entries.filter(({ dentry }) => dentry.kind === 'directory').map(idOf)];
  const folder = folders[other % folders.length]!;
  const content = common ? `common${entry % 3}` : `own${step}`;
  if (verb === 'sync') {
    const from = world.pods[other % world.pods.length]!;
    user.pod.receive(from, entry < 10 ? entry : 1_000, 1 + (entry % 3));
  } else if (verb === 'file') user.make(folder, name, { kind: 'file', content });
  else if (verb === 'folder') user.make(folder, name, { kind: 'directory', mode: 0o755 });
  else if (verb === 'symlink') user.make(folder, name, { kind: 'symlink', content: 'target' });
  else if (at !== undefined) playOn(user, at, verb, folder, name, content, entries);
}

function playOn(
  user: User,
  at: Entry,
  verb: Verb,
  folder: InodeId,
  name: string,
  content: string,
  entries: Entry[],
): void {
  const isFolder = at.dentry.kind === 'directory';
  const conflict = entries.find((entry) => entry.name.includes('(conflict'));
  if (verb === 'write' && at.dentry.kind === 'file') user.write(at, content);
  else if (verb === 'rename') user.rename(at, at.parent, name);
  else if (verb === 'move') user.rename(at, folder, at.name);
  else if (verb === 'unlink' && !isFolder) user.unlink(at);
  else if (verb === 'rmdir' && isFolder) user.rmdir(at);
  else if (verb === 'remove' && isFolder) removeAll(user, at);
  else if (verb === 'link') user.link(at, folder, name);
  else if (verb === 'chmod') user.chmod(at, 0o600);
  else if (verb === 'settle' && conflict !== undefined) {
    if (folder === ROOT) user.unlink(conflict);
    else user.rename(conflict, folder, name);
  }
}

function idOf({ dentry }: Entry): InodeId {
  return dentry.inode;
}

/** `rm -rf`, file by file and folder by folder. */
function removeAll(user: User, folder: Entry): void {
  for (;;) {
    const child = user.entries().find(({ parent }) => parent === folder.dentry.inode);
    if (child === undefined) break;
    if (child.dentry.kind === 'directory') removeAll(user, child);
    else user.unlink(child);
    if (user.entries().some((entry) => entry.parent === child.parent && entry.name === child.name)) return;
  }
  user.rmdir(folder);
}

function syncAll({ pods }: World): void {
  for (const to of pods) for (const from of pods) to.receive(from, 10_000, 2);
  for (const to of pods) for (const from of pods) to.receive(from, 10_000, 1);
}

function checkAll(world: World): void {
  const { pods } = world;
  const [first] = pods;
  first!.watched.check();
  const rebuilt = new WatchedTables();
  rebuilt.resolve(first!.all().map(([inode, registers]) => ({ inode, registers })));
  for (const pod of pods) {
    assert.deepEqual(dump(pod.tables), dump(first!.tables), 'two pods show different trees');
    assert.deepEqual(state(pod.tables), state(rebuilt.tables), 'a rebuild differs');
    assert.deepEqual(pod.watched.counts, rebuilt.counts);
  }
  const visible = new Set(Object.values(look(first!.tables)));
  for (const content of pods.flatMap((pod) => [...pod.written])) {
    if (pods.some(({ removed }) => removed.has(content))) continue;
    assert.ok(visible.has(content), `${content} was written, nobody removed it, and it is gone`);
  }
}

test('pods that received the same changes show the same tree, and nothing that nobody removed is lost', (t) => {
  const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const numRuns = Number(process.env['WORMHOLE_RUNS'] ?? 200);
  const commands = fc.array(command, { minLength: 10, maxLength: 70, size: 'max' });
  const property = fc.property(
    fc.integer({ min: 3, max: 8 }),
    commands,
    fc.boolean(),
    (count, list, watch) => {
      const world = found(count);
      for (const pod of world.pods) pod.watch = watch && count < 5;
      list.forEach((one, step) => {
        play(world, one, step);
      });
      syncAll(world);
      checkAll(world);
    },
  );
  fc.assert(property, { seed, numRuns, includeErrorInReport: true });
});
