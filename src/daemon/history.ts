import { setImmediate } from 'node:timers/promises';
import { WormholeError } from '../base/index.js';
import {
  compareOpIds,
  type DeletedEntry,
  type InodeId,
  type MassDeletion,
  type Node,
  type OpId,
  podOfActor,
  ROOT,
} from '../tree/index.js';
import type { FileHistory, MassDeletionStatus, Trashed, Version } from './control.js';
import type { Pod } from './pod.js';

/** Deleted entries that are looked at before the mount's requests have their turn. */
const PAGE = 200;
/** Entries of a mass deletion that are looked at to tell whether it was undone. */
const PROBED = 256;
/** So long `wh status` speaks of a mass deletion; `wh undo` undoes older ones too. */
const SHOWN_MS = 24 * 60 * 60 * 1000;

/** Where a path leads: to what is there, or to what was there last. */
export type Found = { node: Node; deleted?: undefined } | { deleted: DeletedEntry; node?: undefined };

/** A version, with what is needed to bring it back. */
export interface KnownVersion extends Version {
  id: OpId;
  mtime: bigint;
  content: string;
}

/** Everything that happened here so far shows, unless the document is not there. */
export async function caughtUp({ tree, engine }: Pod): Promise<void> {
  if (engine.state === 'ready') await tree.commit();
}

/** @throws WormholeError `not-found` when there is no such path, and there was none lately */
export function find({ tree, record }: Pod, path: string): Found {
  let folder: InodeId = ROOT;
  let found: Found | undefined = { node: tree.node(ROOT) as Node };
  for (const name of path.split('/').filter((part) => part !== '')) {
    const node: Node | undefined = found?.deleted === undefined ? tree.lookup(folder, name) : undefined;
    const deleted: DeletedEntry | undefined =
      node === undefined ? latest(tree.history.deletedIn(folder, name)) : undefined;
    found = node !== undefined ? { node } : deleted !== undefined ? { deleted } : undefined;
    if (found === undefined) break;
    folder = node?.id ?? (deleted?.inode as InodeId);
  }
  if (found !== undefined) return found;
  throw new WormholeError(
    'not-found',
    `there is no ${path} in network "${record.network}", and its history does not reach back to one: \`wh trash\` lists what was deleted.`,
  );
}

export async function historyOf(pod: Pod, path: string): Promise<FileHistory> {
  await caughtUp(pod);
  return { path, versions: shownVersions(versionsOf(pod, path, find(pod, path))) };
}

export function shownVersions(versions: readonly KnownVersion[]): Version[] {
  return versions.map(({ id: _, mtime: __, content: ___, ...version }) => version);
}

/** What a file's name has shown, the latest first: by what each writer had seen, not by its clock. @throws WormholeError `is-a-directory` */
export function versionsOf(pod: Pod, path: string, { node, deleted }: Found): KnownVersion[] {
  const { tree } = pod;
  const now = node ?? (deleted && tree.history.deleted(deleted.inode));
  if (now === undefined) return [];
  if (now.kind === 'directory') {
    throw new WormholeError(
      'is-a-directory',
      `${path} is a folder: \`wh trash ${path}\` lists what was deleted in it.`,
    );
  }
  const versions = [versionOf(pod, now, deleted === undefined ? 'current' : 'deleted')];
  const seat = deleted ?? (node as Node);
  // A name may have led to other files before: programs that save by deleting and making anew.
  const others = tree.history
    .deletedIn(seat.parent, seat.name)
    .filter((entry) => entry.inode !== now.id && entry.kind === 'file');
  for (const other of others) {
    const was = tree.history.deleted(other.inode);
    if (was !== undefined) versions.push(versionOf(pod, was, 'deleted'));
  }
  for (const inode of [now.id, ...others.map((other) => other.inode)]) {
    for (const past of tree.history.versions(inode)) versions.push(versionOf(pod, past, 'overwritten'));
  }
  const [first, ...rest] = versions as [KnownVersion, ...KnownVersion[]];
  return [first, ...rest.sort((a, b) => compareOpIds(b.id, a.id))];
}

function versionOf(
  pod: Pod,
  value:
    | { versions: readonly OpId[]; size: number; mtime: bigint; content: string }
    | { version: OpId; size: number; mtime: bigint; content: string },
  kind: Version['kind'],
): KnownVersion {
  const id = 'version' in value ? value.version : (value.versions.at(-1) ?? '');
  const { size, mtime, content } = value;
  return {
    version: shortVersion(id),
    time: isoTime(Number(mtime / 1_000_000n)),
    pod: podNamed(pod, id),
    size,
    kind,
    id,
    mtime,
    content,
  };
}

/** What people type after `@`: the operation's counter and the pod that wrote it. */
function shortVersion(id: OpId): string {
  const [counter, actor = ''] = id.split('@');
  return `${counter}-${podOfActor(actor).short}`;
}

