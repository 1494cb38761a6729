import { Countdown, Estimate, formatSeconds, systemClock, WormholeError } from '../base/index.js';
import { describeLabels } from '../config/index.js';
import { formatPodId } from '../net/index.js';
import type { Inspection as Holding } from '../placement/index.js';
import { type Node, parseConflictInode } from '../tree/index.js';
import { checkInvited } from './admission.js';
import { conflictsOf, resolveConflict } from './conflicts.js';
import type {
  FileState,
  Fsck,
  Inspection,
  Listed,
  Pinned,
  PodDetails,
  ScrubResult,
  SyncResult,
} from './control.js';
import type { ControlHandlers } from './control-server.js';
import {
  applyConfig,
  checkAdmin,
  configHistory,
  editDeclaration,
  planConfig,
  showConfig,
  undoConfig,
} from './declaration.js';
import { leaveNetwork, removePod } from './departure.js';
import { historyOf, shownVersions, trashOf, versionsOf } from './history.js';
import { LoopDelay } from './loop-delay.js';
import { metricsOf } from './metrics.js';
import type { Pod } from './pod.js';
import { restore, undoMassDeletion } from './restore.js';
import { podStatuses, statusOf } from './status.js';
import { exportFrom, importInto } from './transfer.js';

/** Without --timeout, `wh sync --wait` waits for so long: longer than anybody looks on. */
const SYNC_TIMEOUT_MS = 24 * 60 * 60 * 1000;
const LIST_PAGE = 1_000;
const PROGRESS_MS = 1_000;

type Context = { progress(line: string): void; signal: AbortSignal };

/** What the control socket answers. */
export function controlHandlers(pod: Pod): ControlHandlers {
  const loopDelay = new LoopDelay();
  return {
    status: () => statusOf(pod),
    pods: () => podDetails(pod),
    invite: ({ role, lifetimeMs, pod: name }) => invite(pod, role, lifetimeMs, name),
    sync: ({ copies, timeoutMs }, context) => sync(pod, copies, timeoutMs ?? SYNC_TIMEOUT_MS, context),
    inspect: ({ path }) => inspect(pod, path),
    list: ({ path }) => list(pod, path),
    history: ({ path }) => historyOf(pod, path),
    trash: ({ path }, { signal }) => trashOf(pod, path, signal),
    restore: (what, context) => restore(pod, what, context),
    undo: (_, context) => undoMassDeletion(pod, context),
    pin: ({ path }, context) => pin(pod, path, context),
    unpin: async ({ path }) => {
      await pod.placement.unpin(nodeAt(pod, path).id);
      return { path, pinned: false };
    },
    evict: async ({ path }) => ({ path, ...(await pod.placement.evict(nodeAt(pod, path).id)) }),
    fsck: ({ readData }, context) => fsck(pod, readData, context),
    conflicts: ({ names }, { signal }) => conflictsOf(pod, names, signal),
    resolve: ({ path, keep }) => resolveConflict(pod, path, keep),
    metrics: () => metricsOf(pod, loopDelay),
    import: ({ source, path }, context) => importInto(pod, source, path, context),
    export: ({ path, target }, context) => exportFrom(pod, path, target, context),
    config: () => showConfig(pod),
    configHistory: () => configHistory(pod),
    plan: ({ text }, { signal }) => planConfig(pod, text, signal),
    apply: ({ text }, { signal }) => applyConfig(pod, text, signal),
    configUndo: (_, { signal }) => undoConfig(pod, signal),
    freeze: async ({ frozen }) => {
      checkAdmin(pod, 'freeze the network');
      await editDeclaration(pod, ['frozen'], frozen ? true : undefined);
      return { frozen };
    },
    remove: async ({ pod: name, dead, timeoutMs }, context) => {
      await removePod(pod, name, dead, { ...context, clock: systemClock, timeoutMs });
      return { removed: name };
    },
    leave: async ({ abandon, timeoutMs }, context) => {
      const onlyHere = await leaveNetwork(pod, abandon, { ...context, clock: systemClock, timeoutMs });
      setImmediate(() => pod.stop('wh leave'));
      return { onlyHere, pid: process.pid };
    },
    rebalance: async ({ plan }, { signal }) => {
      const { placement } = pod;
      const found = await (plan ? placement.surplus(signal) : placement.rebalance());
      return { ...found, waiting: placement.disagreement ?? null };
    },
    scrub: (_, { progress, signal }) => scrub(pod, progress, signal),
    stop: () => {
      // The answer goes out first.
      setImmediate(() => pod.stop('wh down'));
      return { pid: process.pid };
    },
  };
}

