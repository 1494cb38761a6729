import { randomBytes } from 'node:crypto';
import { closeSync, fdatasync, openSync, readSync, writeSync } from 'node:fs';
import { open, readdir, rename, rm, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { diskError, isFull, syncDirectory } from '../base/index.js';
import { makeFolder } from './folder.js';
import { type LogDisk, type Segment, segmentName, writeFully } from './log-segment.js';
import { type Gap, type Survey, segmentFirsts, surveyLog } from './log-survey.js';
import { encodeHeader, headerBytes, tagBytes } from './record-frame.js';
import type { LogCondition, RecordLog } from './record-log.js';
import { readSegment } from './segment-reader.js';
import { SegmentedLog } from './segmented-log.js';

export interface RecordLogOptions {
  /** A segment that would grow past this gets a successor. */
  segmentBytes?: number;
  disk?: LogDisk;
  /** Called with each record in order, unless the log is damaged: the first that it refuses is cut off with all
   *  that follow. */
  accept?: (record: Uint8Array) => boolean;
}

const segmentBytesDefault = 64 * 1024 * 1024;
const copyBytes = 1024 * 1024;
const fileMode = 0o600;

const fdatasyncInBackground = promisify(fdatasync);

export const systemLogDisk: LogDisk = {
  write: (fd, bytes, offset, length, position) => writeSync(fd, bytes, offset, length, position),
  sync: (fd) => fdatasyncInBackground(fd),
  syncFolder: syncDirectory,
};

/**
 * Opens the log in a folder, or makes it. A torn tail is cut off; a damaged log opens read-only with what
 * precedes the damage (contract D8). What is kept is durable when this resolves.
 * @throws WormholeError `full` or `io` when the folder cannot be used
 */
export async function openRecordLog(
  folder: string,
  options: RecordLogOptions = {},
): Promise<{ log: RecordLog; condition: LogCondition }> {
  try {
    return await openSegments(folder, options);
  } catch (error) {
    throw diskError(`the log ${folder}`, error);
  }
}

async function openSegments(folder: string, options: RecordLogOptions) {
  const disk = options.disk ?? systemLogDisk;
  await prepareFolder(disk, folder);
  let survey = await surveyLog(folder);
  const condition: LogCondition = { tornBytes: 0 };
  if (survey.gap?.damage) {
    condition.damagedAt = { segment: segmentName(survey.gap.first), offset: survey.gap.offset };
  } else if (survey.gap !== undefined) {
    condition.tornBytes = await cutTail(disk, folder, survey.gap);
  }
  const writable = condition.damagedAt === undefined;
  const refused = writable && options.accept ? firstRefused(folder, survey, options.accept) : undefined;
  if (refused !== undefined) {
    condition.tornBytes += await cutTail(disk, folder, refused);
    survey = await surveyLog(folder);
  }
  const segments = segmentsOf(folder, survey);
  const last = segments[segments.length - 1];
  if (writable && last !== undefined) last.fd = openSync(last.path, 'r+');
  if (writable) await makeDurable(disk, folder, segments, survey.synced);
  const state = { folder, tag: survey.tag, disk, segments, next: survey.next, durable: survey.next };
  const segmentBytes = options.segmentBytes ?? segmentBytesDefault;
  return { log: new SegmentedLog({ ...state, segmentBytes, condition }), condition };
}

/** Makes the folder and its first segment, durable with their names, and removes what a crash left of that. */
async function prepareFolder(disk: LogDisk, folder: string): Promise<void> {
  makeFolder(folder);
  for (const name of await readdir(folder)) {
    if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
  }
  if ((await segmentFirsts(folder)).length > 0) return;
  const path = join(folder, segmentName(0));
  const handle = await open(`${path}.tmp`, 'w', fileMode);
  try {
    await handle.writeFile(encodeHeader({ tag: randomBytes(tagBytes), first: 0 }));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.tmp`, path);
  await disk.syncFolder(folder);
}

function segmentsOf(folder: string, { scans }: Survey): Segment[] {
  return scans.map(({ first, scan }) => {
    const path = join(folder, segmentName(first));
    return { first, path, marks: scan.marks, bytes: scan.wholeBytes, fd: undefined, dirty: false };
  });
}

function firstRefused(
  folder: string,
  survey: Survey,
  accept: (record: Uint8Array) => boolean,
): Gap | undefined {
  for (const segment of segmentsOf(folder, survey)) {
    let offset = headerBytes;
    for (const frame of readSegment(segment, survey.tag, segment.first)) {
      if (!accept(frame.record)) return { first: segment.first, offset, damage: false };
      offset += frame.bytes;
    }
  }
  return undefined;
}

/** Takes away what a crash left behind the last whole record. @returns the bytes that went */
async function cutTail(disk: LogDisk, folder: string, gap: Gap): Promise<number> {
  const firsts = (await segmentFirsts(folder)).filter((first) => first >= gap.first);
  let cut = -gap.offset;
  // From the end, so that a crash in here never leaves a hole in the row of segments.
  for (const first of firsts.reverse()) {
    const path = join(folder, segmentName(first));
    cut += (await stat(path)).size;
    if (first === gap.first && gap.offset > 0) await truncate(path, gap.offset);
    else await unlink(path);
    await disk.syncFolder(folder);
  }
  return cut;
}

/**
 * Writes everything that is not known to be durable once more, and flushes it. After a failed or missing
 * fdatasync the kernel may hold pages that it takes for clean but that never reached the disk: an fdatasync
 * alone would answer 0 for them (contract D7).
 */
async function makeDurable(
  disk: LogDisk,
  folder: string,
  segments: Segment[],
  synced: number,
): Promise<void> {
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1]?.first ?? Number.POSITIVE_INFINITY;
    if (next <= synced) continue;
    const from = segment.marks.findLast((mark) => mark.number <= synced)?.offset ?? 0;
    const fd = segment.fd ?? openSync(segment.path, 'r+');
    try {
      writeAgain(disk, fd, from, segment.bytes);
      await disk.sync(fd);
    } finally {
      if (segment.fd === undefined) closeSync(fd);
    }
  }
  await disk.syncFolder(folder);
}

function writeAgain(disk: LogDisk, fd: number, from: number, to: number): void {
  const bytes = Buffer.allocUnsafe(Math.min(copyBytes, to - from));
  try {
    for (let at = from; at < to; ) {
      const length = readSync(fd, bytes, 0, Math.min(bytes.length, to - at), at);
      if (length === 0) return;
      writeFully(disk, fd, bytes, length, at);
      at += length;
    }
  } catch (error) {
    // Where overwriting takes new blocks, a full disk must not keep the log from opening (contract D11).
    if (!isFull(error)) throw error;
  }
}
