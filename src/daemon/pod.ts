import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { type Log, messageOf, Pace, systemClock, systemRandom, WormholeError } from '../base/index.js';
import {
  defaultNetworkConfig,
  effectivePodSettings,
  type NetworkConfig,
  type PodConfig,
  parseNetworkConfig,
  parsePodConfig,
} from '../config/index.js';
import { type ContentStore, openContentStore, tableOfSaved } from '../content/index.js';
import { type Guard, openFileSystem, type WormholeFileSystem } from '../fs/index.js';
import { type Membership, openMembership, tableOfSavedMembership } from '../membership/index.js';
import { KernelInvalidator, type Mount, mountFileSystem, Watching } from '../mount/index.js';
import {
  type Identity,
  type Invites,
  type Links,
  loadOrCreateIdentity,
  makeDiscovery,
  makeInvites,
  makeLinks,
} from '../net/index.js';
import { Placement } from '../placement/index.js';
import { openSoundDatabase, openStore } from '../store/index.js';
import { ChunkFetcher, Sync } from '../sync/index.js';
import { openTree, ROOT, type Tree } from '../tree/index.js';
import { listenAddress } from './addresses.js';
import { admitted } from './admission.js';
import { startBackground } from './background.js';
import { controlHandlers, stateOf } from './calls.js';
import { serveControl } from './control-server.js';
import { POD_TABLES } from './database-tables.js';
import { CONTENT, type PodPaths, type PodRecord, readPodRecord, TREE } from './home.js';
import { makeNotes } from './notes.js';
import type { DaemonReady } from './order.js';
import { giveUpReserve } from './reserves.js';
import { scrubInBackground } from './scrubbing.js';

/** Everything that a running pod is made of. */
export interface Pod {
  record: PodRecord;
  paths: PodPaths;
  identity: Identity;
  /** What is declared now. */
  readonly config: NetworkConfig;
  /** The owner's own `pod.yaml`, as it was at the start. */
  settings: PodConfig;
  membership: Membership;
  invites: Invites;
  links: Links;
  /** What contents may take, in bytes per second. */
  paces: { up: Pace; down: Pace };
  content: ContentStore;
  tree: Tree;
  fileSystem: WormholeFileSystem;
  sync: Sync;
  placement: Placement;
  mount: Mount;
  /** Of the tree's document. */
  readonly engine: { state: 'loading' | 'ready' | 'failed'; reason?: string };
  stop: (reason: string) => void;
  log: Log;
}

export interface RunningPod {
  ready: DaemonReady;
  stop(): Promise<void>;
}

type Undo = () => unknown;

/** Damage that is met by a start, one after the other: rows of the database. */
const REPAIRS_MAX = 8;

/**
 * Builds a pod from the ground up and serves it. A store of which something turns out to be damaged in the course of that
 * is opened once more: opening repairs what it can. On a disk that is full to the last byte, what is held back is given up,
 * so that users can read and delete.
 */
export async function startPod(
  paths: PodPaths,
  log: Log,
  exit: (reason: string) => void,
): Promise<RunningPod> {
  for (let repairs = 0; ; ) {
    try {
      return await buildOrTakeDown(paths, log, exit);
    } catch (error) {
      if (!(error instanceof WormholeError)) throw error;
      const reason = messageOf(error);
      if (error.code === 'corrupt' && repairs++ < REPAIRS_MAX) {
        log.error('the start met damage, and is tried once more', { reason });
      } else if (error.code === 'full' && giveUpReserve(paths)) {
        log.warn('the start found the disk full, and is tried once more with what was held back', { reason });
      } else throw error;
    }
  }
}

