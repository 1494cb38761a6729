import { setImmediate } from 'node:timers/promises';
import { Estimate, LIMITS, systemClock, WormholeError } from '../base/index.js';
import type { DeletedEntry, InodeId } from '../tree/index.js';
import type { MassDeletionStatus, Restored } from './control.js';
import {
  caughtUp,
  deletedEntries,
  type Found,
  find,
  type KnownVersion,
  lastMassDeletion,
  massStatus,
  versionsOf,
} from './history.js';
import type { Pod } from './pod.js';

interface Context {
  progress(line: string): void;
  signal: AbortSignal;
}

/** Where something is to be. */
interface Place {
  parent: InodeId;
  name: string;
}

/**
 * Brings back a deleted file or folder, or an earlier version of a file.
 * @throws WormholeError `not-found` for what history does not hold, `exists` when `to` is taken, `unreachable`
 */
export async function restore(
  pod: Pod,
  { path, version, to }: { path: string; version: string | null; to: string | null },
  context: Context,
): Promise<Restored> {
  await caughtUp(pod);
  const found = find(pod, path);
  const place = to === null ? undefined : freePlace(pod, to);
  if (version === null && found.deleted !== undefined) return reviveEntry(pod, found.deleted, place, context);
  const chosen = choose(pod, path, found, version);
  await fetch(pod, path, chosen, context);
  const inode = place === undefined ? overwrite(pod, found, chosen) : copy(pod, found, chosen, place);
  return { path: pod.tree.pathOf(inode), entries: 1, version: chosen.version };
}

/** Undoes the last mass deletion that was not undone yet. @throws WormholeError `not-found` */
export async function undoMassDeletion(
  pod: Pod,
  context: Context,
): Promise<{ undone: MassDeletionStatus; entries: number }> {
  await caughtUp(pod);
  const last = await lastMassDeletion(pod, context.signal);
  if (last === undefined) {
    throw new WormholeError(
      'not-found',
      'there is no mass deletion to undo: `wh trash` lists what was deleted, `wh restore PATH` brings it back.',
    );
  }
  // Told as it was before.
  const undone = massStatus(pod, last.mass);
  await reviveAll(pod, last.entries, context);
  return { undone, entries: last.entries.length };
}

function freePlace({ tree }: Pod, to: string): Place {
  const cut = to.lastIndexOf('/');
  const name = to.slice(cut + 1);
  const folder = tree.resolvePath(to.slice(0, cut));
  if (folder === undefined) throw new WormholeError('not-found', `there is no folder ${to.slice(0, cut)}.`);
  if (folder.kind !== 'directory')
    throw new WormholeError('not-a-directory', `${to.slice(0, cut)} is no folder.`);
  if (tree.lookup(folder.id, name) !== undefined) {
    throw new WormholeError('exists', `${to} is there already: give a path that is free.`);
  }
  return { parent: folder.id, name };
}

/** A file as it was; a folder with all that was deleted together with it. */
async function reviveEntry(
  pod: Pod,
  entry: DeletedEntry,
  place: Place | undefined,
  context: Context,
): Promise<Restored> {
  const was = pod.tree.history.deleted(entry.inode);
  if (was?.kind === 'file') await checkHeld(pod, entry.name, was.content);
  const top = { ...entry, ...place };
  const inside = entry.kind === 'directory' ? await insideOf(pod, entry, context) : [];
  await reviveAll(pod, [top, ...inside], context);
  return { path: pod.tree.pathOf(entry.inode), entries: 1 + inside.length, version: null };
}

async function insideOf(pod: Pod, folder: DeletedEntry, { signal }: Context): Promise<DeletedEntry[]> {
  const found: DeletedEntry[] = [];
  const folders = [folder];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    const inside = (await deletedEntries(pod, signal, at.inode)).filter(({ run }) => run === folder.run);
    found.push(...inside);
    folders.push(...inside.filter(({ kind }) => kind === 'directory'));
  }
  return found;
}