/** One round at full speed, over everything that is here. */
function scrub(pod: Pod, progress: (line: string) => void, signal: AbortSignal): Promise<ScrubResult> {
  const { files } = pod.tree.counts();
  const estimate = new Estimate(systemClock);
  return pod.placement.scrub({
    bytesPerSecond: () => Number.POSITIVE_INFINITY,
    reached: (_, so) => {
      const left = estimate.left(so.files, files);
      progress(`${so.files} of ${files} files read, ${so.damaged} damaged chunks${left}`);
    },
    signal,
  });
}

function invite(
  pod: Pod,
  role: string,
  lifetimeMs: number,
  name: string | null,
): { code: string; expires: string } {
  checkAdmin(pod, 'invite');
  checkInvited(pod.config, name);
  const grant = name === null ? role : `${role}/${name}`;
  const { code, expiresAtMs } = pod.invites.create({ role: grant, lifetimeMs });
  return { code, expires: new Date(expiresAtMs).toISOString() };
}

function podDetails(pod: Pod): PodDetails[] {
  const { membership, links, config } = pod;
  return podStatuses(pod).map((status) => {
    const member = membership.member(status.id);
    return {
      ...status,
      key: formatPodId(status.id),
      capacity: config.pods.get(status.name)?.capacity ?? null,
      addedBy: member === undefined ? null : (membership.member(member.addedBy)?.name ?? null),
      roundTripMs: links.get(status.id)?.roundTripMs ?? null,
    };
  });
}

/** First what was closed here is published, then the others are waited for. */
async function sync(
  pod: Pod,
  copies: number | null,
  timeoutMs: number,
  { progress, signal }: Context,
): Promise<SyncResult> {
  const end = performance.now() + timeoutMs;
  const left = () => Math.max(1, Math.ceil(end - performance.now()));
  const during = <T>(work: Promise<T>, what: string, remaining: () => number) =>
    telling(work, what, remaining, progress);
  const published = await during(
    before(pod.fileSystem.publishAll(signal), left()),
    'files are still to be published',
    () => pod.fileSystem.unpublished(),
  );
  if (!published)
    return { done: false, reason: 'files that were written here are still being published', copies };
  const shared = await during(
    pod.sync.waitUntilShared({ timeoutMs: left(), signal }),
    'changes are not in the document yet',
    () => pod.tree.counts().pendingOperations,
  );
  const names = (ids: readonly string[]) =>
    ids.map((id) => pod.membership.member(id)?.name ?? id.slice(0, 8)).join(', ');
  if (!shared.done && copies === null) {
    return { done: false, reason: shared.reason ?? `waiting for ${names(shared.missing)}`, copies };
  }
  if (copies === null) return { done: true, reason: null, copies };
  const reached = await during(
    pod.placement.waitForCopies(copies, { timeoutMs: left(), signal }),
    'files are on fewer pods than declared',
    () => pod.placement.underReplicated(),
  );
  const reason = reached.reason ?? `waiting for ${names(reached.missing)}`;
  return { done: reached.done, reason: reached.done ? null : reason, copies };
}

