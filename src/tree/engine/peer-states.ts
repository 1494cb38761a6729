import type { PodId } from '../../base/index.js';
import type { Database } from '../../store/index.js';
import type { Heads } from '../schema.js';
import { automerge, type SyncState } from './automerge.js';

export const PEERS_TABLE = 'tree-peers';

/**
 * What each peer is known to have, by Automerge's sync protocol. Kept over restarts: with a fresh state a
 * reconnect at a million changes costs megabytes and seconds. An old state is as good, only less precise.
 */
export class PeerStates {
  private readonly database: Database;
  private readonly contains: (heads: Heads) => boolean;
  private readonly states = new Map<PodId, SyncState>();

  constructor(database: Database, contains: (heads: Heads) => boolean) {
    this.database = database;
    this.contains = contains;
  }

  of(peer: PodId): SyncState {
    let state = this.states.get(peer);
    if (state === undefined) {
      state = this.load(peer) ?? automerge.initSyncState();
      this.states.set(peer, state);
    }
    return state;
  }

  /** Forgets the conversation, keeps what is known. */
  async disconnect(peer: PodId): Promise<void> {
    if (!this.states.has(peer)) return;
    await this.save([peer]);
    this.states.get(peer)?.free();
    this.states.delete(peer);
  }

  async save(peers: Iterable<PodId> = this.states.keys()): Promise<void> {
    const writes = [...peers].map((peer) => ({
      table: PEERS_TABLE,
      key: peer,
      value: automerge.encodeSyncState(this.of(peer)),
    }));
    if (writes.length > 0) await this.database.write(writes);
  }

  /** Begins anew with everyone: the document is another one. */
  reset(): void {
    for (const state of this.states.values()) state.free();
    this.states.clear();
  }

  /** A state that speaks of heads we no longer have (a store put back from a backup, a power cut) would make the
   *  peer hold back what we lost: then begin anew. */
  private load(peer: PodId): SyncState | undefined {
    const bytes = this.database.table(PEERS_TABLE).get(peer);
    if (bytes === undefined) return undefined;
    try {
      const state = automerge.decodeSyncState(Uint8Array.from(bytes));
      return this.contains(state.sharedHeads) ? state : undefined;
    } catch {
      return undefined;
    }
  }
}
