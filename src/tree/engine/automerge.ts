import { createRequire } from 'node:module';
import type { decodeChange, decodeSyncMessage, getBackend } from '@automerge/automerge';

/**
 * The one place that touches Automerge. The package's public API materialises the whole document in JavaScript
 * (a thousand times too slow at 100,000 files) and hides the sync state, so we use the WASM binding that the
 * package itself loads on Node. That file is not a public export: the version is pinned exactly, and
 * test/tree/engine/automerge.test.ts holds every behaviour that we rely on.
 */
export type Handle = ReturnType<typeof getBackend>;
export type SyncState = Parameters<Handle['generateSyncMessage']>[0];
export type DecodedChange = ReturnType<typeof decodeChange>;
export type DecodedSyncMessage = ReturnType<typeof decodeSyncMessage>;

export interface Binding {
  create(options: { actor: string }): Handle;
  /** @throws Error when the bytes are no document; damage inside may go unnoticed (frame them) */
  load(data: Uint8Array, options: { actor: string }): Handle;
  /** @throws Error when the bytes are no change; does not compare the checksum of every part */
  decodeChange(change: Uint8Array): DecodedChange;
  decodeSyncMessage(message: Uint8Array): DecodedSyncMessage;
  initSyncState(): SyncState;
  encodeSyncState(state: SyncState): Uint8Array;
  decodeSyncState(data: Uint8Array): SyncState;
}

const path = new URL(
  '../wasm_bindgen_output/nodejs/automerge_wasm.cjs',
  import.meta.resolve('@automerge/automerge'),
).pathname;

export const automerge: Binding = createRequire(import.meta.url)(decodeURIComponent(path));

/** The WASM instance is unusable after a trap or a panic: whoever sees this must end the thread. */
export function isDead(error: unknown): boolean {
  return error instanceof Error && (error.name === 'RuntimeError' || error.name === 'PanicError');
}
