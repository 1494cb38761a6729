import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, LIMITS, type Log, onDisk, Semaphore, systemClock } from '../base/index.js';
import { type Database, makeFolder, openRecordLog, type RecordLog } from '../store/index.js';
import { Evictable } from './cache/evictable.js';
import { chunkMemory } from './cache/memory.js';
import { Space } from './cache/space.js';
import { CombinedChunks } from './chunks/combined-chunks.js';
import { chunkFolders, FileChunks, prepareChunkFolders } from './chunks/file-chunks.js';
import { SmallChunks } from './chunks/small-chunks.js';
import { VerifiedChunks } from './chunks/verified-chunks.js';
import { Claims } from './collection/claims.js';
import { Lists } from './collection/lists.js';
import { Unnamed } from './collection/unnamed.js';
import { Uptime } from './collection/uptime.js';
import type { ChunkSource, ContentId, ContentStore, Recovered } from './content.js';
import { Publisher } from './publishing/publisher.js';
import { ChunkReader, uncached } from './reading/chunk-reader.js';
import { Layouts } from './reading/layouts.js';
import { ReadAheadBudget } from './reading/read-ahead.js';
import { WriteBehind } from './reading/write-behind.js';
import { Slab } from './slab.js';
import { Settlement } from './staging/settlement.js';
import { StagedContent } from './staging/staged-content.js';
import { ownerOf, wholeShape } from './staging/staged-state.js';
import { filesOf, StagingLog } from './staging/staging-log.js';
import { LocalContentStore, type Parts } from './store.js';
import { Storing } from './storing.js';
import { Totals } from './totals.js';

export interface ContentStoreOptions {
  /** The store's own folder; made if it is missing. */
  folder: string;
  /** Its tables begin with `content.`. It must stay open until the store is closed. */
  database: Database;
  log: Log;
  clock?: Clock;
  /** Where to fetch from; may also be set later, by `useSource`. */
  source?: ChunkSource;
  /** Resolves when every name that was told to the tree so far survives a power cut. What was staged is let go
   *  only then, after its owner told of the name (`recordedAs`); without it, as soon as its chunks are durable. */
  namesDurable?: () => Promise<void>;
  limits?: {
    /** Bytes that chunks may take which this pod need not hold. */
    cacheBytes?: number;
    /** Bytes of verified chunks held in memory. */
    memoryBytes?: number;
    /** Free disk space below which nothing new is accepted, in bytes. */
    freeFloorBytes?: number;
    /** Disk space held back, in bytes. */
    reserveBytes?: number;
  };
}

/**
 * Opens the contents in a folder, or makes it: takes up what an earlier process left and clears away what it left
 * half done.
 * @throws WormholeError `io` | `full` | `newer-format`
 */
export function openContentStore(options: ContentStoreOptions): Promise<ContentStore> {
  return onDisk(`the contents ${options.folder}`, () => open(options));
}

/** What {@link Space} holds back on the disk. */
const RESERVE = 'reserve';

/**
 * Gives back to a full disk what a store that is not open holds back there: only what write() accepted needs it, and
 * that is nothing now.
 * @returns false when there is nothing
 */
export function giveUpContentReserve(folder: string): boolean {
  const reserve = join(folder, RESERVE);
  if ((statSync(reserve, { throwIfNoEntry: false })?.size ?? 0) === 0) return false;
  truncateSync(reserve, 0);
  return true;
}

async function open(options: ContentStoreOptions): Promise<ContentStore> {
  const { folder, log } = options;
  const staging = join(folder, 'staging');
  makeFolder(staging);
  const folders = chunkFolders(folder);
  await prepareChunkFolders(folders);
  const chunkLog = await openLog(join(folder, 'content-log'), log);
  const recordLog = await openLog(join(folder, 'staging-log'), log);
  const space = new Space({
    folder,
    reserve: join(folder, RESERVE),
    floorBytes: options.limits?.freeFloorBytes ?? LIMITS.freeFloorBytes,
    reserveBytes: options.limits?.reserveBytes ?? LIMITS.reserveBytes,
  });
  const stagingLog = new StagingLog(recordLog, space);
  const parts = assemble(options, {
    chunkLog,
    closeLogs: async () => {
      await Promise.all([chunkLog.close(), recordLog.close()]);
    },
    refusal: () => chunkLog.refusal ?? recordLog.refusal ?? options.database.refusal,
    ground: {
      folder: staging,
      log: stagingLog,
      space,
      unhardened: new Map(),
      removals: new Set(),
      turns: new Semaphore(LIMITS.diskWaitsMax),
    },
  });
  parts.small.recover();
  if (options.source !== undefined) parts.reader.useSource(options.source);
  const found = recover(parts, log);
  return new LocalContentStore(parts, found, await parts.totals.begin());
}

