/** Names by CRDT: the document's schema, local operations, the resolver, the index that readers use. */

export { podOfActor } from './engine/actor.js';
export type { Remembered } from './history/history.js';
export type { DeletedEntry, MassDeletion, PastVersion } from './history/records.js';
export type { NamedContent } from './index/contents.js';
export { giveUpTreeReserve, openTree, type TreeOptions } from './open-tree.js';
export { isOfPod } from './operations/patch.js';
export { type NameReport, unportableNames } from './portable-names.js';
export { parseConflictInode } from './resolver/tables.js';
export * from './schema.js';
export { type ConflictVersion, keepAll, keepOnly, versionsIn } from './settle.js';
export type * from './tree.js';
