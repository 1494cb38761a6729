/** What two linked pods say to each other about the tree and about chunks. */
export { ChunkFetcher } from './chunk-fetcher.js';
export { serveChunks } from './chunk-server.js';
export { Sync, type SyncOptions } from './sync.js';
export { TreeSync } from './tree-sync.js';
export type { SharedResult } from './wait.js';