function assemble(
  options: ContentStoreOptions,
  made: Pick<Parts, 'ground' | 'closeLogs' | 'refusal'> & { chunkLog: RecordLog },
): Parts {
  const { database, folder, log } = options;
  const clock = options.clock ?? systemClock;
  const { ground } = made;
  const folders = chunkFolders(folder);
  const totals = new Totals(database);
  const small = new SmallChunks({
    database,
    log: made.chunkLog,
    warn: (error) => log.warn('small chunks could not be moved to the database yet', { error }),
  });
  const files = new FileChunks(folders, 'm');
  const claims = new Claims();
  const chunks = new VerifiedChunks(new CombinedChunks(small, files), totals, log);
  const evictable = new Evictable({
    database,
    bytesMax: options.limits?.cacheBytes ?? LIMITS.cacheBytesDefault,
    remove: async (id, length) => {
      // A small one goes at once, so that storing it anew comes after.
      const removed = chunks.remove(id);
      totals.add(-1, -length);
      await removed;
    },
    claims,
    log,
  });
  const storing = new Storing({ chunks, files, evictable, space: ground.space });
  const memory = chunkMemory(options.limits?.memoryBytes);
  const writeBehind = new WriteBehind((chunk, how) => storing.put(chunk, how), log);
  const reader = new ChunkReader({ memory, chunks, evictable, writeBehind, log });
  const layouts = new Layouts(reader, chunks);
  const isLocal = (id: string) => chunks.has(id);
  const reading = { reader, layouts, budget: new ReadAheadBudget(), isLocal };
  const passing = { ...reading, reader: uncached(reader) };
  const publisher = new Publisher({ folders, reader, chunks, evictable, counter: totals, log });
  const settlement = new Settlement({
    clock,
    log,
    delayMs: LIMITS.stagingSettleMs,
    durable: async () => {
      await chunks.flush();
      await options.namesDurable?.();
    },
    recorded: () => ground.log.sync(),
    ownersTell: options.namesDurable !== undefined,
  });
  const workshop = {
    reading,
    memory,
    chunks,
    evictable,
    ground,
    publisher,
    settlement,
    slab: new Slab(),
    claims,
  };
  const uptime = new Uptime(database, clock);
  const lists = new Lists({ layouts, uptime, has: (id) => chunks.has(id) });
  const collection = { unnamed: new Unnamed(database), uptime, lists };
  const parts = {
    ...workshop,
    ...collection,
    passing,
    opened: new Set<StagedContent>(),
    small,
    reader,
    layouts,
    writeBehind,
    storing,
    totals,
    clock,
    log,
  };
  const { closeLogs, refusal } = made;
  return { ...parts, chunkFolder: folders.chunks, closeLogs, refusal };
}

/** Opens a log; a damaged one is set aside whole, so that what follows is stored safely. */
async function openLog(folder: string, log: Log): Promise<RecordLog> {
  const opened = await openRecordLog(folder);
  const { damagedAt, tornBytes } = opened.condition;
  if (damagedAt === undefined) {
    if (tornBytes > 0)
      log.warn('the end of a log of the content store was torn and cut off', { folder, tornBytes });
    return opened.log;
  }
  log.error('a log of the content store is damaged: what was written after the damage is lost here', {
    folder,
    ...damagedAt,
  });
  const whole = [...opened.log.read(opened.log.first)].map(({ record }) => Buffer.from(record));
  await opened.log.close();
  await rename(folder, await freeName(`${folder}.damaged`));
  const fresh = await openRecordLog(folder);
  for (const record of whole) fresh.log.append(record);
  await fresh.log.sync();
  return fresh.log;
}

async function freeName(path: string): Promise<string> {
  const taken = new Set(readdirSync(join(path, '..')).map((name) => join(path, '..', name)));
  for (let i = 1; ; i++) if (!taken.has(`${path}.${i}`)) return `${path}.${i}`;
}

/**
 * Takes up what was staged, of each owner the latest that survived, and removes staging files that nothing names. What
 * was synced must not go with what was written after it and did not survive a power cut.
 */
function recover(parts: Parts, log: Log): Recovered[] {
  const { log: stagingLog, folder } = parts.ground;
  const found: Recovered[] = [];
  const settled = new Set<string>();
  const needed = new Set<string>();
  const gone: number[] = [];
  /** Owner → the operation that named what was staged after it. */
  const namedLater = new Map<string, number>();
  for (const [id, entry] of [...stagingLog.left].sort(([a], [b]) => b - a)) {
    const owner = ownerOf(entry.key);
    const there = entry.small === undefined || isThere(parts, entry.small.content);
    const survived = settled.has(owner) || !there ? undefined : stagingLog.surviving(id, entry, folder);
    if (survived === undefined) {
      gone.push(id);
      if (settled.has(owner)) continue;
      if (entry.named > 0) namedLater.set(owner, entry.named);
      log.warn('a file that was being written did not survive', { key: entry.key });
      continue;
    }
    settled.add(owner);
    for (const file of filesOf(survived)) needed.add(`${id}.${file}`);
    const later = namedLater.get(owner) ?? 0;
    const named = survived.named > 0 ? survived.named : later;
    if (named !== survived.named) stagingLog.append({ type: 'named', id, operation: named });
    try {
      const base = survived.small?.base ?? wholeShape(survived).base;
      const content = StagedContent.recover(parts, id, survived);
      found.push({ key: entry.key, base, content, named });
    } catch (error) {
      log.error('a file that was being written stays staged; it is tried again at the next start', {
        key: entry.key,
        error,
      });
    }
  }
  // Only now, so that whatever stays knows what named what went.
  for (const id of gone) stagingLog.forget(id);
  for (const name of readdirSync(folder)) if (!needed.has(name)) rmSync(join(folder, name), { force: true });
  return found.reverse();
}

function isThere(parts: Parts, content: ContentId): boolean {
  return content === '' || parts.chunks.has(content.slice(1));
}
