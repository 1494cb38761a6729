/** Bytes by their hash: chunker, manifests, chunk store, LRU cache, staging. */
export type * from './content.js';
