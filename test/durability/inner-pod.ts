/**
 * A pod without kernel and sockets: all that the daemon composes over a pod's folder but the mount, the links and the
 * control socket, in a fraction of a daemon's start. Links are in memory, between pods of one process, unless others are
 * handed in.
 */
import { type Clock, type Log, systemClock, systemRandom, WormholeError } from '../../src/base/index.js';
import {
  type ChunkSource,
  type ContentStore,
  type ContentStoreOptions,
  openContentStore,
  tableOfSaved,
} from '../../src/content/index.js';
import { POD_TABLES } from '../../src/daemon/database-tables.js';
import { type PodPaths, podPaths, readPodRecord } from '../../src/daemon/home.js';
import { makeNotes } from '../../src/daemon/notes.js';
import { openFileSystem, type WormholeFileSystem } from '../../src/fs/index.js';
import { type Membership, openMembership } from '../../src/membership/index.js';
import { type Identity, type Links, loadOrCreateIdentity } from '../../src/net/index.js';
import { Placement } from '../../src/placement/index.js';
import { openSoundDatabase, openStore } from '../../src/store/index.js';
import { ChunkFetcher, Sync } from '../../src/sync/index.js';
import { openTree, ROOT, type Tree, type TreeOptions } from '../../src/tree/index.js';
import { MemoryLinks } from '../sync/memory-links.js';

export interface InnerPod {
  paths: PodPaths;
  membership: Membership;
  links: Links;
  content: ContentStore;
  tree: Tree;
  sync: Sync;
  placement: Placement;
  fileSystem: WormholeFileSystem;
  close(): Promise<void>;
}

export interface InnerPodOptions {
  log: Log;
  clock?: Clock;
  /** In place of the document's thread. */
  startEngine?: NonNullable<TreeOptions['startEngine']>;
  limits?: NonNullable<ContentStoreOptions['limits']>;
  /** No other pod will ever come: what is not here is missed at once. */
  alone?: boolean;
  /** Instead of links in memory. */
  links?: (pod: { identity: Identity; membership: Membership }) => Links;
}

const NOBODY: ChunkSource = {
  fetch: () => Promise.reject(new WormholeError('unreachable', 'there is no other pod')),
};

/** Opens the pod in a folder; what was opened is closed again when a step fails. @throws as the daemon would */
export async function openInnerPod(folder: string, options: InnerPodOptions): Promise<InnerPod> {
  for (let repairs = 0; ; repairs++) {
    try {
      return await openOnce(folder, options);
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'corrupt' || repairs === REPAIRS_MAX)
        throw error;
    }
  }
}

/** As the daemon does: what turns out to be damaged is repaired by the next opening. */
const REPAIRS_MAX = 8;

