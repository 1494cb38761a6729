import { shortId, WormholeError } from '../base/index.js';
import {
  type Conflict,
  type ConflictVersion,
  isOfPod,
  keepAll,
  keepOnly,
  type Node,
  podOfActor,
  ROOT,
  type Tree,
  unportableNames,
  versionsIn,
} from '../tree/index.js';
import type { ConflictedVersion, ConflictReport, NameReport } from './control.js';
import type { Pod } from './pod.js';

/** Inodes, or entries, that are looked at before the mount gets its turn. */
const SLICE = 1_000;

/** What `wh conflicts` lists; with `names` also the names that another system could not hold. */
export async function conflictsOf(
  pod: Pod,
  names: boolean,
  signal: AbortSignal,
): Promise<{ conflicts: ConflictReport[]; names: NameReport[] }> {
  const conflicts = pod.tree.counts().conflicts === 0 ? [] : await allConflicts(pod, signal);
  return { conflicts, names: names ? await allNames(pod.tree, signal) : [] };
}

async function allConflicts(pod: Pod, signal: AbortSignal): Promise<ConflictReport[]> {
  const reports = new Map<string, ConflictReport>();
  let after: string | undefined;
  do {
    signal.throwIfAborted();
    const page = pod.tree.conflicts(after, SLICE);
    for (const conflict of page.found) {
      const report = reportOf(pod, conflict);
      reports.set(report.path, report);
    }
    after = page.next;
    await turn();
  } while (after !== undefined);
  return [...reports.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function reportOf(pod: Pod, conflict: Conflict): ConflictReport {
  const versions = versionsIn(pod.tree, conflict).flatMap((version) => {
    const node = pod.tree.lookup(conflict.parent, version.name);
    return node === undefined ? [] : [describe(pod, conflict, version, node)];
  });
  return { path: pathIn(pod.tree, conflict.parent, conflict.name), versions };
}

function describe(
  pod: Pod,
  { parent }: Conflict,
  { id, name }: ConflictVersion,
  node: Node,
): ConflictedVersion {
  return {
    id,
    path: pathIn(pod.tree, parent, name),
    pod: writerOf(pod, id),
    mine: isOfPod(pod.identity.pod, id),
    kind: node.kind,
    size: node.size,
    time: new Date(Number(node.mtime / 1_000_000n)).toISOString(),
  };
}

function writerOf(pod: Pod, version: string): string {
  const { name, short } = podOfActor(version.slice(version.indexOf('@') + 1));
  return pod.membership.members().find((member) => shortId(member.id) === short)?.name ?? name;
}

/** Walks the whole tree, folder by folder. */
async function allNames(tree: Tree, signal: AbortSignal): Promise<NameReport[]> {
  const reports: NameReport[] = [];
  // A set: while changes go into the document, folders may for a moment lie in each other.
  const folders = new Set([ROOT]);
  for (const folder of folders) {
    const names: string[] = [];
    let after: string | undefined;
    do {
      signal.throwIfAborted();
      const page = tree.list(folder, after, SLICE);
      for (const { name, inode, kind } of page) {
        names.push(name);
        if (kind === 'directory') folders.add(inode);
      }
      after = page.length < SLICE ? undefined : page.at(-1)?.name;
      await turn();
    } while (after !== undefined);
    for (const { name, problem, like } of unportableNames(names)) {
      const other = like === undefined ? null : pathIn(tree, folder, like);
      reports.push({ path: pathIn(tree, folder, name), problem, like: other });
    }
  }
  return reports;
}

/** Settles a conflict, here and, as any other change, everywhere. The kernel is told to look again.
 *  @throws WormholeError `not-found` | `usage` | `is-a-directory` */
export function resolveConflict(pod: Pod, path: string, keep: string): { path: string; kept: string[] } {
  const { tree } = pod;
  const cut = path.lastIndexOf('/');
  const folder = tree.resolvePath(path.slice(0, cut));
  const conflict = folder === undefined ? undefined : tree.conflictAt(folder.id, path.slice(cut + 1));
  if (conflict === undefined)
    throw new WormholeError('not-found', `${path} is in no conflict: see \`wh conflicts\`.`);
  const report = reportOf(pod, conflict);
  const before = inodesIn(tree, conflict);
  if (keep === 'both') keepAll(tree, conflict);
  else keepOnly(tree, conflict, chosen(report, keep).id);
  const names = [conflict.name, ...conflict.copies];
  tree.events.emit('changed', {
    inodes: [...new Set([conflict.parent, ...before, ...inodesIn(tree, conflict)])],
    names: names.map((name) => ({ parent: conflict.parent, name })),
  });
  const kept = names.filter((name) => tree.lookup(conflict.parent, name) !== undefined);
  return { path: report.path, kept: kept.map((name) => pathIn(tree, conflict.parent, name)) };
}

/** @throws WormholeError `usage` when that names none of the versions, or several */
function chosen({ path, versions }: ConflictReport, keep: string): ConflictedVersion {
  const fits = (version: ConflictedVersion): boolean => {
    if (keep === 'mine') return version.mine;
    if (keep === 'theirs') return !version.mine;
    return version.id.startsWith(keep);
  };
  const [version, another] = versions.filter(fits);
  if (version !== undefined && another === undefined) return version;
  const ids = versions.map(({ id, pod }) => `${id} (${pod})`).join(', ');
  const number = version === undefined ? 'no version' : 'several versions';
  throw new WormholeError(
    'usage',
    `${keep} means ${number} of ${path}: name one by its id, of ${ids}, or keep both.`,
  );
}

function inodesIn(tree: Tree, { parent, name, copies }: Conflict): string[] {
  return [name, ...copies].flatMap((shown) => tree.lookup(parent, shown)?.id ?? []);
}

function pathIn(tree: Tree, parent: string, name: string): string {
  return parent === ROOT ? `/${name}` : `${tree.pathOf(parent)}/${name}`;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
