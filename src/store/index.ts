/** The embedded database and the record logs: tables, atomic batches, durable flush, format version. */
export type * from './database.js';
export type * from './record-log.js';
