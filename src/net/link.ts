import type { Emitter, PodId } from '../base/index.js';

/** Small tree and control messages overtake bulk data; within one priority, order is kept. */
export type Priority = 'control' | 'bulk';

/**
 * An authenticated, encrypted, ordered connection to one peer. Messages are CBOR values with a type; a
 * request has one answer. Bodies are checked by whoever handles them: a peer may send anything.
 */
export interface Link {
  /** From the peer's key, as the handshake proved it. */
  readonly peer: PodId;
  /** `host:port` of the other end. */
  readonly address: string;
  /** Smoothed round trip, or undefined before the first heartbeat. */
  readonly roundTripMs: number | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly open: boolean;
  /** Fire and forget. Nothing is sent on a link that has gone. A body is plain data (numbers, texts, bytes, arrays,
   *  objects) and at most LIMITS.frameBytesMax when encoded; it is encoded before this returns.
   *  @throws WormholeError `too-large` | `invalid` when the body cannot be sent */
  send(type: string, body: unknown, priority?: Priority): void;
  /** Resolves with the answer's body. Aborting tells the peer to stop. The priority is above all that of the
   *  answer: a small question for bulk data is itself sent as control. Byte strings in the answer are views into
   *  the frame that brought it: copy what should outlive a larger frame.
   *  @throws WormholeError the peer's own code, or `timeout` | `closed` | `interrupted` */
  request(
    type: string,
    body: unknown,
    options?: { timeoutMs?: number; signal?: AbortSignal; priority?: Priority },
  ): Promise<unknown>;
  /** Resolves when so little waits to be sent that another bulk message is welcome, or when the link has gone.
   *  Who sends much awaits it: a link with LIMITS.linkBacklogBytesMax waiting is cut. */
  drained(): Promise<void>;
  close(reason: string): void;
}

export interface LinkEvents extends Record<string, unknown> {
  up: Link;
  down: { link: Link; reason: string };
}

/** A handler's return value (or promise) answers a request; for a `send` it is dropped. */
export type Handler = (link: Link, body: unknown, signal: AbortSignal) => unknown;

/** All links of one pod: at most one a peer, found by mDNS or by address, kept up with backoff. */
export interface Links {
  readonly events: Emitter<LinkEvents>;
  /** One handler a type, set before `start`. */
  handle(type: string, handler: Handler): void;
  get(peer: PodId): Link | undefined;
  list(): Link[];
  /** Tries an address beside what discovery finds; it is tried again with backoff while it fails. */
  dial(address: string): void;
  /** Closes links to peers that are no longer admitted, and dials those that now are. */
  membersChanged(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The port it listens on. */
  readonly port: number;
}