/** A little at a time, so that the mount goes on serving; the document has it in few changes all the same. */
async function reviveAll(
  { tree, content }: Pod,
  entries: readonly DeletedEntry[],
  { progress, signal }: Context,
): Promise<void> {
  for (let at = 0; at < entries.length; at += LIMITS.restoredPerOperation) {
    signal.throwIfAborted();
    await tree.congested();
    const some = entries.slice(at, at + LIMITS.restoredPerOperation);
    // Their history may end just now.
    for (const { inode } of some) content.claim(tree.history.deleted(inode)?.content ?? '');
    tree.revive(some);
    if (at > 0) progress(`${at} of ${entries.length} are back`);
    await setImmediate();
  }
}

/** The version that was asked for, or the one before the present one. */
function choose(pod: Pod, path: string, found: Found, version: string | null): KnownVersion {
  const versions = versionsOf(pod, path, found);
  const chosen =
    version === null
      ? versions.find(({ kind }) => kind !== 'current')
      : versions.find((known) => known.version === version);
  if (chosen !== undefined) return chosen;
  const which = version === null ? 'an earlier version' : `version ${version}`;
  throw new WormholeError(
    'not-found',
    `history does not hold ${which} of ${path}: \`wh history ${path}\` lists those that it does.`,
  );
}

/** Brings a version's bytes here, to stay: only what is here may be named. */
async function fetch(
  pod: Pod,
  path: string,
  { content }: KnownVersion,
  { progress, signal }: Context,
): Promise<void> {
  if (content === '') return;
  await checkHeld(pod, path, content);
  const chunks = await pod.content.chunksOf(content);
  const ids = [...new Set(chunks.map(({ id }) => id))].filter((id) => id !== '');
  const estimate = new Estimate(systemClock);
  for (const [at, id] of ids.entries()) {
    signal.throwIfAborted();
    if (at > 0 && at % 16 === 0)
      progress(`${at} of ${ids.length} chunks are here${estimate.left(at, ids.length)}`);
    await pod.content.keep(id);
  }
  await pod.content.flush();
}

/** @throws WormholeError `not-found` when nobody has the bytes any more, `unreachable` when somebody may who is away */
async function checkHeld(pod: Pod, path: string, content: string): Promise<void> {
  if (content === '' || pod.content.presence(content) === 'here') return;
  const [inspection] = await pod.placement.inspect([{ inode: '', content }]);
  if (inspection !== undefined && inspection.copies.held > 0) return;
  const away = pod.membership
    .members()
    .filter(
      ({ id, role }) => role === 'storage' && id !== pod.identity.pod && pod.links.get(id) === undefined,
    );
  if (away.length === 0) {
    throw new WormholeError('not-found', `history no longer holds the bytes of ${path}: no pod has them.`);
  }
  const names = away.map(({ name }) => name).join(', ');
  throw new WormholeError(
    'unreachable',
    `no pod that is linked has the bytes of ${path}: wait for ${names}.`,
  );
}

/** The file has these bytes again; what it has now becomes a version. */
function overwrite(pod: Pod, { node, deleted }: Found, { size, mtime, content }: KnownVersion): InodeId {
  if (deleted !== undefined) pod.tree.revive([deleted]);
  const inode = node?.id ?? deleted?.inode ?? '';
  return pod.tree.restoreData(inode, { size, mtime, content }).id;
}

function copy(pod: Pod, { node, deleted }: Found, version: KnownVersion, place: Place): InodeId {
  const { size, mtime, content } = version;
  const mode = node?.mode ?? (deleted && pod.tree.history.deleted(deleted.inode)?.mode) ?? 0o644;
  const data = { kind: 'file' as const, size, mtime, content, mode };
  const owner = node === undefined ? {} : { uid: node.uid, gid: node.gid };
  return pod.tree.restoreCopy(place.parent, place.name, data, owner).id;
}