/** The pod that made an operation, by its name in the network. */
function podNamed({ membership }: Pod, id: OpId | undefined): string {
  const actor = id?.slice(id.indexOf('@') + 1) ?? '';
  const member = membership.members().find((each) => actor.startsWith(each.id.slice(0, 10)));
  return actor === '' ? 'unknown' : (member?.name ?? podOfActor(actor).name);
}

/** Deleted entries below a path; those that went together with a folder count as one with it. */
export async function trashOf(pod: Pod, path: string, signal: AbortSignal): Promise<Trashed[]> {
  await caughtUp(pod);
  const found = find(pod, path);
  const below = found.node?.id ?? (found.deleted?.inode as InodeId);
  const entries = await deletedEntries(pod, signal);
  const folders = new Map(
    entries.filter(({ kind }) => kind === 'directory').map((entry) => [entry.inode, entry]),
  );
  const inside = new Map<InodeId, number>();
  const tops: DeletedEntry[] = [];
  for (const entry of entries) {
    const around = folders.get(entry.parent);
    const isPart = around !== undefined && around.run === entry.run && around.inode !== below;
    if (!isPart) tops.push(entry);
    for (let at = isPart ? around : undefined; at !== undefined; ) {
      inside.set(at.inode, (inside.get(at.inode) ?? 0) + 1);
      const next = folders.get(at.parent);
      at = next?.run === entry.run ? next : undefined;
    }
  }
  return tops
    .filter((entry) => below === ROOT || isBelow(pod, entry, below))
    .sort((a, b) => b.run - a.run || b.at - a.at)
    .map((entry) => ({
      path: deletedPath(pod, entry),
      kind: entry.kind,
      size: pod.tree.history.deleted(entry.inode)?.size ?? 0,
      entries: inside.get(entry.inode) ?? 0,
      time: isoTime(entry.at),
      pod: podNamed(pod, entry.by),
    }));
}

/** All (in one folder) that is deleted and not back. */
export async function deletedEntries(
  { tree }: Pod,
  signal: AbortSignal,
  folder?: InodeId,
): Promise<DeletedEntry[]> {
  const found: DeletedEntry[] = [];
  for (let after: string | undefined; ; ) {
    const { entries, last } = tree.history.deletedAfter(after, PAGE, folder);
    found.push(...entries);
    if (last === undefined) return found;
    after = last;
    await setImmediate();
    signal.throwIfAborted();
  }
}

function isBelow({ tree }: Pod, { parent }: DeletedEntry, folder: InodeId): boolean {
  return parent === folder || tree.history.around(parent).some(({ parent: outer }) => outer === folder);
}

/** The path at which an entry was. */
export function deletedPath({ tree }: Pod, { parent, name }: { parent: InodeId; name: string }): string {
  const around = tree.history.pathOf(parent);
  return around === '/' ? `/${name}` : `${around}/${name}`;
}

/** The mass deletion that is to be undone next, with what of it is still gone. */
export async function lastMassDeletion(
  pod: Pod,
  signal: AbortSignal,
): Promise<{ mass: MassDeletion; entries: DeletedEntry[] } | undefined> {
  const all = await deletedEntries(pod, signal);
  for (const mass of pod.tree.history.massDeletions().reverse()) {
    const entries = all.filter(({ run }) => run === mass.run);
    if (entries.length > 0) return { mass, entries };
  }
  return undefined;
}

/** What `wh status` tells of mass deletions. */
export function massDeletions(pod: Pod, wallMs: number): MassDeletionStatus[] {
  return pod.tree.history
    .massDeletions()
    .filter((mass) => Math.abs(wallMs - mass.to) < SHOWN_MS && isStanding(pod, mass))
    .map((mass) => massStatus(pod, mass));
}

export function massStatus(pod: Pod, mass: MassDeletion): MassDeletionStatus {
  return {
    pod: podNamed(pod, mass.by),
    time: isoTime(mass.from),
    deleted: mass.deleted,
    folders: mass.folders.map(({ inode, deleted, left }) => ({
      path: pod.tree.history.pathOf(inode),
      deleted,
      left,
    })),
  };
}

/** Looks at some of its entries: they come back all together. */
function isStanding({ tree }: Pod, { folders, run }: MassDeletion): boolean {
  return folders.some(({ inode }) => tree.history.isMissing(inode, run, PROBED));
}

function latest(entries: readonly DeletedEntry[]): DeletedEntry | undefined {
  return entries.reduce<DeletedEntry | undefined>(
    (last, entry) =>
      last === undefined || entry.run > last.run || (entry.run === last.run && entry.at >= last.at)
        ? entry
        : last,
    undefined,
  );
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