/** What was built is taken down again when a step fails. */
async function buildOrTakeDown(
  paths: PodPaths,
  log: Log,
  exit: (reason: string) => void,
): Promise<RunningPod> {
  const undo: Undo[] = [];
  try {
    const pod = await build(paths, log, exit, undo);
    const ready: DaemonReady = {
      pid: process.pid,
      network: pod.record.network,
      pod: pod.record.pod,
      id: pod.identity.pod,
      mount: pod.mount.mountPoint,
      port: pod.links.port,
      role: pod.membership.member(pod.identity.pod)?.role ?? 'storage',
    };
    return { ready, stop: () => takeDown(undo, log) };
  } catch (error) {
    await takeDown(undo, log);
    throw error;
  }
}

/** In the reverse order of building; a step that fails does not keep the others from theirs. */
async function takeDown(undo: Undo[], log: Log): Promise<void> {
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      log.error('a step of stopping failed', { reason: messageOf(error) });
    }
  }
}

async function build(paths: PodPaths, log: Log, exit: (reason: string) => void, undo: Undo[]): Promise<Pod> {
  const [clock, random] = [systemClock, systemRandom];
  const record = readPodRecord(paths);
  const store = await openStore(paths.store);
  undo.push(() => store.close());
  if (!existsSync(paths.identity)) {
    throw new WormholeError(
      'corrupt',
      `${paths.identity} is missing: restore it from a backup, or join again as a new pod.`,
    );
  }
  const identity = await loadOrCreateIdentity(paths.identity, (sentence) => log.warn(sentence));
  const settings = readSettings(paths);

  const database = await openSoundDatabase(store.databasePath, {
    tables: POD_TABLES,
    // A fact is called by its bytes, as a chunk is.
    home: (row) => tableOfSavedMembership(row) ?? tableOfSaved(row),
    log: log.part('store'),
  });
  undo.push(() => database.close());
  const membership = await openMembership({ database, identity, log: log.part('membership') });
  undo.push(() => membership.close());
  const config = declaredConfig(membership, log);
  const own = effectivePodSettings(config, record.pod, settings);
  const paces = { up: new Pace(clock, own.bandwidth?.up), down: new Pace(clock, own.bandwidth?.down) };

  const invites = makeInvites({
    inviter: identity.pod,
    welcome: (joiner, { name, role }) =>
      membership.welcome(joiner, admitted(declaredConfig(membership, log), name, role)),
    log: log.part('invites'),
  });
  const listen = listenAddress(record, settings);
  const links = makeLinks({
    identity,
    admit: (pod) => membership.isMember(pod),
    ...listen,
    discovery: makeDiscovery({ networkId: membership.network.id, log: log.part('discovery') }),
    invites,
    pace: paces.up,
    log: log.part('links'),
  });

  const isMember = (id: string) => membership.isMember(id);
  const chunks = new ChunkFetcher({
    links,
    isMember,
    pace: paces.down,
    ...(settings.wait === undefined ? {} : { patienceMs: settings.wait }),
    clock,
    log: log.part('chunks'),
  });
  undo.push(() => chunks.close());

  // The two know nothing of each other: content asks here when all names told to the tree are durable, the tree
  // when the contents that it is about to name are.
  let tree: Tree | undefined;
  const content = await openContentStore({
    folder: store.path(CONTENT),
    database,
    source: chunks,
    clock,
    log: log.part('content'),
    namesDurable: async () => tree?.flush(),
    limits: own.cache === undefined ? {} : { cacheBytes: own.cache },
  });
  undo.push(() => content.close());
  let placement: Placement | undefined;
  tree = await openTree({
    folder: store.path(TREE),
    podId: identity.pod,
    podName: record.pod,
    network: Buffer.from(membership.network.id, 'hex'),
    founder: record.founder,
    clock,
    random,
    log: log.part('tree'),
    beforePublish: (contents) => {
      placement?.published(contents);
      return content.flush();
    },
    contents: content,
  });
  undo.push(() => tree?.close());
  let engine: Pod['engine'] = { state: 'loading' };
  tree.events.on('engine', (now) => {
    engine = now;
  });

  const sync = new Sync({
    links,
    tree,
    content,
    chunks,
    self: identity.pod,
    isMember,
    members: () => membership.members().map((member) => member.id),
    clock,
    log: log.part('sync'),
  });
  undo.push(() => sync.close());
  const notes = makeNotes(database, 'placement');
  placement = new Placement({
    tree,
    content,
    membership,
    peers: sync,
    notes,
    pins: (declared) => effectivePodSettings(declared, record.pod, settings).pin ?? [],
    capacity: (declared) => effectivePodSettings(declared, record.pod, settings).capacity,
    clock,
    log: log.part('placement'),
  });
  const held = placement;
  undo.push(() => held.close());

  const invalidator = new KernelInvalidator(log.part('mount'));
  const watching = new Watching(log.part('watching'));
  const fileSystem = openFileSystem({
    tree,
    content,
    invalidator,
    listener: watching,
    owner: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
    squashOwners: settings.owners === 'squash',
    podId: identity.pod,
    storeFolder: paths.store,
    awaited: () => links.list().length > 0,
    stateOf: (node) => stateOf({ content, placement: held }, node),
    guard: guardOf(placement),
    clock,
    log: log.part('fs'),
  });
  undo.push(() => fileSystem.close());

  membership.attach(links);
  placement.start();
  await links.start();
  undo.push(() => links.stop());
  for (const address of [...record.addresses, ...config.seeds]) links.dial(address);

  const mount = await mountFileSystem({
    fileSystem,
    root: ROOT,
    mountPoint: record.mount,
    networkName: record.network,
    invalidator,
    watching,
    log: log.part('mount'),
  });
  undo.push(() => unmount(mount, log));

  const pod: Pod = {
    record,
    paths,
    identity,
    settings,
    membership,
    invites,
    links,
    paces,
    content,
    tree,
    fileSystem,
    sync,
    placement,
    mount,
    get config() {
      return this.placement.config;
    },
    get engine() {
      return engine;
    },
    stop: exit,
    log,
  };
  const server = await serveControl(paths.socket, controlHandlers(pod), log.part('control'));
  undo.push(() => closeServer(server, paths.socket));
  mount.closed.then((ended) => exit(`the mount is gone (${JSON.stringify(ended)})`));
  undo.push(startBackground(pod));
  undo.push(scrubInBackground({ placement, content, database, clock, log: log.part('scrub') }));
  return pod;
}

