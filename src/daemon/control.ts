import { closeSync, openSync } from 'node:fs';
import { request } from 'node:http';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { type ErrorCode, errorFrom, WormholeError } from '../base/index.js';

/** Roles as the declaration names them. */
export type Role = 'storage' | 'portal';

export interface PodStatus {
  name: string;
  id: string;
  role: Role;
  /** `self`, `up` or `down`. */
  link: 'self' | 'up' | 'down';
  /** `host:port` of the link, or null. */
  address: string | null;
  /** ISO 8601, or null when never. */
  lastSeen: string | null;
  /** Free bytes for the store, as last heard, or null. */
  free: number | null;
}

/** A task that goes on in the background. */
export interface Work {
  name: string;
  /** Units are files, chunks or bytes, as `unit` says. */
  done: number;
  total: number;
  unit: string;
  /** Seconds until it is done at the present rate, or null. */
  eta: number | null;
  /** Why it does not get on, or null. */
  problem: string | null;
}

export interface Status {
  network: string;
  pod: string;
  mount: string;
  /** `stopped` comes from `wh` itself when no daemon answers. */
  state: 'running' | 'loading' | 'degraded' | 'stopped';
  posture: 'favourable' | 'mixed' | 'critical';
  pods: PodStatus[];
  files: number;
  bytes: number;
  unpublished: number;
  underReplicated: number;
  conflicts: number;
  /** Deletions of late that took more than half of a folder, and were not undone. */
  massDeletions: MassDeletionStatus[];
  /** Entries of the document that do not fit the schema, and are ignored. */
  ignored: number;
  work: Work[];
  /** What needs a person's eye, each with its cure. */
  warnings: string[];
}

export type FileState = 'here' | 'cached' | 'partly' | 'remote' | 'pinned';

export interface Inspection {
  path: string;
  kind: string;
  size: number;
  state: FileState;
  copies: { wanted: number; held: number };
  /** Names of the pods that hold all of it, as they said just now. */
  holders: string[];
  /** Content id and chunks. */
  content: string;
  chunks: { id: string; length: number; here: boolean }[];
  /** As `wh history` lists them. */
  versions: Version[];
  /** Path of the file that this one is in conflict with, or null. */
  conflict: string | null;
  pinned: boolean;
  /** Why it is where it is, for people. */
  reason: string;
}

export interface Listed {
  name: string;
  kind: string;
  mode: number;
  size: number;
  /** ISO 8601. */
  mtime: string;
  state: FileState | null;
  copies: { wanted: number; held: number } | null;
}

export interface PodDetails extends PodStatus {
  /** The id in groups with check characters, for comparing by eye. */
  key: string;
  capacity: number | null;
  addedBy: string | null;
  roundTripMs: number | null;
}

/** Several versions of one thing, of which one has the name. */
export interface ConflictReport {
  /** The path that all want. */
  path: string;
  /** What has the name comes first. */
  versions: ConflictedVersion[];
}

export interface ConflictedVersion {
  /** For `wh resolve --keep ID`. */
  id: string;
  /** Where it is as long as the conflict lasts. */
  path: string;
  /** The pod that wrote it. */
  pod: string;
  /** This pod wrote it. */
  mine: boolean;
  kind: string;
  size: number;
  /** ISO 8601. */
  time: string;
}

/** A name that another system could not hold, or not beside another one. */
export interface NameReport {
  path: string;
  problem: 'case' | 'unicode' | 'characters' | 'ending' | 'reserved';
  /** Path of the other one, or null. */
  like: string | null;
}

export interface SyncResult {
  /** True when all that was asked for holds. */
  done: boolean;
  /** Why not, when not. */
  reason: string | null;
  copies: number | null;
}

/** What a file's name showed at some time. */
export interface Version {
  /** To be given after `@` to `wh restore`. */
  version: string;
  /** The file's time then, ISO 8601. */
  time: string;
  /** Who wrote it. */
  pod: string;
  size: number;
  /** `deleted`: the last one of a file that is gone. */
  kind: 'current' | 'overwritten' | 'deleted';
}

export interface FileHistory {
  path: string;
  /** What is there now, or was at last, then the others, the latest first. */
  versions: Version[];
}

/** A deleted file, or a folder with all that went with it. */
export interface Trashed {
  path: string;
  kind: string;
  size: number;
  /** What is in a folder, at any depth. */
  entries: number;
  /** When this pod saw it go, ISO 8601. */
  time: string;
  /** Who deleted it. */
  pod: string;
}

/** More than half of a folder of twenty or more went at once. */
export interface MassDeletionStatus {
  /** Who did it. */
  pod: string;
  /** When this pod saw it begin, ISO 8601. */
  time: string;
  /** All that went, in these folders and others. */
  deleted: number;
  folders: { path: string; deleted: number; left: number }[];
}

export interface Restored {
  /** Where it is now. */
  path: string;
  /** Files and folders that came back. */
  entries: number;
  /** The version that is there now, for a file. */
  version: string | null;
}

export interface Pinned {
  path: string;
  pinned: boolean;
}

/** What `wh evict` freed, in bytes where nothing else is said. */
export interface Evicted {
  path: string;
  files: number;
  chunks: number;
  bytes: number;
  /** Stays: it belongs here, or too few other pods keep it as yet. */
  keptBytes: number;
  /** Files that stay because they are pinned. */
  pinned: number;
}

