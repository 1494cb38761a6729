import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firstOfName, segmentName } from './log-segment.js';
import { decodeHeader, tagBytes } from './record-frame.js';
import { type SegmentScan, scanSegment, syncedBehindGap } from './record-scan.js';

/** What the segments of a log hold; nothing was changed to find out. */
export interface Survey {
  tag: Buffer;
  /** The segments that are whole, and the whole part of the one with the gap. */
  scans: { first: number; scan: SegmentScan }[];
  next: number;
  /** Every record below was durable at some time, as the frames say. */
  synced: number;
  gap: Gap | undefined;
}

/** Where the row of whole records ends although there are more bytes. */
export interface Gap {
  /** First number of the segment. */
  first: number;
  /** 0: the whole segment does not belong here. */
  offset: number;
  /** The record at the gap was durable once: the disk lost it. Otherwise it is what a crash leaves. */
  damage: boolean;
}

/** First numbers of the segments in a folder, in order. */
export async function segmentFirsts(folder: string): Promise<number[]> {
  const firsts = (await readdir(folder)).map(firstOfName);
  return firsts.filter((first) => first !== undefined).sort((a, b) => a - b);
}

/** Reads the segments in order up to the first gap, and judges the gap by what lies behind it. */
export async function surveyLog(folder: string): Promise<Survey> {
  const firsts = await segmentFirsts(folder);
  const oldest = firsts[0] ?? 0;
  const survey: Survey = { tag: Buffer.alloc(tagBytes), scans: [], next: oldest, synced: 0, gap: undefined };
  for (const [index, first] of firsts.entries()) {
    const bytes = await readFile(join(folder, segmentName(first)));
    if (index === 0) {
      const header = decodeHeader(bytes);
      // The oldest segment was durable with its header before it became the oldest.
      if (header?.first !== first) return { ...survey, gap: { first, offset: 0, damage: true } };
      survey.tag = header.tag;
    }
    const scan = first === survey.next ? scanSegment(bytes, survey.tag, first) : undefined;
    if (scan !== undefined) {
      survey.scans.push({ first, scan });
      survey.next = scan.next;
      survey.synced = Math.max(survey.synced, scan.synced);
    }
    if (scan === undefined || !scan.whole) {
      const offset = scan?.wholeBytes ?? 0;
      const synced = await syncedFrom(folder, firsts.slice(index), offset, survey);
      return { ...survey, gap: { first, offset, damage: synced > survey.next } };
    }
  }
  return survey;
}

/** The highest `synced` of whole frames behind a gap in the first of these segments. */
async function syncedFrom(folder: string, firsts: number[], offset: number, survey: Survey): Promise<number> {
  let synced = 0;
  let from = offset;
  for (const first of firsts) {
    const bytes = await readFile(join(folder, segmentName(first)));
    synced = Math.max(synced, syncedBehindGap(bytes, from, survey.tag, survey.next));
    from = 0;
  }
  return synced;
}
