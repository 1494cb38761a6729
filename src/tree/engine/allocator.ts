import { createHash } from 'node:crypto';
import { base32, LIMITS, type PodId, type Random } from '../../base/index.js';
import type { InodeId, OpId } from '../schema.js';

const RANDOM_BYTES = 5;
/** A batch of so many inodes may leave the rest of a bucket empty. */
const OWN_BUCKET_FROM = 64;
const INODE = /^([a-z0-9-]{1,40})\/([0-9a-f]{1,10})$/;

/**
 * Gives out inode ids: one after the other in buckets that this pod's start alone creates, so that no two
 * buckets of one name ever meet. Counters keep new files in few buckets.
 */
export class InodeAllocator {
  private readonly prefix: string;
  private given = 0;

  /** @param prefix of all its buckets; from {@link bucketPrefix}, a fresh one at every start */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  next(): InodeId {
    const number = this.given++;
    const bucket = Math.floor(number / LIMITS.bucketInodesMax).toString(36);
    const index = (number % LIMITS.bucketInodesMax).toString(16).padStart(2, '0');
    return `${this.prefix}${bucket}/${index}`;
  }

  /** Ids for a batch, in a bucket of its own where that pays: a fresh bucket is put as one value. */
  several(count: number): InodeId[] {
    const size = LIMITS.bucketInodesMax;
    if (count >= OWN_BUCKET_FROM && this.given % size !== 0) this.given += size - (this.given % size);
    return Array.from({ length: count }, () => this.next());
  }
}

/** 16 characters: the pod's short id and a random part of this start. */
export function bucketPrefix(pod: PodId, random: Random): string {
  return base32(Buffer.concat([Buffer.from(pod, 'hex').subarray(0, 5), random.bytes(RANDOM_BYTES)]));
}

/** The inode that a losing value becomes when somebody acts on its file: the same on every pod. */
export function derivedInode(version: OpId): InodeId {
  const digest = createHash('sha256').update(version).digest('hex');
  return `${derivedBucket(Number.parseInt(digest.slice(0, 2), 16) % LIMITS.derivedBuckets)}/${digest.slice(2, 12)}`;
}

/** The buckets of derived inodes, made by the document's first change. */
export function derivedBuckets(): string[] {
  return Array.from({ length: LIMITS.derivedBuckets }, (_, number) => derivedBucket(number));
}

function derivedBucket(number: number): string {
  return `made-${number.toString(16).padStart(2, '0')}`;
}

/** The two parts of an inode id, or undefined when it is none. */
export function parseInode(id: InodeId): { bucket: string; index: string } | undefined {
  const match = INODE.exec(id);
  return match === null ? undefined : { bucket: match[1] ?? '', index: match[2] ?? '' };
}