/** Says now and then how much is left of what is waited for, and how long that will take. */
async function telling<T>(
  work: Promise<T>,
  what: string,
  remaining: () => number,
  progress: (line: string) => void,
): Promise<T> {
  const countdown = new Countdown(systemClock);
  const timer = setInterval(() => {
    const left = remaining();
    progress(left === 0 ? 'waiting for the other pods' : `${left} ${what}${countdown.left(left)}`);
  }, PROGRESS_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** True when the work was done in time. */
async function before(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}

function nodeAt(pod: Pod, path: string): Node {
  const node = pod.tree.resolvePath(path);
  if (node === undefined)
    throw new WormholeError('not-found', `there is no ${path} in network "${pod.record.network}".`);
  return node;
}

async function inspect(pod: Pod, path: string): Promise<Inspection> {
  const node = nodeAt(pod, path);
  const isFile = node.kind === 'file';
  const [holding] = isFile ? await pod.placement.inspect([{ inode: node.id, content: node.content }]) : [];
  const conflict = parseConflictInode(node.id);
  return {
    path: pod.tree.pathOf(node.id),
    kind: node.kind,
    size: node.size,
    state: isFile ? stateOf(pod, node) : 'here',
    copies: holding?.copies ?? { wanted: 0, held: 0 },
    holders: (holding?.holders ?? []).map((id) => pod.membership.member(id)?.name ?? id),
    content: isFile ? node.content : '',
    chunks: (holding?.chunks ?? []).map(({ id, length }) => ({ id, length, here: pod.content.has(id) })),
    versions: isFile ? shownVersions(versionsOf(pod, path, { node })) : [],
    conflict: conflict === undefined ? null : pod.tree.pathOf(conflict.inode),
    pinned: pod.placement.isPinned(node.id),
    reason: isFile ? reasonOf(pod, node.id) : '',
  };
}

/** `2 copies in 2 zones, by /accounts/**; preferring media ssd` */
function reasonOf(pod: Pod, inode: string): string {
  const { policy, copies, here } = pod.placement.layoutOf(inode);
  if (policy.ignore) return `stays on the machine that made it, by ${policy.rules.join(', ')}`;
  const zones = policy.zones > 1 ? ` in ${policy.zones} zones` : '';
  const by = policy.rules.length === 0 ? 'by default' : `by ${policy.rules.join(', ')}`;
  const parts = [`${copies} ${copies === 1 ? 'copy' : 'copies'}${zones}, ${by}`];
  const [asked, preferred] = [describeLabels(policy.require), describeLabels(policy.prefer)];
  if (asked !== '') parts.push(`requiring ${asked}`);
  if (preferred !== '') parts.push(`preferring ${preferred}`);
  if (policy.pin.length > 0) parts.push(`pinned on ${policy.pin.join(', ')}`);
  const { hot } = policy.affinity;
  if (hot !== undefined && pod.placement.isHot(inode))
    parts.push(`asked for often: a copy also on each pod with ${describeLabels(hot)}`);
  else if (here) parts.push('pinned here');
  return parts.join('; ');
}

async function list(pod: Pod, path: string): Promise<Listed[]> {
  const node = nodeAt(pod, path);
  const nodes = node.kind === 'directory' ? childrenOf(pod, node) : [node];
  const files = nodes.filter((child) => child.kind === 'file');
  const holdings = await pod.placement.inspect(files.map(({ id, content }) => ({ inode: id, content })));
  const holdingOf = new Map<string, Holding | undefined>(files.map((file, i) => [file.id, holdings[i]]));
  return nodes.map((child) => ({
    name: child.name,
    kind: child.kind,
    mode: child.mode,
    size: child.size,
    mtime: isoTime(child.mtime),
    state: child.kind === 'file' ? stateOf(pod, child) : null,
    copies: holdingOf.get(child.id)?.copies ?? null,
  }));
}

/** The children with the names under which they are here (a hard link has several). */
function childrenOf(pod: Pod, folder: Node): Node[] {
  const nodes: Node[] = [];
  let after: string | undefined;
  for (;;) {
    const page = pod.tree.list(folder.id, after, LIST_PAGE);
    for (const entry of page) {
      const node = pod.tree.node(entry.inode);
      if (node !== undefined) nodes.push({ ...node, name: entry.name });
    }
    after = page.at(-1)?.name;
    if (page.length < LIST_PAGE) return nodes;
  }
}

/** Where a file is: `pinned` is here, and is to stay. */
export function stateOf({ content, placement }: Pick<Pod, 'content' | 'placement'>, node: Node): FileState {
  const state = node.content === '' ? 'here' : content.presence(node.content);
  return state === 'here' && placement.isPinned(node.id) ? 'pinned' : state;
}

/** Tells how far it is while it goes on. */
async function pin(pod: Pod, path: string, { progress, signal }: Context): Promise<Pinned> {
  const tell = () => {
    const [work] = pod.placement.work();
    if (work === undefined) return;
    const why = work.problem === undefined ? '' : ` (${work.problem})`;
    const left = work.eta === undefined ? '' : `, about ${formatSeconds(work.eta)} left`;
    progress(`${work.done} of ${work.total} files are here${left}${why}`);
  };
  const timer = setInterval(tell, PROGRESS_MS);
  try {
    await pod.placement.pin(nodeAt(pod, path).id, signal);
  } finally {
    clearInterval(timer);
  }
  return { path, pinned: true };
}

async function fsck(pod: Pod, readData: boolean, context: Context): Promise<Fsck> {
  const { ailing, damaged, ...found } = await pod.placement.check({ readData, ...context });
  const missing = ailing.map(({ inode, missing: chunks, nowhere, unknown }) => {
    return { path: pod.tree.pathOf(inode), chunks, nowhere, unknown };
  });
  const ok = missing.length === 0 && damaged.every(({ mended }) => mended);
  return { ok, ...found, missing, damaged: damaged.map(({ id, mended }) => ({ chunk: id, mended })) };
}

function isoTime(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
