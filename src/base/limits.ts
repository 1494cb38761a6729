/** Every limit has a name, a unit and this one home. Formats depend on none of them but where it is said. */
export const LIMITS = {
  /** A file name, as the kernel counts it. */
  nameBytesMax: 255,
  symlinkTargetBytesMax: 4095,
  xattrNameBytesMax: 255,
  xattrValueBytesMax: 65_536,
  /** All extended attributes of one inode; they travel in one register. */
  xattrTotalBytesMax: 65_536,
  /** One frame on a link, before anything of it is parsed. */
  frameBytesMax: 4 * 1024 * 1024,
  /** A file up to this size is one chunk, and is staged in memory. */
  smallFileBytesMax: 64 * 1024,
  /** No chunk is larger (part of the format of content, version 1). */
  chunkBytesMax: 4 * 1024 * 1024,
  /** Inodes in one bucket of the document (part of its schema, version 1). */
  bucketInodesMax: 256,
  /** Local operations wait so long for others to join their group. */
  groupDelayMs: 5,
  groupOperationsMax: 256,
  /** After close() a power cut loses nothing older than this (contract D2). */
  closeDurableWithinMs: 5_000,
  /** A file that is held open and written is published this often. */
  publishIntervalMs: 5_000,
  /** Pause before a failed publication is tried again. */
  publishRetryMs: 2_000,
  inviteLifetimeMs: 10 * 60 * 1000,
  /** A read whose chunk no reachable pod holds ends with EIO after this. */
  fetchTimeoutMs: 30_000,
  heartbeatIntervalMs: 5_000,
  /** A link that was silent for so long is dead. */
  heartbeatTimeoutMs: 15_000,
  handshakeTimeoutMs: 10_000,
} as const;
