/** The embedded database and the record logs: tables, atomic batches, durable flush, format version. */
export type * from './database.js';
export { makeFolder } from './folder.js';
export { type DatabaseOptions, openDatabase } from './lmdb-database.js';
export type { SavedRow } from './lmdb-remains.js';
export type { LogDisk } from './log-segment.js';
export { openRecordLog, type RecordLogOptions, systemLogDisk } from './open-record-log.js';
export type * from './record-log.js';
export { openSoundDatabase } from './sound-database.js';
export { openStore, type Store } from './store.js';
export { lockFile, type StoreLock } from './store-lock.js';
export { beginUnflushed, markUnflushed, spoilUnflushed, type UnflushedSession } from './unflushed.js';
