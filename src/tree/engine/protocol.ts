import type { ErrorCode, LogLevel, PodId } from '../../base/index.js';
import type { Operation } from '../schema.js';
import type { EngineEvents, EngineReady } from './client.js';
import type { Engine } from './engine.js';

/** What the document's thread is started with. */
export interface ThreadSettings {
  folder: string;
  database: string;
  podId: PodId;
  podName: string;
  network: Uint8Array;
  founder: boolean;
  /** The thread before this one could not flush its log. */
  anew: boolean;
}

/** What peers, through the main thread, may ask of the document. */
export type Requests = Pick<
  Engine,
  | 'contains'
  | 'generate'
  | 'receive'
  | 'applyChanges'
  | 'disconnect'
  | 'snapshotForPeer'
  | 'adoptSnapshot'
  | 'forgetHistory'
>;
export type Method = keyof Requests;

export type ToThread =
  | { kind: 'apply'; operations: readonly Operation[] }
  | { kind: 'request'; id: number; method: Method; argument: readonly unknown[] }
  | { kind: 'close' };

export type FromThread =
  | { kind: 'ready'; ready: EngineReady }
  /** One `apply` was worked through, or is held until it can be. */
  | { kind: 'applied' }
  | { kind: 'event'; event: EngineEvent }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'refusal'; id: number; error: PlainError }
  | { kind: 'log'; level: LogLevel; part: string; message: string; fields: Record<string, unknown> }
  /** The thread ends. `curable`: a new one may fare better. */
  | { kind: 'fatal'; error: PlainError; curable: boolean };

export type EngineEvent = {
  [Name in EventName]: { name: Name; value: EngineEvents[Name] };
}[EventName];

type EventName = 'echo' | 'shown' | 'changes' | 'durable' | 'state';

export interface PlainError {
  code: ErrorCode;
  message: string;
}
