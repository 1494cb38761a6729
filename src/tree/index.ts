/** Names by CRDT: the document's schema, local operations, the resolver, the index that readers use. */
export * from './schema.js';
export type * from './tree.js';
