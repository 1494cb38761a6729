import { PEERS_TABLE } from './engine/peer-states.js';
import { HISTORY_TABLES } from './history/tables.js';
import { INDEX_TABLES } from './index/database-tables.js';

/** All tables of the index's database: a name that rotted is none of them. */
export const INDEX_DATABASE_TABLES: readonly string[] = [...INDEX_TABLES, ...HISTORY_TABLES, PEERS_TABLE];
