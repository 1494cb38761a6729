/** Bytes by their hash: chunker, manifests, chunk store, LRU cache, staging. */
export { tableOfSaved } from './chunks/small-chunks.js';
export { Fingerprints } from './collection/fingerprints.js';
export type * from './content.js';
export { MissingChunk } from './missing-chunk.js';
export { type ContentStoreOptions, giveUpContentReserve, openContentStore } from './open.js';
