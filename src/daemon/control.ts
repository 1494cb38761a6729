import type { ErrorCode } from '../base/index.js';
import type {
  ConfigApplied,
  ConfigEntry,
  ConfigPlan,
  ConfigShown,
  ConflictReport,
  Evicted,
  FileHistory,
  Fsck,
  Inspection,
  Listed,
  MassDeletionStatus,
  Metric,
  NameReport,
  Pinned,
  PodDetails,
  Restored,
  Role,
  ScrubResult,
  Status,
  SyncResult,
  Transferred,
  Trashed,
} from './answers.js';

export type * from './answers.js';

/** Every call of the control socket: its arguments and its result. */
export interface ControlCalls {
  status: { arguments: Record<string, never>; result: Status };
  pods: { arguments: Record<string, never>; result: PodDetails[] };
  invite: {
    /** `pod`: the only name that may join by it, or null for any. */
    arguments: { role: Role; lifetimeMs: number; pod: string | null };
    result: { code: string; expires: string };
  };
  sync: { arguments: { copies: number | null; timeoutMs: number | null }; result: SyncResult };
  inspect: { arguments: { path: string }; result: Inspection };
  list: { arguments: { path: string }; result: Listed[] };
  history: { arguments: { path: string }; result: FileHistory };
  trash: { arguments: { path: string }; result: Trashed[] };
  /** `version` as in the history, null: what was deleted or overwritten last; `to`: a path that is free. */
  restore: { arguments: { path: string; version: string | null; to: string | null }; result: Restored };
  undo: {
    arguments: Record<string, never>;
    result: { undone: MassDeletionStatus; entries: number };
  };
  pin: { arguments: { path: string }; result: Pinned };
  unpin: { arguments: { path: string }; result: Pinned };
  evict: { arguments: { path: string }; result: Evicted };
  fsck: { arguments: { readData: boolean }; result: Fsck };
  conflicts: { arguments: { names: boolean }; result: { conflicts: ConflictReport[]; names: NameReport[] } };
  /** `keep`: `mine`, `theirs`, `both`, or the id of a version (its beginning is enough). */
  resolve: { arguments: { path: string; keep: string }; result: { path: string; kept: string[] } };
  metrics: { arguments: Record<string, never>; result: Metric[] };
  /** `source`: a folder of this machine; `path`: where in the tree, made when it is missing. */
  import: { arguments: { source: string; path: string }; result: Transferred };
  /** `target`: a folder of this machine, made when it is missing. */
  export: { arguments: { path: string; target: string }; result: Transferred };
  config: { arguments: Record<string, never>; result: ConfigShown };
  configHistory: { arguments: Record<string, never>; result: ConfigEntry[] };
  /** The text is the whole of a `wormhole.yaml`. */
  plan: { arguments: { text: string }; result: ConfigPlan };
  apply: { arguments: { text: string }; result: ConfigApplied };
  /** Declares again what was in force before the present declaration. */
  configUndo: { arguments: Record<string, never>; result: ConfigApplied };
  freeze: { arguments: { frozen: boolean }; result: { frozen: boolean } };
  /** `dead`: without waiting until the others hold what it held. */
  remove: {
    arguments: { pod: string; dead: boolean; timeoutMs: number | null };
    result: { removed: string };
  };
  /** `abandon`: even though something is on this pod only. The daemon ends afterwards. */
  leave: {
    arguments: { abandon: boolean; timeoutMs: number | null };
    result: { onlyHere: number; pid: number };
  };
  /** `plan`: only tells. */
  /** `waiting`: why more may have to stay for now, or null. */
  rebalance: {
    arguments: { plan: boolean };
    result: { chunks: number; bytes: number; waiting: string | null };
  };
  scrub: { arguments: Record<string, never>; result: ScrubResult };
  /** Answered at once; the daemon is down when its process is gone. */
  stop: { arguments: Record<string, never>; result: { pid: number } };
}

export type ControlName = keyof ControlCalls;

/** A line of an answer: any number of progress lines, then a result or an error. */
export type ControlLine =
  | { progress: string }
  | { result: unknown }
  | { error: { code: ErrorCode; message: string } };
