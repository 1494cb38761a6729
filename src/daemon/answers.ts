/** The shapes of what the control socket answers; `wh … --json` prints them as they are. */

import type { Transfer } from '../fs/index.js';

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
  /** Why nothing can be changed or stored on this pod until its disk is well and it is started anew; null: it can. */
  readOnly: string | null;
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
export interface Transferred extends Transfer {
  /** In the tree. */
  path: string;
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
