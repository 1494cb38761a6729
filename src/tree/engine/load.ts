import { link, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS, messageOf, WormholeError } from '../../base/index.js';
import { makeFolder, type RecordLogOptions } from '../../store/index.js';
import type { Heads } from '../schema.js';
import { isDead } from './automerge.js';
import { ChangeLog } from './change-log.js';
import type { EngineCondition } from './client.js';
import { TreeDocument } from './document.js';
import { OwnWrites } from './own-writes.js';
import { readSnapshot, type Snapshot, type SnapshotHeader, writeSnapshot } from './snapshot.js';

const SNAPSHOT = 'snapshot';
const LOG = /^changes-(\d+)$/;

export interface LoadOptions {
  /** The network's id. */
  network: Uint8Array;
  /** Go on in new files: an fsync of the old ones failed, so what they seem to hold may be in memory only. */
  anew?: boolean;
  /** For tests: a disk that fails. */
  disk?: NonNullable<RecordLogOptions['disk']>;
}

export interface Loaded {
  document: TreeDocument;
  log: ChangeLog;
  /** Name of the log's folder. */
  logName: string;
  own: OwnWrites;
  /** The last journaled operation in the document. */
  seq: number;
  condition?: EngineCondition;
}

export function snapshotPath(folder: string): string {
  return join(folder, SNAPSHOT);
}

/**
 * Reads the document from its snapshot and change log, and compares its heads with those that were recorded. If
 * anything does not fit, the longest whole prefix is kept in a new snapshot with a new log, and the old files
 * stay where they are for whoever wants to look.
 * @throws WormholeError `newer-format`, `full` or `io`
 */
export async function loadDocument(
  folder: string,
  actor: string,
  { network, disk, anew = false }: LoadOptions,
): Promise<Loaded> {
  makeFolder(folder);
  const { snapshot, damage } = await trySnapshot(folder, actor);
  const { log, damaged, logName } = await openLog(folder, snapshot?.header.log, disk);
  const document =
    snapshot === undefined
      ? TreeDocument.empty(actor, network)
      : TreeDocument.load(snapshot.document, actor, network, snapshot.header.hidden);
  const loaded: Loaded = {
    document,
    log,
    logName,
    own: new OwnWrites(snapshot?.header.own.actors, snapshot?.header.own.groups),
    seq: snapshot?.header.seq ?? 0,
  };
  const replayed = replay(loaded, snapshot);
  const expected = replayed.heads;
  const missing = expected.filter((head) => !document.contains([head]));
  const reason = damage ?? (damaged ? 'the change log is damaged' : replayed.damage);
  if (reason !== undefined || !sameHeads(document.heads(), expected)) {
    loaded.condition = {
      kind: 'damaged',
      reason: reason ?? 'changes are missing in the change log',
      missing,
    };
    return beginAnew(folder, loaded, disk);
  }
  if (anew) return beginAnew(folder, loaded, disk);
  // A power cut may take the log's end although the snapshot, which was durable first, already holds it.
  if (snapshot !== undefined && log.next < snapshot.header.logNext) await rewrite(folder, loaded);
  return loaded;
}

async function trySnapshot(folder: string, mark: string): Promise<{ snapshot?: Snapshot; damage?: string }> {
  try {
    const snapshot = await readSnapshot(snapshotPath(folder));
    return snapshot === undefined ? {} : { snapshot };
  } catch (error) {
    if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
    await link(snapshotPath(folder), `${snapshotPath(folder)}.damaged-${mark}`);
    return { damage: messageOf(error) };
  }
}

/**
 * The log that the snapshot names; without a snapshot the newest that has records. An empty one was begun anew, and its
 * snapshot never came to be: what counts is the one before it.
 */
async function openLog(
  folder: string,
  named: string | undefined,
  disk: LoadOptions['disk'],
): Promise<{ log: ChangeLog; damaged: boolean; logName: string }> {
  const numbers = (await readdir(folder)).flatMap((name) => LOG.exec(name)?.[1] ?? []).map(Number);
  const names =
    named === undefined ? numbers.sort((a, b) => b - a).map((number) => `changes-${number}`) : [named];
  for (const logName of names) {
    const opened = await ChangeLog.open(join(folder, logName), disk);
    if (opened.log.next > 0 || opened.damaged || logName === names.at(-1)) return { ...opened, logName };
    await opened.log.close();
  }
  const logName = 'changes-0';
  return { ...(await ChangeLog.open(join(folder, logName), disk)), logName };
}

/** Applies the log's records. @returns the heads that were recorded last */
function replay(loaded: Loaded, snapshot: Snapshot | undefined): { heads: Heads; damage?: string } {
  const { document, log, own } = loaded;
  let heads: Heads | undefined = snapshot?.header.heads ?? [];
  let batch: Uint8Array[] = [];
  let damage: string | undefined;
  const apply = () => {
    if (batch.length > 0) document.applyChanges(batch);
    batch = [];
  };
  const all: Uint8Array[] = [];
  const foreign: Uint8Array[] = [];
  try {
    for (const record of log.read(snapshot?.header.logNext ?? log.first)) {
      batch.push(...record.changes);
      if (batch.length >= LIMITS.remoteBatchChangesMax) apply();
      all.push(...record.changes);
      if (record.own !== undefined) own.add(record.own);
      else foreign.push(...record.changes);
      loaded.seq = Math.max(loaded.seq, record.seq);
      // A large batch is several records, of which a crash may have kept the first ones: those have no heads.
      heads = record.heads.length > 0 ? record.heads : undefined;
    }
    apply();
  } catch (error) {
    if (isDead(error) || (error instanceof WormholeError && error.code !== 'corrupt')) throw error;
    damage = messageOf(error);
  }
  document.findBuckets();
  document.learnHidden(foreign, all);
  if (log.isLong(0.1)) document.spread();
  return { heads: heads ?? document.heads(), ...(damage === undefined ? {} : { damage }) };
}

/** A new log and a snapshot that names it: the old files are out of use the moment the snapshot is in place. */
async function beginAnew(folder: string, loaded: Loaded, disk: LoadOptions['disk']): Promise<Loaded> {
  await loaded.log.close();
  const logName = `changes-${Number(LOG.exec(loaded.logName)?.[1] ?? 0) + 1}`;
  // Of an earlier attempt, without a snapshot that names it.
  await rm(join(folder, logName), { recursive: true, force: true });
  const { log } = await ChangeLog.open(join(folder, logName), disk);
  const anew: Loaded = { ...loaded, log, logName };
  await rewrite(folder, anew);
  return anew;
}

/** Writes what is in memory as the new snapshot. */
export async function rewrite(folder: string, { document, log, logName, own, seq }: Loaded): Promise<void> {
  const hidden = document.hiddenMaps();
  const header: SnapshotHeader = {
    heads: document.heads(),
    seq,
    log: logName,
    logNext: log.next,
    own: own.plain(),
    ...(hidden.length > 0 ? { hidden } : {}),
  };
  await writeSnapshot(snapshotPath(folder), { header, document: document.save() });
  await log.dropBefore(header.logNext);
}

export function sameHeads(a: Heads, b: Heads): boolean {
  return a.length === b.length && a.every((head, at) => head === b[at]);
}