/** What rules and crises forbid, as the file system asks for it. */
function guardOf(placement: Placement): Guard {
  return {
    get restricts() {
      return placement.restricts;
    },
    check(path, writes) {
      const access = placement.access(path);
      if (access === 'stopped') throw new WormholeError('unreachable', `${path} is stopped in this crisis`);
      if (access === 'read-only' && writes) throw new WormholeError('read-only', `${path} is read-only now`);
    },
    opened: (inode) => placement.opened(inode),
    caches: (inode) => placement.caches(inode),
  };
}

/** The owner's `pod.yaml`, where there is one. @throws WormholeError `config` */
function readSettings(paths: PodPaths): PodConfig {
  if (!existsSync(paths.settings)) return {};
  return parsePodConfig(readFileSync(paths.settings, 'utf8'), paths.settings);
}

function declaredConfig(membership: Membership, log: Log): NetworkConfig {
  const declared = membership.declared();
  if (declared === undefined) return defaultNetworkConfig();
  try {
    return parseNetworkConfig(declared.text);
  } catch (error) {
    // It was checked where it was declared: this version does not know all of it.
    log.error('the declared configuration cannot be used here, the defaults hold', {
      reason: messageOf(error),
    });
    return defaultNetworkConfig();
  }
}

/** A mount that is in use goes out of sight at once and ends with its last user, or with this process. */
async function unmount(mount: Mount, log: Log): Promise<void> {
  try {
    await mount.unmount();
  } catch (error) {
    log.warn('the mount is in use and is detached', { reason: messageOf(error) });
    await mount.unmount({ lazy: true });
  }
}

async function closeServer(server: Server, socket: string): Promise<void> {
  server.close();
  server.closeIdleConnections();
  rmSync(socket, { force: true });
}
