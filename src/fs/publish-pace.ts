import { LIMITS } from '../base/index.js';

/** What a disk is thought to take in, before there is a measurement. */
const BYTES_PER_SECOND = 100_000_000;
/** So many times as long as a publication takes passes before the next. */
const PAUSES = 4;

export interface Paced {
  content: {
    /** Bytes that publishing now would have to cut and store, about. */
    publishBytes: number;
  };
  /** How long the last publication took; 0 when there was none. */
  publicationMs: number;
}

/**
 * How long after its first unpublished write a file that is held open and written is published. A publication reads,
 * cuts and stores all around what was written: it takes at most a fifth of the time, so that a database, or a large
 * file that is still growing, leaves the disk to its writer. Only the first part of a large file goes early, where it is
 * `awaited` by other pods: they fetch it while the rest is being written.
 */
export function publishPauseMs(
  { content, publicationMs }: Paced,
  intervalMs: number,
  awaited = false,
): number {
  if (awaited && publicationMs === 0 && content.publishBytes >= LIMITS.publishEarlyBytes)
    return Math.min(intervalMs, LIMITS.publishEarlyMs);
  const expectedMs = Math.max(publicationMs, (content.publishBytes / BYTES_PER_SECOND) * 1000);
  return Math.max(intervalMs, Math.min(PAUSES * expectedMs, LIMITS.publishIntervalMsMax));
}
