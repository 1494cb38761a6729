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
  inviteLifetimeMsMax: 7 * 24 * 60 * 60 * 1000,
  /** A read whose chunk no reachable pod holds ends with EIO after this. */
  fetchTimeoutMs: 30_000,
  heartbeatIntervalMs: 5_000,
  /** A link that was silent for so long is dead. */
  heartbeatTimeoutMs: 15_000,
  handshakeTimeoutMs: 10_000,
  /** A TCP connection to a pod that is there takes milliseconds; one that is not is soon tried again. */
  connectTimeoutMs: 3_000,
  /** Values in one frame: each map key, map value and array item counts. Bounds the time to decode it. */
  frameItemsMax: 65_536,
  frameDepthMax: 32,
  /** The name of a message's type. */
  messageTypeCharactersMax: 64,
  /** A frame that is not whole after this ends its link. */
  frameTimeoutMs: 120_000,
  requestTimeoutMs: 30_000,
  /** Requests to one peer that wait for their answers; further ones wait here. */
  requestsInFlightMax: 256,
  /** Requests of one peer that run or wait here; further ones are answered with `busy`. */
  requestsServedMax: 1_024,
  /** Bulk requests of one peer that run at the same time. */
  bulkRequestsServedMax: 8,
  /** Messages without an answer whose handlers run; a peer that sends more is cut off. */
  messagesHandledMax: 16_384,
  /** Bulk data handed to a socket at a time: what a control message has to wait for. */
  bulkWindowBytes: 2 * 1024 * 1024,
  /** A peer for which more than this waits to be sent does not read, and is cut off. */
  linkBacklogBytesMax: 128 * 1024 * 1024,
  /** Connections that have not finished their handshake, in all and from one address. */
  halfOpenMax: 128,
  halfOpenPerAddressMax: 16,
  redialMinMs: 250,
  /** An address where a pod was seen within `addressFreshMs` is tried at least so often. */
  redialFreshMaxMs: 2_500,
  redialMaxMs: 30_000,
  addressFreshMs: 10 * 60 * 1000,
  /** A found address where no pod was seen for so long is forgotten. */
  addressForgetMs: 24 * 60 * 60 * 1000,
  addressesMax: 1_024,
  /** How long a joining pod looks for its inviter on the local network. */
  inviteSearchMs: 15_000,
} as const;