async function openOnce(folder: string, options: InnerPodOptions): Promise<InnerPod> {
  const undo: (() => unknown)[] = [];
  const close = async () => {
    const failures: unknown[] = [];
    for (const step of undo.splice(0).reverse()) {
      // A step that fails does not keep the others from theirs.
      await Promise.resolve()
        .then(step)
        .catch((error) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  };
  try {
    return { ...(await build(podPaths(folder), options, undo)), close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

async function build(
  paths: PodPaths,
  options: InnerPodOptions,
  undo: (() => unknown)[],
): Promise<Omit<InnerPod, 'close'>> {
  const { log, clock = systemClock, startEngine, limits, alone = false } = options;
  const record = readPodRecord(paths);
  const store = await openStore(paths.store);
  undo.push(() => store.close());
  const identity = await loadOrCreateIdentity(paths.identity, (sentence) => log.warn(sentence));
  const database = await openSoundDatabase(store.databasePath, {
    tables: POD_TABLES,
    home: tableOfSaved,
    log: log.part('store'),
  });
  undo.push(() => database.close());
  const membership = await openMembership({ database, identity, log: log.part('membership') });
  undo.push(() => membership.close());
  const { pod } = identity;
  const links = options.links?.({ identity, membership }) ?? new MemoryLinks(pod);
  const isMember = (id: string) => membership.isMember(id);
  const chunks = new ChunkFetcher({ links, isMember, clock, log: log.part('chunks') });
  undo.push(() => chunks.close());
  const parts: { tree?: Tree; placement?: Placement } = {};
  const content = await openContentStore({
    folder: store.path('content'),
    database,
    source: alone ? NOBODY : chunks,
    clock,
    log: log.part('content'),
    namesDurable: async () => parts.tree?.flush(),
    ...(limits === undefined ? {} : { limits }),
  });
  undo.push(() => content.close());
  const tree = await openTree({
    folder: store.path('tree'),
    podId: pod,
    podName: record.pod,
    network: Buffer.from(membership.network.id, 'hex'),
    founder: record.founder,
    clock,
    random: systemRandom,
    log: log.part('tree'),
    beforePublish: (contents) => {
      parts.placement?.published(contents);
      return content.flush();
    },
    contents: content,
    ...(startEngine === undefined ? {} : { startEngine }),
  });
  parts.tree = tree;
  undo.push(() => tree.close());
  const members = () => membership.members().map(({ id }) => id);
  const sync = new Sync({
    links,
    tree,
    content,
    chunks,
    self: pod,
    isMember,
    members,
    clock,
    log: log.part('sync'),
  });
  undo.push(() => sync.close());
  const notes = makeNotes(database, 'placement');
  const placement = new Placement({ tree, content, membership, peers: sync, notes, clock, log });
  parts.placement = placement;
  undo.push(() => placement.close());
  const fileSystem = openFileSystem({
    tree,
    content,
    invalidator: { inode() {}, entry() {}, everything() {} },
    podId: pod,
    storeFolder: paths.store,
    clock,
    log: log.part('fs'),
  });
  undo.push(() => fileSystem.close());
  membership.attach(links);
  placement.start();
  await links.start();
  undo.push(() => links.stop());
  return { paths, membership, links, content, tree, sync, placement, fileSystem };
}

/** The bytes at a path, read as a program would; undefined where nothing is. @throws as read() would fail */
export async function readInside({ fileSystem }: InnerPod, path: string): Promise<Buffer | undefined> {
  let inode = ROOT;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const found = await fileSystem.lookup(inode, name);
    if (found === undefined) return undefined;
    inode = found.inode;
  }
  const flags = { read: true, write: false, append: false, truncate: false, sync: false };
  const handle = await fileSystem.open(inode, flags);
  try {
    const pieces: Buffer[] = [];
    for (let at = 0; ; ) {
      const piece = await fileSystem.read(handle, at, 1024 * 1024);
      if (piece.length === 0) return Buffer.concat(pieces);
      pieces.push(Buffer.from(piece));
      at += piece.length;
    }
  } finally {
    await fileSystem.release(handle);
  }
}

/** Writes a file below the root as a program does that wants it to stay: truncate, write, fsync, close. */
export async function writeInside({ fileSystem }: InnerPod, name: string, bytes: Uint8Array): Promise<void> {
  const flags = { read: true, write: true, append: false, truncate: true, sync: false };
  const caller = { uid: 0, gid: 0, pid: 1, umask: 0o022 };
  const found = await fileSystem.lookup(ROOT, name);
  const handle =
    found === undefined
      ? (await fileSystem.create(ROOT, name, 0o644, flags, caller)).handle
      : await fileSystem.open(found.inode, flags);
  try {
    await fileSystem.write(handle, 0, bytes);
    await fileSystem.fsync(handle, false);
    await fileSystem.flush(handle);
  } finally {
    await fileSystem.release(handle);
  }
}

/** What a check of all that is here finds wrong, in words. @param whole everything named should be here */
export async function troubles({ placement, tree }: InnerPod, whole: boolean): Promise<string[]> {
  const { signal } = new AbortController();
  const { ailing, damaged } = await placement.check({ readData: true, progress: () => {}, signal });
  const bad = damaged.map(({ id }) => `chunk ${id} is damaged`);
  if (!whole) return bad;
  return [
    ...bad,
    ...ailing.map(
      ({ inode, missing, unknown }) =>
        `${tree.pathOf(inode)} lacks ${unknown ? 'its list of chunks' : `${missing} chunks`}`,
    ),
  ];
}
