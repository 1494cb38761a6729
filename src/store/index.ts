/** The embedded database and the record logs: tables, atomic batches, durable flush, format version. */
export type * from './database.js';
export { type DatabaseOptions, openDatabase } from './lmdb-database.js';
export { openRecordLog, type RecordLogOptions } from './open-record-log.js';
export type * from './record-log.js';
