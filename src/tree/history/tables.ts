/** Tables of the index's database that a rebuild of the index leaves as they are. */
export const PAST_TABLE = 'history-past';
export const DELETED_TABLE = 'history-deleted';
export const MASS_TABLE = 'history-mass';
export const STATE_TABLE = 'history-state';
