/** What two linked pods say to each other about the tree and about chunks. */
export { ChunkFetcher, type ChunkFetcherOptions } from './chunk-fetcher.js';
export { type ChunkServerOptions, serveChunks } from './chunk-server.js';
export { sameHeads } from './heads.js';
export { TreeSync, type TreeSyncEvents, type TreeSyncOptions } from './tree-sync.js';