/** What `wh fsck` found. */
export interface Fsck {
  /** True when nothing is missing here and nothing was damaged for good. */
  ok: boolean;
  files: number;
  chunks: number;
  /** Chunks without a name that wait for the end of their history. */
  unnamed: number;
  unnamedBytes: number;
  /** Files of which something should be here and is not; `nowhere`: chunks that no linked pod has either. */
  missing: { path: string; chunks: number; nowhere: number; unknown: boolean }[];
  /** Chunks that did not hash to their names, with `--read-data`; `mended`: they were fetched anew. */
  damaged: { chunk: string; mended: boolean }[];
  bytesRead: number;
}

/** A figure of the daemon, as Prometheus knows it. */
export interface Metric {
  name: string;
  type: 'gauge' | 'counter';
  /** One sentence. */
  help: string;
  samples: { labels: Record<string, string>; value: number }[];
}

/** What a bulk copy into or out of the tree came to. */
export interface Transferred {
  /** In the tree. */
  path: string;
  /** Copied now. */
  files: number;
  folders: number;
  bytes: number;
  /** Files that were there already, byte for byte. */
  already: number;
  /** What was not copied, with the reason; at most a hundred are named. */
  left: { path: string; reason: string }[];
  leftCount: number;
}

/** One setting of the declaration that changes; null where it is not set. */
export interface SettingChange {
  setting: string;
  from: string | null;
  to: string | null;
}

/** What is in force, and who says so. */
export interface ConfigShown {
  /** As it was declared; empty when nobody declared anything. */
  text: string;
  /** Who declared it and when, by that pod's clock; null when nobody did. */
  declared: { by: string; at: string; number: number } | null;
  settings: { setting: string; value: string; from: 'wormhole.yaml' | 'pod.yaml' | 'default' }[];
  /** Promises that these pods cannot keep, a sentence each. */
  unmet: string[];
}

export interface ConfigEntry {
  number: number;
  by: string;
  /** ISO 8601. */
  at: string;
  changes: SettingChange[];
}

/** What a declaration would change. */
export interface ConfigPlan {
  changes: SettingChange[];
  /** Files whose copies are not all where they are now. */
  files: number;
  make: { copies: number; bytes: number };
  drop: { copies: number; bytes: number };
  /** Bytes of each pod that has any part in it. */
  pods: { name: string; receive: number; drop: number; holds: number; capacity: number | null }[];
  /** Seconds it takes at the present rate, or null where that is not known. */
  seconds: number | null;
  unmet: string[];
}

export interface ConfigApplied extends ConfigPlan {
  /** False when there was nothing to change. */
  applied: boolean;
}

export interface ScrubResult {
  files: number;
  chunks: number;
  bytes: number;
  damaged: number;
}

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
  rebalance: { arguments: { plan: boolean }; result: { chunks: number; bytes: number } };
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

/** Thrown when nobody listens: the daemon is not running. */
export const NOT_RUNNING: ErrorCode = 'closed';

/**
 * A path to a socket that is short enough for the kernel (108 bytes), whatever the folder is called: through
 * an open descriptor of the folder. Call `done` once bound or connected.
 */
export function shortSocketPath(path: string): { path: string; done(): void } {
  if (Buffer.byteLength(path) < 100) return { path, done: () => {} };
  const descriptor = openSync(dirname(path), 'r');
  return {
    path: `/proc/self/fd/${descriptor}/${basename(path)}`,
    done: () => closeSync(descriptor),
  };
}

/**
 * Asks a daemon.
 * @param onProgress gets a line for people now and then during long calls
 * @throws WormholeError `closed` when no daemon listens, else what the daemon says
 */
export function callDaemon<Name extends ControlName>(
  socket: string,
  name: Name,
  args: ControlCalls[Name]['arguments'],
  options: { onProgress?: (line: string) => void; signal?: AbortSignal } = {},
): Promise<ControlCalls[Name]['result']> {
  return new Promise((resolve, reject) => {
    const short = shortSocketPath(socket);
    const { signal } = options;
    const call = request(
      {
        socketPath: short.path,
        method: 'POST',
        path: `/${name}`,
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        let ended = false;
        const lines = createInterface({ input: response });
        lines.on('line', (text) => {
          const line = JSON.parse(text) as ControlLine;
          if ('progress' in line) return options.onProgress?.(line.progress);
          ended = true;
          if ('error' in line) reject(errorFrom(line.error));
          else resolve(line.result as ControlCalls[Name]['result']);
        });
        lines.on('close', () => {
          if (!ended)
            reject(
              new WormholeError('io', 'the daemon ended before it answered: see `wh status` and its log.'),
            );
        });
        response.on('error', () => lines.close());
      },
    );
    call.on('socket', (connection) => connection.once('connect', short.done).once('error', short.done));
    call.on('error', (cause) => {
      const code = (cause as NodeJS.ErrnoException).code;
      if (signal?.aborted === true) reject(new WormholeError('interrupted', 'cancelled.'));
      else if (code === 'ENOENT' || code === 'ECONNREFUSED') {
        reject(new WormholeError(NOT_RUNNING, 'the daemon is not running: start it with `wh up`.'));
      } else reject(new WormholeError('io', `the daemon cannot be reached: ${cause.message}`, { cause }));
    });
    call.end(JSON.stringify(args));
  });
}
