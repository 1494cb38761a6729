import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Log, PodId, Random } from '../base/index.js';
import { openDatabase } from '../store/index.js';
import { bucketPrefix, InodeAllocator } from './engine/allocator.js';
import type { StartEngine } from './engine/client.js';
import { startEngine } from './engine/start.js';
import { openJournal } from './index/journal.js';
import { Overlay } from './index/overlay.js';
import { provisionalActor } from './operations/patch.js';
import type { Operation } from './schema.js';
import type { Tree } from './tree.js';
import { WormholeTree } from './wormhole-tree.js';

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
  /** For tests: another engine. */
  startEngine?: StartEngine;
}

/**
 * Opens the tree of a pod, or makes it. Reads and operations work at once, whatever the document's size: it
 * loads in its own thread meanwhile.
 * @throws WormholeError `corrupt` | `full` | `io` | `newer-format`
 */
export async function openTree(options: TreeOptions): Promise<Tree> {
  const { folder, podId, podName, network, founder, random, log } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const databaseFolder = join(folder, 'index');
  const database = openDatabase(databaseFolder);
  const { journal, condition } = await openJournal(join(folder, 'journal'));
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
    folder: join(folder, 'document'),
    database: databaseFolder,
    podId,
    podName,
    network,
    founder,
    log: log.part('engine'),
  });
  const allocator = new InodeAllocator(bucketPrefix(podId, random));
  return new WormholeTree({ ...options, database, journal, overlay, engine, allocator, replayed });
}
