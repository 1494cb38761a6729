/** Every limit has a name, a unit and this one home. Formats depend on none of them but where it is said. */
export const LIMITS = {
  /** A file name, as the kernel counts it. */
  nameBytesMax: 255,
  symlinkTargetBytesMax: 4095,
  xattrNameBytesMax: 255,
  xattrValueBytesMax: 65_536,
  /** All extended attributes of one inode; they travel in one register. */
  xattrTotalBytesMax: 65_536,
  /** One frame on a link, before anything of it is parsed: the largest chunk and what surrounds it. */
  frameBytesMax: 4 * 1024 * 1024 + 64 * 1024,
  /** A file, holes included: lengths in manifests have 48 bits. */
  fileBytesMax: 2 ** 46,
  /** A file up to this size is one chunk, and is staged in memory. */
  smallFileBytesMax: 64 * 1024,
  /** Addresses that a pod tells the other members. */
  ownAddressesMax: 16,
  /** No chunk is larger (part of the format of content, version 1). */
  chunkBytesMax: 4 * 1024 * 1024,
  /** Inodes in one bucket of the document (part of its schema, version 1). */
  bucketInodesMax: 256,
  /** Buckets of derived inodes, which the document's first change makes (part of its schema, version 1). */
  derivedBuckets: 256,
  /** One register's value in the document; what is longer is ignored as not ours. */
  registerBytesMax: 128 * 1024,
  /** One change of the document (a group of local operations is cut long before), packed and unpacked. */
  changeBytesMax: 32 * 1024 * 1024,
  /** Operations in one change; an honest group has some thousands at the most. */
  changeOperationsMax: 1_000_000,
  /** One sync message of the tree (a cold join by plain sync carries the whole document). */
  treeMessageBytesMax: 512 * 1024 * 1024,
  /** Remote changes that go into the document at once. */
  remoteBatchChangesMax: 1_000,
  /** A document larger than this goes to a cold joiner as a snapshot. */
  coldJoinSnapshotBytes: 1024 * 1024,
  /** A snapshot is taken when idle once the change log holds this much, at once when it holds twice as much. */
  changeLogBytesMax: 16 * 1024 * 1024,
  changeLogChangesMax: 5_000,
  /** Local operations wait so long for others to join their group. */
  groupDelayMs: 5,
  /** While changes keep coming and the disk is slow, they are gathered for up to so long. */
  groupDelayMsMax: 50,
  /** While they come by the hundred, for up to so long: many at once cost a fraction of the same one by one. */
  groupBulkDelayMsMax: 1_000,
  groupOperationsMax: 4_096,
  /** Inodes that one group writes to, unless a single operation does to more. */
  groupWritesMax: 4_096,
  /** Changes that go on following one another faster than this are a stream, whose groups wait for longer. */
  streamGapMs: 10,
  streamDelayMs: 50,
  /** Inodes and names of others' changes that the mount's thread takes note of at a time. */
  echoEntriesMax: 4_096,
  /** From so many local operations that wait for the document on, whoever makes them is asked to wait. */
  pendingOperationsHigh: 10_000,
  /** Beyond so many, further ones are refused. */
  pendingOperationsMax: 200_000,
  /** After close() a power cut loses nothing older than this (contract D2). */
  closeDurableWithinMs: 5_000,
  /** Remote changes that wait to be told to file watchers; more at once are a bulk that nobody is told of. */
  watchedChangesMax: 4_096,
  /** A file that is held open and written is published this often. */
  publishIntervalMs: 5_000,
  /** Of a large file that is being written and that others wait for, what came so far is published after this. */
  publishEarlyMs: 750,
  publishEarlyBytes: 64 * 1024 * 1024,
  /** Less often where that takes long, but at least so. */
  publishIntervalMsMax: 60_000,
  /** Pause before a failed publication is tried again. */
  publishRetryMs: 2_000,
  /** The daemon's log; what is older is in up to `oldLogs` files beside it. */
  logBytesMax: 8 * 1024 * 1024,
  oldLogs: 3,
  /** A folder of at least so many entries that loses more than half of them at once: contract D21. */
  massDeletionEntriesMin: 20,
  /** Deletions of one pod with no longer pause between them are at once. */
  massDeletionPauseMs: 30_000,
  /** Inodes that one operation brings back: a few milliseconds on the mount's thread. */
  restoredPerOperation: 250,
  inviteLifetimeMs: 10 * 60 * 1000,
  inviteLifetimeMsMax: 7 * 24 * 60 * 60 * 1000,
  /** A read whose chunk no reachable pod holds ends with EIO after this, unless `pod.yaml` says otherwise. */
  fetchTimeoutMs: 30_000,
  heartbeatIntervalMs: 5_000,
  /** A link that was silent for so long is dead. */
  heartbeatTimeoutMs: 15_000,
  handshakeTimeoutMs: 10_000,
  /** A TCP connection to a pod that is there takes milliseconds; one that is not is soon tried again. */
  connectTimeoutMs: 3_000,
  /** Values in one frame: each map key, map value and array item counts. Bounds the time to decode it. */
  frameItemsMax: 32_768,
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
  /** What bulk data may add to the time that a control message takes on a slow line. */
  lineQueueMs: 150,
  /** Bytes on their way to one peer: at first, and within these bounds by what its line was seen to carry. */
  lineWindowBytesStart: 256 * 1024,
  lineWindowBytesMin: 64 * 1024,
  lineWindowBytesMax: 32 * 1024 * 1024,
  /** Parts that one frame is cut into. */
  framePartsMax: 1_024,
  /** A peer for which more than this waits to be sent does not read, and is cut off. */
  linkBacklogBytesMax: 128 * 1024 * 1024,
  /** Connections that have not finished their handshake, in all and from one address. */
  halfOpenMax: 128,
  halfOpenPerAddressMax: 16,
  /** Addresses tried at the same time. */
  dialsMax: 32,
  /** Connections of one peer that wait to be chosen as the link. */
  waitingLinksMax: 4,
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
  /** From the upgrade to the end of the exchange that makes a member. */
  joinTimeoutMs: 60_000,
  /** So long a used or expired invitation is remembered, to say so to whoever tries it. */
  inviteRememberedMs: 60 * 60 * 1000,
  invitesMax: 256,
  podNameBytesMax: 255,
  /** Services taken from the answers to one question on the local network. */
  servicesPerQueryMax: 512,
  /** Addresses taken from one announcement on the local network. */
  announcedAddressesMax: 8,
  // ---- content, all in bytes but where the name says otherwise
  /** Verified chunks held in memory for readers. */
  chunkMemoryBytesMax: 48 * 1024 * 1024,
  /** Chunk lists of open files held in memory. */
  layoutMemoryBytesMax: 64 * 1024 * 1024,
  /** What one sequential reader has fetched ahead of itself. */
  readAheadBytesMax: 16 * 1024 * 1024,
  /** Chunks being loaded or fetched ahead, all readers together. */
  readAheadTotalBytesMax: 48 * 1024 * 1024,
  /** Fetched chunks that wait to be written to disk. */
  writeBehindBytesMax: 32 * 1024 * 1024,
  /** A fetched chunk that does not hash to its id is asked for again so often. */
  fetchAttemptsMax: 3,
  /** Damaged chunks that are kept for people to look at. */
  damagedChunksMax: 1_000,
  /** Threads of libuv's pool that wait for the disk at once: for the chunks of one thread, and for staged files. On a disk
   *  that takes a second for each fsync, the others answer the mount. */
  diskWaitsMax: 5,
  /** Small chunks leave the log for the database in batches of about this size. */
  smallBatchBytes: 4 * 1024 * 1024,
  /** Small chunks in memory that are not yet in the database; beyond, writers wait. */
  smallPendingBytesMax: 64 * 1024 * 1024,
  /** Chunks that this pod need not hold, together, unless it is declared otherwise. */
  cacheBytesDefault: 20_000_000_000,
  /** Chunks that may be evicted; beyond, the oldest goes however small. */
  evictableChunksMax: 262_144,
  /** Small files being written that are staged in memory, together; beyond, staging goes to disk. */
  stagedMemoryBytesMax: 8 * 1024 * 1024,
  /** A database's file of up to this size is looked at before each use; a larger one where its last use was not ended.
   *  Bytes. */
  databaseInspectedBytes: 64 * 1024 * 1024,
  /** Disk space held back so that what write() accepted into memory can be stored on a disk that filled up. */
  reserveBytes: 16 * 1024 * 1024,
  /** Free disk space below which write() answers that the disk is full. */
  freeFloorBytes: 64 * 1024 * 1024,
  /** Staging files of one open file (a fresh one takes the writes that arrive during a publication). */
  stagingFilesMax: 4,
  /** Publications of large contents that run at once. */
  publicationsMax: 4,
  /** What an owner was told about publications is waited for so long before staged bytes are let go. */
  stagingSettleMs: 250,
  /** Closing the store waits so long for that. */
  stagingCloseMs: 2_000,
  /** Chunks that nothing names are looked for an eighth of the declared history after the last time, within these
   *  bounds, and for the first time so long after a start. */
  collectIntervalMsMin: 60_000,
  collectIntervalMsMax: 60 * 60 * 1000,
  collectFirstMs: 10 * 60 * 1000,
  /** What went out of the tree stays for so long at least, however short the declared history. */
  collectGraceMs: 60_000,
  /** Contents without a list of chunks that are remembered from one round of collection to the next. */
  lostListsMax: 100_000,
  /** A member that was not there for so long does not keep others from collecting (of their own time of running). */
  collectAbsentMsMax: 180 * 24 * 60 * 60 * 1000,
  /** Who told another pod that it keeps a chunk does so for this long at least; in all so many. */
  keptLeaseMs: 10 * 60 * 1000,
  keptLeasesMax: 262_144,
  /** Small chunks and cache order go to the database this often. */
  contentUpkeepMs: 1_000,
  /** One record of a log in the store; the most that is read or written in one piece. */
  recordBytesMax: 256 * 1024 * 1024,
  /** One key of the database, in UTF-8: what LMDB takes with pages of 4 KiB. */
  databaseKeyBytesMax: 1978,
} as const;
