import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Log, onDisk, type PodId, type Random, WormholeError } from '../base/index.js';
import {
  beginUnflushed,
  type Database,
  makeFolder,
  markUnflushed,
  openDatabase,
  spoilUnflushed,
  type UnflushedSession,
} from '../store/index.js';
import { bucketPrefix, InodeAllocator } from './engine/allocator.js';
import type { StartEngine } from './engine/client.js';
import { startEngine } from './engine/start.js';
import { openJournal, reserveOf } from './index/journal.js';
import { Overlay } from './index/overlay.js';
import { INDEX_DATABASE_TABLES } from './index-database.js';
import { provisionalActor } from './operations/patch.js';
import type { Operation } from './schema.js';
import type { Tree } from './tree.js';
import { type Contents, WormholeTree } from './wormhole-tree.js';

export interface TreeOptions {
  /** Holds everything of the tree: `document/`, `index/`, `journal/`. Made when missing. */
  folder: string;
  podId: PodId;
  /** For people, in conflict names. */
  podName: string;
  /** The network's id. */
  network: Uint8Array;
  /** True on the pod that made the network: its document begins here. Everyone else's begins with a sync. */
  founder: boolean;
  clock: Clock;
  random: Random;
  log: Log;
  /** Awaited before the document names these contents: their chunks must be durable by then. */
  beforePublish?: (contents: string[]) => Promise<void>;
  /** The contents' store: an operation that names a content is worth what survives of it. */
  contents?: Contents;
  /** For tests: another engine. */
  startEngine?: StartEngine;
  /** For simulations: another database. */
  openIndex?: (folder: string) => { database: Database; session: UnflushedSession };
}

/**
 * Opens the tree of a pod, or makes it. Reads and operations work at once, whatever the document's size: it
 * loads in its own thread meanwhile.
 * @throws WormholeError `corrupt` | `full` | `io` | `newer-format`
 */
export function openTree(options: TreeOptions): Promise<Tree> {
  return onDisk(`the tree ${options.folder}`, () => open(options));
}

const JOURNAL = 'journal';

/**
 * Gives back to a full disk what a tree that is not open holds back there for deletions.
 * @returns false when there is nothing
 */
export function giveUpTreeReserve(folder: string): boolean {
  return reserveOf(join(folder, JOURNAL)).release();
}

async function open(options: TreeOptions): Promise<Tree> {
  const { folder, podId, podName, network, founder, random, log } = options;
  makeFolder(folder);
  const [documentFolder, indexFolder] = [join(folder, 'document'), join(folder, 'index')];
  const hadDocument = existsSync(documentFolder);
  const { database, session } =
    options.openIndex?.(indexFolder) ??
    (await onDisk(`the index ${indexFolder}`, () => openIndex(indexFolder, log)));
  const { journal, condition } = await openJournal(join(folder, JOURNAL), options.contents?.reached()).catch(
    async (error) => {
      await database.close();
      session.end();
      throw error;
    },
  );
  if (condition.damagedAt !== undefined) {
    log.error(
      'the journal is damaged: nothing can be changed here until it is repaired',
      condition.damagedAt,
    );
  } else if (condition.tornBytes > 0) {
    log.warn('the end of the journal was torn by a crash and cut off', { bytes: condition.tornBytes });
  }
  const overlay = new Overlay(database, provisionalActor(podId, podName), log.part('index'));
  const replayed: Operation[] = [];
  for (const operation of journal.from(overlay.echoed + 1)) {
    overlay.apply(operation);
    replayed.push(operation);
  }
  const engine = (options.startEngine ?? startEngine)({
    folder: documentFolder,
    database: indexFolder,
    podId,
    podName,
    network,
    founder,
    log: log.part('engine'),
  });
  const allocator = new InodeAllocator(bucketPrefix(podId, random));
  const tree = new WormholeTree({
    ...options,
    database,
    session,
    journal,
    overlay,
    engine,
    allocator,
    replayed,
  });
  // Without an index the tree would look empty until the document has loaded: better to wait.
  if (hadDocument && !overlay.hasIndex) await tree.loaded().catch((error) => closeAndThrow(tree, error));
  return tree;
}

async function closeAndThrow(tree: Tree, error: unknown): Promise<never> {
  await tree.close();
  throw error;
}

/**
 * The index follows from the document: one that is damaged, or that a power cut may have torn, is built anew. So
 * its commits are not flushed, which would cost more than all the rest of a change.
 */
async function openIndex(
  folder: string,
  log: Log,
): Promise<{ database: Database; session: UnflushedSession }> {
  const session = beginUnflushed(folder, INDEX_DATABASE_TABLES, () =>
    log.warn('the index of the tree may be torn or damaged and is built again'),
  );
  const open = () => {
    const onDamage = () => spoilUnflushed(folder);
    const database = openDatabase(folder, { flushed: false, tables: INDEX_DATABASE_TABLES, onDamage });
    markUnflushed(folder);
    return { database, session };
  };
  try {
    return open();
  } catch (error) {
    if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
    log.error('the index of the tree is damaged and is built again', { error });
    await rm(`${folder}.damaged`, { recursive: true, force: true });
    await rename(folder, `${folder}.damaged`);
    return open();
  }
}
